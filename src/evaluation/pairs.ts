/**
 * Sequences of two steps of different metrics, over all profiles: the same truth as `sequences.ts` computes, in less
 * time. Each row is one step or the other. Without a length it is enough to know first and last times; with one, to look
 * at neighbours.
 */
import type { SequenceCriterion } from '../segments/ast.ts';
import { BLOCK, KEY_BITS, selectByMaxima, selectBySorted } from './blocks.ts';
import type { Parameters } from './parameters.ts';
import { EPOCH } from './sequences.ts';

/** A SELECT of `profile`, of those who satisfy the criterion, which is not another kind of sequence: else null. */
export function selectByPairs(
  { steps, completeWithinMs }: SequenceCriterion,
  metricOf: (name: string) => number,
  at: number,
  parameters: Parameters,
  rows: string,
): string | null {
  const [first, second] = steps;
  if (steps.length !== 2 || !first || !second || first.metric === second.metric) return null;
  const time = `(toUnixTimestamp64Milli(time) + ${EPOCH})`;
  if (completeWithinMs === null) {
    const isSecond = `(metric = ${parameters.add('UInt32', metricOf(second.metric))})`;
    if (second.negate) {
      return selectByMaxima(time, isSecond, ([a, b]) => `${a} > 0 AND ${a} >= ${b}`, rows);
    }
    // The greatest of negative times is of the first.
    if (first.negate) {
      const truth = ([a, b]: readonly string[]) => `${b} < 0 AND (${a} = 0 OR ${a} <= ${b})`;
      return selectByMaxima(`-${time}`, isSecond, truth, rows);
    }
    const value = `if(${isSecond}, ${time}, -${time})`;
    return selectByMaxima(value, isSecond, ([a, b]) => `${a} < 0 AND -${a} < ${b}`, rows);
  }
  if (first.negate) return null;
  // Those of the first step are odd, and so behind others of the same time.
  const isFirst = `(metric = ${parameters.add('UInt32', metricOf(first.metric))})`;
  const moment = `${time} * 2 + ${isFirst}`;
  // What belongs to another profile is further away than any length.
  const length = parameters.add('Int64', completeWithinMs * 2);
  if (!second.negate) {
    const chosen = `arrayFilter(
        (key, difference) -> bitAnd(key, 1) = 0 AND bitAnd(difference, 1) = 1 AND difference < ${length},
        keys, arrayDifference(keys))`;
    return selectBySorted(moment, chosen, rows);
  }
  const latest = parameters.add('Int64', (at - completeWithinMs + EPOCH) * 2 + 1);
  const nextSecond = `arrayPopBack(arrayReverseFill(
        key -> bitAnd(key, 1) = 0,
        arrayPushBack(keys, bitShiftLeft(toInt64(${BLOCK}), ${KEY_BITS}))))`;
  const chosen = `arrayFilter(
        (key, second) -> bitAnd(key, 1) = 1 AND second - key > ${length} AND bitAnd(key, ${2 ** KEY_BITS - 1}) <= ${latest},
        keys, ${nextSecond})`;
  return selectBySorted(moment, chosen, rows);
}
