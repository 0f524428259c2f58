/** What conditions look at, more exactly than by metric. Pure. */
import type { Criterion, PropertyFilter } from '../segments/ast.ts';
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

/** Whether what is enough for `wanted` is there. */
export function covers(uses: Uses, wanted: Uses): boolean {
  const all = (set: ReadonlySet<string> | undefined, names: ReadonlySet<string>) =>
    set !== undefined && [...names].every((name) => set.has(name));
  return (
    all(uses.attributes, wanted.attributes) &&
    [...wanted.metrics].every(([metric, paths]) => all(uses.metrics.get(metric), paths))
  );
}
