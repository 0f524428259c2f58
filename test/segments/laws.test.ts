import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition, Context, Criterion, ProfileFacts } from '../../src/segments/ast.ts';
import { startOfDay, dayOf } from '../../src/segments/calendar.ts';
import { parseDate } from '../../src/segments/dates.ts';
import { timeEdgesOf, type TimeSource } from '../../src/segments/edges.ts';
import { criteriaOf, criterionKey, hashOf, normalise } from '../../src/segments/normalise.ts';
import { toInput } from '../../src/segments/print.ts';
import { parseQuery } from '../../src/segments/query.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { effectOfEvent } from '../../src/segments/effect.ts';
import { turningPoints } from '../../src/segments/turning-points.ts';
import { toQuery } from '../../src/segments/text.ts';
import { dependenciesOf } from '../../src/segments/touch.ts';
import { parsed, profile } from './helpers.ts';
import { wholeCase } from './whole.ts';

interface Situation {
  seed: number;
  conditions: Condition[];
  people: ProfileFacts[];
  instants: number[];
  context: Context;
}

function situation(seed: number): Situation {
  const { inputs, ...rest } = wholeCase(seed);
  return { ...rest, conditions: inputs.map(parsed) };
}

/** Checks a law on random people and instants; the failing seed is printed. */
function always(law: (now: Situation) => void, numRuns = 150): void {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => law(situation(seed))),
    { numRuns },
  );
}

/** The condition's truth for everyone at every instant. */
function truths(condition: Condition, { people, instants, context }: Situation): boolean[] {
  return instants.flatMap((at) => people.map((facts) => evaluate(condition, facts, at, context)));
}

const not = (child: Condition): Condition => ({ kind: 'not', child });
const all = (...children: Condition[]): Condition => ({ kind: 'all', children });
const any = (...children: Condition[]): Condition => ({ kind: 'any', children });

/** The first two conditions of a situation. */
function pair({ conditions }: Situation): [Condition, Condition] {
  const [a, b] = conditions;
  if (!a || !b) throw new Error('two conditions are needed');
  return [a, b];
}

/** Those whose facts begin to count when their time has come. */
function everySource(criterion: Criterion): TimeSource[] {
  switch (criterion.kind) {
    case 'event':
      return [{ of: 'event', metric: criterion.metric }];
    case 'sequence':
      return criterion.steps.map(({ metric }) => ({ of: 'event', metric }));
    case 'consent':
      return [{ of: 'consent', channel: criterion.channel }];
    case 'trend':
      return [{ of: 'prediction', path: criterion.path }];
    case 'property':
    case 'near':
    case 'segment':
    case 'sample':
      return [];
  }
}

/** The instants that a source has for someone. */
function instantsOf(source: TimeSource, facts: ProfileFacts, { timeZone }: Context): number[] {
  const dates = (values: readonly unknown[]) =>
    values.flatMap((value) => (typeof value === 'string' ? (parseDate(value, timeZone) ?? []) : []));
  switch (source.of) {
    case 'event':
      return facts.events.filter(({ metric }) => metric === source.metric).map(({ time }) => time);
    case 'eventProperty': {
      const events = facts.events.filter(({ metric }) => metric === source.metric);
      return dates(events.map(({ properties }) => properties.get(source.path)));
    }
    case 'attribute':
      return dates([facts.attributes.get(source.path)]);
    case 'consent':
      return [...facts.consents]
        .filter(([channel]) => channel === source.channel)
        .map(([, { time }]) => time);
    case 'prediction':
      return (facts.predictions.get(source.path) ?? []).map(({ time }) => time);
  }
}

describe('laws of conditions', () => {
  it('the random situations are worth asking: truths of both kinds, for the same condition', () => {
    const seen = Array.from({ length: 100 }, (_, seed) => situation(seed)).flatMap((now) =>
      now.conditions.map((condition) => new Set(truths(condition, now)).size),
    );
    expect(seen.filter((kinds) => kinds === 2).length).toBeGreaterThan(seen.length / 4);
  });

  it('what is printed is read again as the same condition, also through JSON', () => {
    always(({ conditions }) => {
      for (const condition of conditions) {
        expect(parsed(JSON.parse(JSON.stringify(toInput(condition))))).toEqual(condition);
      }
    });
  });

  it('the normal form is true for the same people at the same instants', () => {
    always((now) => {
      for (const condition of now.conditions) {
        expect(truths(normalise(condition), now)).toEqual(truths(condition, now));
      }
    }, 400);
  });

  it('the normal form of the normal form is itself, and can be sent as a condition with the same normal form', () => {
    always(({ conditions }) => {
      for (const condition of conditions) {
        const normal = normalise(condition);
        expect(normalise(normal)).toEqual(normal);
        expect(normalise(parsed(toInput(normal)))).toEqual(normal);
      }
    });
  });

  it('in the normal form every criterion but samples is false for a profile of which nothing is known', () => {
    always(({ conditions, instants, context }) => {
      for (const criterion of conditions.flatMap((condition) => criteriaOf(normalise(condition)))) {
        if (criterion.kind === 'sample') continue;
        for (const at of instants) expect(evaluate(criterion, profile({}), at, context)).toBe(false);
      }
    });
  });

  it('what is said in full can be typed: it is read as the same, and said again in the same words', () => {
    always(({ conditions }) => {
      for (const condition of conditions.flatMap((one) => [one, normalise(one)])) {
        const query = toQuery(condition);
        const read = parseQuery(query);
        if (!read.ok) throw new Error(`${query}\n${read.errors[0]?.message}`);
        expect(hashOf(read.condition)).toBe(hashOf(condition));
        expect(toQuery(read.condition)).toBe(query);
      }
    }, 300);
  });

  it('double negation changes neither truth nor hash', () => {
    always((now) => {
      const [a] = pair(now);
      expect(truths(not(not(a)), now)).toEqual(truths(a, now));
      expect(hashOf(not(not(a)))).toBe(hashOf(a));
    });
  });

  it('A = (A and B) or (A and not B)', () => {
    always((now) => {
      const [a, b] = pair(now);
      expect(truths(any(all(a, b), all(a, not(b))), now)).toEqual(truths(a, now));
    });
  });

  it('not (A and B) = (not A) or (not B)', () => {
    always((now) => {
      const [a, b] = pair(now);
      expect(truths(not(all(a, b)), now)).toEqual(truths(any(not(a), not(b)), now));
    });
  });

  it('order, repetition and nesting do not change the hash', () => {
    always((now) => {
      const [a, b] = pair(now);
      for (const make of [all, any]) {
        const expected = hashOf(make(a, b));
        expect(hashOf(make(b, a))).toBe(expected);
        expect(hashOf(make(a, b, a))).toBe(expected);
        expect(hashOf(make(make(a), make(b, a)))).toBe(expected);
      }
    });
  });

  it('equal hashes mean equal truths', () => {
    const byHash = new Map<string, Condition>();
    always((now) => {
      for (const condition of now.conditions) {
        const twin = byHash.get(hashOf(condition));
        if (twin) expect(truths(condition, now)).toEqual(truths(twin, now));
        byHash.set(hashOf(condition), condition);
      }
    });
  });

  it('the order of events does not matter', () => {
    always((now) => {
      const reversed = now.people.map((facts) => ({ ...facts, events: [...facts.events].reverse() }));
      for (const condition of now.conditions) {
        expect(truths(condition, { ...now, people: reversed })).toEqual(truths(condition, now));
      }
    });
  });

  it('what a condition does not depend on cannot change it', () => {
    always((now) => {
      for (const condition of now.conditions) {
        const { metrics, attributes, consents, segments, predictions } = dependenciesOf(condition);
        const people = now.people.map((facts) => ({
          ...facts,
          attributes: new Map([...facts.attributes].filter(([path]) => attributes.has(path))),
          events: facts.events.filter(({ metric }) => metrics.has(metric)),
          consents: new Map([...facts.consents].filter(([channel]) => consents.has(channel))),
          memberships: new Set([...facts.memberships].filter((id) => segments.has(id))),
          predictions: new Map([...facts.predictions].filter(([path]) => predictions.has(path))),
        }));
        expect(truths(condition, { ...now, people })).toEqual(truths(condition, now));
      }
    });
  });

  it('one more event turns a condition only the way that its effect says', () => {
    always((now) => {
      for (const event of now.people.flatMap(({ events }) => events).slice(0, 5)) {
        const people = now.people.map((facts) => ({ ...facts, events: [...facts.events, event] }));
        for (const condition of now.conditions) {
          const { canBecomeTrue, canBecomeFalse } = effectOfEvent(normalise(condition), event.metric);
          const before = truths(condition, now);
          truths(condition, { ...now, people }).forEach((after, i) => {
            if (after !== before[i]) expect(after ? canBecomeTrue : canBecomeFalse).toBe(true);
          });
        }
      }
    }, 60);
  });

  it('time alone changes a criterion only at the edges it names', () => {
    always(({ conditions, people, context }) => {
      for (const criterion of conditions.flatMap((condition) => criteriaOf(normalise(condition)))) {
        const { crossings, midnights } = timeEdgesOf(criterion);
        const ages = [...crossings, ...everySource(criterion).map((source) => ({ source, ages: [0] }))];
        for (const facts of people) {
          const turns = new Set(
            ages.flatMap(({ source, ages: each }) =>
              instantsOf(source, facts, context).flatMap((t) => each.map((age) => t + age)),
            ),
          );
          const days = midnights ? [...turns, ...facts.events.map(({ time }) => time)] : [];
          for (const at of days) {
            for (const day of [0, 1, 2, 7, 8, 31, 365])
              turns.add(startOfDay(dayOf(at, context.timeZone) + day, context.timeZone));
          }
          // Also where explanations look for flips, which is found independently.
          const asked = [...turns, ...turningPoints(criterion, facts, context.timeZone).once];
          const instants = [...new Set([...asked, ...asked.map((at) => at - 1)])].sort((a, b) => a - b);
          for (const [i, at] of instants.entries()) {
            const before = instants[i - 1];
            if (before === undefined || turns.has(at)) continue;
            // Nothing turns in (before, at], but midnights that were left out: the truth at both is the same.
            if (midnights && dayOf(before, context.timeZone) !== dayOf(at, context.timeZone)) continue;
            expect(evaluate(criterion, facts, at, context)).toBe(evaluate(criterion, facts, before, context));
          }
        }
      }
    }, 60);
  });

  it('criteria are the distinct leaves', () => {
    always(({ conditions }) => {
      const [a, b] = conditions.flatMap(criteriaOf);
      if (!a || !b) return;
      expect(criteriaOf(all(a, not(any(a, structuredClone(a)))))).toEqual([a]);
      expect(criterionKey(structuredClone(a))).toBe(criterionKey(a));
      expect(criteriaOf(all(a, b)).length).toBe(criterionKey(a) === criterionKey(b) ? 1 : 2);
    });
  });
});
