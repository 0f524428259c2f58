/** Random sequences, and histories in which many a chain of events is nearly one. */
import { EVENT_TIME, randomDateFilter } from './dates.ts';
import type { Json } from './generate.ts';
import type { Random } from './random.ts';

export interface SequenceMakers {
  metric: () => string;
  where: () => Json;
  window: () => Json;
  /** A duration. */
  length: () => string;
}

/** A SequenceConditionInput, valid: for each letter of the pattern a step, "n" for a negated one. */
export function randomSequence(
  random: Random,
  { metric, where, window, length }: SequenceMakers,
  pattern: string = randomPattern(random),
  limited = random.chance(0.5),
): Json {
  return {
    steps: [...pattern].map((letter) => ({
      metric: metric(),
      ...(random.chance(0.15) && { where: [where()] }),
      ...(letter === 'n' ? { negate: true } : random.chance(0.1) && { negate: false }),
    })),
    ...(limited && { completeWithin: length() }),
    ...(random.chance(0.4) && { within: window() }),
  };
}

/** Of two to five steps. */
export function randomPattern(random: Random): string {
  const letters = Array.from({ length: random.pick([2, 2, 3, 3, 4, 5]) }, () =>
    random.chance(0.35) ? 'n' : 'y',
  );
  if (!letters.includes('y')) letters[random.between(0, letters.length - 1)] = 'y';
  return letters.join('');
}

/** Negated at the beginning, in between, at the end and not at all, several together too. */
const PATTERNS = [
  'yy',
  'ny',
  'yn',
  'yyy',
  'yny',
  'nyn',
  'yyn',
  'ynny',
  'nyyn',
  'ynyn',
  'yyyn',
  'yynyyn',
  'nyynyy',
];

/** A sequence of every kind, with a limit and without, in every kind of window. */
export function everySequence(random: Random, makers: SequenceMakers, windows: readonly Json[]): Json[] {
  const patterns = PATTERNS.flatMap((pattern) =>
    [true, false].map((limited) => randomSequence(random, makers, pattern, limited)),
  );
  const same = makers.metric();
  const repeated = {
    ...randomSequence(random, makers, 'yy', true),
    steps: [{ metric: same }, { metric: same }],
  };
  const dated = (path: string) => () => ({
    path,
    filter: { date: randomDateFilter(random, makers.window) },
  });
  const filtered = [makers.where, dated('due'), dated(EVENT_TIME)].map((where) => ({
    steps: [
      { metric: makers.metric(), where: [where()] },
      { metric: makers.metric(), negate: true },
    ],
  }));
  const within = windows.map((window) => ({ ...randomSequence(random, makers), within: window }));
  return [...patterns, repeated, ...filtered, ...within].map((sequence) => ({ sequence }));
}
