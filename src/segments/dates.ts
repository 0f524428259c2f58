/** Which texts are dates, and when date filters hold for them. */
import type { DateFilter, TimeWindow } from './ast.ts';
import { anniversaryIn, civilDate, dayNumber, dayOf, monthOf, periodDays, startOfDay } from './calendar.ts';
import { parseInstant } from './instant.ts';

const DATE_ALONE = /^(\d{4})-(\d\d)-(\d\d)$/;
/** Years as they are written; within them, every store can hold the instant. */
const FIRST_YEAR = 1901;
const LAST_YEAR = 2200;

/** What a text says without knowing a time zone: epoch milliseconds, or the number of a day (`calendar.ts`). */
export interface WrittenDate {
  kind: 'instant' | 'day';
  number: number;
}

/**
 * A date and time of RFC 3339 with its offset, or a date alone. Null: any other text, a day that no calendar has, or
 * a year outside of 1901 to 2200.
 */
export function readDate(text: string): WrittenDate | null {
  const year = Number(text.slice(0, 4));
  if (!(year >= FIRST_YEAR && year <= LAST_YEAR)) return null;
  const alone = DATE_ALONE.exec(text);
  if (!alone) {
    const instant = parseInstant(text);
    return instant === null ? null : { kind: 'instant', number: instant };
  }
  const [month, day] = [Number(alone[2]), Number(alone[3])];
  const number = dayNumber(year, month, day);
  const civil = civilDate(number);
  return civil.month === month && civil.day === day ? { kind: 'day', number } : null;
}

/** Epoch milliseconds; a day alone is its beginning on the account's calendar. */
export function instantOfDate({ kind, number }: WrittenDate, timeZone: string): number {
  return kind === 'day' ? startOfDay(number, timeZone) : number;
}

/** The instant that a text names, in epoch milliseconds; null for what is no date (`readDate`). */
export function parseDate(text: string, timeZone: string): number | null {
  const date = readDate(text);
  return date && instantOfDate(date, timeZone);
}

/** Whether a date filter holds for an instant t, at the instant of evaluation `at`. */
export function dateHolds(filter: DateFilter, t: number, at: number, timeZone: string): boolean {
  switch (filter.op) {
    case 'within':
      return isWithin(filter.window, t, at, timeZone);
    case 'next':
      return at < t && t <= at + filter.ms;
    case 'anniversary': {
      const today = dayOf(at, timeZone);
      const date = civilDate(dayOf(t, timeZone));
      const { year } = civilDate(today);
      return [year - 1, year, year + 1].some((candidate) => {
        const away = anniversaryIn(candidate, date) - today;
        return filter.from <= away && away <= filter.to;
      });
    }
    case 'month':
      return monthOf(t, timeZone) === filter.month;
    case 'thisMonth':
      return monthOf(t, timeZone) === monthOf(at, timeZone);
  }
}

/** Whether t lies in the window at the instant `at`. A t still to come can lie in `dates` and `calendar` only. */
export function isWithin(window: TimeWindow, t: number, at: number, timeZone: string): boolean {
  switch (window.kind) {
    case 'last':
      return t > at - window.ms && t <= at;
    case 'moreThanAgo':
      return t <= at - window.ms;
    case 'ago':
      return t > at - window.fromMs && t <= at - window.toMs;
    case 'dates':
      return (window.from === null || t >= window.from) && (window.to === null || t < window.to);
    case 'calendar': {
      const [from, to] = periodDays(window.period, dayOf(at, timeZone));
      return startOfDay(from, timeZone) <= t && t < startOfDay(to, timeZone);
    }
  }
}
