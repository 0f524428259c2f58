/** Conditions as one types them; docs/segment-queries.md has the grammar. `toQuery` writes what is read here. */
import type { Condition } from './ast.ts';
import { LIMITS } from './limits.ts';
import {
  NO_POSTAL_CODES,
  parseCondition,
  type PostalCodes,
  type ConditionError,
  type ConditionErrorCode,
  type ParseResult,
} from './parse.ts';
import { PROFILE_PATHS } from './paths.ts';
import type { ConditionInput } from './print.ts';
import {
  accept,
  cursorOver,
  expect,
  fail,
  Mismatch,
  missing,
  peek,
  reject,
  type Cursor,
} from './query-cursor.ts';
import { A_PATH, leaf } from './query-leaves.ts';
import { tokenize } from './query-lexer.ts';

export interface QueryError {
  /** Both from 1 on; columns are UTF-16 units. */
  line: number;
  column: number;
  code: ConditionErrorCode;
  /** Says where, what, and what was expected or is to be done instead. */
  message: string;
}

export type QueryResult = { ok: true; condition: Condition } | { ok: false; errors: QueryError[] };

/** Parentheses and "not" inside of one another, which need a level of the stack each. */
const DEEPEST = 200;
/** Of all that could have stood at a place, so much is named. */
const EXPECTED_NAMED = 8;

/**
 * Reads a typed condition. It is held to the same limits as a ConditionInput, and every mistake names its line and
 * column; of mistakes in the grammar there is one, of others up to LIMITS.errors.
 */
export function parseQuery(query: string, postalCodes: PostalCodes = NO_POSTAL_CODES): QueryResult {
  return readQuery(query, (input) => parseCondition(input, postalCodes));
}

/** The same, with `parse` deciding what may be said. */
export function readQuery(query: string, parse: (input: ConditionInput) => ParseResult): QueryResult {
  const wrong = (offset: number, code: ConditionErrorCode, problem: string): QueryError => {
    const { line, column } = placeOf(query, offset);
    return { line, column, code, message: `line ${line}, column ${column}: ${problem}` };
  };
  if (query.length > LIMITS.query) {
    const problem = `the query has ${query.length} characters; at most ${LIMITS.query} are allowed`;
    return { ok: false, errors: [wrong(0, 'TOO_LONG', problem)] };
  }
  const lexed = tokenize(query);
  if (!lexed.ok) return { ok: false, errors: [wrong(lexed.offset, 'INVALID', lexed.problem)] };
  const cursor = cursorOver(lexed.tokens);
  let input: ConditionInput;
  try {
    input = anyOf(cursor, 0);
    if (peek(cursor).kind !== 'end') {
      missing(cursor, 'the end');
      fail();
    }
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    cursor.position = cursor.farthest;
    return { ok: false, errors: [wrong(peek(cursor).offset, 'INVALID', unexpected(cursor))] };
  }
  const parsed = parse(input);
  if (parsed.ok) return parsed;
  return {
    ok: false,
    errors: parsed.errors.map(({ path, code, message }) =>
      wrong(offsetOf(cursor, input, path), code, message.slice(message.indexOf(': ') + 2)),
    ),
  };
}

/** Mistakes that were found in the condition of a query, with the places where they were typed. */
export function placed(query: string, errors: ConditionError[]): QueryError[] {
  const result = readQuery(query, () => ({ ok: false, errors }));
  return result.ok ? [] : result.errors;
}

function anyOf(cursor: Cursor, depth: number): ConditionInput {
  const any = [allOf(cursor, depth)];
  while (accept(cursor, 'or')) any.push(allOf(cursor, depth));
  return joined('any', any);
}

function allOf(cursor: Cursor, depth: number): ConditionInput {
  const all = [one(cursor, depth)];
  while (accept(cursor, 'and')) all.push(one(cursor, depth));
  return joined('all', all);
}

function joined(kind: 'all' | 'any', children: ConditionInput[]): ConditionInput {
  const [only] = children;
  return only !== undefined && children.length === 1 ? only : { [kind]: children };
}

function one(cursor: Cursor, depth: number): ConditionInput {
  if (depth > DEEPEST) {
    missing(cursor, 'less nesting');
    fail();
  }
  if (accept(cursor, 'not')) return { not: one(cursor, depth + 1) };
  if (!accept(cursor, '(')) {
    // Reading on would only take time.
    cursor.conditions += 1;
    if (cursor.conditions > LIMITS.conditions)
      reject(cursor, cursor.position, `at most ${LIMITS.conditions} conditions`);
    return leaf(cursor);
  }
  const inside = anyOf(cursor, depth + 1);
  expect(cursor, ')');
  return inside;
}

function unexpected(cursor: Cursor): string {
  const { kind, text } = peek(cursor);
  const found = kind === 'end' ? 'the end' : JSON.stringify(text.slice(0, 60));
  if (cursor.expected.has(A_PATH))
    return `expected a condition, such as ${CONDITIONS}, but found ${found}${hint(cursor)}`;
  // Behind "is" at the beginning of a condition, only what begins with it helps.
  const all = [...cursor.expected];
  const beginning = all.filter((phrase) => phrase.startsWith('is '));
  const expected = text.toLowerCase() === 'is' && beginning.length > 0 ? beginning : all;
  const named = expected.slice(0, EXPECTED_NAMED).join(', ');
  return `expected ${named}${expected.length > EXPECTED_NAMED ? ' or something else' : ''}, but found ${found}`;
}

const CONDITIONS =
  'did Placed Order, email is set, properties.plan is "gold", email consent allows messages or is in segment "ID"';

/** What someone may have meant by a word with which no condition begins. */
function hint(cursor: Cursor): string {
  const { kind, text } = peek(cursor);
  if (kind !== 'word' || CONNECTIVES.has(text.toLowerCase())) return '';
  const before = cursor.tokens.slice(0, cursor.position);
  if (before.some((token) => token.kind === 'word' && token.text.toLowerCase() === 'where')) {
    return '; several filters of one "where" stand in parentheses';
  }
  const same = PROFILE_PATHS.find((path) => path.toLowerCase() === text.toLowerCase());
  if (same) return `; say ${same}`;
  // Events are written with capitals, attributes are not.
  if (/^\p{Lu}/u.test(text)) return `; of an event say did ${text}`;
  return `; of a profile there are ${PROFILE_PATHS.join(', ')} and properties.NAME`;
}

const CONNECTIVES: ReadonlySet<string> = new Set(['and', 'or', 'then', 'where', 'is']);

/** Where the value at a path of the input was typed, or the nearest thing around it. */
function offsetOf(cursor: Cursor, input: unknown, path: readonly string[]): number {
  let offset = 0;
  let value = input;
  for (const field of path) {
    if (typeof value !== 'object' || value === null) break;
    offset = cursor.places.get(value)?.get(field) ?? offset;
    value = (value as ConditionInput)[field];
  }
  return offset;
}

function placeOf(query: string, offset: number): { line: number; column: number } {
  const before = query.slice(0, offset).split(/\r\n|\n/);
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
