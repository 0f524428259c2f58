import type { NumberFilter, TextFilter, TimeWindow, ValueFilter } from './ast.ts';
import { durationRangeProblem, parseDuration } from './duration.ts';
import { parseInstant } from './instant.ts';
import { LIMITS } from './limits.ts';
import type { Path, Reader, Reading } from './read.ts';
import { boolean, fields, items, number, oneOf, quote, text, wrong } from './read.ts';
import { regexProblem } from './regex.ts';

export const valueFilter: Reader<ValueFilter> = (reading, input, path) =>
  oneOf<ValueFilter>(
    reading,
    input,
    path,
    {
      text: (r, value, at) => wrap(textFilter(r, value, at), (filter) => ({ kind: 'text', text: filter })),
      number: (r, value, at) =>
        wrap(numberFilter(r, value, at), (filter) => ({ kind: 'number', number: filter })),
      boolean: (r, value, at) => wrap(boolean(r, value, at), (equals) => ({ kind: 'boolean', equals })),
      exists: (r, value, at) => wrap(boolean(r, value, at), (exists) => ({ kind: 'exists', exists })),
    },
    { date: 'use text, number, boolean or exists', list: 'use text, number, boolean or exists' },
  );

const comparison =
  (op: 'equals' | 'notEquals' | 'moreThan' | 'atLeast' | 'lessThan' | 'atMost'): Reader<NumberFilter> =>
  (reading, input, path) =>
    wrap(number(reading, input, path), (value) => ({ op, value }));

export const numberFilter: Reader<NumberFilter> = (reading, input, path) =>
  oneOf(reading, input, path, {
    equals: comparison('equals'),
    notEquals: comparison('notEquals'),
    moreThan: comparison('moreThan'),
    atLeast: comparison('atLeast'),
    lessThan: comparison('lessThan'),
    atMost: comparison('atMost'),
    between: numberRange,
  });

function numberRange(reading: Reading, input: unknown, path: Path): NumberFilter | undefined {
  const given = fields(reading, input, path, ['from', 'to']);
  const from = given && required(reading, given, 'from', path, number);
  const to = given && required(reading, given, 'to', path, number);
  if (from === undefined || to === undefined) return undefined;
  if (from > to) return wrong(reading, path, 'INVALID', `from ${from} is above to ${to}; exchange them`);
  return { op: 'between', from, to };
}

type TextOp = Exclude<TextFilter['op'], 'in' | 'notIn'>;

const oneText =
  (op: TextOp): Reader<TextFilter> =>
  (reading, input, path) =>
    wrap(text(reading, input, path, LIMITS.text), (value) => ({ op, value }));

const textList =
  (op: 'in' | 'notIn'): Reader<TextFilter> =>
  (reading, input, path) => {
    const list = items(reading, input, path, LIMITS.listValues, 'values');
    const values = list?.map((value, index) => text(reading, value, [...path, `${index}`], LIMITS.text));
    return values && complete(values) ? { op, values } : undefined;
  };

const regex =
  (op: 'matches' | 'notMatches'): Reader<TextFilter> =>
  (reading, input, path) => {
    const value = text(reading, input, path, LIMITS.regex);
    if (value === undefined) return undefined;
    const problem = regexProblem(value);
    return problem ? wrong(reading, path, 'INVALID', `${quote(value)} ${problem}`) : { op, value };
  };

export const textFilter: Reader<TextFilter> = (reading, input, path) =>
  oneOf(reading, input, path, {
    equals: oneText('equals'),
    notEquals: oneText('notEquals'),
    in: textList('in'),
    notIn: textList('notIn'),
    contains: oneText('contains'),
    notContains: oneText('notContains'),
    startsWith: oneText('startsWith'),
    notStartsWith: oneText('notStartsWith'),
    endsWith: oneText('endsWith'),
    notEndsWith: oneText('notEndsWith'),
    matches: regex('matches'),
    notMatches: regex('notMatches'),
  });

export const timeWindow: Reader<TimeWindow> = (reading, input, path) =>
  oneOf<TimeWindow>(
    reading,
    input,
    path,
    {
      last: (r, value, at) => wrap(windowLength(r, value, at), (ms) => ({ kind: 'last', ms })),
      moreThanAgo: (r, value, at) => wrap(windowLength(r, value, at), (ms) => ({ kind: 'moreThanAgo', ms })),
      ago: agoRange,
      dates: dateRange,
    },
    { calendar: 'use last, ago, moreThanAgo or dates' },
  );

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
  const from = given.has('from') ? instant(reading, given.get('from'), [...path, 'from']) : null;
  const to = given.has('to') ? instant(reading, given.get('to'), [...path, 'to']) : null;
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

function windowLength(reading: Reading, input: unknown, path: Path): number | undefined {
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

/** A field that must be there. */
export function required<T>(
  reading: Reading,
  given: ReadonlyMap<string, unknown>,
  name: string,
  path: Path,
  reader: Reader<T>,
): T | undefined {
  if (!given.has(name)) return wrong(reading, [...path, name], 'REQUIRED', 'is missing; it must be given');
  return reader(reading, given.get(name), [...path, name]);
}

export function complete<T>(list: readonly (T | undefined)[]): list is readonly T[] & T[] {
  return !list.includes(undefined);
}

function wrap<A, B>(value: A | undefined, make: (value: A) => B): B | undefined {
  return value === undefined ? undefined : make(value);
}
