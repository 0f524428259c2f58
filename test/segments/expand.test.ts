import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Condition, ProfileFacts } from '../../src/segments/ast.ts';
import { expand, type ConditionOf } from '../../src/segments/expand.ts';
import { LIMITS } from '../../src/segments/limits.ts';
import { normalise } from '../../src/segments/normalise.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { dependenciesOf } from '../../src/segments/touch.ts';
import { parsed, profile } from './helpers.ts';
import { wholeCase } from './whole.ts';

const segment = (id: string, member = true) => ({ segment: { id, member } });
const email = { property: { path: 'email', filter: { exists: true } } };
const among = (conditions: Record<string, object>): ConditionOf => {
  const known = new Map(Object.entries(conditions).map(([id, input]) => [id, parsed(input)]));
  return (id) => known.get(id) ?? null;
};
const expanded = (input: object, conditionOf: ConditionOf): Condition => {
  const result = expand(parsed(input), conditionOf);
  if (!result.ok) throw new Error(result.problem);
  return result.condition;
};
const problem = (input: object, conditionOf: ConditionOf): string => {
  const result = expand(parsed(input), conditionOf);
  return result.ok ? '' : result.problem;
};

/** Conditions of every kind, each of which refers to earlier ones, and one of them to none that exists. */
function referring(conditions: readonly Condition[], seed: number): Condition[] {
  return conditions.map((condition, i) => {
    const to = (j: number, member: boolean): Condition => ({
      kind: 'segment',
      id: `S${(seed + j) % (i + 1)}`,
      member,
    });
    const kinds = ['all', 'any'] as const;
    const [kind, other] = seed % 2 === 0 ? kinds : ([...kinds].reverse() as ['any', 'all']);
    return {
      kind,
      children: [to(1, i % 3 > 0), { kind: other, children: [without(condition), to(2, i % 2 > 0)] }],
    };
  });
}

function without(condition: Condition): Condition {
  if (condition.kind === 'all' || condition.kind === 'any') {
    return { ...condition, children: condition.children.map(without) };
  }
  if (condition.kind === 'not') return { kind: 'not', child: without(condition.child) };
  return condition.kind === 'segment' ? { kind: 'sample', percent: 50, salt: condition.id } : condition;
}

describe('a condition that is written out', () => {
  it('is true for exactly those for whom it is true with the memberships that the other conditions give', () => {
    const answers = { true: 0, false: 0 };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
        const { inputs, people, instants, context } = wholeCase(seed);
        const conditions = referring(inputs.map(parsed), seed);
        // S0 does not exist.
        const defined = new Map(conditions.map((condition, i) => [`S${i + 1}`, condition]));
        const written = conditions.map((condition) => {
          const result = expand(condition, (id) => defined.get(id) ?? null);
          if (!result.ok) throw new Error(result.problem);
          expect(dependenciesOf(result.condition).segments.size).toBe(0);
          expect(normalise(result.condition)).toEqual(result.condition);
          return result.condition;
        });
        for (const at of instants) {
          for (const alone of people.map((facts): ProfileFacts => ({ ...facts, memberships: new Set() }))) {
            const memberships = new Set<string>();
            for (const [i, condition] of conditions.entries()) {
              const wanted = evaluate(condition, { ...alone, memberships }, at, context);
              if (wanted) memberships.add(`S${i + 1}`);
              expect(evaluate(written[i] as Condition, alone, at, context)).toBe(wanted);
              answers[`${wanted}`] += 1;
            }
          }
        }
      }),
      { numRuns: 60 },
    );
    expect(answers.true).toBeGreaterThan(500);
    expect(answers.false).toBeGreaterThan(500);
  });

  it('is its normal form when it refers to nothing', () => {
    expect(expanded({ not: { not: email } }, () => null)).toEqual(normalise(parsed(email)));
  });

  it('holds for nobody where a segment does not exist', () => {
    const nowhere = () => null;
    expect(evaluate(expanded(segment('gone'), nowhere), profile({}), 0)).toBe(false);
    expect(evaluate(expanded(segment('gone', false), nowhere), profile({}), 0)).toBe(true);
  });

  it('may refer to one segment in several ways', () => {
    const conditionOf = among({ a: email, b: segment('a'), c: segment('a', false) });
    const both = expanded({ all: [segment('b'), segment('a'), { not: segment('c') }] }, conditionOf);
    expect(both).toEqual(normalise(parsed(email)));
  });
});

describe('what is refused', () => {
  const chain = (length: number) =>
    among({
      s0: email,
      ...Object.fromEntries(Array.from({ length }, (_, i) => [`s${i + 1}`, { not: segment(`s${i}`) }])),
    });

  it('references over more than so many segments', () => {
    expect(problem(segment(`s${LIMITS.references - 1}`), chain(30))).toBe('');
    expect(problem(segment(`s${LIMITS.references}`), chain(30))).toBe(
      'refers to segments that refer to others, over more than 10 of them',
    );
  });

  it('a circle, of any length', () => {
    expect(problem(segment('a'), among({ a: segment('a') }))).toMatch(/over more than/);
    const circle = among({ a: { any: [email, segment('b')] }, b: segment('c'), c: segment('a', false) });
    expect(problem(segment('b'), circle)).toMatch(/over more than/);
  });

  it('more conditions than can be computed, which are counted and not written out', () => {
    const many = Array.from({ length: 100 }, (_, i) => ({
      property: { path: `properties.p${i}`, filter: { exists: true } },
    }));
    const conditionOf = among({ a: { any: many } });
    const times = (count: number) => ({ any: Array.from({ length: count }, () => segment('a')) });
    expect(problem(times(5), conditionOf)).toBe('');
    expect(problem(times(6), conditionOf)).toBe(
      'has more than 500 conditions, with those of the segments it refers to',
    );
    const doubling = among({
      d0: email,
      ...Object.fromEntries(
        Array.from({ length: 9 }, (_, i) => [
          `d${i + 1}`,
          { any: Array.from({ length: 500 }, () => segment(`d${i}`)) },
        ]),
      ),
    });
    expect(problem(segment('d9'), doubling)).toMatch(/has more than 500 conditions/);
  });

  it('more nesting', () => {
    const nested = (levels: number, inside: object): object =>
      levels === 0 ? inside : { any: [email, { all: [email, nested(levels - 1, inside)] }] };
    const conditionOf = among({
      n0: nested(9, email),
      ...Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`n${i + 1}`, nested(9, segment(`n${i}`))])),
    });
    expect(problem(segment('n4'), conditionOf)).toBe('');
    expect(problem(segment('n5'), conditionOf)).toMatch(/^has more than 100 levels of nesting/);
  });

  it('longer texts', () => {
    const long = {
      property: {
        path: 'email',
        filter: { text: { in: Array.from({ length: 300 }, (_, i) => `${i}`.repeat(1_000)) } },
      },
    };
    const conditionOf = among({ a: long });
    expect(problem({ any: Array.from({ length: 4 }, () => segment('a')) }, conditionOf)).toBe('');
    expect(problem({ any: Array.from({ length: 6 }, () => segment('a')) }, conditionOf)).toMatch(
      /^has more than 4000000 characters/,
    );
  });
});
