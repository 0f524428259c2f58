/**
 * Hundreds of millions of events in minutes: made by ClickHouse in the order in which they are stored, so that nothing
 * has to be sorted, through the same tables, views and projections as everything else. Only what conditions look at is
 * filled in. Some people have thousands of events, half of them none of a kind, and neighbours have nothing in common.
 */
import { until } from '../../src/runtime/until.ts';
import { command, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { accounts, metrics } from '../../src/storage/mysql/schema.ts';
import { eq } from 'drizzle-orm';
import { ATTRIBUTES, profilesSql, traitsSql, type Attribute } from '../language/data.ts';
import { chance, DAY_MS, inSlices, LONG, needRoom, numbers, skewed, untilMerged } from '../lib/generate.ts';

export const HISTORY_DAYS = 90;
/**
 * Nobody crosses the edge of a window of whole days within so long after `now`: members can be counted twice, by
 * Tidemark and by plain SQL, however long either takes.
 */
export const QUIET_MS = 2 * 3_600_000;

const ROWS_PER_INSERT = 4_000_000;
const AT_ONCE = 2;
const LARGEST_MERGE = 64_000_000;
const PROFILES_PER_INSERT = 4_000_000;
/** With everything that is kept of it, in both orders and the projection, and room for merges. */
const BYTES_PER_EVENT = 60;
const BYTES_PER_PROFILE = 150;
/** The tables in the order of the profile. */
const HISTORIES = ['events_by_profile', 'traits_by_profile'];
/** As in clickhouse/0004_one_part_a_day.sql. */
const SECONDS_TO_WHOLE = 86_400;
/** Merging all events by profile takes longer than making them. */
const MERGING_MS = 1_200_000;

export interface ScaleMetric {
  name: string;
  /** Of the events. */
  share: number;
  /** Orders have values and categories. */
  isOrder?: boolean;
}

export interface ScalePlan {
  profiles: number;
  events: number;
  /** For those who look at few people: what is in the order of the profile lies in one part, as it does after a day. */
  mergesHistories?: boolean;
  metrics: readonly ScaleMetric[];
  attributes: readonly Attribute[];
}

export interface ScaleAccount {
  account: number;
  /** The instant from which ages are counted back, epoch milliseconds. */
  now: number;
  /** Ids by name. */
  metrics: ReadonlyMap<string, number>;
  /** How many rows there are in fact: shares and skew are drawn by lot. */
  events: number;
}

const attribute = (path: string): Attribute => {
  const found = ATTRIBUTES.find((one) => one.path === path);
  if (!found) throw new Error(`there is no attribute ${path}`);
  return found;
};

/** A shop. */
export const SHOP: Pick<ScalePlan, 'metrics' | 'attributes'> = {
  metrics: [
    { name: 'Viewed Product', share: 0.43 },
    { name: 'Opened Email', share: 0.3 },
    { name: 'Clicked Email', share: 0.17 },
    { name: 'Placed Order', share: 0.1, isOrder: true },
  ],
  attributes: ['properties.plan', 'location.country', 'properties.points', '$consent.EMAIL'].map(attribute),
};

/** What the closest system was measured on. */
export const PEER: Pick<ScalePlan, 'metrics' | 'attributes'> = {
  metrics: [
    { name: 'Viewed', share: 0.5 },
    { name: 'Order', share: 0.1 },
    { name: 'Other', share: 0.4 },
  ],
  attributes: [
    {
      path: 'properties.plan',
      share: 1,
      kind: 'text',
      text: skewed('plan', ['free', 'trial', 'pro', 'team']),
    },
  ],
};

/** Merging rows that nobody changes any more takes longer than making them. */
export async function limitMerges(clickhouse: ClickHouse, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    await command(
      clickhouse,
      `ALTER TABLE ${table} MODIFY SETTING max_bytes_to_merge_at_max_space_in_pool = ${LARGEST_MERGE}`,
    );
  }
}

/**
 * As though all that is there were older than a day, as nearly all of a history is: ClickHouse merges it into one part
 * per partition. The age at which it does so is a second until it has.
 */
export async function mergeHistories(clickhouse: ClickHouse): Promise<void> {
  const mergeAfter = async (seconds: number) => {
    for (const table of HISTORIES) {
      await command(
        clickhouse,
        `ALTER TABLE ${table} MODIFY SETTING min_age_to_force_merge_seconds = ${seconds}`,
      );
    }
  };
  const areMerged = async () => {
    const [row] = await query<{ open: string }>(
      clickhouse,
      `SELECT count() AS open
       FROM (
         SELECT partition
         FROM system.parts
         WHERE active AND database = currentDatabase() AND table IN {tables:Array(String)}
         GROUP BY table, partition
         HAVING count() > 1
       )`,
      { tables: HISTORIES },
    );
    return row?.open === '0';
  };
  await mergeAfter(1);
  if (!(await until(areMerged, { withinMs: MERGING_MS })))
    throw new Error(`${HISTORIES.join(' and ')} are still in several parts`);
  await mergeAfter(SECONDS_TO_WHOLE);
}

/** Fills an empty account. `folder` is where ClickHouse keeps its files; null: its disk is not looked at. */
export async function makeScaleData(
  { mysql, clickhouse }: { mysql: MySql; clickhouse: ClickHouse },
  account: number,
  plan: ScalePlan,
  folder: string | null,
): Promise<ScaleAccount> {
  const { profiles, events } = plan;
  if (folder !== null) needRoom(folder, events * BYTES_PER_EVENT + profiles * BYTES_PER_PROFILE);
  const now = Date.now();
  await mysql.db
    .update(accounts)
    .set({ nextProfile: profiles + 1 })
    .where(eq(accounts.id, account));
  const ids = new Map<string, number>();
  for (const { name } of plan.metrics) {
    const [made] = await mysql.db.insert(metrics).values({ account, name, firstSeenAt: now });
    ids.set(name, made.insertId);
  }
  await limitMerges(clickhouse, plan.mergesHistories ? ['events'] : ['events', 'events_by_profile']);
  const make = (sql: string, values: Record<string, number>) =>
    command(clickhouse, sql, { account, ...values }, { ...LONG, settings: LARGE_BLOCKS });
  await inSlices(profiles, PROFILES_PER_INSERT, (from, count) => make(profilesSql, { from, count }));
  for (const one of plan.attributes) {
    const sql = traitsSql(one);
    await inSlices(profiles, PROFILES_PER_INSERT, (from, count) => make(sql, { from, count }));
  }
  let part = 0;
  for (const span of monthsOf(now)) {
    for (const { name, share, isOrder = false } of plan.metrics) {
      part += 1;
      const mean = (events * share * span.days) / HISTORY_DAYS / profiles;
      const perInsert = Math.max(1_000, Math.floor(ROWS_PER_INSERT / mean));
      const values = { now, metric: ids.get(name) ?? 0, mean, part, ...span };
      await inSlices(
        profiles,
        perInsert,
        (from, count) => make(eventsSql(name, isOrder), { ...values, from, count }),
        AT_ONCE,
      );
    }
  }
  if (plan.mergesHistories) await mergeHistories(clickhouse);
  await untilMerged(clickhouse, MERGING_MS);
  const [row] = await query<{ rows: string }>(
    clickhouse,
    'SELECT count() AS rows FROM events WHERE account = {account:UInt32}',
    { account },
  );
  return { account, now, metrics: ids, events: Number(row?.rows ?? 0) };
}

export const LARGE_BLOCKS = {
  max_insert_threads: 2,
  min_insert_block_size_rows: ROWS_PER_INSERT,
  min_insert_block_size_bytes: 2 ** 31,
  max_insert_block_size: ROWS_PER_INSERT,
};

/** Days one after the other: of each, `length` ms from `after` ms on have events. */
interface Span {
  start: number;
  days: number;
  after: number;
  length: number;
}

/**
 * The days of history by calendar month, as events are kept: ClickHouse takes ten times as long for rows that it has to
 * part. Of a day that two months share only the longer part has events. The last day ends at `now`.
 */
function monthsOf(now: number): Span[] {
  const whole = { after: QUIET_MS, length: DAY_MS - QUIET_MS };
  const spans: Span[] = [];
  for (let day = HISTORY_DAYS; day > 0; day--) {
    const start = now - day * DAY_MS;
    const begin = new Date(start + QUIET_MS);
    const [year, month] = [begin.getUTCFullYear(), begin.getUTCMonth()];
    const left = Date.UTC(year, month + 1) - begin.getTime();
    const right = whole.length - left;
    const last = spans.at(-1);
    if (right > left) spans.push({ start, days: 1, after: QUIET_MS + left, length: right });
    else if (right > 0) spans.push({ start, days: 1, after: QUIET_MS, length: left });
    else if (last?.length === whole.length && sameMonth(last.start + QUIET_MS, year, month)) last.days += 1;
    else spans.push({ start, days: 1, ...whole });
  }
  return spans;
}

function sameMonth(at: number, year: number, month: number): boolean {
  const date = new Date(at);
  return date.getUTCFullYear() === year && date.getUTCMonth() === month;
}

const DATE = "Tuple(Enum8('day' = 1, 'instant' = 2), Int64)";

/** Written out, and not as a constant: filling in the defaults of the five maps takes ClickHouse 5 times as long as all the rest. */
const emptyMap = (type: string, any: string) =>
  `CAST(mapFromArrays(arrayWithConstant(n * 0, ''), arrayWithConstant(n * 0, ${any})), 'Map(LowCardinality(String), ${type.replaceAll("'", "\\'")})')`;

/** Nothing but the currency is known of an event: the columns from `texts` to `dates`. */
export const EMPTY_MAPS = [
  emptyMap('String', `''`),
  emptyMap('Float64', 'toFloat64(0)'),
  emptyMap('Bool', 'false'),
  emptyMap('Array(String)', `['']`),
  emptyMap(DATE, `CAST(('day', 0), '${DATE.replaceAll("'", "\\'")}')`),
];

/**
 * Who has many has many of everything, and half of the people have nothing of a metric at all. Each one's events lie
 * evenly in the span, in the order of time.
 */
const eventsSql = (metric: string, isOrder: boolean) => `
  INSERT INTO events (account, metric, profile, time, id, value, currency, texts, numbers, booleans, lists, dates,
    arrived_at, copied)
  SELECT
    {account:UInt32},
    {metric:UInt32},
    toUInt32(n + 1),
    fromUnixTimestamp64Milli(t, 'UTC'),
    reinterpret(bitOr(bitShiftLeft(toUInt128(n + 1), 64), toUInt128(j + {part:UInt32} * 16777216)), 'UUID'),
    ${isOrder ? `round(5 + 300 * pow(${chance('value', 'n, j')}, 4), 2)` : 'NULL'},
    ${isOrder ? `'EUR'` : `''`},
    ${isOrder ? `map('category', ['shoes', 'shirts', 'hats', 'bags'][1 + toUInt32((n + j) % 4)])` : EMPTY_MAPS[0]},
    ${EMPTY_MAPS.slice(1).join(',\n    ')},
    fromUnixTimestamp64Milli({now:Int64}, 'UTC'),
    false
  FROM (
    SELECT n, j,
      {start:Int64} + toInt64(floor(position)) * ${DAY_MS} + {after:UInt32}
        + toInt64(floor((position - floor(position)) * {length:UInt32})) AS t
    FROM (
      SELECT n, j, (j + intHash64(n * 1000003 + j + {part:UInt32}) / 18446744073709551616.) / count * {days:UInt32} AS position
      FROM (
        SELECT n, toUInt32(floor({mean:Float64} * weight + ${chance('part of one', 'n, {part:UInt32}')})) AS count
        FROM (SELECT n, if(${chance(`has ${metric}`)} < 0.5, 1 / sqrt(${chance('how many')} + 1e-8), 0) AS weight FROM (${numbers}))
        WHERE weight > 0
      )
      ARRAY JOIN range(count) AS j
    )
  )`;
