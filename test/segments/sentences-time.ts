/** What each sentence of the documentation about dates, calendars and lists means, tried. */
import { expect } from 'vitest';
import { did, holds, NOW, profile, trueFor } from './helpers.ts';

const DAY = 86_400_000;
const BERLIN = 'Europe/Berlin';
const NEW_YORK = 'America/New_York';
const at = (text: string) => Date.parse(text);
const iso = (time: number) => new Date(time).toISOString();
const PERIODS = 'TODAY YESTERDAY THIS_WEEK THIS_MONTH THIS_YEAR LAST_WEEK LAST_MONTH LAST_YEAR'.split(' ');
/** That no event or date is in the window at the instant, or that it is. */
const inPeriod = (calendar: string, time: string, now: string, zone = 'UTC') =>
  did({ within: { calendar } }, [{ time: at(time) }], at(now), zone);

export const TIME_SENTENCES: Record<string, () => void> = {
  'A list filter holds only for a list; a text is not a list of one.': () => {
    expect(holds({ list: { contains: 'gold' } }, ['gold'])).toBe(true);
    for (const value of ['gold', '["gold"]', 5, true, { gold: 'gold' }]) {
      expect(holds({ list: { contains: 'gold' } }, value)).toBe(false);
      expect(holds({ list: { notContains: 'silver' } }, value)).toBe(false);
      expect(holds({ list: { length: { atLeast: 0 } } }, value)).toBe(false);
    }
  },
  '`contains` holds for a list with an element that equals the value whole, case included.': () => {
    expect(holds({ list: { contains: 'gold' } }, ['a', 'gold'])).toBe(true);
    expect(holds({ list: { contains: 'gold' } }, ['golden', 'Gold', 'gold '])).toBe(false);
    expect(holds({ list: { contains: '' } }, ['gold'])).toBe(false);
  },
  '`containsAny` asks for one of the values, `containsAll` for each of them, `containsNone` and `notContains` for none.':
    () => {
      const values = ['a', 'b'];
      const tried = [[], ['a'], ['b', 'a', 'c'], ['c']].map((list) => [
        holds({ list: { containsAny: values } }, list),
        holds({ list: { containsAll: values } }, list),
        holds({ list: { containsNone: values } }, list),
        holds({ list: { notContains: 'a' } }, list),
      ]);
      expect(tried).toEqual([
        [false, false, true, true],
        [true, false, false, false],
        [true, true, false, false],
        [false, false, true, true],
      ]);
    },
  '`someElement` holds when at least one element satisfies a text filter, any of them, and `noElement` when none does.':
    () => {
      const some = (someElement: object, list: unknown) => holds({ list: { someElement } }, list);
      const none = (noElement: object, list: unknown) => holds({ list: { noElement } }, list);
      const filters = [
        { contains: 'old' },
        { startsWith: 'go' },
        { endsWith: 'ld' },
        { equals: 'gold' },
        { in: ['gold', 'x'] },
        { matches: '^g.ld$' },
        { notEquals: 'silver' },
        { notIn: ['silver', 'x'] },
        { notContains: 'ilv' },
        { notStartsWith: 'si' },
        { notEndsWith: 'er' },
        { notMatches: 'l.e' },
      ];
      for (const filter of filters) {
        const tried = [[], ['silver'], ['gold'], ['silver', 'gold']].map((list) => [
          some(filter, list),
          none(filter, list),
        ]);
        expect([filter, tried]).toEqual([
          filter,
          [
            [false, true],
            [false, true],
            [true, false],
            [true, false],
          ],
        ]);
      }
      expect(some({ startsWith: '1' }, [12, true])).toBe(true);
      expect(some({ contains: 'gold' }, 'gold')).toBe(false);
      expect(none({ contains: 'silver' }, 'gold')).toBe(false);
      const tagged = { where: [{ path: 'tags', filter: { list: { someElement: { contains: 'al' } } } }] };
      const events = [['sale'], ['new'], 'sale'].map((tags) => ({ properties: { tags } }));
      expect(events.map((event) => did(tagged, [event]))).toEqual([true, false, false]);
    },
  'An element that is no text is compared as its JSON text: 3 as `3`, true as `true`.': () => {
    const list = [3, true, 1.5, { b: 1, a: 2 }, ['x']];
    for (const contains of ['3', 'true', '1.5', '{"a":2,"b":1}', '["x"]']) {
      expect(holds({ list: { contains } }, list)).toBe(true);
    }
    expect(holds({ list: { containsAny: ['x', '3.0', 'True'] } }, list)).toBe(false);
  },
  '`length` compares the number of elements, repeated ones included.': () => {
    const length = (filter: object, list: unknown[]) => holds({ list: { length: filter } }, list);
    expect(length({ equals: 3 }, ['a', 'a', 'b'])).toBe(true);
    expect(length({ between: { from: 1, to: 2 } }, ['a', 'a', 'b'])).toBe(false);
    expect(length({ lessThan: 3 }, ['a', null, 'b'])).toBe(true);
  },
  'An empty list satisfies `notContains`, `containsNone`, `noElement` and a length of 0, and an unset list none of them.':
    () => {
      const filters = [
        { notContains: 'a' },
        { containsNone: ['a'] },
        { noElement: { contains: '' } },
        { noElement: { notContains: 'a' } },
        { length: { equals: 0 } },
      ];
      for (const list of filters) {
        expect(holds({ list }, [])).toBe(true);
        expect(holds({ list }, undefined)).toBe(false);
        expect(holds({ list }, null)).toBe(false);
      }
      expect(holds({ list: { containsAll: ['a'] } }, [])).toBe(false);
      expect(holds({ list: { someElement: { contains: '' } } }, [])).toBe(false);
    },

  'A date is a text: an RFC 3339 date and time with its offset, or a date alone, as in 2026-01-31.': () => {
    const isDate = (value: unknown) => holds({ date: { within: { dates: { to: iso(NOW) } } } }, value);
    for (const value of [
      '2026-01-31',
      '2026-01-31T10:00:00Z',
      '2026-01-31t10:00:00.123456z',
      '2026-01-31T23:59:59-11:00',
    ]) {
      expect(isDate(value)).toBe(true);
    }
    expect(isDate(at('2026-01-31'))).toBe(false);
    expect(isDate(20260131)).toBe(false);
    const last = { date: { within: { last: 'PT1H' } } };
    expect(holds(last, '2026-02-10T13:59:59+02:00')).toBe(true);
    expect(holds(last, '2026-02-10T13:59:59+03:00')).toBe(false);
  },
  "A date alone is the beginning of that day in the account's time zone.": () => {
    const from = (text: string) => ({ date: { within: { dates: { from: text } } } });
    expect(holds(from('2026-01-31T00:00:00Z'), '2026-01-31', NOW, 'UTC')).toBe(true);
    expect(holds(from('2026-01-31T00:00:00Z'), '2026-01-31', NOW, BERLIN)).toBe(false);
    expect(holds(from('2026-01-30T23:00:00Z'), '2026-01-31', NOW, BERLIN)).toBe(true);
    expect(holds(from('2026-01-31T05:00:00Z'), '2026-01-31', NOW, NEW_YORK)).toBe(true);
    expect(holds(from('2026-01-31T05:00:00.001Z'), '2026-01-31', NOW, NEW_YORK)).toBe(false);
    // A birthday stays the day it is, west of Greenwich too.
    expect(holds({ date: { month: 5 } }, '1990-05-01', NOW, NEW_YORK)).toBe(true);
  },
  'A text in another form, a day that no calendar has and a year outside of 1901 to 2200 are no dates.':
    () => {
      const odd = [
        '31.01.2026',
        '2026-1-31',
        '2026-01-31 10:00:00',
        '2026-01-31T10:00:00',
        '20260131',
        ' 2026-01-31',
      ];
      const none = ['2026-02-29', '2026-13-01', '2026-00-10', '2026-01-31T24:00:00Z', '2026-01-31T10:00:60Z'];
      for (const value of [
        ...odd,
        ...none,
        '1900-12-31',
        '2201-01-01',
        '0000-01-01',
        '1900-12-31T23:59:59Z',
        '',
      ]) {
        expect(holds({ date: { within: { dates: { from: '1970-01-01T00:00:00Z' } } } }, value)).toBe(false);
        expect(holds({ date: { within: { dates: { to: '2100-01-01T00:00:00Z' } } } }, value)).toBe(false);
        for (let month = 1; month <= 12; month += 1) expect(holds({ date: { month } }, value)).toBe(false);
      }
      for (const value of ['1901-01-01', '1901-01-01T00:00:00Z', '2200-12-31']) {
        const month = Number(value.slice(5, 7));
        expect(holds({ date: { month } }, value)).toBe(true);
      }
    },
  'A text that is a date satisfies text filters as well.': () => {
    expect(holds({ text: { startsWith: '2026-01' } }, '2026-01-31')).toBe(true);
    expect(holds({ date: { month: 1 } }, '2026-01-31')).toBe(true);
  },
  'A date filter works in `where` as it does on a profile, and never holds for `$value`.': () => {
    const where = (path: string, date: object) => ({ where: [{ path, filter: { date } }] });
    const events = [{ properties: { trip: { start: '2026-02-14' } }, value: 20260214 }];
    expect(did(where('trip.start', { next: 'P7D' }), events)).toBe(true);
    expect(did(where('trip.start', { next: 'P1D' }), events)).toBe(false);
    for (const date of [{ month: 2 }, { next: 'P7D' }, { within: { calendar: 'THIS_YEAR' } }]) {
      expect(did(where('$value', date), events)).toBe(false);
    }
  },
  'For `$time`, `next` never holds: an event whose time has not come yet does not count.': () => {
    const next = { where: [{ path: '$time', filter: { date: { next: 'P7D' } } }] };
    for (const time of [NOW - 1, NOW, NOW + 1, NOW + DAY]) expect(did(next, [{ time }])).toBe(false);
  },
  '`next: D` holds for E < t <= E + D.': () => {
    const next = (time: number) => holds({ date: { next: 'P1D' } }, iso(time));
    expect([NOW - 1, NOW, NOW + 1, NOW + DAY, NOW + DAY + 1].map(next)).toEqual([
      false,
      false,
      true,
      true,
      false,
    ]);
  },
  '`within` takes any window; of dates still to come, `dates` and `calendar` hold some, the others none.':
    () => {
      const within = (window: object, time: number) => holds({ date: { within: window } }, iso(time));
      const ahead = NOW + 1;
      expect(within({ dates: { from: iso(NOW), to: iso(NOW + DAY) } }, ahead)).toBe(true);
      expect(within({ calendar: 'THIS_MONTH' }, ahead)).toBe(true);
      expect(within({ last: 'P1D' }, ahead)).toBe(false);
      expect(within({ moreThanAgo: 'PT1S' }, ahead)).toBe(false);
      expect(within({ ago: { from: 'P1D', to: 'PT0S' } }, ahead)).toBe(false);
      expect(within({ last: 'P1D' }, NOW)).toBe(true);
      expect(within({ last: 'P1D' }, NOW - DAY)).toBe(false);
      expect(within({ moreThanAgo: 'P1D' }, NOW - DAY)).toBe(true);
      expect(within({ ago: { from: 'P2D', to: 'P1D' } }, NOW - DAY)).toBe(true);
      expect(within({ ago: { from: 'P2D', to: 'P1D' } }, NOW - 2 * DAY)).toBe(false);
    },
  "`month` holds when the date falls in that month of any year on the account's calendar.": () => {
    const evening = '1999-01-31T23:30:00Z';
    expect(holds({ date: { month: 1 } }, evening, NOW, 'UTC')).toBe(true);
    expect(holds({ date: { month: 2 } }, evening, NOW, 'UTC')).toBe(false);
    expect(holds({ date: { month: 2 } }, evening, NOW, BERLIN)).toBe(true);
    expect(holds({ date: { month: 2 } }, '2099-02-28', NOW)).toBe(true);
  },
  "`anniversary` counts whole days of the account's calendar, and the year of the date does not matter.":
    () => {
      const today = (value: string, now: string, zone: string) =>
        holds({ date: { anniversary: { today: true } } }, value, at(now), zone);
      for (const year of [1950, 2025, 2026, 2040]) {
        expect(today(`${year}-05-10`, '2026-05-09T22:00:00Z', BERLIN)).toBe(true);
        expect(today(`${year}-05-10`, '2026-05-09T21:59:59.999Z', BERLIN)).toBe(false);
        expect(today(`${year}-05-10`, '2026-05-10T21:59:59.999Z', BERLIN)).toBe(true);
        expect(today(`${year}-05-10`, '2026-05-10T22:00:00Z', BERLIN)).toBe(false);
      }
      expect(today('1990-05-10T03:00:00Z', '2026-05-09T12:00:00Z', NEW_YORK)).toBe(true);
    },
  '`today: true` holds on the day itself; `last: n` today and for n days after it; `next: n` on the n days before it.':
    () => {
      const days = [-4, -3, -1, 0, 1, 3, 4];
      const tried = (anniversary: object) =>
        days.filter((away) => holds({ date: { anniversary } }, '1990-02-10', NOW + away * DAY));
      expect(tried({ today: true })).toEqual([0]);
      expect(tried({ last: 3 })).toEqual([0, 1, 3]);
      expect(tried({ next: 3 })).toEqual([-3, -1]);
      // Across the turn of the year.
      const newYear = at('2026-12-30T12:00:00Z');
      expect(holds({ date: { anniversary: { next: 3 } } }, '1990-01-02', newYear)).toBe(true);
      expect(holds({ date: { anniversary: { next: 2 } } }, '1990-01-02', newYear)).toBe(false);
      expect(holds({ date: { anniversary: { last: 3 } } }, '1990-12-30', newYear + 3 * DAY)).toBe(true);
    },
  '29 February has its anniversary on 28 February in years without a 29th.': () => {
    const today = (now: string) => holds({ date: { anniversary: { today: true } } }, '2000-02-29', at(now));
    expect(['2026-02-27', '2026-02-28', '2026-03-01'].map(today)).toEqual([false, true, false]);
    expect(['2028-02-28', '2028-02-29', '2028-03-01'].map(today)).toEqual([false, true, false]);
    expect(['2100-02-28', '2100-03-01'].map(today)).toEqual([true, false]);
  },
  '`thisMonth: true` holds in the month of the date, every year, from the midnight that begins it to the one that ends it.':
    () => {
      const thisMonth = (value: string, now: string, zone = 'UTC') =>
        holds({ date: { anniversary: { thisMonth: true } } }, value, at(now), zone);
      for (const year of [1950, 2025, 2026, 2040]) {
        // In Berlin, March begins in winter time and ends in summer time.
        const inBerlin = (now: string) => thisMonth(`${year}-03-10`, now, BERLIN);
        expect(inBerlin('2026-02-28T22:59:59.999Z')).toBe(false);
        expect(inBerlin('2026-02-28T23:00:00Z')).toBe(true);
        expect(inBerlin('2026-03-31T21:59:59.999Z')).toBe(true);
        expect(inBerlin('2026-03-31T22:00:00Z')).toBe(false);
        expect(inBerlin('2031-03-01T12:00:00Z')).toBe(true);
      }
      // The date's own month is that of the account's calendar, too.
      expect(thisMonth('1990-05-01T03:00:00Z', '2026-04-15T12:00:00Z', NEW_YORK)).toBe(true);
      expect(thisMonth('1990-05-01T03:00:00Z', '2026-05-15T12:00:00Z', NEW_YORK)).toBe(false);
      expect(thisMonth('1990-05-01', '2026-05-15T12:00:00Z', NEW_YORK)).toBe(true);
      expect(thisMonth('2000-02-29', '2026-02-01')).toBe(true);
      expect(thisMonth('2000-02-29', '2026-03-01')).toBe(false);
      expect(thisMonth('2000-12-31', '2027-01-01')).toBe(false);
    },

  '`calendar` holds for times in the day, week, month or year that holds E, or in the one before it.': () => {
    // A Wednesday.
    const now = '2026-03-18T12:00:00Z';
    const inside = (time: string) => PERIODS.filter((period) => inPeriod(period, time, now));
    expect(inside('2026-03-18T00:00:00Z')).toEqual(['TODAY', 'THIS_WEEK', 'THIS_MONTH', 'THIS_YEAR']);
    expect(inside('2026-03-17T23:59:59.999Z')).toEqual(['YESTERDAY', 'THIS_WEEK', 'THIS_MONTH', 'THIS_YEAR']);
    expect(inside('2026-03-16T23:59:59.999Z')).toEqual(['THIS_WEEK', 'THIS_MONTH', 'THIS_YEAR']);
    expect(inside('2026-03-09T00:00:00Z')).toEqual(['THIS_MONTH', 'THIS_YEAR', 'LAST_WEEK']);
    expect(inside('2026-03-01T00:00:00Z')).toEqual(['THIS_MONTH', 'THIS_YEAR']);
    expect(inside('2026-02-28T23:59:59.999Z')).toEqual(['THIS_YEAR', 'LAST_MONTH']);
    expect(inside('2026-01-01T00:00:00Z')).toEqual(['THIS_YEAR']);
    expect(inside('2025-12-31T23:59:59.999Z')).toEqual(['LAST_YEAR']);
    expect(inside('2024-12-31T23:59:59.999Z')).toEqual([]);
    // Still to come: no event counts before its time.
    expect(inside('2026-03-18T12:00:00.001Z')).toEqual([]);
  },
  "Days begin at midnight in the account's time zone, or when the clocks skip it, at the skip; weeks begin on Monday.":
    () => {
      expect(inPeriod('TODAY', '2026-03-17T23:00:00Z', '2026-03-18T12:00:00Z', BERLIN)).toBe(true);
      expect(inPeriod('TODAY', '2026-03-17T22:59:59.999Z', '2026-03-18T12:00:00Z', BERLIN)).toBe(false);
      // In Santiago, 6 September 2026 begins at 01:00, which is 04:00 UTC.
      const night = (time: string) => inPeriod('TODAY', time, '2026-09-06T12:00:00Z', 'America/Santiago');
      expect([night('2026-09-06T03:59:59.999Z'), night('2026-09-06T04:00:00Z')]).toEqual([false, true]);
      // In Havana, 1 November 2026 shows midnight twice; the day begins with the first.
      const twice = (time: string) => inPeriod('TODAY', time, '2026-11-01T12:00:00Z', 'America/Havana');
      expect([twice('2026-11-01T03:59:59.999Z'), twice('2026-11-01T04:00:00Z')]).toEqual([false, true]);
      // 15 March 2026 was a Sunday.
      expect(inPeriod('THIS_WEEK', '2026-03-16T00:00:00Z', '2026-03-22T23:59:59.999Z')).toBe(true);
      expect(inPeriod('THIS_WEEK', '2026-03-15T23:59:59.999Z', '2026-03-16T00:00:00Z')).toBe(false);
      expect(inPeriod('LAST_WEEK', '2026-03-15T23:59:59.999Z', '2026-03-16T00:00:00Z')).toBe(true);
    },
  'A day lasts 23 or 25 hours when the clocks change, but `P1D` always 24.': () => {
    // In Berlin, 29 March 2026 lasts from 23:00 to 22:00 UTC, 25 October from 22:00 to 23:00 UTC.
    expect(inPeriod('YESTERDAY', '2026-03-28T23:00:00Z', '2026-03-29T22:00:00Z', BERLIN)).toBe(true);
    expect(inPeriod('TODAY', '2026-03-28T23:00:00Z', '2026-03-29T21:59:59.999Z', BERLIN)).toBe(true);
    expect(inPeriod('TODAY', '2026-10-24T22:00:00Z', '2026-10-25T22:59:59.999Z', BERLIN)).toBe(true);
    expect(inPeriod('TODAY', '2026-10-24T22:00:00Z', '2026-10-25T23:00:00Z', BERLIN)).toBe(false);
    const last = (now: number) =>
      did({ within: { last: 'P1D' } }, [{ time: at('2026-03-29T00:00:00Z') }], now, BERLIN);
    expect([last(at('2026-03-29T23:59:59.999Z')), last(at('2026-03-30T00:00:00Z'))]).toEqual([true, false]);
    const facts = profile({ properties: { x: '2026-03-29' } });
    const window = { property: { path: 'properties.x', filter: { date: { within: { last: 'P1D' } } } } };
    expect(trueFor(window, facts, at('2026-03-29T22:59:59.999Z'), BERLIN)).toBe(true);
    expect(trueFor(window, facts, at('2026-03-29T23:00:00Z'), BERLIN)).toBe(false);
  },
};
