import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { flatten } from '../../src/segments/flatten.ts';
import { factsOf } from '../comparison/generate.ts';
import { EVENT_SENTENCES } from './sentences-events.ts';
import { PROFILE_SENTENCES } from './sentences-profile.ts';
import { TIME_SENTENCES } from './sentences-time.ts';
import { USE_SENTENCES } from './sentences-use.ts';
import { did, holds, messageOf, mistakes, NOW, parsed, profile, trueFor } from './helpers.ts';

const YES = { property: { path: 'email', filter: { exists: true } } };
const NO = { property: { path: 'email', filter: { exists: false } } };
const SOMEONE = profile({ email: 'ada@x.com' });
const DAY = 86_400_000;
const order = (details: object) => ({ event: { metric: 'Placed Order', ...details } });
const property = (path: string, filter: object = { exists: true }) => ({ property: { path, filter } });
const repeat = (count: number, value: unknown): unknown[] => Array.from({ length: count }, () => value);
const sum = (is: object, path = '$value') => ({ measure: { sum: path }, is });

/** What each sentence of the documentation means, tried. */
const SENTENCES: Record<string, () => void> = {
  ...EVENT_SENTENCES,
  ...PROFILE_SENTENCES,
  ...TIME_SENTENCES,
  ...USE_SENTENCES,
  'Every condition is either true or false for a profile at an instant; there is no third value.': () => {
    for (const value of [undefined, null, '', 0, false, 'text', 5, [], {}]) {
      for (const filter of [{ text: { notEquals: 'a' } }, { number: { notEquals: 1 } }, { boolean: false }]) {
        const condition = property('properties.x', filter);
        const facts = profile({ properties: { x: value } });
        expect(trueFor({ not: condition }, facts)).toBe(!trueFor(condition, facts));
        expect(trueFor({ any: [condition, { not: condition }] }, facts)).toBe(true);
      }
    }
  },
  '`all` is true when each of its conditions is true.': () => {
    expect(trueFor({ all: [YES, YES] }, SOMEONE)).toBe(true);
    expect(trueFor({ all: [YES, NO] }, SOMEONE)).toBe(false);
  },
  '`any` is true when at least one of its conditions is true.': () => {
    expect(trueFor({ any: [NO, YES] }, SOMEONE)).toBe(true);
    expect(trueFor({ any: [NO, NO] }, SOMEONE)).toBe(false);
  },
  '`not` is true exactly when its condition is false.': () => {
    expect(trueFor({ not: NO }, SOMEONE)).toBe(true);
    expect(trueFor({ not: YES }, SOMEONE)).toBe(false);
  },
  'An empty `all` or `any` is refused.': () => {
    expect(mistakes({ all: [] })).toEqual(['REQUIRED all']);
    expect(mistakes({ any: [YES, { any: [] }] })).toEqual(['REQUIRED any.1.any']);
  },

  'A path is one of externalId, email, phone, firstName, lastName, timezone, locale, location.city, location.region, location.country, location.postalCode, location.latitude, location.longitude, or properties.NAME.':
    () => {
      const names = 'externalId email phone firstName lastName timezone locale'.split(' ');
      const places = 'city region country postalCode latitude longitude'.split(' ');
      for (const path of [...names, ...places.map((name) => `location.${name}`), 'properties.a.b']) {
        expect(mistakes(property(path))).toEqual([]);
      }
      for (const path of [
        '',
        'id',
        'anonymousId',
        'first_name',
        'location',
        'properties',
        'properties.',
        'x',
      ]) {
        expect(mistakes(property(path))).toEqual(['INVALID property.path']);
        expect(messageOf(property(path))).toContain('location.postalCode');
      }
    },
  'Nested properties are named by their levels joined with dots.': () => {
    const facts = profile({ location: { city: 'Ulm' }, properties: { home: { rooms: { count: 3 } } } });
    expect(trueFor(property('properties.home.rooms.count', { number: { equals: 3 } }), facts)).toBe(true);
    expect(trueFor(property('location.city', { text: { equals: 'Ulm' } }), facts)).toBe(true);
  },
  'A nested property wins over a key that contains the same dots.': () => {
    expect(flatten({ a: { b: 'nested' }, 'a.b': 'key' }).get('a.b')).toBe('nested');
    expect(flatten({ 'a.b': 'key', a: { b: 'nested' } }).get('a.b')).toBe('nested');
  },
  'Null is the same as unset.': () => {
    expect(holds({ exists: false }, null)).toBe(true);
    expect(holds({ exists: true }, null)).toBe(false);
    expect(holds({ text: { notEquals: 'a' } }, null)).toBe(false);
  },
  "An object is not a value itself, only what it contains is: `exists` is false for the object's own path.":
    () => {
      const facts = profile({ properties: { home: { rooms: 3 } } });
      expect(trueFor(property('properties.home'), facts)).toBe(false);
      expect(trueFor(property('properties.home.rooms'), facts)).toBe(true);
    },
  'An empty text, zero, false and an empty list are set values.': () => {
    for (const value of ['', 0, false, []]) expect(holds({ exists: true }, value)).toBe(true);
    expect(holds({ text: { equals: '' } }, '')).toBe(true);
    expect(holds({ number: { equals: 0 } }, 0)).toBe(true);
    expect(holds({ boolean: false }, false)).toBe(true);
  },
  'Inside a list, nulls are left out and objects become their JSON text with sorted keys.': () => {
    const value = flatten({ list: ['a', null, { b: 1, a: [2] }, 3, ['x', null]] }).get('list');
    expect(value).toEqual(['a', '{"a":[2],"b":1}', 3, ['x']]);
  },

  'An unset value satisfies only `exists: false`.': () => {
    expect(holds({ exists: false }, undefined)).toBe(true);
    expect(holds({ exists: true }, undefined)).toBe(false);
    const texts = 'equals notEquals contains notContains startsWith notStartsWith endsWith notEndsWith';
    for (const op of [...texts.split(' '), 'matches', 'notMatches']) {
      expect(holds({ text: { [op]: 'a' } }, undefined)).toBe(false);
      expect(holds({ text: { [op]: '' } }, undefined)).toBe(false);
    }
    expect(holds({ text: { in: ['', 'a'] } }, undefined)).toBe(false);
    expect(holds({ text: { notIn: ['', 'a'] } }, undefined)).toBe(false);
    for (const op of ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost']) {
      expect(holds({ number: { [op]: 0 } }, undefined)).toBe(false);
    }
    expect(holds({ number: { between: { from: -1, to: 1 } } }, undefined)).toBe(false);
    expect(holds({ boolean: false }, undefined)).toBe(false);
    expect(holds({ boolean: true }, undefined)).toBe(false);
  },
  '`notEquals` and the other negated filters do not hold for an unset value; `not` around `equals` does.':
    () => {
      const filter = { text: { equals: 'gold' } };
      expect(trueFor(property('properties.plan', { text: { notEquals: 'gold' } }), profile({}))).toBe(false);
      expect(trueFor({ not: property('properties.plan', filter) }, profile({}))).toBe(true);
    },
  'A text filter holds only for a text, a number filter only for a number, `boolean` only for a boolean.':
    () => {
      expect(holds({ text: { notEquals: 'a' } }, 'b')).toBe(true);
      expect(holds({ number: { notEquals: 7 } }, 5)).toBe(true);
      expect(holds({ boolean: true }, true)).toBe(true);
      for (const value of [5, true, [], ['b']])
        expect(holds({ text: { notEquals: 'a' } }, value)).toBe(false);
      for (const value of ['5', true, []]) expect(holds({ number: { notEquals: 7 } }, value)).toBe(false);
      for (const value of ['true', 1, []]) expect(holds({ boolean: true }, value)).toBe(false);
    },
  'A number written as text is a text.': () => {
    expect(holds({ number: { equals: 5 } }, '5')).toBe(false);
    expect(holds({ text: { equals: '5' } }, '5')).toBe(true);
    expect(holds({ text: { equals: '5' } }, 5)).toBe(false);
  },
  'A list satisfies `exists: true` and no text, number, boolean or date filter.': () => {
    expect(holds({ date: { month: 2 } }, ['2026-02-01'])).toBe(false);
    expect(holds({ exists: true }, ['gold'])).toBe(true);
    expect(holds({ text: { equals: 'gold' } }, ['gold'])).toBe(false);
    expect(holds({ text: { notEquals: 'silver' } }, ['gold'])).toBe(false);
    expect(holds({ number: { atLeast: 0 } }, [1])).toBe(false);
    expect(holds({ boolean: true }, [true])).toBe(false);
  },
  'Texts are compared case by case, code point by code point, without Unicode normalisation.': () => {
    expect(holds({ text: { equals: 'Gold' } }, 'gold')).toBe(false);
    expect(holds({ text: { endsWith: '@X.com' } }, 'a@x.com')).toBe(false);
    expect(holds({ text: { equals: 'a\u0308' } }, '\u00e4')).toBe(false);
    expect(holds({ text: { equals: 'gold' } }, 'gold ')).toBe(false);
    expect(holds({ text: { startsWith: '👩' } }, '👩‍👩‍👧')).toBe(true);
  },
  '`contains`, `startsWith` and `endsWith` hold for every text when their value is empty.': () => {
    for (const op of ['contains', 'startsWith', 'endsWith']) {
      expect(holds({ text: { [op]: '' } }, 'gold')).toBe(true);
      expect(holds({ text: { [op]: '' } }, '')).toBe(true);
      expect(holds({ text: { [op]: '' } }, 5)).toBe(false);
    }
  },
  '`in` holds when the text equals one of the values, `notIn` when it equals none of them.': () => {
    expect(holds({ text: { in: ['a', 'b'] } }, 'b')).toBe(true);
    expect(holds({ text: { in: ['a', 'b'] } }, 'c')).toBe(false);
    expect(holds({ text: { notIn: ['a', 'b'] } }, 'c')).toBe(true);
    expect(holds({ text: { notIn: ['a', 'b'] } }, 'b')).toBe(false);
  },
  '`matches` is a regular expression of RE2, searched anywhere in the text; the dot matches line breaks too.':
    () => {
      expect(holds({ text: { matches: 'ol+' } }, 'gold')).toBe(true);
      expect(holds({ text: { matches: '^ol' } }, 'gold')).toBe(false);
      expect(holds({ text: { matches: 'a.b' } }, 'a\nb')).toBe(true);
      expect(holds({ text: { matches: '^.$' } }, '😀')).toBe(true);
      expect(holds({ text: { matches: 'd$' } }, 'gold\n')).toBe(false);
      expect(holds({ text: { matches: '(?i)GOLD' } }, 'gold')).toBe(true);
      expect(holds({ text: { notMatches: 'x' } }, 'gold')).toBe(true);
      for (const pattern of ['(', '(?=a)', '(a)\\1', '*']) {
        expect(mistakes(property('email', { text: { matches: pattern } }))).toEqual([
          'INVALID property.filter.text.matches',
        ]);
      }
    },
  'Numbers are compared as 64-bit floating point, and `between` includes both ends.': () => {
    expect(holds({ number: { equals: 0.3 } }, 0.1 + 0.2)).toBe(false);
    expect(holds({ number: { moreThan: 0.3 } }, 0.1 + 0.2)).toBe(true);
    for (const value of [1, 2, 3])
      expect(holds({ number: { between: { from: 1, to: 3 } } }, value)).toBe(true);
    for (const value of [0.999, 3.001]) {
      expect(holds({ number: { between: { from: 1, to: 3 } } }, value)).toBe(false);
    }
    expect(holds({ number: { moreThan: 3 } }, 3)).toBe(false);
    expect(holds({ number: { atLeast: 3 } }, 3)).toBe(true);
    expect(holds({ number: { lessThan: 3 } }, 3)).toBe(false);
    expect(holds({ number: { atMost: 3 } }, 3)).toBe(true);
  },
  'Minus zero is zero.': () => {
    expect(holds({ number: { equals: -0 } }, 0)).toBe(true);
    expect(parsed(order({ is: { atLeast: -0 } }))).toEqual(parsed(order({ is: { atLeast: 0 } })));
    expect(Object.is(flatten({ x: -0 }).get('x'), 0)).toBe(true);
  },

  'An event condition without `measure`, `is` and `within` means at least once, ever.': () => {
    expect(parsed(order({}))).toEqual(parsed(order({ measure: { count: true }, is: { atLeast: 1 } })));
    expect(did({}, [{ time: 0 }])).toBe(true);
    expect(did({}, [])).toBe(false);
  },
  "The metric's name must be equal, case included.": () => {
    expect(did({}, [{ metric: 'placed order' }])).toBe(false);
    expect(did({}, [{ metric: 'Placed Order ' }])).toBe(false);
    expect(did({}, [{ metric: 'Placed Order' }])).toBe(true);
  },
  'An event is measured only if every filter in `where` holds for it.': () => {
    const where = [
      { path: 'price', filter: { number: { moreThan: 20 } } },
      { path: 'item.name', filter: { text: { equals: 'cup' } } },
    ];
    const good = { properties: { price: 21, item: { name: 'cup' } } };
    const half = { properties: { price: 21 } };
    const otherHalf = { properties: { item: { name: 'cup' } } };
    expect(did({ where, is: { equals: 1 } }, [good, half, otherHalf])).toBe(true);
    expect(did({ where }, [half, otherHalf])).toBe(false);
  },
  'The same uniqueId sent twice is one event.': () => {
    const event = { uniqueId: '1', metric: 'Placed Order', profile: { externalId: 'a' } };
    const facts = factsOf({
      seed: 0,
      profiles: [{ identifiers: { externalId: 'a' } }],
      events: [
        { ...event, time: '2026-02-10T11:00:00Z', value: 1 },
        { ...event, time: '2026-02-10T10:00:00Z', value: 2 },
      ],
      consents: {},
      histories: {},
      conditions: [],
      instants: [],
    }).get('a');
    expect(facts && trueFor(order({ is: { equals: 1 } }), facts)).toBe(true);
    expect(facts && trueFor(order(sum({ equals: 1 })), facts)).toBe(true);
  },
  'An event whose time has not come yet never counts, whatever the window.': () => {
    const future = [{ time: NOW + 1 }];
    const dates = { from: '2026-01-01T00:00:00Z', to: '2027-01-01T00:00:00Z' };
    for (const within of [null, { last: 'P1D' }, { moreThanAgo: 'PT1S' }, { dates }]) {
      expect(did({ within }, future)).toBe(false);
    }
    expect(did({ within: { ago: { from: 'P1D', to: 'PT0S' } } }, future)).toBe(false);
    expect(did({ within: { dates } }, future, NOW + 1)).toBe(true);
  },
  'A count of zero is a count: profiles without any event satisfy `equals: 0`, `lessThan` and `atMost`.':
    () => {
      for (const is of [{ equals: 0 }, { lessThan: 1 }, { atMost: 0 }, { atMost: 5 }]) {
        expect(did({ is }, [])).toBe(true);
        expect(did({ is }, [{ metric: 'Other' }])).toBe(true);
      }
      expect(did({ is: { equals: 0 } }, [{}])).toBe(false);
    },
  "The path `$value` means the event's own value, in `sum` and in `where`.": () => {
    const event = { value: 5, properties: { $value: 100 } };
    expect(did(sum({ equals: 5 }), [event])).toBe(true);
    const where = (filter: object) => ({ where: [{ path: '$value', filter }] });
    expect(did(where({ number: { equals: 5 } }), [event])).toBe(true);
    expect(did(where({ exists: false }), [event])).toBe(false);
    expect(did(where({ exists: false }), [{ value: null }])).toBe(true);
    expect(did(where({ number: { equals: 0 } }), [{ value: null }])).toBe(false);
  },
  "The path `$time` means the event's own time, in `where` only: an instant for date filters, and always set.":
    () => {
      const where = (filter: object) => ({ where: [{ path: '$time', filter }] });
      const within = (window: object, time: number) => did(where({ date: { within: window } }), [{ time }]);
      expect(within({ last: 'P1D' }, NOW - DAY + 1)).toBe(true);
      expect(within({ last: 'P1D' }, NOW - DAY)).toBe(false);
      expect(within({ moreThanAgo: 'P1D' }, NOW - DAY)).toBe(true);
      expect(within({ dates: { from: new Date(NOW).toISOString() } }, NOW)).toBe(true);
      expect(within({ dates: { from: new Date(NOW).toISOString() } }, NOW - 1)).toBe(false);
      const anniversary = (of: object, time: number, zone = 'UTC') =>
        did(where({ date: { anniversary: of } }), [{ time }], NOW, zone);
      // Now is 10 February 2026, 12:00 UTC.
      expect(anniversary({ next: 7 }, Date.UTC(2025, 1, 17))).toBe(true);
      expect(anniversary({ next: 7 }, Date.UTC(2025, 1, 18))).toBe(false);
      expect(anniversary({ next: 7 }, Date.UTC(2025, 1, 18), 'America/New_York')).toBe(true);
      expect(anniversary({ today: true }, NOW)).toBe(true);
      expect(anniversary({ thisMonth: true }, Date.UTC(2019, 1, 28))).toBe(true);
      expect(did(where({ date: { month: 2 } }), [{ time: NOW }])).toBe(true);
      expect(did(where({ exists: true }), [{}])).toBe(true);
      expect(did(where({ exists: false }), [{}])).toBe(false);
      const time = new Date(NOW).toISOString();
      const named = [{ time: NOW, properties: { $time: time } }, { properties: { $time: NOW } }];
      const others = [
        { text: { notEquals: 'a' } },
        { number: { atLeast: 0 } },
        { list: { length: { atLeast: 0 } } },
      ];
      for (const filter of [...others, { boolean: true }]) expect(did(where(filter), named)).toBe(false);
      for (const measure of ['sum', 'average', 'min', 'max', 'distinct']) {
        expect(mistakes(order({ measure: { [measure]: '$time' } }))).toEqual([
          `INVALID event.measure.${measure}`,
        ]);
      }
    },
  'A sum over no events is zero.': () => {
    expect(did(sum({ equals: 0 }), [])).toBe(true);
    expect(did(sum({ moreThan: -1 }), [])).toBe(true);
    expect(did(sum({ moreThan: 0 }), [])).toBe(false);
  },
  'In a sum, what is unset or not a number adds nothing.': () => {
    const events = [2, '40', true, null, [7], { a: 1 }, 3].map((price) => ({ properties: { price } }));
    expect(did(sum({ equals: 5 }, 'price'), events)).toBe(true);
    expect(did(sum({ equals: 5 }), [{ value: 5 }, { value: null }])).toBe(true);
  },
  'In a sum, a number beyond ±1e12 adds nothing.': () => {
    expect(did(sum({ equals: 1e12 }), [{ value: 1e12 }, { value: 1e12 + 1 }, { value: -1e18 }])).toBe(true);
  },
  'Sums are exact: each number is rounded to six decimals, halves to the even digit, before it is added.':
    () => {
      const values = (...list: number[]) => list.map((value) => ({ value }));
      expect(did(sum({ equals: 0.3 }), values(0.1, 0.2))).toBe(true);
      expect(did(sum({ equals: 0 }), values(1e12, 0.01, -1e12, -0.01))).toBe(true);
      expect(did(sum({ equals: 1 }), values(...Array.from({ length: 10 }, () => 0.1)))).toBe(true);
      expect(did(sum({ equals: 0.000002 }), values(0.0000025))).toBe(true);
      expect(did(sum({ equals: 0.000004 }), values(0.0000035))).toBe(true);
      expect(did(sum({ equals: 0 }), values(4e-7, 4e-7, 4e-7))).toBe(true);
    },
  'The number that a sum is compared with is rounded to six decimals too.': () => {
    expect(did(sum({ atLeast: 1e-9 }), [])).toBe(true);
    expect(did(sum({ equals: 0.1 + 0.2 }), [{ value: 0.3 }])).toBe(true);
    expect(parsed(order(sum({ moreThan: 1.23456789 })))).toEqual(parsed(order(sum({ moreThan: 1.234568 }))));
  },

  '`last: D` holds for E - D < t <= E.': () => {
    const within = { last: 'P30D' };
    expect(did({ within }, [{ time: NOW - 30 * DAY }])).toBe(false);
    expect(did({ within }, [{ time: NOW - 30 * DAY + 1 }])).toBe(true);
    expect(did({ within }, [{ time: NOW }])).toBe(true);
    expect(did({ within }, [{ time: NOW + 1 }])).toBe(false);
  },
  '`moreThanAgo: D` holds for t <= E - D.': () => {
    const within = { moreThanAgo: 'P30D' };
    expect(did({ within }, [{ time: NOW - 30 * DAY }])).toBe(true);
    expect(did({ within }, [{ time: NOW - 30 * DAY + 1 }])).toBe(false);
  },
  '`ago: {from: F, to: T}` holds for E - F < t <= E - T.': () => {
    const within = { ago: { from: 'P5D', to: 'P3D' } };
    expect(did({ within }, [{ time: NOW - 5 * DAY }])).toBe(false);
    expect(did({ within }, [{ time: NOW - 5 * DAY + 1 }])).toBe(true);
    expect(did({ within }, [{ time: NOW - 3 * DAY }])).toBe(true);
    expect(did({ within }, [{ time: NOW - 3 * DAY + 1 }])).toBe(false);
  },
  '`dates: {from, to}` holds for from <= t < to, and never for t > E.': () => {
    const [from, to] = [Date.UTC(2026, 0, 1), Date.UTC(2026, 2, 1)];
    const within = { dates: { from: '2026-01-01T00:00:00Z', to: '2026-03-01T01:00:00+01:00' } };
    expect(did({ within }, [{ time: from - 1 }])).toBe(false);
    expect(did({ within }, [{ time: from }])).toBe(true);
    expect(did({ within }, [{ time: NOW + 1 }])).toBe(false);
    expect(did({ within }, [{ time: to - 1 }], to + DAY)).toBe(true);
    expect(did({ within }, [{ time: to }], to + DAY)).toBe(false);
    expect(did({ within: { dates: { to: '2026-01-01T00:00:00Z' } } }, [{ time: 0 }])).toBe(true);
    expect(did({ within: { dates: { from: '2026-01-01T00:00:00Z' } } }, [{ time: from - 1 }])).toBe(false);
  },
  'A window slides continuously: a profile leaves `last: P30D` at the very millisecond that its event turns 30 days old.':
    () => {
      const events = [{ time: NOW }];
      expect(did({ within: { last: 'P30D' } }, events, NOW + 30 * DAY - 1)).toBe(true);
      expect(did({ within: { last: 'P30D' } }, events, NOW + 30 * DAY)).toBe(false);
    },
  'Durations have a fixed length, a day being 24 hours and a week 7 days; months and years are refused.':
    () => {
      const last = (text: string) => order({ within: { last: text } });
      expect(parsed(last('P4W'))).toEqual(parsed(last('P28D')));
      expect(parsed(last('P1D'))).toEqual(parsed(last('PT24H')));
      expect(messageOf(last('P1M'))).toBe('event.within.last: "P1M" has no fixed length; say P30D');
      expect(messageOf(last('P1Y2M3D'))).toContain('say P428D');
    },

  'At most 20 levels of nesting, 500 conditions besides `all`, `any` and `not`, and 50 filters in one `where`.':
    () => {
      const nested = (levels: number): unknown => (levels === 1 ? YES : { not: nested(levels - 1) });
      expect(mistakes(nested(20))).toEqual([]);
      expect(mistakes(nested(21))).toEqual([`TOO_LARGE ${repeat(20, 'not').join('.')}`]);
      expect(mistakes({ all: repeat(500, YES) })).toEqual([]);
      expect(mistakes({ all: repeat(501, YES) })).toEqual(['TOO_MANY all']);
      const halves = { any: [{ all: repeat(250, YES) }, { all: repeat(251, YES) }] };
      expect(mistakes(halves)).toEqual(['TOO_MANY any.1.all.250.property']);
      const filter = { path: 'a', filter: { exists: true } };
      expect(mistakes(order({ where: repeat(50, filter) }))).toEqual([]);
      expect(mistakes(order({ where: repeat(51, filter) }))).toEqual(['TOO_MANY event.where']);
    },
  "At most 5,000 values in a list, 4,096 characters in a text, 512 in a regular expression, 256 in a metric's name and 1,024 in a path.":
    () => {
      const email = (text: object) => property('email', { text });
      const at = 'property.filter.text';
      expect(mistakes(email({ in: repeat(5_000, 'a') }))).toEqual([]);
      expect(mistakes(email({ in: repeat(5_001, 'a') }))).toEqual([`TOO_MANY ${at}.in`]);
      expect(mistakes(email({ equals: 'a'.repeat(4_096) }))).toEqual([]);
      expect(mistakes(email({ equals: 'a'.repeat(4_097) }))).toEqual([`TOO_LONG ${at}.equals`]);
      expect(mistakes(email({ matches: 'a'.repeat(512) }))).toEqual([]);
      expect(mistakes(email({ matches: 'a'.repeat(513) }))).toEqual([`TOO_LONG ${at}.matches`]);
      expect(mistakes(order({ metric: 'a'.repeat(256) }))).toEqual([]);
      expect(mistakes(order({ metric: 'a'.repeat(257) }))).toEqual(['TOO_LONG event.metric']);
      expect(mistakes(property(`properties.${'a'.repeat(1_013)}`))).toEqual([]);
      expect(mistakes(property(`properties.${'a'.repeat(1_014)}`))).toEqual(['TOO_LONG property.path']);
    },
  'Numbers lie between -1e18 and 1e18, and must be finite.': () => {
    const is = (value: number) => mistakes(order({ is: { moreThan: value } }));
    for (const value of [1e18, -1e18]) expect(is(value)).toEqual([]);
    for (const value of [1.1e18, -1e300]) expect(is(value)).toEqual(['TOO_LARGE event.is.moreThan']);
    for (const value of [NaN, Infinity, -Infinity]) expect(is(value)).toEqual(['INVALID event.is.moreThan']);
  },
  'Durations lie between PT1S and P3650D; the `to` of `ago` may be shorter, down to PT0S.': () => {
    const within = (window: object) => mistakes(order({ within: window }));
    for (const last of ['PT1S', 'P3650D']) expect(within({ last })).toEqual([]);
    for (const last of ['PT0.999S', 'PT0S', 'P3650DT0.001S']) {
      expect(within({ last })).toEqual(['INVALID event.within.last']);
      expect(within({ moreThanAgo: last })).toEqual(['INVALID event.within.moreThanAgo']);
    }
    for (const to of ['PT0S', 'PT0.001S']) expect(within({ ago: { from: 'PT1S', to } })).toEqual([]);
    expect(within({ ago: { from: 'PT0.5S', to: 'PT0S' } })).toEqual(['INVALID event.within.ago.from']);
  },
  'Dates lie in the years 1970 to 2100.': () => {
    const from = (text: string) => mistakes(order({ within: { dates: { from: text } } }));
    for (const text of ['1970-01-01T00:00:00Z', '2100-12-31T23:59:59.999Z']) expect(from(text)).toEqual([]);
    for (const text of ['1969-12-31T23:59:59.999Z', '2101-01-01T00:00:00Z', '9999-01-01T00:00:00Z']) {
      expect(from(text)).toEqual(['INVALID event.within.dates.from']);
    }
  },
  'In a regular expression, `\\p{...}` takes a general category or a script of Unicode, such as `\\p{Lu}` or `\\p{Greek}`.':
    () => {
      expect(holds({ text: { matches: '^\\p{Lu}\\p{Greek}$' } }, 'Zα')).toBe(true);
      expect(holds({ text: { matches: '^\\p{Lu}' } }, 'zα')).toBe(false);
      expect(mistakes(property('email', { text: { matches: '\\p{Emoji}' } }))).toEqual([
        'INVALID property.filter.text.matches',
      ]);
    },
  'A regular expression whose repetitions unroll to more than 2,000 steps is refused, or 250 steps if it uses classes or characters beyond ASCII.':
    () => {
      const matches = (pattern: string) => mistakes(property('email', { text: { matches: pattern } }));
      const refused = ['INVALID property.filter.text.matches'];
      expect(matches('[a-z]{1000}')).toEqual([]);
      expect(matches('(?:[a-z]{500}b?){2}')).toEqual([]);
      expect(matches('([a-z]?){1000}')).toEqual(refused);
      for (const wide of ['\\pL{240}', '[ä-ü]{240}', '\\x{100}{240}']) expect(matches(wide)).toEqual([]);
      for (const wide of ['\\pL{260}', '[ä-ü]{260}', '\\x{100}{260}']) expect(matches(wide)).toEqual(refused);
    },
  'Texts with a NUL character or half of a surrogate pair are refused.': () => {
    for (const text of ['a\0b', '\ud83d', '\ude00\ud83d']) {
      const email = (filter: object) => property('email', { text: filter });
      expect(mistakes(email({ equals: text }))).toEqual(['INVALID property.filter.text.equals']);
      expect(mistakes(email({ in: ['a', text] }))).toEqual(['INVALID property.filter.text.in.1']);
      expect(mistakes(email({ matches: text }))).toEqual(['INVALID property.filter.text.matches']);
      expect(mistakes(property(`properties.${text}`))).toEqual(['INVALID property.path']);
      expect(mistakes(order({ metric: text }))).toEqual(['INVALID event.metric']);
    }
  },
  'All mistakes of a condition are reported at once, up to 20, each with its path and a remedy.': () => {
    const wrong = order({ metric: '', is: { between: { from: 2, to: 1 } }, within: { last: 'P1M' } });
    expect(mistakes({ all: [wrong, { property: { path: 'nope' } }] })).toEqual([
      'REQUIRED all.0.event.metric',
      'INVALID all.0.event.is.between',
      'INVALID all.0.event.within.last',
      'INVALID all.1.property.path',
      'REQUIRED all.1.property.filter',
    ]);
    expect(mistakes({ all: repeat(100, wrong) })).toHaveLength(20);
  },
};

const documented = readFileSync(new URL('../../docs/segment-language.md', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('- '))
  .map((line) => line.slice(2));

describe('docs/segment-language.md', () => {
  for (const [sentence, check] of Object.entries(SENTENCES)) it(sentence, check);

  it('has a test for every sentence, and no test without its sentence', () => {
    expect(documented.length).toBeGreaterThan(40);
    expect([...documented].sort()).toEqual(Object.keys(SENTENCES).sort());
  });
});
