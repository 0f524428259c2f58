/** What of an account is foreseen: which edges are looked for, and where the news must be looked at for them. Pure. */
import { consentAttribute } from '../segments/paths.ts';
import { edgeName, type Edge } from './registry.ts';
import type { Slice } from './slice.ts';

/** What is looked for in an account. */
export interface Watch {
  timeZone: string;
  /** Those that have had an event, as far as the partition knew. */
  metrics: ReadonlySet<string>;
  /** As the registry gives them: others, once they change. */
  of: readonly Edge[];
  edges: ReadonlySet<string>;
  /** Of the times of events, by metric. */
  byMetric: ReadonlyMap<string, Edge[]>;
  /** Of dates, by attribute, or metric and property. */
  byDate: ReadonlyMap<string, Edge[]>;
  /** Attributes with edges of which the news do not say what they bring. */
  opaque: ReadonlySet<string>;
  /** False: of edges that are not of the times of events nothing is known any more. */
  knowsDates: boolean;
  /** Who has got events that the news do not name. */
  unknown: Set<number>;
}

export function watchOf({ metrics, timeZone, edges }: Slice): Watch {
  const byMetric = new Map<string, Edge[]>();
  const byDate = new Map<string, Edge[]>();
  const opaque = new Set<string>();
  for (const edge of edges) {
    const { source } = edge;
    if (source.of === 'event') listIn(byMetric, source.metric).push(edge);
    else if (source.of === 'attribute') listIn(byDate, source.path).push(edge);
    else if (source.of === 'eventProperty') listIn(byDate, `${source.metric}\n${source.path}`).push(edge);
    else opaque.add(source.of === 'consent' ? consentAttribute(source.channel) : source.path);
  }
  return {
    timeZone,
    metrics: new Set(metrics.keys()),
    of: edges,
    edges: new Set(edges.map(edgeName)),
    byMetric,
    byDate,
    opaque,
    knowsDates: true,
    unknown: new Set(),
  };
}

/** Nothing has come since. */
export function isCovered(watch: Watch, { edges, metrics }: Slice): boolean {
  return watch.of === edges && watch.metrics.size === metrics.size && watch.knowsDates;
}

/** A metric that is known since then may have had events before. */
export function knows(watch: Watch | undefined, { metrics }: Slice, edge: Edge): boolean {
  const { source } = edge;
  if (!watch?.edges.has(edgeName(edge))) return false;
  if ('metric' in source && !watch.metrics.has(source.metric) && metrics.has(source.metric)) return false;
  return source.of === 'event' || watch.knowsDates;
}

function listIn<Value>(map: Map<string, Value[]>, key: string): Value[] {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}
