import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/segments/ast.ts';
import { hashOf } from '../../src/segments/normalise.ts';
import { toInput } from '../../src/segments/print.ts';
import { parseQuery } from '../../src/segments/query.ts';
import { toQuery } from '../../src/segments/text.ts';
import { parsed, postalCodesWith } from './helpers.ts';

const codes = postalCodesWith({ country: 'US', postalCode: '90210', latitude: 34.1, longitude: -118.4 });

function read(query: string): Condition {
  const result = parseQuery(query, codes);
  if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result.condition;
}

function firstError(query: string): string {
  const result = parseQuery(query, codes);
  return result.ok ? 'none' : (result.errors[0]?.message ?? '');
}

const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const property = (path: string, filter: object) => ({ property: { path, filter } });
const due = (date: object) => property('properties.due', { date });

describe('parseQuery', () => {
  it.each<[string, object]>([
    ['did "Placed Order"', order()],
    ['did Placed Order twice', order({ is: { equals: 2 } })],
    ['did Placed Order 3 times', order({ is: { equals: 3 } })],
    ['DID "Placed Order" AT LEAST 3 TIMES', order({ is: { atLeast: 3 } })],
    ['has done Placed Order more than once', order({ is: { moreThan: 1 } })],
    ['has never done Placed Order', order({ is: { equals: 0 } })],
    ['did not do Placed Order in the last day', order({ is: { equals: 0 }, within: { last: 'P1D' } })],
    ['did Placed Order on at least 3 days', order({ measure: { days: true }, is: { atLeast: 3 } })],
    ['did Placed Order in the last P1DT12H', order({ within: { last: 'P1DT12H' } })],
    ['did Placed Order in the last PT1.5S', order({ within: { last: 'PT1.5S' } })],
    ['did Placed Order in the last 1.5 hours', order({ within: { last: 'PT1H30M' } })],
    ['did Placed Order more than 2 weeks ago', order({ within: { moreThanAgo: 'P14D' } })],
    ['did Placed Order between 3 and 5 days ago', order({ within: { ago: { from: 'P5D', to: 'P3D' } } })],
    [
      'did Placed Order between 12 hours and 5 days ago',
      order({ within: { ago: { from: 'P5D', to: 'PT12H' } } }),
    ],
    ['did Placed Order between 3 and 5 times', order({ is: { between: { from: 3, to: 5 } } })],
    ['did Placed Order since 2026-01-01', order({ within: { dates: { from: '2026-01-01T00:00:00.000Z' } } })],
    [
      'did Placed Order from 2026-01-01 and before 2026-02-01T12:00:00+01:00',
      order({ within: { dates: { from: '2026-01-01T00:00:00.000Z', to: '2026-02-01T11:00:00.000Z' } } }),
    ],
    ['did Placed Order last month', order({ within: { calendar: 'LAST_MONTH' } })],
    [
      'the average of $value over Placed Order is between 1 and 2 this year',
      order({
        measure: { average: '$value' },
        is: { between: { from: 1, to: 2 } },
        within: { calendar: 'THIS_YEAR' },
      }),
    ],
    [
      'did Placed Order where gift is true in the last 7 days at least twice',
      order({
        where: [{ path: 'gift', filter: { boolean: true } }],
        is: { atLeast: 2 },
        within: { last: 'P7D' },
      }),
    ],
    ['properties.due is in the next 7 days', due({ next: 'P7D' })],
    ['properties.due is at least 3 days ago', due({ within: { moreThanAgo: 'P3D' } })],
    ['properties.due is between 3 and 5 days ago', due({ within: { ago: { from: 'P5D', to: 'P3D' } } })],
    [
      'properties.due is between 3 and 5',
      property('properties.due', { number: { between: { from: 3, to: 5 } } }),
    ],
    ['properties.due is today', due({ within: { calendar: 'TODAY' } })],
    ['properties.due is in February', due({ month: 2 })],
    ['properties.due is in this month of any year', due({ anniversary: { thisMonth: true } })],
    ['properties.due is this month', due({ within: { calendar: 'THIS_MONTH' } })],
    ['properties.due has its anniversary in the next 7 days', due({ anniversary: { next: 7 } })],
    ['properties.due has its anniversary in the last day', due({ anniversary: { last: 1 } })],
    [
      'properties.tags has fewer than 3 elements',
      property('properties.tags', { list: { length: { lessThan: 3 } } }),
    ],
    [
      'properties.tags has an element that contains "sale"',
      property('properties.tags', { list: { someElement: { contains: 'sale' } } }),
    ],
    [
      'properties.tags has no element that is one of ("a", "b") and email is set',
      {
        all: [
          property('properties.tags', { list: { noElement: { in: ['a', 'b'] } } }),
          property('email', { exists: true }),
        ],
      },
    ],
    [
      'did Placed Order where tags has an element that does not match "^a" at least twice',
      order({
        where: [{ path: 'tags', filter: { list: { someElement: { notMatches: '^a' } } } }],
        is: { atLeast: 2 },
      }),
    ],
    ['email is not one of ("a", "b")', property('email', { text: { notIn: ['a', 'b'] } })],
    ['"email" is "a\\"b\\u00e9"', property('email', { text: { equals: 'a"bé' } })],
    ['email is "two\nlines"', property('email', { text: { equals: 'two\nlines' } })],
    ['is not in the European Union', { region: { region: 'EUROPEAN_UNION', inside: false } }],
    ['is within 5 km of (52.5, -13)', { near: { latitude: 52.5, longitude: -13, within: 5 } }],
    ...['1 kilometer', '1 kilometers', '1 km'].map((distance): [string, object] => [
      `is within ${distance} of (52.5, -13)`,
      { near: { latitude: 52.5, longitude: -13, within: 1 } },
    ]),
    ...['1 mile', '1 miles'].map((distance): [string, object] => [
      `is more than ${distance} from (52.5, -13)`,
      { near: { latitude: 52.5, longitude: -13, within: 1, unit: 'MILES', beyond: true } },
    ]),
    ['not not email is set', { not: { not: property('email', { exists: true }) } }],
    [
      'email is set or phone is set and locale is set',
      {
        any: [
          property('email', { exists: true }),
          { all: [property('phone', { exists: true }), property('locale', { exists: true })] },
        ],
      },
    ],
  ])('reads %s', (query, input) => {
    expect(toInput(read(query))).toEqual(toInput(parsed(input)));
  });

  it('reads the sentence of its documentation', () => {
    const query =
      'did "Viewed Product" at least 3 times in the last 7 days where category is "jeans" and not did "Placed Order" in the last 30 days and properties.plan is "gold"';
    expect(toQuery(read(query))).toBe(
      'has done Viewed Product at least 3 times in the last 7 days where category is "jeans" and not (has done Placed Order in the last 30 days) and properties.plan is "gold"',
    );
  });

  it.each([
    ['', 'line 1, column 1: expected a condition, such as did Placed Order, email is set, properties.plan'],
    ['did', 'line 1, column 4: expected a metric such as Placed Order or "viewed", but found the end'],
    ['did placed', 'line 1, column 5: expected a metric such as'],
    ['did Placed Order at lest 3 times', 'line 1, column 18: expected where'],
    ['email is set and\nphone is sett', 'line 2, column 10: expected not, a text in double quotes'],
    ['email is set and\r\n  emial is set', 'line 2, column 3: expected a condition, such as'],
    ['email is in the last 3 moons', 'line 1, column 24: expected weeks, days, hours, minutes or seconds'],
    ['did A where a is 1 and b is 2', 'line 1, column 24: expected a condition, such as'],
    [
      'is in Europe',
      'line 1, column 1: expected is in the European Union, is in the United States, is outside',
    ],
    ['email is "open', 'line 1, column 10: the text that begins here has no closing quote'],
    ["email is 'a'", 'line 1, column 10: texts stand in straight double quotes'],
    ['email is "\\x"', 'line 1, column 10: the text has an escape that JSON does not know'],
    ['email ; is', 'line 1, column 7: ";" means nothing here'],
    ['(email is set', 'line 1, column 14: expected and, or, )'],
    ['email is set)', 'line 1, column 13: expected'],
    [
      'sms consent (is subscribed and is unsubscribed)',
      'line 1, column 32: expected no second part about status',
    ],
    ['email is set and email matches "("', 'line 1, column 24: "(" is not a regular expression'],
    [
      'properties.tags has an element which is "a"',
      'line 1, column 21: expected an element that, no element that, any number of elements but',
    ],
    ['properties.tags has no element that', 'line 1, column 36: expected contains, does not contain'],
    [
      'email is set and properties.tags has no element that matches "("',
      'line 1, column 34: "(" is not a regular expression',
    ],
    ['did A in the last P1M', 'line 1, column 7: "P1M" has no fixed length; say P30D'],
    ['did A in the last 4000 days', 'line 1, column 7: "P4000D" is too long'],
    ['did A in the last 99999999999 days', 'line 1, column 7: "P99999999999D" is too long'],
    [
      'did A in the last 1e30 days',
      'line 1, column 7: "P1000000000000000D" is too long; the longest is P3650D (ten years)',
    ],
    ['did A in the last 1e400 weeks', 'line 1, column 7: "P1000000000000000D" is too long; the longest is'],
    ['did A between 3 and 1e30 days ago', 'line 1, column 7: "P1000000000000000D" is too long; the longest'],
    ['did A between 1 day and P1M ago', 'line 1, column 7: "P1M" has no fixed length; say P30D'],
    ['did A between P1Y and 1 day ago', 'line 1, column 7: "P1Y" has no fixed length; say P365D'],
    ['properties.x is at least 1e19', 'line 1, column 14: is 10000000000000000000; numbers lie between'],
    ['did A where (a is 1 and b is 1e19)', 'line 1, column 27: is 10000000000000000000'],
    ['foo.x is set', 'line 1, column 1: expected a condition, such as'],
    ['the churn risk is in January', 'line 1, column 16: does not fit CHURN_RISK'],
    ['is within 5 km of postal code "1" in "US"', 'line 1, column 31: "1" in "US" is not known'],
    [
      'is within 5 km of postal code "1" in "DE"',
      'line 1, column 38: is "DE"; postal codes are known only of US',
    ],
    ['email is set and\nis within 0 km of (1, 2)', 'line 2, column 11: is 0; a distance lies above 0'],
    ['is more than 12401 miles from (1, 2)', 'line 1, column 14: is 12401; a distance lies above 0'],
    ['is within 5 km of (91, 2)', 'line 1, column 20: is 91; it must lie between -90 and 90'],
    ['is within 5 km of (1,\n -181)', 'line 2, column 2: is -181; it must lie between -180 and 180'],
    ['is in the sample of 101%', 'line 1, column 21: is 101; it must lie between 0 and 100'],
    [
      `is in the sample of 5% salted "${'x'.repeat(257)}"`,
      'line 1, column 31: has 257 characters; at most 256 are allowed',
    ],
    ['is not in segment ""', 'line 1, column 19: is empty; give the id of a segment'],
    [
      `did in order (A${', then B'.repeat(10)}) this year`,
      'line 1, column 14: has 11 steps; at most 10 are allowed',
    ],
    ['email is set and did in order (A)', 'line 1, column 31: needs at least two steps'],
    ['did in order (A, then B) within P1M', 'line 1, column 26: "P1M" has no fixed length'],
    ['the sum of x over A is more than 1e19', 'line 1, column 24: is 10000000000000000000; numbers lie'],
    ['('.repeat(300), 'line 1, column 202: expected less nesting'],
    ['not '.repeat(30), 'line 1, column 121: expected'],
  ])('says of %j what is wrong and where', (query, message) => {
    expect(firstError(query).slice(0, message.length)).toBe(message);
  });

  it('says how several filters of one "where" are written', () => {
    expect(firstError('did A where a is 1 and b is 2')).toMatch(/; several filters of one "where" stand in/);
  });

  it('says of a path that no profile has which there are', () => {
    expect(firstError('plan is "gold"')).toMatch(
      /; of a profile there are externalId, email, .* and properties.NAME$/,
    );
    expect(firstError('FirstName is "Ann"')).toMatch(/but found "FirstName"; say firstName$/);
    expect(firstError('Placed Order once')).toMatch(/but found "Placed"; of an event say did Placed$/);
    for (const query of ['email is set and', 'email is set and or phone is set', '😀 is set']) {
      expect(firstError(query)).not.toMatch(/of a profile|"where"/);
    }
  });

  it('holds what is typed to the limits of conditions', () => {
    const nested = `${'not ('.repeat(20)}email is set${')'.repeat(20)}`;
    expect(firstError(nested)).toMatch(/nests deeper than 20 levels/);
    const many = Array.from({ length: 501 }, () => 'email is set').join(' or ');
    expect(firstError(many)).toMatch(/^line 1, column 8001: expected at most 500 conditions, but found/);
    expect(parseQuery('x'.repeat(500_001))).toMatchObject({ ok: false, errors: [{ code: 'TOO_LONG' }] });
  });
});

describe('docs/segment-queries.md', () => {
  const documented = readFileSync(new URL('../../docs/segment-queries.md', import.meta.url), 'utf8');
  const examples = documented
    .split(/^```/m)
    .filter((block, i) => i % 2 === 1 && block.startsWith('\n'))
    .flatMap((block) => block.trim().split(/\n\n/));
  it('has examples, all of which are read and said again', () => {
    expect(examples.length).toBeGreaterThan(36);
    for (const example of examples) {
      const condition = read(example);
      const again = toQuery(condition);
      expect(hashOf(read(again))).toBe(hashOf(condition));
      expect(toQuery(read(again))).toBe(again);
    }
  });
});
