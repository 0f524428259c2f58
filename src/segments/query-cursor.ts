/** Reading tokens one after the other, and remembering what could have stood where reading came to an end. */
import type { Token } from './query-lexer.ts';

/** Thrown by `fail`, caught by `attempt` and by the parser; it never leaves src/segments. */
export class Mismatch extends Error {}

export interface Cursor {
  tokens: readonly Token[];
  position: number;
  /** The farthest position at which something was looked for and not found, and what. */
  farthest: number;
  expected: Set<string>;
  /** Where the fields of the input came from: object → field → offset. */
  places: Map<object, Map<string, number>>;
  /** Conditions besides and, or and not that have been read. */
  conditions: number;
}

export function cursorOver(tokens: readonly Token[]): Cursor {
  return { tokens, position: 0, farthest: 0, expected: new Set(), places: new Map(), conditions: 0 };
}

export function peek(cursor: Cursor, ahead = 0): Token {
  const last = cursor.tokens.at(-1);
  const token = cursor.tokens[cursor.position + ahead] ?? last;
  if (!token) throw new Error('a query without tokens');
  return token;
}

/** Takes a token of this kind that passes the test, or gives undefined and remembers what was expected. */
export function take(
  cursor: Cursor,
  kind: Token['kind'],
  expected: string,
  test: (text: string) => boolean = () => true,
): string | undefined {
  const token = peek(cursor);
  if (token.kind === kind && test(token.text)) {
    cursor.position += 1;
    return token.text;
  }
  return missing(cursor, expected);
}

/** Takes the words of a phrase, upper or lower case, if they come next. */
export function accept(cursor: Cursor, phrase: string): boolean {
  const words = phrase.split(' ');
  const isNext = words.every((word, ahead) => {
    const token = peek(cursor, ahead);
    const comparable = token.kind === 'word' || token.kind === 'mark';
    return comparable && token.text.toLowerCase() === word.toLowerCase();
  });
  if (isNext) cursor.position += words.length;
  else missing(cursor, phrase);
  return isNext;
}

/** The first of the phrases that comes next, taken. */
export function acceptOne<T>(cursor: Cursor, phrases: Readonly<Record<string, T>>): T | undefined {
  for (const [phrase, meaning] of Object.entries(phrases)) if (accept(cursor, phrase)) return meaning;
  return undefined;
}

export function expect(cursor: Cursor, phrase: string): void {
  if (!accept(cursor, phrase)) fail();
}

/** Ends with what was expected at the farthest place. */
export function fail(): never {
  throw new Mismatch();
}

/** Ends with this expected at a position, whatever else was. */
export function reject(cursor: Cursor, position: number, expected: string): never {
  cursor.farthest = position;
  cursor.expected = new Set([expected]);
  return fail();
}

/** What the reader gives, or undefined with nothing taken. */
export function attempt<T>(cursor: Cursor, read: (cursor: Cursor) => T): T | undefined {
  const { position } = cursor;
  try {
    return read(cursor);
  } catch (error) {
    if (!(error instanceof Mismatch)) throw error;
    cursor.position = position;
    return undefined;
  }
}

/** Remembers that this could have stood here. */
export function missing(cursor: Cursor, expected: string): undefined {
  if (cursor.position > cursor.farthest) {
    cursor.farthest = cursor.position;
    cursor.expected.clear();
  }
  if (cursor.position === cursor.farthest) cursor.expected.add(expected);
  return undefined;
}

/** Reads the value of a field, and remembers where it was typed. */
export function readField(
  cursor: Cursor,
  object: Record<string, unknown>,
  field: string,
  read: (cursor: Cursor) => unknown,
): void {
  const { offset } = peek(cursor);
  object[field] = read(cursor);
  placed(cursor, object, field, offset);
}

/** Remembers where the value of a field was typed, so that what is wrong with it can be pointed at. */
export function placed<T extends object>(cursor: Cursor, object: T, field: string, offset: number): T {
  const fields = cursor.places.get(object) ?? new Map<string, number>();
  cursor.places.set(object, fields.set(field, offset));
  return object;
}
