/** What news decide by themselves is what the reference says, whatever else there is of the profile. */
import { expect, it } from 'vitest';
import { createAnswerer } from '../../src/evaluation/answers.ts';
import { evidentTruth } from '../../src/evaluation/evident.ts';
import type { SegmentInForce } from '../../src/evaluation/registry.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { criteriaOf, evaluate, normalise, parseCondition } from '../../src/segments/index.ts';
import type { ProfileChange } from '../../src/storage/profile-changes.ts';
import { factsOf, randomCase } from './generate.ts';
import { seededRandom } from './random.ts';

const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;

it('of random events, conditions and instants', () => {
  const decided = { true: 0, false: 0 };
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const one = randomCase(seed, { profiles: 8, eventsPerProfile: 10, conditions: 60 });
    for (const input of one.conditions) {
      const parsed = parseCondition(input);
      if (!parsed.ok) throw new Error('a random condition is not valid');
      const condition = normalise(parsed.condition);
      for (const all of factsOf(one).values()) {
        const events = all.events.filter(() => random.chance(0.5));
        const told = profileFacts({ number: all.number, events });
        for (const at of one.instants) {
          const truth = evidentTruth(condition, told, at, { timeZone: 'UTC' });
          if (truth === null) continue;
          expect(truth, `seed ${seed}: ${JSON.stringify(input)}`).toBe(evaluate(parsed.condition, all, at));
          decided[`${truth}`] += 1;
        }
      }
    }
  }
  expect(Math.min(decided.true, decided.false)).toBeGreaterThan(100);
});

const viewed = (more: object = {}) => ({ event: { metric: 'Viewed', within: { last: 'P30D' }, ...more } });
const told: ProfileChange = {
  profile: 1,
  cause: 'EVENT',
  at: NOW,
  metric: 'Viewed',
  event: { id: 'one', time: NOW - DAY, metric: 1 },
  content: { value: null, properties: [] },
};

/** What is found and what is left of the question whether profile 1 is in a segment, from these news. */
async function askOne(
  input: object,
  {
    news = [told],
    isMember = false,
    isGone = false,
  }: { news?: ProfileChange[]; isMember?: boolean; isGone?: boolean },
) {
  const parsed = parseCondition(input);
  if (!parsed.ok) throw new Error('not a condition');
  const condition = normalise(parsed.condition);
  const segment: SegmentInForce = {
    account: 1,
    segment: 1,
    version: 1,
    own: condition,
    references: new Set(),
    condition,
    criteria: criteriaOf(condition),
  };
  const unused = () => {
    throw new Error('a store is asked');
  };
  const answerer = createAnswerer({
    known: { use: unused, holds: unused, apply: unused, forget: unused, evaluate: unused },
    cache: { load: () => Promise.resolve(), has: () => isMember, set: unused, forget: unused },
    scopes: {
      load: () => Promise.resolve(),
      of: () => ({ account: 1, metrics: new Map(), timeZone: 'UTC' }),
    },
    ahead: { stored: unused, about: unused },
    gone: (profiles) => Promise.resolve(profiles.map(() => isGone)),
    useAll: unused,
  });
  const reason = { cause: 'EVENT' as const, at: NOW, event: null };
  const question = { profile: 1, segment, entering: reason, exiting: reason };
  const { found, left } = await answerer.evident([question], new Map([[1, news]]), NOW);
  return [...found.map(({ kind }) => kind), ...left.map(() => 'left')];
}

it('whoever has just done it is in, and out of what is for others, without being read', async () => {
  expect(await askOne(viewed(), {})).toEqual(['ENTERED']);
  expect(await askOne(viewed(), { isMember: true })).toEqual([]);
  expect(await askOne({ not: viewed() }, { isMember: true })).toEqual(['EXITED']);
  expect(await askOne({ any: [viewed(), { event: { metric: 'Order' } }] }, {})).toEqual(['ENTERED']);
});

it('what takes more than the news is left to be asked', async () => {
  expect(await askOne(viewed({ is: { atLeast: 2 } }), {})).toEqual(['left']);
  expect(await askOne(viewed({ is: { atMost: 1 } }), {})).toEqual(['left']);
  expect(await askOne({ all: [viewed(), { event: { metric: 'Order' } }] }, {})).toEqual(['left']);
  const { content: _, ...brief } = told;
  expect(await askOne(viewed(), { news: [brief] })).toEqual(['left']);
  const old = { ...told, event: { id: 'one', time: NOW - 40 * DAY, metric: 1 } };
  expect(await askOne(viewed(), { news: [old] })).toEqual(['left']);
});

it('an event that is told twice counts once', async () => {
  const other = { ...told, event: { id: 'other', time: NOW - DAY, metric: 1 } };
  expect(await askOne(viewed({ is: { atLeast: 2 } }), { news: [told, told] })).toEqual(['left']);
  expect(await askOne(viewed({ is: { atLeast: 2 } }), { news: [told, other] })).toEqual(['ENTERED']);
});

it('whoever is no more is left, whatever he has done', async () => {
  expect(await askOne(viewed(), { isGone: true })).toEqual(['left']);
});
