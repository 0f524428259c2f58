/** What an event condition measures, as aggregates over rows of events; `src/segments/measures.ts` defines them. */
import type { EventCriterion, NumberFilter } from '../segments/ast.ts';
import { LARGEST_SUMMAND, microUnits } from '../segments/numbers.ts';
import { EVENT_VALUE } from '../segments/paths.ts';
import type { Aggregate } from './blocks.ts';
import { compareNumber } from './compare.ts';
import type { Parameters } from './parameters.ts';

export interface CompiledMeasure {
  /** Which of the rows that are looked at are measured: a condition, or null for all of them. */
  counted: string | null;
  /** Aggregates over these rows: a function, and its argument if it has one. Over no rows they are zero. */
  aggregates: Aggregate[];
  /** Whether their values are what the criterion asks for. */
  truth: (values: readonly string[]) => string;
}

export function compileMeasure(
  { measure, is }: EventCriterion,
  timeZone: string,
  parameters: Parameters,
): CompiledMeasure {
  const compare = (measured: string) =>
    compareNumber(measured, is, (value) => parameters.add('Float64', value));
  const micros = (value: number) => parameters.add('Int128', microUnits(value).toString());
  const count = { name: 'count', of: null };
  const ofOne = (name: string, of: string | null): CompiledMeasure => ({
    counted: null,
    aggregates: [{ name, of }],
    truth: ([value = '0']) => compare(value),
  });
  if (measure.kind === 'count') return ofOne('count', null);
  if (measure.kind === 'days') return ofOne('uniqExact', dayNumber(timeZone, parameters));
  if (measure.kind === 'distinct') return ofOne('uniqExactArray', identities(measure.path, parameters));
  const { value, isSet } = numberAt(measure.path, parameters);
  const { isSummand, summand } = summandsAt(measure.path, parameters);
  const sum = { name: 'sum', of: summand };
  switch (measure.kind) {
    case 'sum':
      return {
        counted: isSummand,
        aggregates: [sum],
        truth: ([total = '0']) => compareNumber(total, is, micros),
      };
    case 'average':
      return { counted: isSummand, ...average(value, is, parameters) };
    case 'min':
    case 'max':
      return {
        counted: isSet,
        aggregates: [{ name: measure.kind, of: value }, count],
        truth: ([extreme = '0', times = '0']) => `(${times} > 0 AND ${compare(extreme)})`,
      };
  }
}

/**
 * Exact, since nothing is divided. Beside how far the numbers lie from the bound in all, being strictly more or less than
 * it takes no count; the other comparisons do, for there to be an average at all.
 */
function average(
  value: string,
  is: NumberFilter,
  parameters: Parameters,
): Pick<CompiledMeasure, 'aggregates' | 'truth'> {
  const micros = (value: number) => parameters.add('Int128', microUnits(value).toString());
  if (is.op === 'moreThan' || is.op === 'lessThan') {
    // Each difference fits 64 bits, which are cheap to subtract: no number lies beyond the farthest of these bounds.
    const bound = clamped(microUnits(is.value), 2n * microUnits(LARGEST_SUMMAND));
    const distance = `${micro64(value)} - ${parameters.add('Int64', bound.toString())}`;
    return {
      aggregates: [{ name: 'sum', of: `toInt128(${distance})` }],
      truth: ([distance = '0']) => `${distance} ${is.op === 'moreThan' ? '>' : '<'} 0`,
    };
  }
  // Bounds are at most 1e24 millionths, so that the product fits.
  return {
    aggregates: [
      { name: 'sum', of: micro(value) },
      { name: 'count', of: null },
    ],
    truth: ([total = '0', times = '0']) =>
      `(${times} > 0 AND ${compareNumber(total, is, (bound) => `${micros(bound)} * toInt128(${times})`)})`,
  };
}

/** What makes one row enough: the most is more than this if one is, and the least less. Null: no single row decides. */
export function decidingRow({ measure, is }: EventCriterion, parameters: Parameters): string | null {
  const isDecided =
    (measure.kind === 'max' && (is.op === 'atLeast' || is.op === 'moreThan')) ||
    (measure.kind === 'min' && (is.op === 'atMost' || is.op === 'lessThan'));
  if (!isDecided) return null;
  const { value, isSet } = numberAt(measure.path, parameters);
  return `${isSet} AND ${compareNumber(value, is, (bound) => parameters.add('Float64', bound))}`;
}

/** With how many events the criterion becomes true, whatever they say, and stays it; null: it is not of that kind. */
export function leastCount({ measure, is }: EventCriterion): number | null {
  return measure.kind === 'count' && (is.op === 'atLeast' || is.op === 'moreThan') ? enoughFor(is) : null;
}

/** The least number of times with which the filter is as true as with any more. */
export function enoughFor(is: NumberFilter): number {
  if (is.op === 'between') return Math.floor(is.to) + 1;
  return is.op === 'atLeast' || is.op === 'lessThan' ? Math.ceil(is.value) : Math.floor(is.value) + 1;
}

/** The day of an event on the account's calendar, as a number. */
export function dayNumber(timeZone: string, parameters: Parameters): string {
  return `toInt32(toDate32(time, ${parameters.add('String', timeZone)}))`;
}

/** What a sum adds up of a row, in millionths as an Int128; and whether the row has it. */
export function summandsAt(path: string, parameters: Parameters): { isSummand: string; summand: string } {
  const { value, isSet } = numberAt(path, parameters);
  return { isSummand: `${isSet} AND abs(${value}) <= ${LARGEST_SUMMAND}`, summand: micro(value) };
}

function numberAt(path: string, parameters: Parameters): { value: string; isSet: string } {
  if (path === EVENT_VALUE) return { value: 'assumeNotNull(value)', isSet: 'isNotNull(value)' };
  const key = parameters.add('String', path);
  return { value: `numbers[${key}]`, isSet: `mapContains(numbers, ${key})` };
}

/** Millionths, rounded half to even, so that sums of decimal amounts are exact (`microUnits` of the language). */
export function micro(value: string): string {
  return `toInt128(${micro64(value)})`;
}

/** One of them; not for sums, which take more bits. */
function micro64(value: string): string {
  return `toInt64(round(${value} * 1e6))`;
}

function clamped(value: bigint, farthest: bigint): bigint {
  if (value > farthest) return farthest;
  return value < -farthest ? -farthest : value;
}

/** The different values of a row as an array of texts, of which the first letter is the type: "5" and 5 are two. */
function identities(path: string, parameters: Parameters): string {
  if (path === EVENT_VALUE) return `if(isNull(value), [], [toString(assumeNotNull(value))])`;
  const key = parameters.add('String', path);
  const one = (map: string, letter: string) =>
    `if(mapContains(${map}, ${key}), [concat('${letter}', toString(${map}[${key}]))], [])`;
  return `arrayConcat(
    arrayMap(element -> concat('t', element), lists[${key}]),
    ${one('texts', 't')}, ${one('numbers', 'n')}, ${one('booleans', 'b')})`;
}

/**
 * The same for millions of rows: hashes in the place of texts, by the types that a property can have. A row has it in one
 * of them, and each is read for itself: of the others there is nothing to be read but names.
 */
export function hashedIdentities(path: string, parameters: Parameters): { isSet: string; hash: string }[] {
  if (path === EVENT_VALUE) return [{ isSet: 'isNotNull(value)', hash: 'sipHash64(assumeNotNull(value))' }];
  const key = parameters.add('String', path);
  const of = (map: string, hash: string) => ({ isSet: `mapContains(${map}, ${key})`, hash });
  return [
    of('texts', `sipHash64(texts[${key}])`),
    of('lists', `arrayJoin(arrayMap(element -> sipHash64(element), lists[${key}]))`),
    // The bits of a number can be those of a text.
    of('numbers', `bitNot(sipHash64(numbers[${key}]))`),
    of('booleans', `toUInt64(booleans[${key}])`),
  ];
}
