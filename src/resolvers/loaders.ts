/** Everything that the fields of many objects ask for one by one, read together. They live as long as one request. */
import DataLoader from 'dataloader';
import { announcedStored } from '../storage/announced.ts';
import {
  findEventsOfProfiles,
  listEventsOfProfiles,
  readLastEventTimes,
  readMetricStats,
  type EventPlace,
  type EventRow,
  type MetricStats,
} from '../storage/clickhouse/event-reads.ts';
import { countMembers } from '../storage/clickhouse/member-counts.ts';
import {
  readMetrics,
  readPropertyNames,
  type MetricRow,
  type PropertyNameRow,
} from '../storage/mysql/metric-reads.ts';
import { readAnonymousIds, readProfiles, type ProfileRow } from '../storage/mysql/profile-reads.ts';
import { readPopulated, readSegments, type SegmentRow } from '../storage/mysql/segment-reads.ts';
import type { Deps } from './deps.ts';

export interface EventPage {
  metric: number | null;
  after: EventPlace | null;
  limit: number;
}

/** An event that a membership change came from. */
export interface ChangeEvent extends EventPlace {
  profile: number;
  metric: number;
}

/** What is about to be asked for one after the other: the first question reads the answers to all of them. */
export interface Expected {
  profiles: readonly number[];
  segments: readonly number[];
  events: readonly ChangeEvent[];
}

export interface Loaders {
  /** Resolves when ClickHouse has all that the client can have been told of before it asked: to be awaited before reading. */
  stored(): Promise<void>;
  /** Null: there is no such profile. Merged ones are answered with the one they went into. */
  profile: DataLoader<number, ProfileRow | null>;
  anonymousIds: DataLoader<number, string[]>;
  lastEventAt: DataLoader<number, number | null>;
  changeEvent: DataLoader<ChangeEvent, EventRow | null, string>;
  metric: DataLoader<number, MetricRow | null>;
  metricStats: DataLoader<number, MetricStats | null>;
  /** Key 0: of profiles. */
  propertyNames: DataLoader<number, PropertyNameRow[]>;
  /** Deleted ones too. */
  segment: DataLoader<number, SegmentRow | null>;
  /** How many evaluator partitions have reached the segment's present version. */
  populated: DataLoader<number, number>;
  memberCount: DataLoader<number, number>;
  /** The same page of the events of several profiles. */
  eventsOfProfile(page: EventPage): DataLoader<number, EventRow[]>;
}

const NOTHING: Expected = { profiles: [], segments: [], events: [] };

export function createLoaders(
  { mysql, clickhouse, clock }: Deps,
  account: number,
  expected: Expected = NOTHING,
): Loaders {
  const pages = new Map<string, DataLoader<number, EventRow[]>>();
  let waiting: Promise<void> | null = null;
  const stored = () => (waiting ??= announcedStored(mysql, account));
  /** The same, of what lies in ClickHouse. */
  const storedByKey: typeof byKey = (read, absent) =>
    byKey(async (keys) => {
      await stored();
      return read(keys);
    }, absent);
  return {
    stored,
    profile: byKey((numbers) => readProfiles(mysql.db, account, numbers), null, expected.profiles),
    changeEvent: readAhead<ChangeEvent, string, EventRow | null>(
      async (events) => {
        await stored();
        return findEventsOfProfiles(clickhouse, account, events);
      },
      null,
      expected.events,
      ({ id }) => id,
    ),
    anonymousIds: byKey((numbers) => readAnonymousIds(mysql.db, account, numbers), []),
    lastEventAt: storedByKey(
      (numbers) => readLastEventTimes(clickhouse, account, numbers, clock.now()),
      null,
    ),
    metric: byKey((ids) => readMetrics(mysql.db, account, ids), null),
    metricStats: storedByKey((ids) => readMetricStats(clickhouse, account, ids), null),
    propertyNames: byKey(async (ids) => grouped(await readPropertyNames(mysql.db, account, ids)), []),
    segment: byKey((ids) => readSegments(mysql.db, account, ids), null, expected.segments),
    populated: byKey((ids) => readPopulated(mysql.db, account, ids), 0),
    memberCount: storedByKey((ids) => countMembers(clickhouse, account, ids), 0),
    eventsOfProfile(page) {
      const key = JSON.stringify(page);
      const known = pages.get(key);
      if (known) return known;
      const filter = { metric: page.metric, from: null, to: null };
      const loader = storedByKey<EventRow[]>(
        (numbers) => listEventsOfProfiles(clickhouse, account, numbers, filter, page.after, page.limit),
        [],
      );
      pages.set(key, loader);
      return loader;
    },
  };
}

function byKey<Value>(
  read: (keys: readonly number[]) => Promise<ReadonlyMap<number, Value>>,
  absent: Value,
  expected: readonly number[] = [],
): DataLoader<number, Value> {
  return readAhead<number, number, Value>(read, absent, expected, (key) => key);
}

function readAhead<Key, CacheKey, Value>(
  read: (keys: readonly Key[]) => Promise<ReadonlyMap<CacheKey, Value>>,
  absent: Value,
  expected: readonly Key[],
  cacheKeyFn: (key: Key) => CacheKey,
): DataLoader<Key, Value, CacheKey> {
  let ahead = expected;
  const loader: DataLoader<Key, Value, CacheKey> = new DataLoader(
    async (keys) => {
      const others = ahead;
      ahead = [];
      const found = await read([
        ...new Map([...keys, ...others].map((key) => [cacheKeyFn(key), key])).values(),
      ]);
      const valueOf = (key: Key) => found.get(cacheKeyFn(key)) ?? absent;
      for (const key of others) loader.prime(key, valueOf(key));
      return keys.map(valueOf);
    },
    { maxBatchSize: 1_000, cacheKeyFn },
  );
  return loader;
}

function grouped(rows: PropertyNameRow[]): Map<number, PropertyNameRow[]> {
  const byMetric = new Map<number, PropertyNameRow[]>();
  for (const row of rows) byMetric.set(row.metric, [...(byMetric.get(row.metric) ?? []), row]);
  return byMetric;
}
