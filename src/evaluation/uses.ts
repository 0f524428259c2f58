/** What conditions look at, more exactly than by metric. Pure. */
import type {
  CalendarPeriod,
  Criterion,
  EventCriterion,
  Leaf,
  PropertyFilter,
  SequenceCriterion,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from '../segments/ast.ts';
import { consentAttribute, EVENT_TIME, EVENT_VALUE } from '../segments/paths.ts';
import { periodAt } from './calendars.ts';
import { COORDINATES } from './near.ts';

export interface Uses {
  /** Names of metrics, and the properties of their events. */
  metrics: ReadonlyMap<string, ReadonlySet<string>>;
  /** Paths, and what stands for consents. */
  attributes: ReadonlySet<string>;
  /** How far back their windows go. */
  reach: Reach;
}

/** What begins first, of windows of each kind; null: there is one without a beginning. */
export type Reach = { ms: number; from: number; periods: ReadonlySet<CalendarPeriod> } | null;

/** Criteria that look at a profile's events and nothing else. */
export type HistoryCriterion = EventCriterion | SequenceCriterion;

export function looksAtEvents(criterion: Criterion): criterion is HistoryCriterion {
  return criterion.kind === 'event' || criterion.kind === 'sequence';
}

/** At a profile's attributes and consents, and nothing else. */
export function looksAtTraits(criterion: Criterion): boolean {
  return criterion.kind === 'property' || criterion.kind === 'near' || criterion.kind === 'consent';
}

/** The metrics that a leaf looks at, and the properties of their events. */
export function eventsUsedBy(leaf: Leaf): { metric: string; paths: string[] }[] {
  const pathsOf = (where: readonly PropertyFilter[]) => where.map(({ path }) => path);
  if (leaf.kind === 'sequence')
    return leaf.steps.map(({ metric, where }) => ({ metric, paths: pathsOf(where) }));
  if (leaf.kind !== 'event') return [];
  const measured = 'path' in leaf.measure ? [leaf.measure.path] : [];
  return [{ metric: leaf.metric, paths: [...pathsOf(leaf.where), ...measured] }];
}

export function usesOf(criteria: Iterable<Criterion>): Uses {
  const metrics = new Map<string, Set<string>>();
  const attributes = new Set<string>();
  const windows: (TimeWindow | null)[] = [];
  for (const criterion of criteria) {
    if (looksAtEvents(criterion)) windows.push(criterion.within);
    for (const { metric, paths } of eventsUsedBy(criterion)) {
      const known = metrics.get(metric) ?? new Set();
      metrics.set(metric, known);
      for (const path of paths) known.add(path);
    }
    if (criterion.kind === 'property') attributes.add(criterion.path);
    else if (criterion.kind === 'consent') attributes.add(consentAttribute(criterion.channel));
    else if (criterion.kind === 'near') for (const path of COORDINATES) attributes.add(path);
  }
  return { metrics, attributes, reach: reachOf(windows) };
}

/** Whether events are looked at more closely than what all of them have. */
export function looksAtProperties({ metrics }: Uses): boolean {
  return [...metrics.values()].some((paths) =>
    [...paths].some((path) => path !== EVENT_VALUE && path !== EVENT_TIME),
  );
}

function reachOf(windows: readonly (TimeWindow | null)[]): Reach {
  let [ms, from] = [0, Infinity];
  const periods = new Set<CalendarPeriod>();
  for (const window of windows) {
    if (window === null || window.kind === 'moreThanAgo') return null;
    if (window.kind === 'last') ms = Math.max(ms, window.ms);
    else if (window.kind === 'ago') ms = Math.max(ms, window.fromMs);
    else if (window.kind === 'calendar') periods.add(window.period);
    else if (window.from === null) return null;
    else from = Math.min(from, window.from);
  }
  return { ms, from, periods };
}

/** No event of this time or before counts at the instant or later; epoch milliseconds. Null: there is no such time. */
export function sinceOf({ reach }: Uses, instant: number, timeZone: string): number | null {
  if (reach === null) return null;
  const begun = [...reach.periods].map(
    (period) => periodAt({ kind: 'calendar', period }, instant, timeZone).after,
  );
  return Math.min(instant - reach.ms, reach.from - 1, ...begun);
}

const MOST_TEXTS = 100;

/** Whether its truth is soon decided in this process: no expression of the user's, no long list of texts. */
export function isCheap(criterion: Criterion): boolean {
  switch (criterion.kind) {
    case 'event':
      return criterion.where.every(({ filter }) => isCheapFilter(filter));
    case 'sequence':
      return criterion.steps.every(({ where }) => where.every(({ filter }) => isCheapFilter(filter)));
    case 'property':
      return isCheapFilter(criterion.filter);
    case 'consent':
      return criterion.source === null || isCheapText(criterion.source);
    case 'trend':
      // Past values are not kept.
      return false;
    case 'segment':
    case 'near':
    case 'sample':
      return true;
  }
}

function isCheapFilter(filter: ValueFilter): boolean {
  if (filter.kind === 'text') return isCheapText(filter.text);
  if (filter.kind !== 'list') return true;
  if ('text' in filter.list) return isCheapText(filter.list.text);
  return !('values' in filter.list) || filter.list.values.length <= MOST_TEXTS;
}

function isCheapText(filter: TextFilter): boolean {
  if ('values' in filter) return filter.values.length <= MOST_TEXTS;
  return filter.op !== 'matches' && filter.op !== 'notMatches';
}
