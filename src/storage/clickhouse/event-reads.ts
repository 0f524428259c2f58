/** Reading events, newest first, and counting what an account has. Instants are epoch milliseconds. */
import { query, queryEach, type ClickHouse, type Parameter } from './connect.ts';

export interface EventRow {
  id: string;
  metric: number;
  profile: number;
  time: number;
  uniqueId: string;
  value: number | null;
  /** Empty when none was given. */
  currency: string;
  /** A JSON object. */
  properties: string;
}

/** The place of an event in a list. */
export interface EventPlace {
  time: number;
  id: string;
}

export interface EventFilter {
  metric: number | null;
  /** from <= time < to */
  from: number | null;
  to: number | null;
}

const COLUMNS = `id, metric, profile, toUnixTimestamp64Milli(time) AS at, unique_id, value, currency, properties`;

interface RawEvent {
  id: string;
  metric: number;
  profile: number;
  at: string;
  unique_id: string;
  value: number | null;
  currency: string;
  properties: string;
}

const DAY_MS = 86_400_000;
/** The first slices of time in which the newest events are looked for, before all of time. */
const SLICES_MS = [DAY_MS, 31 * DAY_MS, 366 * DAY_MS];
/** What DateTime64 can hold: bounds outside are as good as none. */
const EARLIEST = Date.UTC(1900, 0, 2);
const LATEST = Date.UTC(2299, 0, 1);

/**
 * The account's events, newest first, each of them once, however often a merge has copied it. Months are partitions:
 * looking at the newest slices of time first spares reading all of them.
 */
export async function listEvents(
  clickhouse: ClickHouse,
  account: number,
  filter: EventFilter,
  after: EventPlace | null,
  limit: number,
  now: number,
): Promise<EventRow[]> {
  const newest = Math.min(filter.to ?? now, after?.time ?? now, now);
  for (const slice of [...SLICES_MS, null]) {
    const earliest = slice === null ? null : newest - slice;
    const from = earliest === null ? filter.from : Math.max(earliest, filter.from ?? earliest);
    const { where, parameters } = conditions({ ...filter, from }, after);
    const rows = await query<RawEvent>(
      clickhouse,
      `SELECT ${COLUMNS} FROM events
       WHERE account = {account:UInt32} AND NOT copied ${where}
       ORDER BY time DESC, id DESC LIMIT {limit:UInt32}`,
      { account, limit, ...parameters },
    );
    if (rows.length === limit || from === filter.from) return rows.map(toEvent);
  }
  return [];
}

/** The newest events of each profile, at most `limit` of each; profiles without events are absent. */
export async function listEventsOfProfiles(
  clickhouse: ClickHouse,
  account: number,
  profiles: readonly number[],
  filter: EventFilter,
  after: EventPlace | null,
  limit: number,
): Promise<Map<number, EventRow[]>> {
  const { where, parameters } = conditions(filter, after);
  const rows = await query<RawEvent>(
    clickhouse,
    `SELECT ${COLUMNS} FROM events_by_profile
     WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)} ${where}
     ORDER BY profile, time DESC, id DESC LIMIT {limit:UInt32} BY profile`,
    { account, profiles: [...profiles], limit, ...parameters },
  );
  const found = new Map<number, EventRow[]>();
  for (const row of rows) {
    const list = found.get(row.profile) ?? [];
    list.push(toEvent(row));
    found.set(row.profile, list);
  }
  return found;
}

/** How many events there are; those of one profile, or of the account. */
export async function countEvents(
  clickhouse: ClickHouse,
  account: number,
  filter: EventFilter,
  profile: number | null,
): Promise<number> {
  const { where, parameters } = conditions(filter, null);
  const source =
    profile === null
      ? 'events WHERE NOT copied AND account = {account:UInt32}'
      : 'events_by_profile WHERE account = {account:UInt32} AND profile = {profile:UInt32}';
  const rows = await query<{ events: string }>(
    clickhouse,
    `SELECT count() AS events FROM ${source} ${where}`,
    {
      account,
      ...(profile === null ? {} : { profile }),
      ...parameters,
    },
  );
  return Number(rows[0]?.events ?? 0);
}

/** One event by its metric, time and id. The time-ordered projection says which profiles to look at. */
export async function findEvent(
  clickhouse: ClickHouse,
  account: number,
  metric: number,
  place: EventPlace,
): Promise<EventRow | null> {
  if (place.time < EARLIEST || place.time > LATEST) return null;
  const at = `account = {account:UInt32} AND metric = {metric:UInt32}
    AND time = fromUnixTimestamp64Milli({time:Int64}, 'UTC')`;
  const rows = await query<RawEvent>(
    clickhouse,
    `SELECT ${COLUMNS} FROM events
     WHERE ${at} AND profile IN (SELECT profile FROM events WHERE ${at}) AND id = {id:UUID}
     ORDER BY copied LIMIT 1`,
    { account, metric, time: place.time, id: place.id },
  );
  return rows[0] ? toEvent(rows[0]) : null;
}

/** Events of known profiles, by their ids: a few granules in the order of the profile. */
export async function findEventsOfProfiles(
  clickhouse: ClickHouse,
  account: number,
  places: readonly (EventPlace & { profile: number; metric: number })[],
): Promise<Map<string, EventRow>> {
  const unique = <T>(values: T[]) => [...new Set(values)];
  const times = unique(places.map(({ time }) => time));
  const rows = await query<RawEvent>(
    clickhouse,
    `SELECT ${COLUMNS} FROM events_by_profile
     WHERE account = {account:UInt32}
       AND profile IN {profiles:Array(UInt32)}
       AND metric IN {metrics:Array(UInt32)}
       AND time BETWEEN fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND fromUnixTimestamp64Milli({to:Int64}, 'UTC')
       AND toUnixTimestamp64Milli(time) IN {times:Array(Int64)}
       AND id IN {ids:Array(UUID)}`,
    {
      account,
      profiles: unique(places.map(({ profile }) => profile)),
      metrics: unique(places.map(({ metric }) => metric)),
      // What need not be looked at: the list of instants does not tell.
      from: Math.min(...times),
      to: Math.max(...times),
      times,
      ids: unique(places.map(({ id }) => id)),
    },
  );
  return new Map(rows.map((row) => [row.id, toEvent(row)]));
}

/** When each profile's last event was, among those whose time has come; profiles without any are absent. */
export async function readLastEventTimes(
  clickhouse: ClickHouse,
  account: number,
  profiles: readonly number[],
  now: number,
): Promise<Map<number, number>> {
  const rows = await query<{ profile: number; last: string }>(
    clickhouse,
    `SELECT profile, toUnixTimestamp64Milli(max(time)) AS last FROM events_by_profile
     WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
       AND time <= fromUnixTimestamp64Milli({now:Int64}, 'UTC')
     GROUP BY profile`,
    { account, profiles: [...profiles], now },
  );
  return new Map(rows.map((row) => [row.profile, Number(row.last)]));
}

export interface MetricStats {
  events: number;
  lastSeenAt: number;
}

/** Of these metrics; those without events are absent. */
export async function readMetricStats(
  clickhouse: ClickHouse,
  account: number,
  metrics: readonly number[],
): Promise<Map<number, MetricStats>> {
  const rows = await query<{ metric: number; events: string; last: string }>(
    clickhouse,
    `SELECT metric, countIf(NOT copied) AS events, toUnixTimestamp64Milli(max(arrived_at)) AS last FROM events
     WHERE account = {account:UInt32} AND metric IN {metrics:Array(UInt32)}
     GROUP BY metric`,
    { account, metrics: [...metrics] },
  );
  return new Map(
    rows.map((row) => [row.metric, { events: Number(row.events), lastSeenAt: Number(row.last) }]),
  );
}

/** How many profiles the account has, those that were merged into others not counted. */
export async function countProfiles(clickhouse: ClickHouse, account: number): Promise<number> {
  const rows = await queryEach<{ profiles: string }>(
    clickhouse,
    `SELECT countIf(alive) AS profiles FROM (
       SELECT argMax(alive, revision) AS alive FROM profiles WHERE account = {account:UInt32} GROUP BY profile
     )`,
    { account },
  );
  return rows.reduce((sum, { profiles }) => sum + Number(profiles), 0);
}

function conditions(
  { metric, from, to }: EventFilter,
  after: EventPlace | null,
): { where: string; parameters: Record<string, Parameter> } {
  let where = '';
  const parameters: Record<string, Parameter> = {};
  if (metric !== null) {
    where += ' AND metric = {metric:UInt32}';
    parameters.metric = metric;
  }
  if (from !== null) {
    where += ` AND time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')`;
    parameters.from = clamp(from);
  }
  if (to !== null) {
    where += ` AND time < fromUnixTimestamp64Milli({to:Int64}, 'UTC')`;
    parameters.to = clamp(to);
  }
  if (after !== null) {
    where += ` AND (time < fromUnixTimestamp64Milli({after:Int64}, 'UTC')
      OR (time = fromUnixTimestamp64Milli({after:Int64}, 'UTC') AND id < {afterId:UUID}))`;
    parameters.after = clamp(after.time);
    parameters.afterId = after.id;
  }
  return { where, parameters };
}

function clamp(instant: number): number {
  return Math.min(Math.max(instant, EARLIEST), LATEST);
}

function toEvent(row: RawEvent): EventRow {
  return {
    id: row.id,
    metric: row.metric,
    profile: row.profile,
    time: Number(row.at),
    uniqueId: row.unique_id,
    value: row.value,
    currency: row.currency,
    properties: row.properties,
  };
}
