/** Typed conditions without all, any and not, as parts of the API's input. */
import { isProfilePath } from './paths.ts';
import type { ConditionInput } from './print.ts';
import {
  accept,
  acceptOne,
  attempt,
  expect,
  fail,
  peek,
  placed,
  readField,
  reject,
  take,
  type Cursor,
} from './query-cursor.ts';
import {
  amountOf,
  duration,
  listOf,
  number,
  numberFilter,
  quotedText,
  textFilter,
  timeWindow,
  valueFilter,
} from './query-values.ts';
import {
  CHANNEL_WORDS,
  DIMENSION_WORDS,
  inverse,
  MEASURE_WORDS,
  REGION_WORDS,
  STATUS_WORDS,
} from './words.ts';

/** A ConditionInput. */
export function leaf(cursor: Cursor): ConditionInput {
  const { offset } = peek(cursor);
  const [kind, input] = leafOf(cursor);
  return placed(cursor, { [kind]: input }, kind, offset);
}

function leafOf(cursor: Cursor): [kind: string, input: ConditionInput] {
  if (accept(cursor, 'has done in order') || accept(cursor, 'did in order')) {
    return ['sequence', sequence(cursor)];
  }
  if (NEVER.some((phrase) => accept(cursor, phrase))) return ['event', neverDone(cursor)];
  if (accept(cursor, 'has done') || accept(cursor, 'did')) return ['event', eventDone(cursor)];
  const measure = acceptOne(cursor, MEASURES);
  if (measure !== undefined) return ['event', measured(cursor, measure)];
  const dimension = acceptOne(cursor, inverse(DIMENSION_WORDS));
  if (dimension !== undefined) return ['prediction', prediction(cursor, dimension)];
  const channel = acceptOne(cursor, CONSENTS);
  if (channel !== undefined) return ['consent', consent(cursor, channel)];
  if (peek(cursor).kind === 'word' && peek(cursor).text.toLowerCase() === 'is') return isLeaf(cursor);
  const { offset } = peek(cursor);
  const path = take(cursor, 'text', A_PATH) ?? plainProfilePath(cursor);
  return ['property', filtered(cursor, path, offset)];
}

/** Expected wherever a condition may begin, and nowhere else. */
export const A_PATH = 'a path such as properties.plan';
const NEVER = ['has not done', 'has never done', 'did not do', 'never did'];
const CONSENTS = Object.fromEntries(
  Object.entries(CHANNEL_WORDS).map(([channel, word]) => [`${word} consent`, channel]),
);
const MEASURES = {
  ...inverse(MEASURE_WORDS),
  'the number of distinct values of': 'distinct',
};

function plainProfilePath(cursor: Cursor): string {
  return take(cursor, 'word', 'email, properties.NAME or another attribute', isProfilePath) ?? fail();
}

function metric(cursor: Cursor, input: ConditionInput): ConditionInput {
  readField(cursor, input, 'metric', metricName);
  return input;
}

/** A name in quotes, or words that begin with capitals, numbers among them. */
function metricName(cursor: Cursor): string {
  const quoted = take(cursor, 'text', 'a metric such as Placed Order or "viewed"');
  const words: string[] = [];
  while (quoted === undefined && isPartOfName(cursor, words.length === 0)) {
    words.push(peek(cursor).text);
    cursor.position += 1;
  }
  if (quoted === undefined && words.length === 0) fail();
  return quoted ?? words.join(' ');
}

function isPartOfName(cursor: Cursor, isFirst: boolean): boolean {
  const { kind, text } = peek(cursor);
  const next = peek(cursor, 1).text;
  if (kind === 'text' || (kind === 'number' && (next === 'times' || next === 'time'))) return false;
  return (isFirst ? /^\p{Lu}[\p{L}\p{N}_-]*$/u : /^[\p{Lu}\p{N}][\p{L}\p{N}_-]*$/u).test(text);
}

function neverDone(cursor: Cursor): ConditionInput {
  const input = metric(cursor, {});
  input['is'] = { equals: 0 };
  return tail(cursor, input, { where: whereFilters, within: timeWindow });
}

function eventDone(cursor: Cursor): ConditionInput {
  const input = metric(cursor, {});
  return tail(cursor, input, {
    where: whereFilters,
    within: timeWindow,
    measure: (at) => {
      expect(at, 'on');
      input['is'] = amountOf(at, 'day', 'days');
      return { days: true };
    },
    is: times,
  });
}

function measured(cursor: Cursor, kind: string): ConditionInput {
  const input: ConditionInput = {};
  readField(cursor, input, 'measure', (at) => ({ [kind]: path(at) }));
  expect(cursor, 'over');
  metric(cursor, input);
  expect(cursor, 'is');
  readField(cursor, input, 'is', numberFilter);
  return tail(cursor, input, { where: whereFilters, within: timeWindow });
}

/** Each part at most once, in any order. */
function tail(
  cursor: Cursor,
  input: ConditionInput,
  parts: Readonly<Record<string, (cursor: Cursor) => unknown>>,
): ConditionInput {
  for (;;) {
    const found = Object.entries(parts).find(([field, read]) => {
      if (field in input) return false;
      const { offset } = peek(cursor);
      const value = attempt(cursor, read);
      if (value === undefined) return false;
      input[field] = value;
      placed(cursor, input, field, offset);
      return true;
    });
    if (!found) return input;
  }
}

const COMPARISONS = {
  'at least': 'atLeast',
  'at most': 'atMost',
  'more than': 'moreThan',
  'fewer than': 'lessThan',
  'less than': 'lessThan',
  exactly: 'equals',
} as const;

/** A NumberFilterInput: "at least 3 times", "once". */
function times(cursor: Cursor): ConditionInput {
  if (accept(cursor, 'any number of times but')) return { notEquals: number(cursor) };
  if (accept(cursor, 'between')) {
    const from = number(cursor);
    expect(cursor, 'and');
    const to = number(cursor);
    expect(cursor, 'times');
    return { between: { from, to } };
  }
  const op = acceptOne(cursor, COMPARISONS) ?? 'equals';
  const word = acceptOne(cursor, { once: 1, twice: 2 });
  if (word !== undefined) return { [op]: word };
  const count = number(cursor);
  if (!accept(cursor, 'times') && !accept(cursor, 'time')) fail();
  return { [op]: count };
}

function path(cursor: Cursor): string {
  return take(cursor, 'word', 'the path of a property') ?? quotedText(cursor);
}

function whereFilters(cursor: Cursor): ConditionInput[] {
  expect(cursor, 'where');
  return parts(cursor, whereFilter);
}

function whereFilter(cursor: Cursor): ConditionInput {
  const { offset } = peek(cursor);
  return filtered(cursor, path(cursor), offset);
}

/** A path that was typed at this offset, and the filter behind it. */
function filtered(cursor: Cursor, path: string, offset: number): ConditionInput {
  const behind = peek(cursor).offset;
  const input = { path, filter: valueFilter(cursor) };
  return placed(cursor, placed(cursor, input, 'path', offset), 'filter', behind);
}

/** One of them, or several in parentheses, joined by "and". */
function parts<T>(cursor: Cursor, read: (cursor: Cursor) => T): T[] {
  if (!accept(cursor, '(')) return [read(cursor)];
  const list = [read(cursor)];
  while (accept(cursor, 'and')) list.push(read(cursor));
  expect(cursor, ')');
  return list;
}

function sequence(cursor: Cursor): ConditionInput {
  const input: ConditionInput = {};
  readField(cursor, input, 'steps', stepList);
  return tail(cursor, input, {
    completeWithin: (at) => {
      expect(at, 'within');
      return duration(at);
    },
    within: timeWindow,
  });
}

function stepList(cursor: Cursor): ConditionInput[] {
  expect(cursor, '(');
  const steps = [step(cursor)];
  while (accept(cursor, ', then') || accept(cursor, 'then')) steps.push(step(cursor));
  expect(cursor, ')');
  return steps;
}

function step(cursor: Cursor): ConditionInput {
  const input: ConditionInput = accept(cursor, 'not') ? { negate: true } : {};
  return tail(cursor, metric(cursor, input), { where: whereFilters });
}

function prediction(cursor: Cursor, dimension: string): ConditionInput {
  return mergedParts(cursor, { dimension }, predictionPart);
}

function predictionPart(cursor: Cursor): ConditionInput {
  const sign = acceptOne(cursor, { 'has risen by at least': 1, 'has fallen by at least': -1 });
  if (sign === undefined) return valueFilter(cursor);
  const by = sign * number(cursor);
  expect(cursor, 'within');
  return { change: { by, within: duration(cursor) } };
}

function consent(cursor: Cursor, channel: string): ConditionInput {
  return mergedParts(cursor, { channel }, consentPart);
}

function consentPart(cursor: Cursor): ConditionInput {
  if (accept(cursor, 'allows messages')) return { canReceive: true };
  if (accept(cursor, 'does not allow messages')) return { canReceive: false };
  if (accept(cursor, 'has changed')) return { since: timeWindow(cursor) };
  if (accept(cursor, 'source')) return { source: textFilter(cursor) };
  if (accept(cursor, 'is one of')) return { status: listOf(cursor, status) };
  expect(cursor, 'is');
  return { status: [status(cursor)] };
}

function status(cursor: Cursor): string {
  return acceptOne(cursor, inverse(STATUS_WORDS)) ?? fail();
}

/** Each part gives other fields. */
function mergedParts(
  cursor: Cursor,
  input: ConditionInput,
  read: (cursor: Cursor) => ConditionInput,
): ConditionInput {
  parts(cursor, (at) => {
    const { position } = at;
    const { offset } = peek(at);
    for (const [field, value] of Object.entries(read(at))) {
      if (field in input) reject(at, position, `no second part about ${field}`);
      input[field] = value;
      placed(at, input, field, offset);
    }
  });
  return input;
}

const INSIDE = prefixed('is in', true);
const OUTSIDE = { ...prefixed('is outside', false), ...prefixed('is not in', false) };

function prefixed(phrase: string, inside: boolean) {
  return Object.fromEntries(
    Object.entries(REGION_WORDS).map(([region, words]) => [`${phrase} ${words}`, { region, inside }]),
  );
}

/** What begins with "is" and says something of the profile as a whole. */
function isLeaf(cursor: Cursor): [kind: string, input: ConditionInput] {
  const region = acceptOne(cursor, { ...INSIDE, ...OUTSIDE });
  if (region) return ['region', region];
  const member = acceptOne(cursor, { 'is in segment': true, 'is not in segment': false });
  if (member !== undefined) {
    const input: ConditionInput = { member };
    readField(cursor, input, 'id', quotedText);
    return ['segment', input];
  }
  if (accept(cursor, 'is in the sample of')) return ['sample', sample(cursor)];
  const beyond = acceptOne(cursor, { 'is within': false, 'is more than': true }) ?? fail();
  return ['near', near(cursor, beyond)];
}

function sample(cursor: Cursor): ConditionInput {
  const input: ConditionInput = {};
  readField(cursor, input, 'percent', number);
  expect(cursor, '%');
  if (accept(cursor, 'salted')) readField(cursor, input, 'salt', quotedText);
  return input;
}

const DISTANCES = {
  kilometers: 'KILOMETERS',
  kilometer: 'KILOMETERS',
  km: 'KILOMETERS',
  miles: 'MILES',
  mile: 'MILES',
} as const;

function near(cursor: Cursor, beyond: boolean): ConditionInput {
  const input: ConditionInput = { beyond };
  readField(cursor, input, 'within', number);
  readField(cursor, input, 'unit', (at) => acceptOne(at, DISTANCES) ?? fail());
  expect(cursor, beyond ? 'from' : 'of');
  if (accept(cursor, 'postal code')) {
    readField(cursor, input, 'postalCode', quotedText);
    expect(cursor, 'in');
    readField(cursor, input, 'country', quotedText);
    return input;
  }
  expect(cursor, '(');
  readField(cursor, input, 'latitude', number);
  expect(cursor, ',');
  readField(cursor, input, 'longitude', number);
  expect(cursor, ')');
  return input;
}
