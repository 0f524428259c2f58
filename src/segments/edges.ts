import type { Channel, Criterion, DateFilter, Leaf, PropertyFilter, TimeWindow } from './ast.ts';
import { EVENT_TIME } from './paths.ts';

/** Something that has an instant. `eventProperty`: a date inside of the events of a metric. */
export type TimeSource =
  | { of: 'event'; metric: string }
  | { of: 'eventProperty'; metric: string; path: string }
  | { of: 'attribute'; path: string }
  | { of: 'consent'; channel: Channel }
  | { of: 'prediction'; path: string };

/** An instant t of the source can flip the criterion at t + age, for each of the ages (milliseconds, ascending). */
export interface Crossing {
  source: TimeSource;
  ages: number[];
}

/**
 * All the ways in which time alone can flip a criterion. Age 0 of events, consents and predictions, at which those sent
 * ahead of their time begin to count, is not listed: it holds for every criterion.
 */
export interface TimeEdges {
  crossings: Crossing[];
  /** Whether it can flip at the beginning of any day on the account's calendar, besides. */
  midnights: boolean;
}

export function timeEdgesOf(criterion: Criterion): TimeEdges {
  switch (criterion.kind) {
    case 'event':
      return merged([
        windowEdges({ of: 'event', metric: criterion.metric }, criterion.within),
        ...criterion.where.map((filter) => whereEdges(criterion.metric, filter)),
      ]);
    case 'sequence': {
      const deadline = criterion.steps.at(-1)?.negate === true ? criterion.completeWithinMs : null;
      return merged(
        criterion.steps.flatMap(({ metric, where }) => [
          windowEdges({ of: 'event', metric }, criterion.within),
          edges({ of: 'event', metric }, deadline === null ? [] : [deadline]),
          ...where.map((filter) => whereEdges(metric, filter)),
        ]),
      );
    }
    case 'property':
      return criterion.filter.kind === 'date'
        ? merged([dateEdges({ of: 'attribute', path: criterion.path }, criterion.filter.date)])
        : NONE;
    case 'consent':
      return merged([windowEdges({ of: 'consent', channel: criterion.channel }, criterion.since)]);
    case 'trend':
      return edges({ of: 'prediction', path: criterion.path }, [criterion.withinMs]);
    case 'segment':
    case 'near':
    case 'sample':
      return NONE;
  }
}

/** Ages in milliseconds at which an event's own time can flip the leaf. Ascending. */
export function timeEdges(leaf: Leaf): number[] {
  if (leaf.kind === 'region' || leaf.kind === 'prediction') return [];
  const ages = timeEdgesOf(leaf).crossings.flatMap((crossing) =>
    crossing.source.of === 'event' ? crossing.ages : [],
  );
  return [...new Set(ages)].sort((a, b) => a - b);
}

const NONE: TimeEdges = { crossings: [], midnights: false };
const MIDNIGHTS: TimeEdges = { crossings: [], midnights: true };

function edges(source: TimeSource, ages: number[]): TimeEdges {
  return { crossings: [{ source, ages }], midnights: false };
}

function windowEdges(source: TimeSource, window: TimeWindow | null): TimeEdges {
  switch (window?.kind) {
    case 'last':
    case 'moreThanAgo':
      return edges(source, [window.ms]);
    case 'ago':
      return edges(
        source,
        [window.toMs, window.fromMs].filter((ms) => ms > 0),
      );
    case 'calendar':
      return MIDNIGHTS;
    case 'dates':
    case undefined:
      return NONE;
  }
}

function whereEdges(metric: string, { path, filter }: PropertyFilter): TimeEdges {
  if (filter.kind !== 'date') return NONE;
  if (path === EVENT_TIME) return dateEdges({ of: 'event', metric }, filter.date);
  return dateEdges({ of: 'eventProperty', metric, path }, filter.date);
}

/** A date can lie ahead: it flips `last` when it comes, and `next` when it comes near. Not so the time of an event. */
function dateEdges(source: TimeSource, filter: DateFilter): TimeEdges {
  switch (filter.op) {
    case 'within': {
      const { window } = filter;
      if (source.of === 'event') return windowEdges(source, window);
      if (window.kind === 'last') return edges(source, [0, window.ms]);
      if (window.kind === 'ago') return edges(source, [window.toMs, window.fromMs]);
      return windowEdges(source, window);
    }
    case 'next':
      return source.of === 'event' ? NONE : edges(source, [-filter.ms, 0]);
    case 'anniversary':
    case 'thisMonth':
      return MIDNIGHTS;
    case 'month':
      return NONE;
  }
}

/** One crossing per source, without those that cannot happen. */
function merged(parts: readonly TimeEdges[]): TimeEdges {
  const bySource = new Map<string, Crossing>();
  for (const { source, ages } of parts.flatMap(({ crossings }) => crossings)) {
    const name = JSON.stringify(source);
    const known = bySource.get(name)?.ages ?? [];
    bySource.set(name, { source, ages: [...new Set([...known, ...ages])].sort((a, b) => a - b) });
  }
  return {
    crossings: [...bySource.values()].filter(({ ages }) => ages.length > 0),
    midnights: parts.some(({ midnights }) => midnights),
  };
}
