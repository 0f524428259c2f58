/**
 * Sequences of events, as ClickHouse computes them: an aggregate collects of each event its time and the steps that it
 * satisfies, as one number, and the truth is some passes over the sorted array of these, each of them linear.
 * `src/segments/sequences.ts` defines the meaning.
 *
 * Why passes suffice. Say that a start leads to an end if a chain of events joins them. Chains that cross can be swapped
 * at the crossing: where an earlier start leads to a later end than a later start does, both lead to both. So, as ends
 * go on, neither the earliest nor the latest start that leads to them ever goes back; and of the starts in between, all
 * that lead to any end lead to this one too. An array with these two per end says it all.
 */
import type { SequenceCriterion, SequenceStep } from '../segments/ast.ts';
import { canonicalJson } from '../segments/canonical.ts';
import { linksOf } from '../segments/sequences.ts';
import type { Instant } from './calendars.ts';
import { compileEventFilters, windowOf } from './compile.ts';
import type { Parameters } from './parameters.ts';

export interface CompiledSequence {
  /** Whether a row of the account's events satisfies a step. */
  match: string;
  /** Such a row as a number: its time, and which steps. */
  moment: string;
  /** Over a group of such rows: false only if the sequence is. Costs little. */
  isPossible: string;
  /** The truth over a group of rows, of which those for which `match` holds count, if first and last times are enough. */
  ofExtremes: ((match: string) => string) | null;
  /** The truth, of the array of the moments of a group in any order. */
  truthOf: (moments: string) => string;
}

/** What is left of the steps. Equal ones share a bit. */
interface Chain {
  /** The bits of the steps that must happen. */
  bits: number[];
  /** Before each of them and after the last: a mask of the bits of those that must not. */
  breaks: number[];
}

/** The lowest bits of a moment are steps, as many as a sequence can have; the others are the time. */
const STEPS = 10;
/** Added to times in milliseconds, which reach back to 1900: so that all are above zero. */
export const EPOCH = 2 ** 43;

/** `metricOf`: the id of a metric, 0 when it has had no event. */
export function compileSequence(
  { steps, within, completeWithinMs }: SequenceCriterion,
  metricOf: (name: string) => number,
  instant: Instant,
  parameters: Parameters,
): CompiledSequence {
  const kinds = new Map(
    steps.map(({ metric, where }) => [canonicalJson({ metric, where }), { metric, where }]),
  );
  const names = [...kinds.keys()];
  const bitOf = ({ metric, where }: SequenceStep) => names.indexOf(canonicalJson({ metric, where }));
  const maskOf = (some: readonly SequenceStep[]) =>
    [...new Set(some.map(bitOf))].reduce((mask, bit) => mask + 2 ** bit, 0);
  const { links, after } = linksOf(steps);
  const chain: Chain = {
    bits: links.map(({ step }) => bitOf(step)),
    breaks: [...links.map(({ unless }) => maskOf(unless)), maskOf(after)],
  };
  const satisfied = [...kinds.values()]
    .map(({ metric, where }, bit) => {
      const filters = where.length > 0 ? ` AND ${compileEventFilters(where, instant, parameters)}` : '';
      return `(metric = ${parameters.add('UInt32', metricOf(metric))}${filters}) * ${2 ** bit}`;
    })
    .join(' + ');
  // Of two, IN looks up every row in a table.
  const metrics = [...new Set(steps.map(({ metric }) => metricOf(metric)))].map(
    (metric) => `metric = ${parameters.add('UInt32', metric)}`,
  );
  const needed = maskOf(links.map(({ step }) => step));
  return {
    match: [
      `(${metrics.join(' OR ')})`,
      windowOf(within, instant, parameters),
      ...(steps.some(({ where }) => where.length > 0) ? [`${satisfied} > 0`] : []),
    ].join(' AND '),
    moment: `(toUnixTimestamp64Milli(time) + ${EPOCH}) * ${2 ** STEPS} + ${satisfied}`,
    ofExtremes: completeWithinMs === null ? ofExtremes(chain, satisfied) : null,
    isPossible: `bitAnd(groupBitOr(${satisfied}), ${needed}) = ${needed}`,
    // Names for what is needed more than once: the arguments of functions over arrays of one element.
    truthOf: (collected) => `arrayExists(
      moments -> ${truthOf(chain, completeWithinMs, instant, parameters)},
      arrayMap(sorted -> ${TOGETHER}, [arraySort(${collected})]))`,
  };
}

/** Without a limit: one step after another, or one and what must not be either before it or after it. */
function ofExtremes({ bits, breaks }: Chain, satisfied: string): ((match: string) => string) | null {
  const [first = 0, second, third] = bits;
  const forbidden = breaks.filter((mask) => mask !== 0);
  const extreme = (which: 'min' | 'max', mask: number, match: string) =>
    `${which}If(toUnixTimestamp64Milli(time) + ${EPOCH}, ${match} AND bitAnd(${satisfied}, ${mask}) != 0)`;
  // Without any such event they are 0.
  if (second !== undefined) {
    if (third !== undefined || forbidden.length > 0) return null;
    return (match) => {
      const from = extreme('min', 2 ** first, match);
      return `(${from} > 0 AND ${from} < ${extreme('max', 2 ** second, match)})`;
    };
  }
  const [before = 0, after = 0] = breaks;
  if (before !== 0 && after !== 0) return null;
  return (match) => {
    const [which, mask] = before !== 0 ? (['min', before] as const) : (['max', after] as const);
    const [here, there] = [extreme(which, 2 ** first, match), extreme(which, mask, match)];
    return before !== 0
      ? `(${here} > 0 AND (${there} = 0 OR ${here} <= ${there}))`
      : `(${here} > 0 AND ${here} >= ${there})`;
  };
}

/** Moments of the same time as one: they are not one after the other. */
const TOGETHER = `arrayMap(
  same -> arrayReduce('groupBitOr', same),
  arraySplit(
    (moment, difference) -> difference != 0,
    sorted,
    arrayDifference(arrayMap(moment -> ${timeOf('moment')}, sorted))))`;

/**
 * An expression over `moments`. Arrays beside it have a number per moment: above zero where there is an end (or a start),
 * -1 where what was there before is broken, and 0 where all is as it was.
 */
function truthOf(
  chain: Chain,
  completeWithinMs: number | null,
  instant: Instant,
  parameters: Parameters,
): string {
  const last = chain.bits.length;
  const latest = latestStarts(chain, last);
  const isForbidden = chain.breaks[last] !== 0;
  if (completeWithinMs === null) {
    return isForbidden
      ? `arrayLast(start -> start != 0, ${latest}) > 0`
      : `arrayExists(start -> start > 0, ${latest})`;
  }
  const length = parameters.add('Int64', completeWithinMs);
  if (!isForbidden) {
    return `arrayExists((moment, start) -> start > 0 AND ${timeOf('moment')} - start <= ${length}, moments, ${latest})`;
  }
  const present = 'at' in instant ? parameters.add('Int64', instant.at) : 'instant';
  const starts = `arrayFilter(
    (start, is_start, leads) -> is_start > 0 AND leads > 0 AND start + ${length} <= ${present} + ${EPOCH},
    arrayMap(moment -> ${timeOf('moment')}, moments), ${latestStarts(chain, 1)}, ${leading(chain, 1)})`;
  // Each start's deadline takes its place among the moments, behind those of the same time.
  const keys = `arrayConcat(
    arrayMap(moment -> ${timeOf('moment')} * 2, moments),
    arrayMap(start -> (start + ${length}) * 2 + 1, starts))`;
  const among = (array: string) =>
    filled(
      `arraySort((value, key) -> key, arrayConcat(${array}, arrayMap(start -> toInt64(0), starts)), keys)`,
    );
  return `arrayExists(
    (starts, latest, earliest) -> arrayExists(
      keys -> arrayExists(
        (key, to, from) -> key % 2 = 1 AND to > 0 AND intDiv(key, 2) - ${length} BETWEEN from AND to,
        arraySort(keys), ${among('latest')}, ${among('earliest')}),
      [${keys}]),
    [${starts}], [${latest}], [${earliestAlive(chain, last)}])`;
}

/** The latest start of the ends of the first `count` steps. */
function latestStarts(chain: Chain, count: number): string {
  const { bits, breaks } = chain;
  const broken = `bitAnd(moment, ${breaks[count]}) != 0`;
  const isStep = `bitTest(moment, ${bits[count - 1]})`;
  if (count > 1) {
    return `arrayMap((moment, start) -> multiIf(${isStep} AND start > 0, start, ${broken}, toInt64(-1), toInt64(0)),
      moments, ${before(latestStarts(chain, count - 1))})`;
  }
  const forbidden = `arrayMap(moment -> if(bitAnd(moment, ${breaks[0]}) != 0, toInt64(-1), toInt64(0)), moments)`;
  return `arrayMap((moment, forbidden) -> multiIf(${isStep} AND forbidden = 0, ${timeOf('moment')}, ${broken}, toInt64(-1), toInt64(0)),
    moments, ${before(forbidden)})`;
}

/** At each moment that breaks it, and at the first one: the earliest start of the ends of `count` steps from there on. */
function earliestAlive(chain: Chain, count: number): string {
  const earliest =
    count === 1
      ? latestStarts(chain, 1)
      : `arrayMap((latest, earliest) -> if(latest > 0, earliest, 0),
          ${latestStarts(chain, count)}, ${before(earliestAlive(chain, count - 1))})`;
  return `arrayMap((moment, number, next) -> if(number = 1 OR bitAnd(moment, ${chain.breaks[count]}) != 0, next, toInt64(0)),
    moments, arrayEnumerate(moments), arrayReverseFill(start -> start > 0, ${earliest}))`;
}

/** Where the step `first` happens and all after it follow: 1. */
function leading({ bits, breaks }: Chain, first: number): string {
  const isStep = `bitTest(moment, ${bits[first - 1]})`;
  const broken = `bitAnd(moment, ${breaks[first - 1]}) != 0`;
  if (first === bits.length) {
    return `arrayMap(moment -> multiIf(${isStep}, 1, ${broken}, -1, 0), moments)`;
  }
  const next = `arrayPopFront(arrayPushBack(arrayReverseFill(leads -> leads != 0, ${leading({ bits, breaks }, first + 1)}), 0))`;
  return `arrayMap((moment, leads) -> multiIf(${isStep} AND leads > 0, 1, ${broken}, -1, 0), moments, ${next})`;
}

/** How it stands just before each moment. */
function before(array: string): string {
  return `arrayPopBack(arrayPushFront(${filled(array)}, toInt64(0)))`;
}

function filled(array: string): string {
  return `arrayFill(value -> value != 0, ${array})`;
}

function timeOf(moment: string): string {
  return `bitShiftRight(${moment}, ${STEPS})`;
}
