/** Typed conditions as tokens. */

export interface Token {
  /** `mark`: one of ( ) , %. `date`: 2026-01-31 or 2026-01-31T12:00:00Z. `end`: behind the last one. */
  kind: 'word' | 'text' | 'number' | 'date' | 'mark' | 'end';
  /** As it was typed; of a quoted text, what it says. */
  text: string;
  /** UTF-16 units from the beginning. */
  offset: number;
}

export type Tokens = { ok: true; tokens: Token[] } | { ok: false; offset: number; problem: string };

const SPACE = /\s+/uy;
const DATE = /\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))?(?![\p{L}\p{N}_$:-])/uy;
const NUMBER = /-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\p{L}\p{N}_$-])/uy;
const WORD = /[\p{L}\p{N}_$][\p{L}\p{N}_$-]*(?:\.[\p{L}\p{N}_$-]+)*/uy;
const MARK = /[(),%]/uy;
/** A text of JSON: in double quotes, escapes begin with a backslash. */
const QUOTED = /"(?:[^"\\]|\\[\s\S])*"/uy;

/** Cuts a typed condition into tokens, the last of which is `end`. */
export function tokenize(query: string): Tokens {
  const tokens: Token[] = [];
  let offset = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset;
    return pattern.exec(query)?.[0];
  };
  while (offset < query.length) {
    const space = match(SPACE);
    if (space !== undefined) {
      offset += space.length;
      continue;
    }
    const quoted = match(QUOTED);
    if (quoted !== undefined) {
      const text = unquote(quoted);
      if (text === null) {
        const problem =
          'has an escape that JSON does not know; write \\" for a quote and \\\\ for a backslash';
        return { ok: false, offset, problem: `the text ${problem}` };
      }
      tokens.push({ kind: 'text', text, offset });
      offset += quoted.length;
      continue;
    }
    const found = (
      [
        ['date', DATE],
        ['number', NUMBER],
        ['word', WORD],
        ['mark', MARK],
      ] as const
    )
      .map(([kind, pattern]) => ({ kind, text: match(pattern) }))
      .find(({ text }) => text !== undefined);
    if (found?.text === undefined) return { ok: false, offset, problem: unexpected(query, offset) };
    tokens.push({ kind: found.kind, text: found.text, offset });
    offset += found.text.length;
  }
  return { ok: true, tokens: [...tokens, { kind: 'end', text: '', offset }] };
}

/** Line breaks and the like may stand in a quoted text as they are. */
function unquote(quoted: string): string | null {
  try {
    const escaped = [...quoted].map((character) =>
      character < ' ' ? JSON.stringify(character).slice(1, -1) : character,
    );
    return JSON.parse(escaped.join('')) as string;
  } catch {
    return null;
  }
}

function unexpected(query: string, offset: number): string {
  const character = String.fromCodePoint(query.codePointAt(offset) ?? 0);
  if (character === '"') return 'the text that begins here has no closing quote';
  if (character === "'" || character === '“' || character === '”') {
    return `texts stand in straight double quotes, as in "gold", not in ${character}`;
  }
  return `${JSON.stringify(character)} means nothing here`;
}
