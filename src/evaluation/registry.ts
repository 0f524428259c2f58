/** The segments in force in one evaluator partition, and the inverted index: what a change can touch. */
import { effectOfEvent, type Effect } from '../segments/effect.ts';
import { timeEdgesOf, type TimeSource } from '../segments/edges.ts';
import { criteriaOf } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { dependenciesOf } from '../segments/touch.ts';
import type { Criterion, NormalCondition } from '../segments/ast.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';

export interface SegmentInForce {
  account: number;
  segment: number;
  version: number;
  /** As it was said: with conditions on the membership of other segments. */
  own: NormalCondition;
  /** Those segments. */
  references: ReadonlySet<number>;
  /** The same, written out: what is evaluated. */
  condition: NormalCondition;
  criteria: Criterion[];
}

/** Segments can flip when something of the source has become `offset` milliseconds old (negative: has still so far). */
export interface Edge {
  source: TimeSource;
  offset: number;
}

export function edgeName({ source, offset }: Edge): string {
  return `${offset}:${JSON.stringify(source)}`;
}

/** How something reaches a segment. */
export interface Touch extends Effect {
  /** Not only through other segments that it refers to. */
  direct: boolean;
}

export interface AccountIndex {
  segments: ReadonlyMap<number, SegmentInForce>;
  /** Segments that a change of a profile can touch, and how. */
  touchedBy(change: ProfileChange): Iterable<[SegmentInForce, Touch]>;
  /** Segments in which an event of the metric is measured; with each, whether directly. Of the next two alike. */
  withMetric(metric: string): Iterable<[SegmentInForce, boolean]>;
  /** The same list until a segment comes or goes. */
  edges(): readonly Edge[];
  withEdge(edge: Edge): Iterable<[SegmentInForce, boolean]>;
  /** Segments that can flip at the beginning of any day on the account's calendar. */
  withMidnights(): Iterable<[SegmentInForce, boolean]>;
}

export interface Registry {
  account(account: number): AccountIndex | undefined;
  accounts(): Iterable<[number, AccountIndex]>;
  get(segment: number): SegmentInForce | undefined;
  /** Brings a segment into force, in place of its former version. */
  put(segment: SegmentInForce): void;
  remove(segment: number): void;
}

export function createRegistry(): Registry {
  const accounts = new Map<number, ReturnType<typeof createIndex>>();
  const owners = new Map<number, number>();
  const remove = (segment: number) => {
    const account = owners.get(segment);
    if (account === undefined) return;
    owners.delete(segment);
    const index = accounts.get(account);
    index?.remove(segment);
    if (index?.segments.size === 0) accounts.delete(account);
  };
  return {
    account: (account) => accounts.get(account),
    accounts: () => accounts,
    get: (segment) => accounts.get(owners.get(segment) ?? -1)?.segments.get(segment),
    put(segment) {
      remove(segment.segment);
      owners.set(segment.segment, segment.account);
      const index = accounts.get(segment.account) ?? createIndex();
      accounts.set(segment.account, index);
      index.add(segment);
    },
    remove,
  };
}

const EITHER_WAY: Effect = { canBecomeTrue: true, canBecomeFalse: true };

function createIndex() {
  const segments = new Map<number, SegmentInForce>();
  const byMetric = new Map<string, Map<SegmentInForce, Touch>>();
  const byAttribute = new Map<string, Map<SegmentInForce, boolean>>();
  const byEdge = new Map<string, Map<SegmentInForce, boolean>>();
  const edges = new Map<string, Edge>();
  const midnights = new Map<SegmentInForce, boolean>();
  let listed: readonly Edge[] | null = null;
  return {
    segments: segments as ReadonlyMap<number, SegmentInForce>,
    add(segment: SegmentInForce) {
      listed = null;
      segments.set(segment.segment, segment);
      const { condition } = segment;
      const all = lookedAt(condition);
      const own = segment.references.size === 0 ? all : lookedAt(segment.own);
      for (const metric of all.metrics) {
        const touch = { ...effectOfEvent(condition, metric), direct: own.metrics.has(metric) };
        addTo(byMetric, metric, segment, touch);
      }
      for (const attribute of all.attributes)
        addTo(byAttribute, attribute, segment, own.attributes.has(attribute));
      const ownEdges = new Set(own.edges.map(edgeName));
      for (const edge of all.edges) {
        const name = edgeName(edge);
        edges.set(name, edge);
        addTo(byEdge, name, segment, ownEdges.has(name));
      }
      if (all.midnights) midnights.set(segment, own.midnights);
    },
    remove(id: number) {
      const segment = segments.get(id);
      if (!segment) return;
      listed = null;
      segments.delete(id);
      midnights.delete(segment);
      const all = lookedAt(segment.condition);
      for (const metric of all.metrics) removeFrom(byMetric, metric, segment);
      for (const attribute of all.attributes) removeFrom(byAttribute, attribute, segment);
      for (const name of all.edges.map(edgeName)) {
        removeFrom(byEdge, name, segment);
        if (!byEdge.has(name)) edges.delete(name);
      }
    },
    touchedBy(change: ProfileChange): Iterable<[SegmentInForce, Touch]> {
      if (change.whole || change.gone) {
        return [...segments.values()].map((segment) => [segment, { ...EITHER_WAY, direct: true }]);
      }
      const touched = new Map(change.metric === undefined ? [] : byMetric.get(change.metric));
      for (const attribute of change.attributes ?? []) {
        for (const [segment, direct] of byAttribute.get(attribute) ?? []) {
          const before = touched.get(segment)?.direct ?? false;
          touched.set(segment, { ...EITHER_WAY, direct: direct || before });
        }
      }
      return touched;
    },
    *withMetric(metric: string): Iterable<[SegmentInForce, boolean]> {
      for (const [segment, { direct }] of byMetric.get(metric) ?? []) yield [segment, direct];
    },
    edges: () => (listed ??= [...edges.values()]),
    withEdge: (edge: Edge): Iterable<[SegmentInForce, boolean]> => byEdge.get(edgeName(edge)) ?? [],
    withMidnights: (): Iterable<[SegmentInForce, boolean]> => midnights,
  };
}

/** Partitions of a process share conditions. */
const known = new WeakMap<NormalCondition, LookedAt>();

/** What a condition depends on. Attributes as changes name them: paths, those of predictions too, and consents. */
export interface LookedAt {
  metrics: ReadonlySet<string>;
  attributes: ReadonlySet<string>;
  edges: readonly Edge[];
  midnights: boolean;
}

export function lookedAt(condition: NormalCondition): LookedAt {
  const found = known.get(condition) ?? lookAt(condition);
  known.set(condition, found);
  return found;
}

function lookAt(condition: NormalCondition): LookedAt {
  const { metrics, attributes, predictions, consents } = dependenciesOf(condition);
  const times = criteriaOf(condition).map(timeEdgesOf);
  return {
    metrics,
    attributes: new Set([...attributes, ...predictions, ...[...consents].map(consentAttribute)]),
    edges: times.flatMap(({ crossings }) =>
      crossings.flatMap(({ source, ages }) => ages.map((offset): Edge => ({ source, offset }))),
    ),
    midnights: times.some((edges) => edges.midnights),
  };
}

function addTo<V>(
  index: Map<string, Map<SegmentInForce, V>>,
  key: string,
  segment: SegmentInForce,
  value: V,
): void {
  const map = index.get(key) ?? new Map<SegmentInForce, V>();
  index.set(key, map.set(segment, value));
}

function removeFrom<V>(
  index: Map<string, Map<SegmentInForce, V>>,
  key: string,
  segment: SegmentInForce,
): void {
  const found = index.get(key);
  found?.delete(segment);
  if (found?.size === 0) index.delete(key);
}
