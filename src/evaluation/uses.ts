/** What conditions look at, more exactly than by metric. Pure. */
import type { Criterion, PropertyFilter, TextFilter, ValueFilter } from '../segments/ast.ts';
import { consentAttribute } from '../segments/paths.ts';
import { COORDINATES } from './near.ts';

export interface Uses {
  /** Names of metrics, and the properties of their events. */
  metrics: ReadonlyMap<string, ReadonlySet<string>>;
  /** Paths, and what stands for consents. */
  attributes: ReadonlySet<string>;
}

export function usesOf(criteria: Iterable<Criterion>): Uses {
  const metrics = new Map<string, Set<string>>();
  const attributes = new Set<string>();
  const use = (metric: string, where: readonly PropertyFilter[], path?: string) => {
    const paths = metrics.get(metric) ?? new Set();
    metrics.set(metric, paths);
    for (const filter of where) paths.add(filter.path);
    if (path !== undefined) paths.add(path);
  };
  for (const criterion of criteria) {
    switch (criterion.kind) {
      case 'event':
        use(
          criterion.metric,
          criterion.where,
          'path' in criterion.measure ? criterion.measure.path : undefined,
        );
        break;
      case 'sequence':
        for (const { metric, where } of criterion.steps) use(metric, where);
        break;
      case 'property':
        attributes.add(criterion.path);
        break;
      case 'near':
        for (const path of COORDINATES) attributes.add(path);
        break;
      case 'consent':
        attributes.add(consentAttribute(criterion.channel));
        break;
      case 'segment':
      case 'trend':
      case 'sample':
    }
  }
  return { metrics, attributes };
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
  return filter.kind !== 'list' || !('values' in filter.list) || filter.list.values.length <= MOST_TEXTS;
}

function isCheapText(filter: TextFilter): boolean {
  if ('values' in filter) return filter.values.length <= MOST_TEXTS;
  return filter.op !== 'matches' && filter.op !== 'notMatches';
}
