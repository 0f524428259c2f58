import { RE2JS } from 're2js';
import { CLASSES } from './regex-classes.ts';

/**
 * RE2 as ClickHouse's `match` runs it: searched anywhere, the dot matching line breaks too. Measured against
 * ClickHouse 26.7: it refuses a compiled program past 8 MB, which classes such as \pL reach at about 400 repetitions,
 * and it does not know a few classes that re2js knows. Both are refused here, so that no query can fail later.
 */
const PROGRAM_STEPS = 2_000;
const PROGRAM_STEPS_WIDE = 250;
const WIDE = /[^\0-\x7f]|\\[pP]|\\x\{/;
/** Any escape, and the name in it if it is a class in braces. */
const ESCAPE = /\\(?:[pP]\{\^?([^}]*)\}|[\s\S])/g;

/** What is wrong with a regular expression, or null. */
export function regexProblem(pattern: string): string | null {
  let steps: number;
  try {
    steps = RE2JS.compile(pattern, RE2JS.DOTALL).programSize();
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace('(?s)', '') : 'it does not compile';
    return `is not a regular expression of RE2 (${reason}); look-around and back-references do not exist there`;
  }
  for (const [, name] of pattern.matchAll(ESCAPE)) {
    if (name !== undefined && !CLASSES.has(name)) {
      return `uses the class "${name}", which is not known; say for example \\p{L}, \\p{N} or \\p{Greek}`;
    }
  }
  if (steps > (WIDE.test(pattern) ? PROGRAM_STEPS_WIDE : PROGRAM_STEPS)) {
    return 'grows too large when its repetitions are unrolled; use smaller counts, or * and + instead';
  }
  return null;
}

/** A test of whether the expression is found anywhere in a text. The expression must be free of `regexProblem`. */
export function compileRegex(pattern: string): (text: string) => boolean {
  const compiled = RE2JS.compile(pattern, RE2JS.DOTALL);
  return (text) => compiled.test(text);
}
