/**
 * Sequences of two steps of different metrics, over all profiles: the same truth as `sequences.ts` computes, in less
 * time. Each row is one step or the other. Without a length it is enough to know first and last times; with one, to look
 * at neighbours.
 */
import type { SequenceCriterion } from '../segments/ast.ts';
import { KEY_BITS, selectByAggregates, selectByMaxima, selectBySorted } from './blocks.ts';
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
    // Whether the last event, or the first one, is of the step that must happen: odd, and so the greater of the same time.
    const isOdd = ([greatest = '0']: readonly string[]) => `bitAnd(${greatest}, 1) = 1`;
    const byGreatest = (value: string) => selectByAggregates([{ name: 'max', of: value }], isOdd, rows);
    if (second.negate) return byGreatest(`${time} * 2 + (NOT ${isSecond})`);
    if (first.negate) return byGreatest(`${time} * -2 + ${isSecond}`);
    // The greatest of negative times is of the first.
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
  // Of firsts without a second in between, the earliest one is due and alone if any of them is: it is enough to look at
  // where the step or the profile changes.
  const runs = `arrayPushFront(
        arrayFilter((key, difference) -> bitAnd(difference, 1) = 1 OR difference >= ${2 ** (KEY_BITS - 1)}, keys, arrayDifference(keys)),
        keys[1]) AS runs`;
  const toNext = `arrayPopFront(arrayDifference(arrayPushBack(runs, runs[-1] + ${2 ** (KEY_BITS - 1)})))`;
  const chosen = `arrayFilter(
        (key, next) -> bitAnd(key, 1) = 1 AND next > ${length} AND bitAnd(key, ${2 ** KEY_BITS - 1}) <= ${latest},
        ${runs}, ${toNext})`;
  return selectBySorted(moment, chosen, rows);
}
