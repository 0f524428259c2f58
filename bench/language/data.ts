/**
 * An account of any size, made by ClickHouse itself: skewed as accounts are, and the same at every run. It goes through
 * the tables that the ingest worker writes to, views included. Time is counted back from `NOW`.
 */
import { encodeId } from '../../src/runtime/global-ids.ts';
import { command, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { predictionPath } from '../../src/segments/paths.ts';
import { insertSegment } from '../../src/storage/mysql/definitions.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { accounts, metrics } from '../../src/storage/mysql/schema.ts';
import { chance, DAY_MS, inSlices, LONG, numbers, skewed, untilMerged } from '../lib/generate.ts';

/** The instant of every evaluation, a Wednesday noon. */
export const NOW = Date.UTC(2026, 4, 13, 12);
export const TIME_ZONE = 'Europe/Berlin';
const HISTORY_DAYS = 365;
const ROWS_PER_INSERT = 1_000_000;

/** The metrics and their shares of the events. */
export const METRICS = {
  'Viewed Product': 0.6,
  'Opened Email': 0.25,
  'Placed Order': 0.12,
  'Cancelled Order': 0.03,
} as const;
export type MetricName = keyof typeof METRICS;

/** Its one segment: who has had five of these. */
export const SEGMENT_METRIC: MetricName = 'Viewed Product';
const SEGMENT = { event: { metric: SEGMENT_METRIC, is: { atLeast: 5 } } };

export interface BenchAccount {
  account: number;
  metrics: Record<MetricName, number>;
  /** The id of its one segment. */
  segment: string;
}

export interface DataSize {
  profiles: number;
  events: number;
}

export async function makeAccount(
  { mysql, clickhouse }: { mysql: MySql; clickhouse: ClickHouse },
  { profiles, events }: DataSize,
): Promise<BenchAccount> {
  const [made] = await mysql.db
    .insert(accounts)
    .values({ name: 'language', timezone: TIME_ZONE, nextProfile: profiles + 1, createdAt: NOW });
  const account = made.insertId;
  const ids: Partial<Record<MetricName, number>> = {};
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const [metric] = await mysql.db.insert(metrics).values({ account, name, firstSeenAt: NOW });
    ids[name] = metric.insertId;
  }
  const segment = await insertSegment(mysql.db, account, 'viewers', JSON.stringify(SEGMENT), NOW);
  const owner = {
    account,
    metrics: ids as Record<MetricName, number>,
    segment: encodeId('Segment', account, segment),
  };
  await inSlices(profiles, ROWS_PER_INSERT, (from, count) =>
    command(clickhouse, profilesSql, { account, from, count }, LONG),
  );
  for (const attribute of ATTRIBUTES) {
    await inSlices(profiles, ROWS_PER_INSERT, (from, count) =>
      command(clickhouse, traitsSql(attribute), { account, from, count }, LONG),
    );
  }
  await inSlices(profiles, ROWS_PER_INSERT, (from, count) =>
    command(clickhouse, predictionsSql, { account, from, count }, LONG),
  );
  // From the oldest to the newest, as they would have come in.
  await inSlices(events, ROWS_PER_INSERT, (from, count) =>
    command(
      clickhouse,
      eventsSql,
      { account, from, count, events, profiles, ids: Object.values(owner.metrics) },
      LONG,
    ),
  );
  await untilMerged(clickhouse);
  return owner;
}

/** One in two hundred has been merged into another. */
export const profilesSql = `
  INSERT INTO profiles
  SELECT {account:UInt32}, toUInt32(n + 1), 1, ${chance('alive')} >= 0.005 FROM (${numbers})`;

/** What the lifetime value has been: two values within the last year, half a year apart. */
const predictionsSql = `
  INSERT INTO predictions
  SELECT {account:UInt32}, '${predictionPath('PREDICTED_LIFETIME_VALUE')}',
    fromUnixTimestamp64Milli(toInt64(${NOW - HISTORY_DAYS * DAY_MS}) + toInt64((turn + ${chance('predicted at')}) * ${Math.floor((HISTORY_DAYS * DAY_MS) / 2)}), 'UTC'),
    toUInt32(n + 1), turn + 1, round(1000 * pow(${chance('predicted', 'n * 2 + turn')}, 3), 2)
  FROM (${numbers})
  ARRAY JOIN [0, 1] AS turn
  WHERE ${chance('has predictions')} < 0.7`;

export interface Attribute {
  path: string;
  /** Of how many it is known. */
  share: number;
  kind: 'text' | 'number' | 'boolean' | 'list';
  text?: string;
  number?: string;
  list?: string;
  dateKind?: 'day' | 'instant';
  date?: string;
}

const day = (purpose: string, from: number, days: number) =>
  `toInt64(${Math.floor(NOW / DAY_MS) + from} + floor(${days} * ${chance(purpose)}))`;
const instant = (purpose: string, fromDays: number, days: number) =>
  `toInt64(${NOW + fromDays * DAY_MS} + floor(${days * DAY_MS} * ${chance(purpose)}))`;
const dayText = (date: string) => `toString(addDays(toDate32('1970-01-01'), ${date}))`;
const instantText = (date: string) =>
  `concat(formatDateTime(fromUnixTimestamp64Milli(${date}, 'UTC'), '%Y-%m-%dT%H:%i:%S'), 'Z')`;

const birthday = day('birthday', -25_000, 18_000);
const renewal = instant('renewal', -200, 400);
const nextOrder = day('next order', -10, 90);
const consentTime = instant('consent time', -700, 700);

export const ATTRIBUTES: readonly Attribute[] = [
  { path: 'email', share: 0.95, kind: 'text', text: `concat('person', toString(n), '@example.com')` },
  {
    path: 'location.country',
    share: 0.9,
    kind: 'text',
    text: skewed('country', ['US', 'DE', 'GB', 'FR', 'NL', 'CA', 'AU', 'ES', 'IT', 'JP', 'BR', 'PL']),
  },
  { path: 'location.latitude', share: 0.8, kind: 'number', number: `(35 + 20 * ${chance('latitude')})` },
  { path: 'location.longitude', share: 0.8, kind: 'number', number: `(-10 + 35 * ${chance('longitude')})` },
  {
    path: 'properties.plan',
    share: 0.6,
    kind: 'text',
    text: skewed('plan', ['free', 'basic', 'plus', 'pro']),
  },
  {
    path: 'properties.points',
    share: 0.7,
    kind: 'number',
    number: `floor(10000 * pow(${chance('points')}, 3))`,
  },
  { path: 'properties.vip', share: 0.5, kind: 'boolean', number: `toFloat64(${chance('vip')} < 0.1)` },
  {
    path: 'properties.tags',
    share: 0.5,
    kind: 'list',
    list: `arrayMap(i -> concat('tag', toString(toUInt32(floor(50 * pow(${chance('tag', 'n * 5 + i')}, 2))))), range(1 + n % 4))`,
  },
  {
    path: 'properties.birthday',
    share: 0.4,
    kind: 'text',
    text: dayText(birthday),
    dateKind: 'day',
    date: birthday,
  },
  {
    path: 'properties.renewal',
    share: 0.3,
    kind: 'text',
    text: instantText(renewal),
    dateKind: 'instant',
    date: renewal,
  },
  {
    path: '$consent.EMAIL',
    share: 0.85,
    kind: 'text',
    text: `if(${chance('consent')} < 0.8, 'SUBSCRIBED', 'UNSUBSCRIBED')`,
    list: `['checkout']`,
    dateKind: 'instant',
    date: consentTime,
  },
  {
    path: predictionPath('PREDICTED_LIFETIME_VALUE'),
    share: 0.7,
    kind: 'number',
    number: `round(1000 * pow(${chance('lifetime')}, 3), 2)`,
  },
  {
    path: predictionPath('EXPECTED_NEXT_ORDER'),
    share: 0.7,
    kind: 'text',
    text: dayText(nextOrder),
    dateKind: 'day',
    date: nextOrder,
  },
];

export function traitsSql({ path, share, kind, text, number, list, dateKind, date }: Attribute): string {
  return `
    INSERT INTO traits
    SELECT {account:UInt32}, '${path}', toUInt32(n + 1), 1, '${kind}', ${text ?? `''`}, ${number ?? 'toFloat64(0)'},
      ${list ?? `CAST([], 'Array(String)')`}, '${dateKind ?? 'none'}', ${date ?? 'toInt64(0)'}
    FROM (${numbers})
    WHERE ${chance(`has ${path}`)} < ${share}`;
}

/** A third of the profiles has hardly any event, a few have thousands, and those are not neighbours. */
const eventsSql = `
  INSERT INTO events (account, metric, profile, time, id, unique_id, value, currency, texts, numbers, booleans, lists,
    dates, properties, arrived_at, copied)
  SELECT
    {account:UInt32},
    ids[kind],
    toUInt32(1 + toUInt64(floor({profiles:UInt64} * pow(${chance('who')}, 2.5))) * 999983 % {profiles:UInt64}),
    fromUnixTimestamp64Milli(t, 'UTC'),
    reinterpretAsUUID(sipHash128(n, 'event')),
    concat('event-', toString(n)),
    if(kind >= 3, round(5 + 300 * pow(${chance('value')}, 4), 2), NULL),
    if(kind >= 3, 'EUR', ''),
    if(kind = 2,
      map('campaign', concat('campaign ', toString(toUInt32(floor(40 * ${chance('campaign')}))))),
      map('category', ${skewed('category', ['shoes', 'shirts', 'trousers', 'jackets', 'hats', 'bags', 'socks', 'belts'])},
        'brand', concat('brand ', toString(toUInt32(floor(200 * pow(${chance('brand')}, 2))))))),
    if(kind = 2, map(), map('items', toFloat64(1 + floor(9 * pow(${chance('items')}, 3))))),
    if(kind < 3, map(), map('gift', ${chance('gift')} < 0.1)),
    if(kind < 3, map(), map('tags', arrayMap(i -> concat('tag', toString(toUInt32(floor(30 * ${chance('of order', 'n * 3 + i')})))), range(1 + n % 3)))),
    if(kind < 3, map(), map('deliverOn', ('day', intDiv(t, ${DAY_MS}) + 1 + toInt64(n % 14)))),
    concat('{"category":"', toString(n % 8), '","items":', toString(n % 9), '}'),
    fromUnixTimestamp64Milli(t, 'UTC'),
    false
  FROM (
    SELECT n, {ids:Array(UInt32)} AS ids,
      multiIf(${chance('metric')} < 0.6, 1, ${chance('metric')} < 0.85, 2, ${chance('metric')} < 0.97, 3, 4) AS kind,
      toInt64(${NOW - HISTORY_DAYS * DAY_MS}) + toInt64(floor(${HISTORY_DAYS * DAY_MS} * (n / {events:UInt64}))) AS t
    FROM (${numbers})
  )`;
