/** What an event condition measures, as aggregates over rows of events; `src/segments/measures.ts` defines them. */
import type { EventCriterion } from '../segments/ast.ts';
import { LARGEST_SUMMAND, microUnits } from '../segments/numbers.ts';
import { EVENT_VALUE } from '../segments/paths.ts';
import { compareNumber } from './compare.ts';
import type { Parameters } from './parameters.ts';

/** Whether the measure over the rows for which `match` holds is what the criterion asks for. */
export function compileMeasure(
  { measure, is }: EventCriterion,
  timeZone: string,
  parameters: Parameters,
): (match: string) => string {
  const compare = (measured: string) =>
    compareNumber(measured, is, (value) => parameters.add('Float64', value));
  const micros = (value: number) => parameters.add('Int128', microUnits(value).toString());
  if (measure.kind === 'count') {
    return (match) => compare(match === 'true' ? 'count()' : `countIf(${match})`);
  }
  if (measure.kind === 'days') {
    const day = `toDate32(time, ${parameters.add('String', timeZone)})`;
    return (match) => compare(`uniqExactIf(${day}, ${match})`);
  }
  if (measure.kind === 'distinct') {
    const found = identities(measure.path, parameters);
    return (match) => compare(`uniqExactArrayIf(${found}, ${match})`);
  }
  const { value, isSet } = numberAt(measure.path, parameters);
  const isSummand = `${isSet} AND abs(${value}) <= ${LARGEST_SUMMAND}`;
  const sum = (match: string) => `sumIf(${micro(value)}, ${match} AND ${isSummand})`;
  switch (measure.kind) {
    case 'sum':
      return (match) => compareNumber(sum(match), is, micros);
    case 'average':
      // Multiplied instead of divided: exact. Bounds are at most 1e24 millionths, so that the product fits.
      return (match) => {
        const summands = `countIf(${match} AND ${isSummand})`;
        const compared = compareNumber(sum(match), is, (bound) => `${micros(bound)} * toInt128(${summands})`);
        return `(${summands} > 0 AND ${compared})`;
      };
    case 'min':
    case 'max':
      return (match) => {
        const measured = compare(`${measure.kind}If(${value}, ${match} AND ${isSet})`);
        return `(countIf(${match} AND ${isSet}) > 0 AND ${measured})`;
      };
  }
}

function numberAt(path: string, parameters: Parameters): { value: string; isSet: string } {
  if (path === EVENT_VALUE) return { value: 'assumeNotNull(value)', isSet: 'isNotNull(value)' };
  const key = parameters.add('String', path);
  return { value: `numbers[${key}]`, isSet: `mapContains(numbers, ${key})` };
}

/** Millionths, rounded half to even, so that sums of decimal amounts are exact (`microUnits` of the language). */
export function micro(value: string): string {
  return `toInt128(toInt64(round(${value} * 1e6)))`;
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
