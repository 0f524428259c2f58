import { describe, expect, it } from 'vitest';
import type { Condition, ProfileFacts } from '../../src/segments/ast.ts';
import { explain, type Explanation } from '../../src/segments/explain.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { seededRandom } from '../comparison/random.ts';
import { NOW, parsed, profile } from './helpers.ts';
import { wholeCase } from './whole.ts';

const DAY = 86_400_000;
const UTC = { timeZone: 'UTC' };
const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const explained = (input: unknown, facts: ProfileFacts, at = NOW) => explain(parsed(input), facts, at, UTC);
const ago = (...days: number[]) =>
  profile(
    {},
    days.map((each) => ({ time: NOW - each * DAY })),
  );

/** Each node with its explanation. */
function nodes(condition: Condition, explanation: Explanation): [Condition, Explanation][] {
  const below =
    'children' in condition ? condition.children : condition.kind === 'not' ? [condition.child] : [];
  expect(explanation.children).toHaveLength(below.length);
  const children = explanation.children.flatMap((child, i) => nodes(below[i] as Condition, child));
  return [[condition, explanation], ...children];
}

const rising = {
  ...profile({ properties: { $predictions: { churnRisk: 0.5 } } }),
  predictions: new Map([
    [
      'properties.$predictions.churnRisk',
      [
        { time: NOW - 10 * DAY, value: 0.25 },
        { time: NOW - DAY / 2, value: 0.5 },
      ],
    ],
  ]),
};

describe('explain', () => {
  it.each<[string, unknown, ProfileFacts, object]>([
    [
      'too few',
      order({ is: { atLeast: 3 } }),
      ago(31, 40),
      { text: '2 times, the last 31 days ago', actual: 2, missing: 1 },
    ],
    ['none', order(), ago(), { text: 'never', actual: 0, missing: 1 }],
    [
      'too many',
      order({ is: { lessThan: 1 } }),
      ago(0.5),
      { text: 'once, the last 12 hours ago', actual: 1, missing: 0 },
    ],
    [
      'a sum',
      order({ measure: { sum: '$value' }, is: { atLeast: 10 } }),
      profile({}, [{ value: 2.5 }, { value: 4 }]),
      { text: '6.5 (2 times, the last 0 seconds ago)', actual: 6.5, missing: 3.5 },
    ],
    [
      'a sum that lacks a fraction',
      order({ measure: { sum: '$value' }, is: { atLeast: 100.3 } }),
      { ...ago(0, 0), events: ago(0, 0).events.map((event) => ({ ...event, value: 49.95 })) },
      { actual: 99.9, missing: 0.4 },
    ],
    [
      'an average that lacks a fraction',
      order({ measure: { average: '$value' }, is: { atLeast: 0.9 } }),
      profile({}, [{ value: 0.5 }, { value: 0.7 }]),
      { actual: 0.6, missing: 0.3 },
    ],
    [
      'a number that lacks a fraction',
      { property: { path: 'properties.x', filter: { number: { atLeast: 0.7 } } } },
      profile({ properties: { x: 0.4 } }),
      { actual: 0.4, missing: 0.3 },
    ],
    [
      'a number that lacks less than is said of others',
      { property: { path: 'properties.x', filter: { number: { atMost: 0.3 } } } },
      profile({ properties: { x: 0.1 + 0.2 } }),
      { missing: 0.3 - (0.1 + 0.2) },
    ],
    ['no average', order({ measure: { average: '$value' } }), ago(1), { actual: null, missing: null }],
    [
      'half a sequence',
      { sequence: { steps: [{ metric: 'Placed Order' }, { metric: 'Placed Order' }, { metric: 'B' }] } },
      ago(1, 2, 3),
      { text: '2 of 3 steps', actual: 2, missing: 1 },
    ],
    [
      'nothing set',
      { property: { path: 'email', filter: { exists: true } } },
      profile({}),
      { text: 'not set', actual: null },
    ],
    [
      'a number',
      { property: { path: 'properties.x', filter: { number: { between: { from: 1, to: 3 } } } } },
      profile({ properties: { x: 5 } }),
      { text: '5', actual: 5, missing: -2 },
    ],
    [
      'a date',
      { property: { path: 'properties.x', filter: { date: { next: 'P7D' } } } },
      profile({ properties: { x: '2026-02-20' } }),
      { text: '"2026-02-20", in 9 days', actual: '2026-02-20' },
    ],
    [
      'a change, with a number',
      {
        prediction: {
          dimension: 'CHURN_RISK',
          number: { atLeast: 0.75 },
          change: { by: 0.25, within: 'P1D' },
        },
      },
      rising,
      { text: '0.5 now, 0.25 1 day ago', actual: 0.5, missing: 0.25 },
    ],
    [
      'a change alone',
      { prediction: { dimension: 'CHURN_RISK', change: { by: 1, within: 'P30D' } } },
      rising,
      { text: '0.5 now, no value 30 days ago', actual: null, missing: null },
    ],
    [
      'a fall of a fraction',
      { prediction: { dimension: 'CHURN_RISK', change: { by: -0.1, within: 'P1D' } } },
      {
        ...rising,
        predictions: new Map([
          [
            'properties.$predictions.churnRisk',
            [
              { time: NOW - 10 * DAY, value: 0.3 },
              { time: NOW - DAY / 2, value: 0.1 },
            ],
          ],
        ]),
      },
      { text: '0.1 now, 0.3 1 day ago', actual: -0.2 },
    ],
    [
      'no consent',
      { consent: { channel: 'SMS', canReceive: true } },
      profile({}),
      { text: 'none recorded', actual: null },
    ],
    [
      'a consent',
      { consent: { channel: 'SMS', status: ['SUBSCRIBED'] } },
      profileFacts({
        consents: new Map([['SMS', { status: 'UNSUBSCRIBED', time: NOW - DAY, source: 'x' }]]),
      }),
      { text: 'unsubscribed, 1 day ago, source "x"', actual: 'UNSUBSCRIBED' },
    ],
    [
      'a distance',
      { near: { latitude: 0, longitude: 0, within: 10, unit: 'MILES' } },
      profile({ location: { latitude: 0, longitude: 1 } }),
      { text: '69.09 miles away', missing: expect.closeTo(-59.0937, 3) as number },
    ],
    [
      'a distance of one',
      { near: { latitude: 0, longitude: 0, within: 1 } },
      profile({ location: { latitude: 0, longitude: 0.008993216 } }),
      { text: '1 kilometer away', actual: 1.000001, missing: -0.000001 },
    ],
    [
      'a distance to six decimals',
      { near: { latitude: 0, longitude: 0, within: 10 } },
      profile({ location: { latitude: 0, longitude: 1 } }),
      { text: '111.2 kilometers away', actual: 111.19508, missing: -101.19508 },
    ],
    ['a membership', { segment: { id: 'S' } }, profile({}), { text: 'not a member', actual: false }],
  ])('says what was found: %s', (_name, input, facts, finding) => {
    expect(explained(input, facts).finding).toMatchObject(finding);
  });

  it('says when time alone flips a node, and when its root', () => {
    const input = { all: [order({ within: { last: 'P30D' } }), { not: order({ within: { last: 'P7D' } }) }] };
    const { satisfied, flipsAt, children } = explained(input, ago(5, 20));
    expect([satisfied, flipsAt]).toEqual([false, NOW + 2 * DAY]);
    expect(children.map((child) => child.flipsAt)).toEqual([NOW + 25 * DAY, NOW + 2 * DAY]);
    expect(explained(order(), ago(5)).flipsAt).toBeNull();
  });

  it('finds flips years ahead, where anniversaries fall together', () => {
    const on = (path: string) => ({ property: { path, filter: { date: { anniversary: { today: true } } } } });
    const facts = profile({ properties: { a: '2000-02-29', b: '2001-02-28' } });
    const apart = { all: [on('properties.a'), { not: on('properties.b') }] };
    // Only in a leap year do the two fall apart.
    expect(explained(apart, facts).flipsAt).toBe(Date.UTC(2028, 1, 29));
    expect(explained(apart, facts, Date.UTC(2097, 0, 1)).flipsAt).toBe(Date.UTC(2104, 1, 29));
  });

  it('finds the months in which a birthday begins and ceases to be this month', () => {
    const born = {
      property: { path: 'properties.born', filter: { date: { anniversary: { thisMonth: true } } } },
    };
    const facts = profile({ properties: { born: '1990-12-24' } });
    const flip = (now: number) => explain(parsed(born), facts, now, { timeZone: 'America/New_York' }).flipsAt;
    expect(flip(NOW)).toBe(Date.UTC(2026, 11, 1, 5));
    expect(flip(Date.UTC(2026, 11, 1, 5) - 1)).toBe(Date.UTC(2026, 11, 1, 5));
    expect(flip(Date.UTC(2026, 11, 1, 5))).toBe(Date.UTC(2027, 0, 1, 5));
  });

  it('finds the anniversaries of an event, and the edges of its own time', () => {
    const where = (date: object) => order({ where: [{ path: '$time', filter: { date } }] });
    // 100 days before 10 February 2026, noon: 2 November 2025.
    const flips = (date: object, now: number) => explained(where(date), ago(100), now).flipsAt;
    expect(flips({ anniversary: { next: 7 } }, NOW)).toBe(Date.UTC(2026, 9, 26));
    expect(flips({ anniversary: { next: 7 } }, Date.UTC(2026, 9, 26))).toBe(Date.UTC(2026, 10, 2));
    expect(flips({ anniversary: { thisMonth: true } }, NOW)).toBe(Date.UTC(2026, 10, 1));
    expect(flips({ within: { last: 'P101D' } }, NOW)).toBe(NOW + DAY);
    expect(flips({ within: { calendar: 'LAST_YEAR' } }, NOW)).toBe(Date.UTC(2027, 0, 1));
    expect(flips({ next: 'P7D' }, NOW)).toBeNull();
  });

  it('agrees with the reference: truth now, just before the flip, at it, and at random instants in between', () => {
    let flipping = 0;
    for (let seed = 0; seed < 700; seed += 1) {
      const random = seededRandom(seed);
      const { inputs, people, instants, context } = wholeCase(seed, { people: 2, conditions: 2 });
      const at = random.pick(instants);
      for (const condition of inputs.map(parsed)) {
        for (const facts of people) {
          for (const [node, { satisfied, flipsAt }] of nodes(
            condition,
            explain(condition, facts, at, context),
          )) {
            const truth = (instant: number) => evaluate(node, facts, instant, context);
            const message = `seed ${seed}: ${JSON.stringify(node)} at ${at}, flips at ${flipsAt}`;
            expect(truth(at), message).toBe(satisfied);
            const end = flipsAt ?? at + 1_000 * DAY;
            const near = [1, 1_500, 3_600_000, DAY, 7 * DAY].map((ms) => at + ms);
            const between = Array.from({ length: 12 }, () => random.between(at, end - 1));
            for (const instant of [...near, ...between, end - 1]) {
              if (instant < end) expect(truth(instant), `${message}, not at ${instant}`).toBe(satisfied);
            }
            if (flipsAt === null) continue;
            flipping += 1;
            expect(truth(flipsAt), message).toBe(!satisfied);
          }
        }
      }
    }
    expect(flipping).toBeGreaterThan(200);
  });
});
