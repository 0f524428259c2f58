/** The segments in force in one evaluator partition, and the inverted index: what a change can touch. */
import { effectOfEvent, type Effect } from '../segments/effect.ts';
import { timeEdgesOf, type TimeSource } from '../segments/edges.ts';
import { criteriaOf, normalise } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { readStored } from '../segments/stored.ts';
import { dependenciesOf } from '../segments/touch.ts';
import type { Criterion, NormalCondition } from '../segments/ast.ts';
import type { StoredDefinition } from '../storage/mysql/definitions.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';

export interface SegmentInForce {
  account: number;
  segment: number;
  version: number;
  condition: NormalCondition;
  criteria: Criterion[];
}

/** Segments can flip when something of the source has become `offset` milliseconds old (negative: has still so far). */
export interface Edge {
  source: TimeSource;
  offset: number;
}

export interface AccountIndex {
  segments: ReadonlyMap<number, SegmentInForce>;
  /** Segments that a change of a profile can touch, and which way. */
  touchedBy(change: ProfileChange): Iterable<[SegmentInForce, Effect]>;
  /** Segments in which an event of the metric is measured. */
  withMetric(metric: string): Iterable<SegmentInForce>;
  edges(): Edge[];
  withEdge(edge: Edge): Iterable<SegmentInForce>;
  /** Segments that can flip at the beginning of any day on the account's calendar. */
  withMidnights(): Iterable<SegmentInForce>;
}

export interface Registry {
  account(account: number): AccountIndex | undefined;
  accounts(): Iterable<[number, AccountIndex]>;
  get(segment: number): SegmentInForce | undefined;
  /** Brings a segment into force, in place of its former version. */
  put(segment: SegmentInForce): void;
  remove(segment: number): void;
}

/** Throws when the stored text is not a valid condition, which then was written by a newer version of Tidemark. */
export function compileDefinition(stored: StoredDefinition): SegmentInForce {
  const { account, segment, version } = stored;
  let condition: NormalCondition;
  try {
    condition = normalise(readStored(stored.definition));
  } catch (cause) {
    throw new Error(`segment ${segment} v${version} cannot be read by this version`, { cause });
  }
  return { account, segment, version, condition, criteria: criteriaOf(condition) };
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
  const byMetric = new Map<string, Map<SegmentInForce, Effect>>();
  const byAttribute = new Map<string, Set<SegmentInForce>>();
  const byEdge = new Map<string, { edge: Edge; segments: Set<SegmentInForce> }>();
  const midnights = new Set<SegmentInForce>();
  const nameOf = ({ source, offset }: Edge) => `${offset}:${JSON.stringify(source)}`;
  const edgesOf = (segment: SegmentInForce): Edge[] =>
    segment.criteria.flatMap((criterion) =>
      timeEdgesOf(criterion).crossings.flatMap(({ source, ages }) =>
        ages.map((offset) => ({ source, offset })),
      ),
    );
  return {
    segments: segments as ReadonlyMap<number, SegmentInForce>,
    add(segment: SegmentInForce) {
      segments.set(segment.segment, segment);
      const { metrics } = dependenciesOf(segment.condition);
      for (const metric of metrics) {
        const effects = byMetric.get(metric) ?? new Map<SegmentInForce, Effect>();
        byMetric.set(metric, effects.set(segment, effectOfEvent(segment.condition, metric)));
      }
      for (const attribute of attributesOf(segment)) addTo(byAttribute, attribute, segment);
      for (const edge of edgesOf(segment)) {
        const entry = byEdge.get(nameOf(edge)) ?? { edge, segments: new Set() };
        byEdge.set(nameOf(edge), entry);
        entry.segments.add(segment);
      }
      if (segment.criteria.some((criterion) => timeEdgesOf(criterion).midnights)) midnights.add(segment);
    },
    remove(id: number) {
      const segment = segments.get(id);
      if (!segment) return;
      segments.delete(id);
      midnights.delete(segment);
      const { metrics } = dependenciesOf(segment.condition);
      for (const metric of metrics) removeFrom(byMetric, metric, segment);
      for (const attribute of attributesOf(segment)) removeFrom(byAttribute, attribute, segment);
      for (const edge of edgesOf(segment)) {
        const entry = byEdge.get(nameOf(edge));
        entry?.segments.delete(segment);
        if (entry?.segments.size === 0) byEdge.delete(nameOf(edge));
      }
    },
    touchedBy(change: ProfileChange): Iterable<[SegmentInForce, Effect]> {
      if (change.whole || change.gone) {
        return [...segments.values()].map((segment): [SegmentInForce, Effect] => [segment, EITHER_WAY]);
      }
      const touched = new Map(change.metric === undefined ? [] : byMetric.get(change.metric));
      for (const attribute of change.attributes ?? []) {
        for (const segment of byAttribute.get(attribute) ?? []) touched.set(segment, EITHER_WAY);
      }
      return touched;
    },
    withMetric: (metric: string): Iterable<SegmentInForce> => byMetric.get(metric)?.keys() ?? [],
    edges: () => [...byEdge.values()].map(({ edge }) => edge),
    withEdge: (edge: Edge): Iterable<SegmentInForce> => byEdge.get(nameOf(edge))?.segments ?? [],
    withMidnights: (): Iterable<SegmentInForce> => midnights,
  };
}

/** Attributes as changes name them: paths, those of predictions too, and what stands for consents. */
function attributesOf({ condition }: SegmentInForce): string[] {
  const { attributes, predictions, consents } = dependenciesOf(condition);
  return [...new Set([...attributes, ...predictions]), ...[...consents].map(consentAttribute)];
}

function addTo(index: Map<string, Set<SegmentInForce>>, key: string, segment: SegmentInForce): void {
  const set = index.get(key) ?? new Set();
  index.set(key, set);
  set.add(segment);
}

function removeFrom(
  index: Map<string, Set<SegmentInForce> | Map<SegmentInForce, Effect>>,
  key: string,
  segment: SegmentInForce,
): void {
  const found = index.get(key);
  found?.delete(segment);
  if (found?.size === 0) index.delete(key);
}
