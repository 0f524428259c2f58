import type { CalendarPeriod, DateFilter, TimeWindow } from './ast.ts';
import { durationRangeProblem, parseDuration } from './duration.ts';
import { parseInstant } from './instant.ts';
import type { Path, Reader, Reading } from './read.ts';
import {
  choice,
  fields,
  mapped,
  oneOf,
  onlyTrue,
  optional,
  quote,
  required,
  text,
  wholeNumberFrom,
  wrong,
} from './read.ts';

const PERIODS: readonly CalendarPeriod[] = [
  'TODAY',
  'YESTERDAY',
  'THIS_WEEK',
  'THIS_MONTH',
  'THIS_YEAR',
  'LAST_WEEK',
  'LAST_MONTH',
  'LAST_YEAR',
];
/** Days of an anniversary's window. */
const days = wholeNumberFrom(1, 365);

export const timeWindow: Reader<TimeWindow> = (reading, input, path) =>
  oneOf<TimeWindow>(reading, input, path, {
    last: mapped(windowLength, (ms) => ({ kind: 'last', ms })),
    moreThanAgo: mapped(windowLength, (ms) => ({ kind: 'moreThanAgo', ms })),
    ago: agoRange,
    dates: dateRange,
    calendar: mapped(choice(PERIODS), (period) => ({ kind: 'calendar', period })),
  });

export const dateFilter: Reader<DateFilter> = (reading, input, path) =>
  oneOf<DateFilter>(reading, input, path, {
    within: mapped(timeWindow, (window) => ({ op: 'within', window })),
    next: mapped(windowLength, (ms) => ({ op: 'next', ms })),
    anniversary,
    month: mapped(wholeNumberFrom(1, 12), (month) => ({ op: 'month', month })),
  });

const anniversary: Reader<DateFilter> = (reading, input, path) =>
  oneOf<DateFilter>(reading, input, path, {
    today: mapped(onlyTrue, () => ({ op: 'anniversary', from: 0, to: 0 })),
    last: mapped(days, (count) => ({ op: 'anniversary', from: -count, to: 0 })),
    next: mapped(days, (count) => ({ op: 'anniversary', from: 1, to: count })),
    thisMonth: mapped(onlyTrue, () => ({ op: 'thisMonth' })),
  });

function agoRange(reading: Reading, input: unknown, path: Path): TimeWindow | undefined {
  const given = fields(reading, input, path, ['from', 'to']);
  const fromMs = given && required(reading, given, 'from', path, windowLength);
  const toMs = given && required(reading, given, 'to', path, duration);
  if (fromMs === undefined || toMs === undefined) return undefined;
  if (fromMs <= toMs) {
    return wrong(reading, path, 'INVALID', 'from must lie further back than to, as in from: P5D, to: P3D');
  }
  return { kind: 'ago', fromMs, toMs };
}

function dateRange(reading: Reading, input: unknown, path: Path): TimeWindow | undefined {
  const given = fields(reading, input, path, ['from', 'to']);
  if (!given) return undefined;
  if (given.size === 0) {
    return wrong(reading, path, 'REQUIRED', 'needs from, to or both, as in from: 2026-01-01T00:00:00Z');
  }
  const from = optional(reading, given, 'from', path, instant, null);
  const to = optional(reading, given, 'to', path, instant, null);
  if (from === undefined || to === undefined) return undefined;
  if (from !== null && to !== null && from >= to) {
    return wrong(reading, path, 'INVALID', 'from must be earlier than to; to itself is no longer inside');
  }
  return { kind: 'dates', from, to };
}

/** Milliseconds of an ISO 8601 duration, from zero up. */
function duration(reading: Reading, input: unknown, path: Path): number | undefined {
  const value = text(reading, input, path, 64);
  if (value === undefined) return undefined;
  const result = parseDuration(value);
  return result.ok ? result.ms : wrong(reading, path, 'INVALID', `${quote(value)} ${result.problem}`);
}

export function windowLength(reading: Reading, input: unknown, path: Path): number | undefined {
  const ms = duration(reading, input, path);
  if (ms === undefined) return undefined;
  const problem = durationRangeProblem(ms);
  return problem ? wrong(reading, path, 'INVALID', `${quote(String(input))} ${problem}`) : ms;
}

const EARLIEST = Date.UTC(1970, 0, 1);
const LATEST = Date.UTC(2101, 0, 1) - 1;

/** Epoch milliseconds of an RFC 3339 text. */
function instant(reading: Reading, input: unknown, path: Path): number | undefined {
  const written = text(reading, input, path, 64);
  if (written === undefined) return undefined;
  const at = parseInstant(written);
  if (at === null) {
    return wrong(reading, path, 'INVALID', `${quote(written)} is no date and time; say 2026-01-31T00:00:00Z`);
  }
  if (at < EARLIEST || at > LATEST) {
    return wrong(reading, path, 'INVALID', `${quote(written)} must lie in the years 1970 to 2100`);
  }
  return at;
}
