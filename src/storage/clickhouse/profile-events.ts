/** The events of one profile, as far as an explanation looks at them. Instants are epoch milliseconds. */
import { query, type ClickHouse } from './connect.ts';

export interface ProfileEventCounts {
  events: number;
  /** Later than the metric's `since`. */
  recent: number;
}

/** Where the properties of events lie, by type. */
export const PROPERTY_MAPS = ['texts', 'numbers', 'booleans', 'lists'] as const;
export type Properties = Record<string, string | number | boolean | string[]>;

/** The maps of a table that is called `events`, with nothing but the parameter `paths` in them. */
export const WANTED_PROPERTIES = PROPERTY_MAPS.map(
  (map) => `mapFilter((path, _) -> has({paths:Array(String)}, path), events.${map}) AS ${map}`,
).join(', ');

export interface ProfileEvent {
  metric: number;
  time: number;
  value: number | null;
  /** Of the paths asked for; elements of lists are texts. */
  properties: Map<string, string | number | boolean | string[]>;
}

/** By metric; those without events are absent. */
export async function countProfileEvents(
  clickhouse: ClickHouse,
  account: number,
  profile: number,
  metrics: readonly { metric: number; since: number }[],
): Promise<Map<number, ProfileEventCounts>> {
  if (metrics.length === 0) return new Map();
  const rows = await query<{ metric: number; events: string; recent: string }>(
    clickhouse,
    `SELECT metric, count() AS events,
       countIf(toUnixTimestamp64Milli(time) > transform(metric, {metrics:Array(UInt32)}, {sinces:Array(Int64)}, toInt64(0))) AS recent
     FROM events_by_profile
     WHERE account = {account:UInt32} AND profile = {profile:UInt32} AND metric IN {metrics:Array(UInt32)}
     GROUP BY metric`,
    {
      account,
      profile,
      metrics: metrics.map(({ metric }) => metric),
      sinces: metrics.map(({ since }) => since),
    },
  );
  return new Map(
    rows.map(({ metric, events, recent }) => [metric, { events: Number(events), recent: Number(recent) }]),
  );
}

/** All of them, in no order: count first. */
export async function readProfileEvents(
  clickhouse: ClickHouse,
  account: number,
  profile: number,
  metrics: readonly number[],
  paths: readonly string[],
): Promise<ProfileEvent[]> {
  if (metrics.length === 0) return [];
  const rows = await query<
    { metric: number; at: string; value: number | null } & Record<(typeof PROPERTY_MAPS)[number], Properties>
  >(
    clickhouse,
    `SELECT metric, toUnixTimestamp64Milli(time) AS at, value,
       ${WANTED_PROPERTIES}
     FROM events_by_profile AS events
     WHERE account = {account:UInt32} AND profile = {profile:UInt32} AND metric IN {metrics:Array(UInt32)}`,
    { account, profile, metrics: [...metrics], paths: [...paths] },
  );
  return rows.map((row) => ({
    metric: row.metric,
    time: Number(row.at),
    value: row.value,
    properties: new Map(PROPERTY_MAPS.flatMap((map) => Object.entries(row[map]))),
  }));
}
