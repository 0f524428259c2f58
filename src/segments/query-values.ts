/** Typed durations, windows and filters, as parts of the API's input. */
import { parseDuration, printDuration } from './duration.ts';
import type { ConditionInput } from './print.ts';
import {
  accept,
  acceptOne,
  attempt,
  expect,
  fail,
  missing,
  peek,
  take,
  type Cursor,
} from './query-cursor.ts';
import { ELEMENT_WORDS, inverse, MONTH_WORDS, PERIOD_WORDS } from './words.ts';

const UNITS: Readonly<Record<string, number>> = {
  week: 604_800_000,
  day: 86_400_000,
  hour: 3_600_000,
  minute: 60_000,
  second: 1_000,
};
const UNIT_MS = new Map(
  Object.entries(UNITS).flatMap(([unit, ms]) => [[unit, ms] as const, [`${unit}s`, ms]]),
);
const A_DURATION = 'a duration such as 30 days or 1 hour 30 minutes';

export function number(cursor: Cursor): number {
  const text = take(cursor, 'number', 'a number');
  return text === undefined ? fail() : Number(text);
}

export function quotedText(cursor: Cursor): string {
  return take(cursor, 'text', 'a text in double quotes') ?? fail();
}

/** 1e15 days, far too long: of much more the number would be printed with an exponent, which no duration has. */
const FAR_TOO_LONG_MS = 1e15 * 86_400_000;

/** In the canonical form of ISO 8601; months and years stay as they are, to be refused with their remedy. */
export function duration(cursor: Cursor): string {
  const written = peek(cursor);
  if (written.kind === 'word' && /^P[0-9T]/.test(written.text)) {
    // "PT1.5S" is one word, as dots join words.
    cursor.position += 1;
    const read = parseDuration(written.text);
    return read.ok ? printDuration(read.ms) : written.text;
  }
  const alone = unit(cursor);
  if (alone !== undefined) return printDuration(alone);
  let ms = 0;
  let parts = 0;
  for (;;) {
    const part = attempt(cursor, (at) => Math.round(amount(at) * (unit(at) ?? fail())));
    if (part === undefined) break;
    ms += part;
    parts += 1;
  }
  return parts > 0 ? printDuration(Math.min(ms, FAR_TOO_LONG_MS)) : fail();
}

function amount(cursor: Cursor): number {
  const text = take(cursor, 'number', A_DURATION, (written) => !written.startsWith('-'));
  return text === undefined ? fail() : Number(text);
}

function unit(cursor: Cursor): number | undefined {
  const { kind, text } = peek(cursor);
  const ms = kind === 'word' ? UNIT_MS.get(text.toLowerCase()) : undefined;
  if (ms === undefined) return missing(cursor, 'weeks, days, hours, minutes or seconds');
  cursor.position += 1;
  return ms;
}

const PERIODS = inverse(PERIOD_WORDS);
const ELEMENT_OPS = inverse(ELEMENT_WORDS);

/** A TimeWindowInput. */
export function timeWindow(cursor: Cursor): ConditionInput {
  if (accept(cursor, 'in the last')) return { last: duration(cursor) };
  const ago = attempt(cursor, moreThanAgo) ?? attempt(cursor, agoRange);
  if (ago) return ago;
  if (accept(cursor, 'from') || accept(cursor, 'since')) {
    const from = instant(cursor);
    if (accept(cursor, 'and before')) return { dates: { from, to: instant(cursor) } };
    accept(cursor, 'on');
    return { dates: { from } };
  }
  if (accept(cursor, 'before')) return { dates: { to: instant(cursor) } };
  const calendar = acceptOne(cursor, PERIODS);
  return calendar === undefined ? fail() : { calendar };
}

function moreThanAgo(cursor: Cursor): ConditionInput {
  if (!accept(cursor, 'at least') && !accept(cursor, 'more than')) fail();
  const ms = duration(cursor);
  expect(cursor, 'ago');
  return { moreThanAgo: ms };
}

/** "between 5 days and 3 days ago", in either order, or "between 3 and 5 days ago". */
function agoRange(cursor: Cursor): ConditionInput {
  expect(cursor, 'between');
  const first = attempt(cursor, duration) ?? number(cursor);
  expect(cursor, 'and');
  const count = peek(cursor).kind === 'number' ? peek(cursor).text : '1';
  const second = duration(cursor);
  expect(cursor, 'ago');
  const far = parseDuration(second);
  const near = typeof first === 'string' ? parseDuration(first) : null;
  // Whichever is no duration is refused with its remedy.
  if (near && !near.ok) return { ago: { from: first, to: 'PT0S' } };
  if (!far.ok) return { ago: { from: second, to: 'PT0S' } };
  const nearMs = near ? near.ms : (far.ms / Number(count)) * Number(first);
  const [to, from] = [nearMs, far.ms].sort((a, b) => a - b) as [number, number];
  return { ago: { from: printDuration(from), to: printDuration(Math.round(to)) } };
}

/** A date alone is its midnight in UTC, as it is printed. */
function instant(cursor: Cursor): string {
  const text = take(cursor, 'date', 'a date such as 2026-01-31 or 2026-01-31T12:00:00Z') ?? fail();
  return text.length === 10 ? `${text}T00:00:00Z` : text;
}

const NUMBER_OPS = {
  'more than': 'moreThan',
  'at least': 'atLeast',
  'less than': 'lessThan',
  'fewer than': 'lessThan',
  'at most': 'atMost',
} as const;

/** A NumberFilterInput, as it stands behind "is". */
export function numberFilter(cursor: Cursor): ConditionInput {
  const op = acceptOne(cursor, NUMBER_OPS);
  if (op !== undefined) return { [op]: number(cursor) };
  if (accept(cursor, 'between')) return { between: range(cursor) };
  return { [accept(cursor, 'not') ? 'notEquals' : 'equals']: number(cursor) };
}

function range(cursor: Cursor): ConditionInput {
  const from = number(cursor);
  expect(cursor, 'and');
  return { from, to: number(cursor) };
}

/** A NumberFilterInput with its unit: "at least 3 days". */
export function amountOf(cursor: Cursor, one: string, many: string): ConditionInput {
  if (accept(cursor, `any number of ${many} but`)) return { notEquals: number(cursor) };
  const is = accept(cursor, 'exactly') ? { equals: number(cursor) } : numberFilter(cursor);
  if (!accept(cursor, many) && !accept(cursor, one)) fail();
  return is;
}

/** A ValueFilterInput, as it stands behind a path. */
export function valueFilter(cursor: Cursor): ConditionInput {
  if (accept(cursor, 'has its anniversary')) return { date: { anniversary: anniversary(cursor) } };
  if (accept(cursor, 'has')) return { list: elements(cursor) };
  const listOp = acceptOne(cursor, LIST_OPS);
  if (listOp !== undefined) {
    return { list: { [listOp]: listOp.endsWith('ontains') ? quotedText(cursor) : quotedTexts(cursor) } };
  }
  const ofText = attempt(cursor, textFilter);
  if (ofText) return { text: ofText };
  expect(cursor, 'is');
  const fixed = acceptOne(cursor, FIXED);
  if (fixed) return fixed;
  if (accept(cursor, 'in the next')) return { date: { next: duration(cursor) } };
  if (accept(cursor, 'in this month of any year')) return { date: { anniversary: { thisMonth: true } } };
  if (accept(cursor, 'in the month')) return { date: { month: number(cursor) } };
  const month = attempt(cursor, monthName);
  if (month) return { date: { month } };
  const window = attempt(cursor, timeWindow);
  return window ? { date: { within: window } } : { number: numberFilter(cursor) };
}

/** A ListFilterInput, as it stands behind "has". */
function elements(cursor: Cursor): ConditionInput {
  const op = acceptOne(cursor, ELEMENT_OPS);
  return op === undefined
    ? { length: amountOf(cursor, 'element', 'elements') }
    : { [op]: textFilter(cursor) };
}

const FIXED: Readonly<Record<string, ConditionInput>> = {
  set: { exists: true },
  'not set': { exists: false },
  true: { boolean: true },
  false: { boolean: false },
};

function monthName(cursor: Cursor): number {
  expect(cursor, 'in');
  const place = MONTH_WORDS.findIndex((name) => accept(cursor, name));
  return place < 0 ? fail() : place + 1;
}

function anniversary(cursor: Cursor): ConditionInput {
  if (accept(cursor, 'today')) return { today: true };
  const side = acceptOne(cursor, { 'in the last': 'last', 'in the next': 'next' }) ?? fail();
  const days = accept(cursor, 'day') ? 1 : number(cursor);
  if (!accept(cursor, 'days')) accept(cursor, 'day');
  return { [side]: days };
}

/** Longer phrases before those that they begin with. */
const LIST_OPS = {
  'includes any of': 'containsAny',
  'includes all of': 'containsAll',
  'includes none of': 'containsNone',
  includes: 'contains',
  'does not include': 'notContains',
} as const;

const TEXT_OPS = {
  contains: 'contains',
  'does not contain': 'notContains',
  'starts with': 'startsWith',
  'does not start with': 'notStartsWith',
  'ends with': 'endsWith',
  'does not end with': 'notEndsWith',
  matches: 'matches',
  'does not match': 'notMatches',
} as const;

/** A TextFilterInput. */
export function textFilter(cursor: Cursor): ConditionInput {
  const op = acceptOne(cursor, TEXT_OPS);
  if (op !== undefined) return { [op]: quotedText(cursor) };
  const list = acceptOne(cursor, { 'is one of': 'in', 'is none of': 'notIn', 'is not one of': 'notIn' });
  if (list !== undefined) return { [list]: quotedTexts(cursor) };
  expect(cursor, 'is');
  return { [accept(cursor, 'not') ? 'notEquals' : 'equals']: quotedText(cursor) };
}

function quotedTexts(cursor: Cursor): string[] {
  return listOf(cursor, quotedText);
}

/** In parentheses, separated by commas. */
export function listOf<T>(cursor: Cursor, read: (cursor: Cursor) => T): T[] {
  expect(cursor, '(');
  const list = [read(cursor)];
  while (accept(cursor, ',')) list.push(read(cursor));
  expect(cursor, ')');
  return list;
}
