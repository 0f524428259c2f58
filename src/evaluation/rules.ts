/**
 * Counts of events as rows of data: what differs between them (metric, window, filter) travels in arrays beside one fixed
 * expression. ClickHouse takes as long to analyse twenty conditional counts as to compute them for a hundred profiles; of
 * these it analyses one. Criteria that differ only in how many they ask for share a count.
 */
import type { EventCriterion, NumberFilter, TimeWindow } from '../segments/ast.ts';
import { canonicalJson } from '../segments/canonical.ts';
import { periodAt, type Instant } from './calendars.ts';
import { compileEventFilters } from './compile.ts';
import type { Parameters } from './parameters.ts';

export interface Rules {
  /** Columns beside `profile`, `metric`, `t` (the time in milliseconds) and perhaps `instant` that `counts` needs. */
  columns: string;
  /** An aggregate over rows of events: an Array(UInt32). */
  counts: string;
  /** How long it is. */
  length: number;
  /** By criterion, in their order: whether it is true for a profile with these counts. */
  truths: readonly ((counts: readonly number[]) => boolean)[];
}

interface Counted {
  place: number;
  metric: number;
  filter: number;
  bounds: Record<string, number>;
}

/** Filters are bits of one number; the lowest stands for none. */
const MOST_FILTERS = 60;
/** Beyond every instant, and far enough from the limits of Int64 that differences fit. */
const FAR = 2 ** 60;

/** Splits criteria into those that are rules, and the others. */
export function splitRules(
  criteria: readonly EventCriterion[],
  instant: Instant,
): [EventCriterion[], EventCriterion[]] {
  const filters = new Set<string>();
  const rules: EventCriterion[] = [];
  const others: EventCriterion[] = [];
  for (const criterion of criteria) {
    const filter = canonicalJson(criterion.where);
    const fits = criterion.where.length === 0 || filters.has(filter) || filters.size < MOST_FILTERS;
    // What is not as long before every instant has no place in the arrays of several.
    const moves = 'among' in instant && dependsOnCalendar(criterion);
    if (criterion.measure.kind !== 'count' || !fits || moves) others.push(criterion);
    else {
      rules.push(criterion);
      if (criterion.where.length > 0) filters.add(filter);
    }
  }
  return [rules, others];
}

/** `metricOf`: the id of a metric, 0 when it has had no event. */
export function compileRules(
  criteria: readonly EventCriterion[],
  metricOf: (name: string) => number,
  instant: Instant,
  parameters: Parameters,
): Rules {
  const bits = new Map<string, string>();
  const bitOf = ({ where }: EventCriterion): number => {
    if (where.length === 0) return 0;
    const filter = canonicalJson(where);
    if (!bits.has(filter)) bits.set(filter, compileEventFilters(where, instant, parameters));
    return [...bits.keys()].indexOf(filter) + 1;
  };
  /** What is counted, by all that it depends on. */
  const counted = new Map<string, Counted>();
  const truths = criteria.map((criterion) => {
    const [metric, filter] = [metricOf(criterion.metric), bitOf(criterion)];
    const bounds = boundsAt(criterion.within, instant);
    const key = canonicalJson([metric, filter, bounds]);
    const { place } = counted.get(key) ?? { place: counted.size };
    counted.set(key, { place, metric, filter, bounds });
    const { least, most, outside } = intervalOf(criterion.is);
    return (counts: readonly number[]) => {
      const measured = counts[place] ?? 0;
      return (measured >= least && measured <= most) !== outside;
    };
  });
  const all = [...counted.values()];
  const list = (type: string, values: number[]) => parameters.add(`Array(${type})`, values);
  const names = Object.keys(boundsAt(null, instant));
  const isWithin =
    'among' in instant
      ? 't > greatest(after, instant - after_ago) AND t <= least(through, instant - through_ago)'
      : 't > after AND t <= through';
  const mask = ['1', ...[...bits.values()].map((sql, i) => `(${sql}) * ${2n ** BigInt(i + 1)}`)].join(' + ');
  const arrays = [
    list(
      'UInt32',
      all.map(({ metric }) => metric),
    ),
    list(
      'UInt8',
      all.map(({ filter }) => filter),
    ),
    ...names.map((name) =>
      list(
        'Int64',
        all.map(({ bounds }) => bounds[name] ?? 0),
      ),
    ),
  ];
  return {
    columns: `toUInt64(${mask}) AS mask`,
    counts: `CAST(sumForEach(arrayMap(
      (rule_metric, filter, ${names.join(', ')}) -> metric = rule_metric AND bitTest(mask, filter) AND ${isWithin},
      ${arrays.join(', ')})) AS Array(UInt32))`,
    length: all.length,
    truths,
  };
}

/** A window in numbers, by the names that they have in `compileRules`. */
function boundsAt(within: TimeWindow | null, instant: Instant): Record<string, number> {
  if ('at' in instant) {
    const { after, through } = timesOf(within, instant);
    return { after: after ?? -FAR, through };
  }
  const { after, through } = boundsOf(within, instant);
  return {
    after: after.at ?? -FAR,
    after_ago: after.ago ?? FAR,
    through: through.at ?? FAR,
    through_ago: through.ago ?? 0,
  };
}

function dependsOnCalendar({ within, where }: EventCriterion): boolean {
  return within?.kind === 'calendar' || where.some(({ filter }) => filter.kind === 'date');
}

/** An instant, and how long before the instant of evaluation; null: no such bound. */
interface Bound {
  at: number | null;
  ago: number | null;
}

/** The times of a window as they lie at an instant, `after < t <= through`; null: since ever. */
export function timesOf(
  window: TimeWindow | null,
  instant: { at: number; timeZone: string },
): { after: number | null; through: number } {
  const { after, through } = boundsOf(window, instant);
  const afters = [after.at, after.ago === null ? null : instant.at - after.ago].filter((at) => at !== null);
  return {
    after: afters.length === 0 ? null : Math.max(...afters),
    through: Math.min(through.at ?? Infinity, instant.at - (through.ago ?? 0)),
  };
}

/** A window as `after < t <= through`. Instants are whole milliseconds, so that `from <= t` is `from - 1 < t`. */
function boundsOf(window: TimeWindow | null, instant: Instant): { after: Bound; through: Bound } {
  const past: Bound = { at: null, ago: 0 };
  const ever: Bound = { at: null, ago: null };
  switch (window?.kind) {
    case undefined:
      return { after: ever, through: past };
    case 'last':
      return { after: { at: null, ago: window.ms }, through: past };
    case 'moreThanAgo':
      return { after: ever, through: { at: null, ago: window.ms } };
    case 'ago':
      return { after: { at: null, ago: window.fromMs }, through: { at: null, ago: window.toMs } };
    case 'dates':
      return {
        after: { at: window.from === null ? null : window.from - 1, ago: null },
        through: { at: window.to === null ? null : window.to - 1, ago: 0 },
      };
    case 'calendar': {
      if ('among' in instant) throw new Error('several instants have several periods');
      const { after, through } = periodAt(window, instant.at, instant.timeZone);
      return { after: { at: after, ago: null }, through: { at: through, ago: 0 } };
    }
  }
}

/** The whole numbers from 0 up that satisfy the filter: an interval, or all outside of it. */
function intervalOf(is: NumberFilter): { least: number; most: number; outside: boolean } {
  const most = Number.MAX_SAFE_INTEGER;
  const between = (from: number, to: number, outside = false) =>
    from > to || to < 0
      ? { least: 1, most: 0, outside }
      : { least: Math.max(0, from), most: Math.min(to, most), outside };
  switch (is.op) {
    case 'between':
      return between(Math.ceil(is.from), Math.floor(is.to));
    case 'equals':
    case 'notEquals':
      return between(Math.ceil(is.value), Math.floor(is.value), is.op === 'notEquals');
    case 'atLeast':
      return between(Math.ceil(is.value), most);
    case 'moreThan':
      return between(Math.floor(is.value) + 1, most);
    case 'atMost':
      return between(0, Math.floor(is.value));
    case 'lessThan':
      return between(0, Math.ceil(is.value) - 1);
  }
}
