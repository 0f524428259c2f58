import type { Channel, Condition, Criterion } from './ast.ts';
import { criteriaOf, normalise } from './normalise.ts';

/** What a condition looks at: a change of nothing else can change its truth. */
export interface Dependencies {
  /** Names of metrics. */
  metrics: Set<string>;
  /** Paths of profile attributes: "email", "properties.plan". */
  attributes: Set<string>;
  consents: Set<Channel>;
  /** Ids of segments whose members it looks at. */
  segments: Set<string>;
  /** `predictionPath`s whose past values it looks at. */
  predictions: Set<string>;
}

export function dependenciesOf(condition: Condition): Dependencies {
  const found: Dependencies = {
    metrics: new Set(),
    attributes: new Set(),
    consents: new Set(),
    segments: new Set(),
    predictions: new Set(),
  };
  for (const criterion of criteriaOf(normalise(condition))) add(found, criterion);
  return found;
}

function add(found: Dependencies, criterion: Criterion): void {
  switch (criterion.kind) {
    case 'event':
    case 'sequence':
      for (const metric of metricsOf(criterion)) found.metrics.add(metric);
      return;
    case 'property':
      found.attributes.add(criterion.path);
      return;
    case 'consent':
      found.consents.add(criterion.channel);
      return;
    case 'segment':
      found.segments.add(criterion.id);
      return;
    case 'near':
      found.attributes.add('location.latitude').add('location.longitude');
      return;
    case 'trend':
      found.predictions.add(criterion.path);
      return;
    case 'sample':
  }
}

/** Names of the metrics of which it looks at the events. */
export function metricsOf(criterion: Criterion): string[] {
  if (criterion.kind === 'event') return [criterion.metric];
  return criterion.kind === 'sequence' ? criterion.steps.map(({ metric }) => metric) : [];
}

/**
 * A cycle among segments that refer to one another, as ids from one of them back to itself; null if there is none.
 * `conditions` are the definitions by id; ids without one refer to nothing.
 */
export function findCycle(conditions: ReadonlyMap<string, Condition>): string[] | null {
  const done = new Set<string>();
  const visit = (id: string, above: readonly string[]): string[] | null => {
    const start = above.indexOf(id);
    if (start >= 0) return [...above.slice(start), id];
    const condition = conditions.get(id);
    if (!condition || done.has(id)) return null;
    for (const next of dependenciesOf(condition).segments) {
      const cycle = visit(next, [...above, id]);
      if (cycle) return cycle;
    }
    done.add(id);
    return null;
  };
  for (const id of conditions.keys()) {
    const cycle = visit(id, []);
    if (cycle) return cycle;
  }
  return null;
}
