/**
 * Sequences of two steps of different metrics, over all profiles: the same truth as `sequences.ts` computes, in less
 * time. Each row is one step or the other, and it is enough to look at neighbours; where one of them must not happen, and
 * there is no length, at the last event or the first.
 */
import type { SequenceCriterion } from '../segments/ast.ts';
import { KEY_BITS, selectByAggregates, selectBySorted } from './blocks.ts';
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
  // A row that is not of this step is of the other one.
  const isFirst = `(metric = ${parameters.add('UInt32', metricOf(first.metric))})`;
  // Those of the first step are odd, and so behind others of the same time.
  const moment = `toUnixTimestamp64Milli(time) * ${TICK} + (${EPOCH * TICK} + ${isFirst})`;
  if (!first.negate && !second.negate) {
    return selectBySorted(moment, followed(completeWithinMs, parameters), rows);
  }
  if (completeWithinMs !== null) {
    return first.negate ? null : selectBySorted(moment, alone(completeWithinMs, at, parameters), rows);
  }
  // Whether the last event, or the first one, is of the step that must happen: odd, and so the greater of the same time.
  const value = second.negate ? `${TIME} * 2 + ${isFirst}` : `${TIME} * -2 + (NOT ${isFirst})`;
  const isOdd = ([greatest = '0']: readonly string[]) => `bitAnd(${greatest}, 1) = 1`;
  return selectByAggregates([{ name: 'max', of: value }], isOdd, rows);
}

const TIME = `(toUnixTimestamp64Milli(time) + ${EPOCH})`;
/** A millisecond within a key: two bits are left, so that a difference says by itself which step follows which. */
const TICK = 4;
/**
 * The two lowest bits of a difference are 3 where a second follows a first, 1 where it is the other way round, and else 0.
 * Turned to the top they make it negative in the first of these cases alone: so low, plus the milliseconds less one.
 */
const TURNED = 2n ** 62n;
/** In milliseconds: no two events of a profile are so far apart, and those of different profiles are further. */
const FAR = 2n ** BigInt(KEY_BITS - 3);

/** Of `keys`, each second that comes after a first, and soon enough. */
function followed(completeWithinMs: number | null, parameters: Parameters): string {
  const within = completeWithinMs === null ? FAR : BigInt(completeWithinMs);
  const bound = parameters.add('Int64', (within - TURNED).toString());
  return `arrayFilter(
        (key, difference) -> bitRotateRight(difference, 2) < ${bound},
        keys, arrayDifference(keys))`;
}

/** Of `keys`, firsts whose time is up, and which no second has come after. */
function alone(completeWithinMs: number, at: number, parameters: Parameters): string {
  const length = parameters.add('Int64', completeWithinMs * TICK);
  const latest = parameters.add('Int64', (at - completeWithinMs + EPOCH) * TICK + 1);
  // Of firsts without a second in between, the earliest one is due and alone if any of them is: it is enough to look at
  // where the step or the profile changes.
  const runs = `arrayCompact(key -> bitAnd(key, ${1 - 2 ** KEY_BITS}), keys) AS runs`;
  // What belongs to another profile is further away than any length.
  const toNext = `arrayPopFront(arrayDifference(arrayPushBack(runs, runs[-1] + ${2 ** (KEY_BITS - 1)})))`;
  return `arrayFilter(
        (key, next) -> bitAnd(key, 1) = 1 AND next > ${length} AND bitAnd(key, ${2 ** KEY_BITS - 1}) <= ${latest},
        ${runs}, ${toNext})`;
}
