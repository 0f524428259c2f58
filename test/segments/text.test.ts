import { describe as suite, expect, it } from 'vitest';
import { describe } from '../../src/segments/text.ts';
import { parsed } from './helpers.ts';

const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const email = (filter: object) => ({ property: { path: 'email', filter } });
const near = (details: object) => ({ near: { latitude: 1, longitude: 2, ...details } });
const where = (...filters: object[]) => filters.map((filter) => ({ path: 'price', filter }));
const short = email({ exists: true });

suite('describe', () => {
  it.each([
    [order(), 'has done Placed Order'],
    [order({ is: { equals: 0 } }), 'has not done Placed Order'],
    [order({ is: { atLeast: 3 } }), 'has done Placed Order at least 3 times'],
    [order({ is: { moreThan: 1 } }), 'has done Placed Order more than once'],
    [order({ is: { equals: 2 } }), 'has done Placed Order exactly 2 times'],
    [order({ is: { lessThan: 5 } }), 'has done Placed Order fewer than 5 times'],
    [order({ is: { atMost: 2 } }), 'has done Placed Order at most 2 times'],
    [order({ is: { notEquals: 2 } }), 'has done Placed Order any number of times but 2'],
    [order({ is: { between: { from: 1, to: 3 } } }), 'has done Placed Order between 1 and 3 times'],
    [
      order({ measure: { sum: '$value' }, is: { moreThan: 100 }, within: { last: 'P7D' } }),
      'the sum of $value over Placed Order is more than 100 in the last 7 days',
    ],
    [order({ within: { last: 'P1D' } }), 'has done Placed Order in the last 1 day'],
    [order({ within: { last: 'PT1H30M' } }), 'has done Placed Order in the last 1 hour 30 minutes'],
    [order({ within: { moreThanAgo: 'PT1.5S' } }), 'has done Placed Order at least 1.5 seconds ago'],
    [
      order({ within: { ago: { from: 'P5D', to: 'P3D' } } }),
      'has done Placed Order between 5 days and 3 days ago',
    ],
    [order({ within: { ago: { from: 'P5D', to: 'PT0S' } } }), 'has done Placed Order in the last 5 days'],
    [
      order({ within: { dates: { from: '2026-01-01T00:00:00Z' } } }),
      'has done Placed Order from 2026-01-01 on',
    ],
    [
      order({ within: { dates: { to: '2026-01-01T12:00:00Z' } } }),
      'has done Placed Order before 2026-01-01T12:00:00Z',
    ],
    [
      order({ within: { dates: { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00.5Z' } } }),
      'has done Placed Order from 2026-01-01 and before 2026-02-01T00:00:00.500Z',
    ],
    [
      order({ where: where({ number: { moreThan: 20 } }) }),
      'has done Placed Order where price is more than 20',
    ],
    [
      order({ where: where({ number: { moreThan: 20 } }, { number: { notEquals: 30 } }) }),
      'has done Placed Order where (price is more than 20 and price is not 30)',
    ],
    [email({ text: { in: ['a', 'b'] } }), 'email is one of ("a", "b")'],
    [email({ text: { notIn: ['a'] } }), 'email is none of ("a")'],
    [email({ text: { notContains: 'say "hi"' } }), 'email does not contain "say \\"hi\\""'],
    [email({ text: { matches: '^a' } }), 'email matches "^a"'],
    [email({ list: { someElement: { contains: 'a' } } }), 'email has an element that contains "a"'],
    [
      email({ list: { noElement: { notIn: ['a', 'b'] } } }),
      'email has no element that is none of ("a", "b")',
    ],
    [email({ text: { equals: '5' } }), 'email is "5"'],
    [email({ number: { equals: 5 } }), 'email is 5'],
    [email({ number: { between: { from: -1, to: 0.5 } } }), 'email is between -1 and 0.5'],
    [near({ within: 1 }), 'is within 1 kilometer of (1, 2)'],
    [near({ within: 1, unit: 'MILES', beyond: true }), 'is more than 1 mile from (1, 2)'],
    [near({ within: 1.5 }), 'is within 1.5 kilometers of (1, 2)'],
    [near({ within: 0.5, unit: 'MILES' }), 'is within 0.5 miles of (1, 2)'],
    [{ consent: { channel: 'SMS', status: ['SUBSCRIBED', 'SUBSCRIBED'] } }, 'sms consent is subscribed'],
    [email({ boolean: true }), 'email is true'],
    [email({ exists: false }), 'email is not set'],
    [{ property: { path: 'properties.my plan', filter: { exists: true } } }, '"properties.my plan" is set'],
    [{ event: { metric: 'at least 3 times' } }, 'has done "at least 3 times"'],
    [{ event: { metric: 'Opened E-Mail 2' } }, 'has done Opened E-Mail 2'],
    [{ all: [short] }, 'email is set'],
    [{ not: short }, 'not (email is set)'],
    [{ any: [short, { not: short }] }, 'email is set or not (email is set)'],
    [{ all: [short, { any: [short, short] }] }, 'email is set and (email is set or email is set)'],
    [{ all: [short, { any: [short] }] }, 'email is set and email is set'],
    [{ any: [short, { any: [{ all: [short, short] }] }] }, 'email is set or (email is set and email is set)'],
  ])('%j: %s', (input, text) => {
    expect(describe(parsed(input))).toBe(text);
  });

  it('says a whole definition in one sentence', () => {
    const details = {
      where: where({ number: { moreThan: 20 } }),
      is: { atLeast: 3 },
      within: { last: 'P30D' },
    };
    expect(describe(parsed({ all: [order(details), email({ text: { endsWith: '@x.com' } })] }))).toBe(
      'has done Placed Order at least 3 times in the last 30 days where price is more than 20 and email ends with "@x.com"',
    );
  });

  it('shortens long lists and texts, and never cuts a character in two', () => {
    const values = Array.from({ length: 5_000 }, (_, i) => `v${i}`);
    expect(describe(parsed(email({ text: { in: values } })))).toMatch(/"v19" and 4980 more\)$/);
    const long = describe(parsed(email({ text: { equals: '😀'.repeat(300) } })));
    expect(long).toBe(`email is "${'😀'.repeat(200)}…"`);
  });
});
