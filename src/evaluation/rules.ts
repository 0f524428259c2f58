/**
 * Counts of events as rows of data: what differs between them (metric, window, filter, bounds) travels in arrays beside
 * one fixed expression. ClickHouse takes as long to analyse twenty conditional counts as to compute them for a hundred
 * profiles; of these it analyses one.
 */
import type { EventCriterion, NumberFilter, TimeWindow } from '../segments/ast.ts';
import { canonicalJson } from '../segments/canonical.ts';
import { periodAt, type Instant } from './calendars.ts';
import { compileEventFilters } from './compile.ts';
import type { Parameters } from './parameters.ts';

export interface Rules {
  /** Columns beside `profile`, `metric`, `t` (the time in milliseconds) and perhaps `instant` that `truths` needs. */
  columns: string;
  /** An aggregate over rows of events: a digit per criterion, in their order. */
  truths: string;
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
  const list = (type: string, values: number[]) => parameters.add(`Array(${type})`, values);
  const windows = criteria.map(({ within }) => boundsOf(within, instant));
  const intervals = criteria.map(({ is }) => intervalOf(is));
  const metric = list(
    'UInt32',
    criteria.map((criterion) => metricOf(criterion.metric)),
  );
  const filter = list('UInt8', criteria.map(bitOf));
  const isWithin =
    'among' in instant
      ? 't > greatest(after, instant - after_ago) AND t <= least(through, instant - through_ago)'
      : 't > after AND t <= through';
  const bounds: Record<string, number[]> =
    'among' in instant
      ? {
          after: windows.map(({ after }) => after.at ?? -FAR),
          after_ago: windows.map(({ after }) => after.ago ?? FAR),
          through: windows.map(({ through }) => through.at ?? FAR),
          through_ago: windows.map(({ through }) => through.ago ?? 0),
        }
      : {
          after: criteria.map(({ within }) => timesOf(within, instant).after ?? -FAR),
          through: criteria.map(({ within }) => timesOf(within, instant).through),
        };
  const mask = ['1', ...[...bits.values()].map((sql, i) => `(${sql}) * ${2n ** BigInt(i + 1)}`)].join(' + ');
  const counts = `sumForEach(arrayMap(
    (rule_metric, filter, ${Object.keys(bounds).join(', ')}) ->
      metric = rule_metric AND bitTest(mask, filter) AND ${isWithin},
    ${[metric, filter, ...Object.values(bounds).map((values) => list('Int64', values))].join(', ')}))`;
  return {
    columns: `toUInt64(${mask}) AS mask`,
    truths: `arrayStringConcat(arrayMap(
      (measured, least, most, outside) -> toString((measured >= least AND measured <= most) != outside),
      ${counts},
      ${list(
        'UInt64',
        intervals.map(({ least }) => least),
      )},
      ${list(
        'UInt64',
        intervals.map(({ most }) => most),
      )},
      ${list(
        'UInt8',
        intervals.map(({ outside }) => (outside ? 1 : 0)),
      )}))`,
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
