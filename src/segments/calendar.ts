/**
 * Days on the calendar of a time zone. A day is numbered from 1 January 1970 (0) on, by its date alone; it begins when
 * the zone's clocks pass from the day before to its midnight, for the last time should they do so twice, or, where they
 * skip midnight, at the skip. Every instant belongs to the last day that has begun. ClickHouse's toDate32 and
 * toDateTime64 agree, as tried with 26.7 for each day from 1915 to 2133 in zones that do all of this.
 */
import type { CalendarPeriod } from './ast.ts';

export const DAY_MS = 86_400_000;
/** Starts of days are asked for again and again; this many are remembered. */
const REMEMBERED = 20_000;

const formats = new Map<string, Intl.DateTimeFormat>();
const starts = new Map<string, number>();

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** The number of the day that an instant belongs to. */
export function dayOf(at: number, timeZone: string): number {
  let day = Math.floor((at + offsetAt(at, timeZone)) / DAY_MS) + 1;
  while (startOfDay(day, timeZone) > at) day -= 1;
  return day;
}

/** Epoch milliseconds at which a day begins. */
export function startOfDay(day: number, timeZone: string): number {
  const key = `${timeZone} ${day}`;
  const known = starts.get(key);
  if (known !== undefined) return known;
  if (starts.size >= REMEMBERED) starts.clear();
  const start = findStart(day * DAY_MS, timeZone);
  starts.set(key, start);
  return start;
}

/** `midnight` is what the clocks should show, read as if it were UTC. */
function findStart(midnight: number, timeZone: string): number {
  const offsets = [offsetAt(midnight - DAY_MS, timeZone), offsetAt(midnight + DAY_MS, timeZone)];
  const shown = offsets
    .map((offset) => midnight - offset)
    .filter((at) => at + offsetAt(at, timeZone) === midnight)
    .filter((at) => at - 1 + offsetAt(at - 1, timeZone) < midnight);
  if (shown.length > 0) return Math.max(...shown);
  // The clocks skip this midnight: from the first instant on, they show a later time.
  let before = midnight - Math.max(...offsets);
  let after = midnight - Math.min(...offsets);
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (middle + offsetAt(middle, timeZone) < midnight) before = middle;
    else after = middle;
  }
  return after;
}

/** What the zone's clocks show at the instant, less what they show in UTC, in milliseconds. */
function offsetAt(at: number, timeZone: string): number {
  if (timeZone === 'UTC') return 0;
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      era: 'short',
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
    formats.set(timeZone, format);
  }
  const second = Math.floor(at / 1_000) * 1_000;
  const parts = new Map(format.formatToParts(second).map(({ type, value }) => [type, value]));
  const part = (type: Intl.DateTimeFormatPartTypes) => Number(parts.get(type));
  const shown = Date.UTC(
    part('year'),
    part('month') - 1,
    part('day'),
    part('hour'),
    part('minute'),
    part('second'),
  );
  return shown - second;
}

export interface CivilDate {
  year: number;
  /** 1 is January. */
  month: number;
  day: number;
}

export function civilDate(day: number): CivilDate {
  const date = new Date(day * DAY_MS);
  return { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
}

/** The month of the year in which the day of an instant lies; 1 is January. */
export function monthOf(at: number, timeZone: string): number {
  return civilDate(dayOf(at, timeZone)).month;
}

/** The number of a day; a month of 13 is the January after. */
export function dayNumber(year: number, month: number, day: number): number {
  return Date.UTC(year, month - 1, day) / DAY_MS;
}

/** The days of a period, from the first to the one behind its end, as seen from a day in or after it. */
export function periodDays(period: CalendarPeriod, today: number): [from: number, to: number] {
  const { year, month } = civilDate(today);
  // Day 0 was a Thursday; weeks begin on Monday.
  const monday = today - ((((today + 3) % 7) + 7) % 7);
  switch (period) {
    case 'TODAY':
      return [today, today + 1];
    case 'YESTERDAY':
      return [today - 1, today];
    case 'THIS_WEEK':
      return [monday, monday + 7];
    case 'LAST_WEEK':
      return [monday - 7, monday];
    case 'THIS_MONTH':
      return [dayNumber(year, month, 1), dayNumber(year, month + 1, 1)];
    case 'LAST_MONTH':
      return [dayNumber(year, month - 1, 1), dayNumber(year, month, 1)];
    case 'THIS_YEAR':
      return [dayNumber(year, 1, 1), dayNumber(year + 1, 1, 1)];
    case 'LAST_YEAR':
      return [dayNumber(year - 1, 1, 1), dayNumber(year, 1, 1)];
  }
}

/** The day on which a date comes back in a year: 29 February on the 28th where there is no 29th. */
export function anniversaryIn(year: number, { month, day }: CivilDate): number {
  const found = dayNumber(year, month, day);
  return civilDate(found).month === month ? found : dayNumber(year, month + 1, 1) - 1;
}
