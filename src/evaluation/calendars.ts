/**
 * What depends on the account's calendar: periods, and dates without a time. The calendar is asked here, never in
 * ClickHouse, for each instant of a query; to ClickHouse go the bounds, as numbers.
 */
import type { DateFilter, TimeWindow } from '../segments/ast.ts';
import {
  anniversaryIn,
  civilDate,
  DAY_MS,
  dayOf,
  monthOf,
  periodDays,
  startOfDay,
} from '../segments/calendar.ts';
import type { Parameters } from './parameters.ts';

/** The instant of evaluation: one for the whole query, or a column `instant` (epoch milliseconds), one of `among`. */
export type Instant = ({ at: number } | { among: readonly number[] }) & {
  /** The account's, as the IANA names it. */
  timeZone: string;
};

/** Times of a window, after < t <= through, in epoch milliseconds; null: no such bound. */
export interface Bounds {
  after: number | null;
  through: number | null;
}

/** The period as it lies at an instant. */
export function periodAt(
  { period }: Extract<TimeWindow, { kind: 'calendar' }>,
  at: number,
  timeZone: string,
): { after: number; through: number } {
  const [from, to] = periodDays(period, dayOf(at, timeZone));
  return { after: startOfDay(from, timeZone) - 1, through: startOfDay(to, timeZone) - 1 };
}

/** An Int64 that depends on the instant of evaluation. */
export function perInstant(instant: Instant, parameters: Parameters, value: (at: number) => number): string {
  if ('at' in instant) return parameters.add('Int64', value(instant.at));
  const instants = parameters.add('Array(Int64)', instant.among);
  return `transform(instant, ${instants}, ${parameters.add('Array(Int64)', instant.among.map(value))}, toInt64(0))`;
}

/** A date as it is stored: its kind, 'day' or 'instant', and its number (`WrittenDate`), as SQL. */
export interface StoredDate {
  kind: string;
  number: string;
}

/** Whether a date filter holds for a date that is set. */
export function compileDate(
  filter: DateFilter,
  { kind, number }: StoredDate,
  instant: Instant,
  parameters: Parameters,
): string {
  const { timeZone } = instant;
  const zone = parameters.add('String', timeZone);
  const civil = `if(${kind} = 'day',
    addDays(toDate32('1970-01-01'), if(${kind} = 'day', ${number}, 0)),
    toDate32(fromUnixTimestamp64Milli(${number}, ${zone})))`;
  switch (filter.op) {
    case 'next':
      return isBetween((at) => ({ after: at, through: at + filter.ms }));
    case 'within': {
      const { window } = filter;
      return isBetween((at) => boundsAt(window, at, timeZone));
    }
    case 'month':
      return `toMonth(${civil}) = ${parameters.add('UInt8', filter.month)}`;
    case 'thisMonth':
      return `toMonth(${civil}) = ${perInstant(instant, parameters, (at) => monthOf(at, timeZone))}`;
    case 'anniversary': {
      const days = (at: number) => daysOfYear(filter, dayOf(at, timeZone));
      const day = `toUInt16(toMonth(${civil}) * 100 + toDayOfMonth(${civil}))`;
      if ('at' in instant) return `has(${parameters.add('Array(UInt16)', days(instant.at))}, ${day})`;
      // The days of each today, told apart by its number.
      const todays = new Map(instant.among.map((at) => [dayOf(at, timeZone), at]));
      const pairs = [...todays].flatMap(([today, at]) => days(at).map((each) => pairOf(today, each)));
      const today = perInstant(instant, parameters, (at) => pairOf(dayOf(at, timeZone), 0));
      return `has(${parameters.add('Array(Int64)', pairs)}, ${today} + ${day})`;
    }
  }

  function isBetween(boundsOf: (at: number) => Bounds): string {
    // Whether a bound is set does not depend on the instant.
    const set = boundsOf(0);
    const bound = (side: keyof Bounds, of: (ms: number) => number) =>
      perInstant(instant, parameters, (at) => of(boundsOf(at)[side] ?? 0));
    // A day has begun by an instant if it is not after the day of that instant.
    const sides = (of: (ms: number) => number) =>
      [
        ...(set.after === null ? [] : [`${number} > ${bound('after', of)}`]),
        ...(set.through === null ? [] : [`${number} <= ${bound('through', of)}`]),
      ].join(' AND ') || 'true';
    const asInstant = sides((ms) => ms);
    const asDay = sides((ms) => dayOf(ms, timeZone));
    return `if(${kind} = 'day', ${asDay}, ${asInstant})`;
  }
}

/** Of dates, which may lie ahead: `dates` and `calendar` are not cut off at the instant of evaluation. */
function boundsAt(window: TimeWindow, at: number, timeZone: string): Bounds {
  switch (window.kind) {
    case 'last':
      return { after: at - window.ms, through: at };
    case 'moreThanAgo':
      return { after: null, through: at - window.ms };
    case 'ago':
      return { after: at - window.fromMs, through: at - window.toMs };
    case 'dates':
      return {
        after: window.from === null ? null : window.from - 1,
        through: window.to === null ? null : window.to - 1,
      };
    case 'calendar':
      return periodAt(window, at, timeZone);
  }
}

/** A number for a day and a day of the year. */
const pairOf = (today: number, dayOfYear: number) => today * 10_000 + dayOfYear;

/** Any leap year, for all the days of a year that there are. */
const LEAP_YEAR = { first: Date.UTC(2000, 0, 1) / DAY_MS, days: 366 };

/** Days of the year, month * 100 + day, whose anniversary is as far from today as the filter says. */
function daysOfYear({ from, to }: Extract<DateFilter, { op: 'anniversary' }>, today: number): number[] {
  const { year } = civilDate(today);
  const dates = Array.from({ length: LEAP_YEAR.days }, (_, i) => civilDate(LEAP_YEAR.first + i));
  return dates
    .filter((date) =>
      [year - 1, year, year + 1].some((candidate) => {
        const away = anniversaryIn(candidate, date) - today;
        return from <= away && away <= to;
      }),
    )
    .map(({ month, day }) => month * 100 + day);
}
