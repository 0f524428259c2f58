/**
 * Data for `clock`: a year of many metrics, so thin that some hundred people a second cross an edge of thousands of
 * windows; segments of all kinds with their members as plain SQL has them at one instant; and what lies ahead of it.
 */
import { encodeId } from '../../src/runtime/global-ids.ts';
import { command, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { hashSecret } from '../../src/storage/mysql/accounts.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { insertKey } from '../../src/storage/mysql/keys.ts';
import {
  accounts,
  evaluatorPartitions,
  metrics,
  segmentPartitions,
  segments,
  segmentVersions,
} from '../../src/storage/mysql/schema.ts';
import { EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';
import { chance, DAY_MS, inSlices, LONG, needRoom, numbers, untilMerged } from '../lib/generate.ts';
import { EMPTY_MAPS, LARGE_BLOCKS, limitMerges, mergeHistories } from './data.ts';

export interface ClockPlan {
  profiles: number;
  events: number;
  segments: number;
  metrics: number;
  historyMs: number;
}

/** Events are made for so long after the instant of the members, too: their time comes while the benchmark runs. */
export const AHEAD_MS = 300_000;
/** With everything that is kept of one. */
const BYTES_PER_EVENT = 60;
const BYTES_PER_PROFILE = 60;
const BYTES_PER_SEGMENT = 500_000;
const EVENTS_PER_INSERT = 4_000_000;
const PROFILES_PER_INSERT = 4_000_000;
const SEGMENTS_PER_INSERT = 100;
const SHORTEST_MS = 60_000;
export const DATE_PATH = 'properties.renewsAt';

export interface ClockSegment {
  /** In MySQL. */
  number: number;
  /** Of the API. */
  id: string;
  /** As ConditionInput. */
  condition: Record<string, unknown>;
  /** Null: it looks at the date. */
  metric: string | null;
  /** Ages at which an event, or the date, can flip it, milliseconds. */
  ages: number[];
  /** Whether midnight can. */
  isDaily: boolean;
  /** A SELECT of `profile`: its members at an instant. */
  members: (at: number) => string;
}

export interface ClockAccount {
  account: number;
  apiKey: string;
  /** The instant of the members, epoch milliseconds. */
  now: number;
  /** The next beginning of a day. */
  midnight: number;
  /** Ids by name. */
  metrics: ReadonlyMap<string, number>;
  segments: readonly ClockSegment[];
}

/** Everything there is before Tidemark starts; its clock then goes on from `now`. */
export async function makeClockData(
  { mysql, clickhouse }: { mysql: MySql; clickhouse: ClickHouse },
  plan: ClockPlan,
  now: number,
  apiKey: string,
  folder: string | null,
): Promise<ClockAccount> {
  const { profiles, events } = plan;
  if (folder !== null) {
    const bytes = events * BYTES_PER_EVENT + profiles * BYTES_PER_PROFILE + plan.segments * BYTES_PER_SEGMENT;
    needRoom(folder, bytes);
  }
  const [made] = await mysql.db
    .insert(accounts)
    .values({ name: 'clock', timezone: 'UTC', nextProfile: profiles + 1, createdAt: now });
  const account = made.insertId;
  const key = { account, name: 'Benchmark', secretHash: hashSecret(apiKey), scopes: 'ADMIN', createdAt: now };
  await insertKey(mysql.db, key);
  const ids = new Map<string, number>();
  for (let i = 0; i < plan.metrics; i++) {
    const name = `Did ${i}`;
    const [metric] = await mysql.db.insert(metrics).values({ account, name, firstSeenAt: now });
    ids.set(name, metric.insertId);
  }
  // Histories are merged as they are after a day: those who cross an edge are strangers, each in a granule of their own
  // in every part (decision 12).
  await limitMerges(clickhouse, ['events']);
  const make = (sql: string, values: Record<string, number | number[]>) =>
    command(clickhouse, sql, { account, ...values }, { ...LONG, settings: LARGE_BLOCKS });
  await inSlices(profiles, PROFILES_PER_INSERT, async (from, count) => {
    await make(PROFILES, { from, count });
    await make(TRAITS, { from, count, now, span: plan.historyMs });
    await make(DATES, { from, count, now, span: plan.historyMs });
  });
  const total = plan.historyMs + AHEAD_MS;
  for (const { start, end } of monthsBetween(now - plan.historyMs, now + AHEAD_MS)) {
    const share = Math.round((events * (end - start)) / total);
    const values = { profiles, metrics: [...ids.values()], start, span: end - start };
    await inSlices(share, EVENTS_PER_INSERT, (from, count) => make(EVENTS, { ...values, from, count }));
  }
  await make(AHEAD, { now });
  await mergeHistories(clickhouse);
  await untilMerged(clickhouse);
  const made_ = await makeSegments(mysql, { account, metrics: ids, now }, plan);
  await populate(clickhouse, account, now, made_);
  const begins = { epoch: 1, watermark: now, nextSequence: 1, latest: now };
  await mysql.db
    .insert(evaluatorPartitions)
    .values(Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => ({ partition, ...begins })));
  const midnight = Math.ceil((now + 1) / DAY_MS) * DAY_MS;
  return { account, apiKey, now, midnight, metrics: ids, segments: made_ };
}

/** The stretches of time by calendar month, as `events` keeps them: end exclusive. */
function monthsBetween(from: number, to: number): { start: number; end: number }[] {
  const months: { start: number; end: number }[] = [];
  for (let start = from; start < to;) {
    const date = new Date(start);
    const end = Math.min(to, Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1));
    months.push({ start, end });
    start = end;
  }
  return months;
}

const PROFILES = `
  INSERT INTO profiles
  SELECT {account:UInt32}, toUInt32(n + 1), 1, true FROM (${numbers})`;

const RENEWS = `{now:Int64} + toInt64(floor((${chance('renews')} * 2 - 1) * {span:UInt64}))`;
const HAS_RENEWAL = `${chance('has renewal')} < 0.3`;

const TRAITS = `
  INSERT INTO traits (account, attribute, profile, revision, kind, text, date_kind, date)
  SELECT {account:UInt32}, '${DATE_PATH}', toUInt32(n + 1), 1, 'text',
    replaceOne(toString(fromUnixTimestamp64Milli(${RENEWS}, 'UTC')), ' ', 'T') || 'Z', 'instant', ${RENEWS}
  FROM (${numbers})
  WHERE ${HAS_RENEWAL}`;

const DATES = `
  INSERT INTO dates (account, metric, path, kind, date, profile)
  SELECT {account:UInt32}, 0, '${DATE_PATH}', 'instant', ${RENEWS}, toUInt32(n + 1)
  FROM (${numbers})
  WHERE ${HAS_RENEWAL}`;

/** A few have thousands, most a few; neighbours have nothing in common. */
const EVENTS = `
  INSERT INTO events (account, metric, profile, time, id, value, currency, texts, numbers, booleans, lists, dates,
    arrived_at, copied)
  SELECT
    {account:UInt32},
    {metrics:Array(UInt32)}[1 + toUInt32(floor(${chance('metric', 'n, {start:Int64}')} * length({metrics:Array(UInt32)})))],
    toUInt32(1 + (toUInt64(floor(pow(${chance('who', 'n, {start:Int64}')}, 2) * {profiles:UInt64})) * 7368787) % {profiles:UInt64}),
    fromUnixTimestamp64Milli({start:Int64} + toInt64(floor(${chance('when', 'n, {start:Int64}')} * {span:UInt64})), 'UTC'),
    reinterpret(bitOr(bitShiftLeft(toUInt128({start:Int64}), 64), toUInt128(n)), 'UUID'),
    NULL,
    '',
    ${EMPTY_MAPS.join(',\n    ')},
    fromUnixTimestamp64Milli({start:Int64}, 'UTC'),
    false
  FROM (${numbers})`;

const AHEAD = `
  INSERT INTO future_events (account, metric, profile, time)
  SELECT account, metric, profile, time
  FROM events
  WHERE account = {account:UInt32} AND time > fromUnixTimestamp64Milli({now:Int64}, 'UTC')`;

type Kind = (
  owner: Owner,
  metric: string,
  length: number,
  number: number,
) => Omit<ClockSegment, 'number' | 'id'>;
type Owner = Pick<ClockAccount, 'account' | 'metrics' | 'now'>;

const moment = (ms: number) => `fromUnixTimestamp64Milli(${ms}, 'UTC')`;
const iso = (ms: number) => `PT${ms / 1_000}S`;
const dayOf = (at: number) => Math.floor(at / DAY_MS) * DAY_MS;

function counted(
  { account, metrics }: Owner,
  metric: string,
  within: Record<string, unknown> | null,
  of: Pick<ClockSegment, 'ages'> & {
    isDaily?: boolean;
    rows: (at: number) => string;
    having?: string;
    atLeast?: number;
  },
): Omit<ClockSegment, 'number' | 'id'> {
  const { ages, isDaily = false, rows, atLeast = 1, having = `count() >= ${atLeast}` } = of;
  const counts = atLeast > 1 ? { is: { atLeast } } : {};
  return {
    condition: { event: { metric, ...counts, ...(within ? { within } : {}) } },
    metric,
    ages,
    isDaily,
    members: (at) => `SELECT profile FROM events
      WHERE account = ${account} AND metric = ${metrics.get(metric) ?? 0} AND ${rows(at)} AND time <= ${moment(at)}
      GROUP BY profile HAVING ${having}`,
  };
}

const last =
  (atLeast: number): Kind =>
  (owner, metric, length) =>
    counted(
      owner,
      metric,
      { last: iso(length) },
      {
        ages: [length],
        atLeast,
        rows: (at) => `time > ${moment(at - length)}`,
      },
    );

const ago: Kind = (owner, metric, length) => {
  const from = length * 2;
  return counted(
    owner,
    metric,
    { ago: { from: iso(from), to: iso(length) } },
    {
      ages: [length, from],
      rows: (at) => `time > ${moment(at - from)} AND time <= ${moment(at - length)}`,
    },
  );
};

const longAgo: Kind = (owner, metric, length) =>
  counted(
    owner,
    metric,
    { moreThanAgo: iso(length) },
    {
      ages: [length],
      rows: (at) => `time <= ${moment(at - length)}`,
    },
  );

/** Did it once, and not for so long. */
const lapsed: Kind = (owner, metric, length) => {
  const event = { metric };
  return {
    metric,
    ages: [length],
    isDaily: false,
    condition: { all: [{ event }, { event: { metric, is: { equals: 0 }, within: { last: iso(length) } } }] },
    members: (at) => `SELECT profile FROM events
      WHERE account = ${owner.account} AND metric = ${owner.metrics.get(metric) ?? 0} AND time <= ${moment(at)}
      GROUP BY profile HAVING max(time) <= ${moment(at - length)}`,
  };
};

const date =
  (ahead: boolean): Kind =>
  ({ account }, _metric, length) => ({
    metric: null,
    ages: ahead ? [-length, 0] : [0, length],
    isDaily: false,
    condition: {
      property: {
        path: DATE_PATH,
        filter: { date: ahead ? { next: iso(length) } : { within: { last: iso(length) } } },
      },
    },
    members: (at) => `SELECT profile FROM traits
      WHERE account = ${account} AND attribute = '${DATE_PATH}'
        AND date > ${ahead ? at : at - length} AND date <= ${ahead ? at + length : at}`,
  });

const daily: Kind = (owner, metric, _length, number) => {
  const isToday = number % 2 === 0;
  return counted(
    owner,
    metric,
    { calendar: isToday ? 'TODAY' : 'YESTERDAY' },
    {
      ages: [],
      isDaily: true,
      rows: (at) =>
        isToday
          ? `time >= ${moment(dayOf(at))}`
          : `time >= ${moment(dayOf(at) - DAY_MS)} AND time < ${moment(dayOf(at))}`,
    },
  );
};

/** Of fifty: most ask whether something has happened within some time, and some for everything else that moves. */
const KINDS: readonly Kind[] = [
  ...Array.from({ length: 20 }, () => last(1)),
  ...Array.from({ length: 6 }, () => last(2)),
  ...Array.from({ length: 3 }, () => last(3)),
  ...Array.from({ length: 7 }, () => lapsed),
  ...Array.from({ length: 6 }, () => ago),
  ...Array.from({ length: 4 }, () => longAgo),
  ...[date(true), date(true), date(false), daily],
];

/** As people choose them: whole minutes, hours or days, from a minute to all of history, short ones as often as long ones. */
function lengthOf(number: number, longest: number): number {
  const share = (number * 0.6180339887498949) % 1;
  const exact = SHORTEST_MS * Math.pow(longest / SHORTEST_MS, share);
  const unit = exact < 7_200_000 ? 60_000 : exact < 2 * DAY_MS ? 3_600_000 : DAY_MS;
  return Math.max(SHORTEST_MS, Math.round(exact / unit) * unit);
}

async function makeSegments(mysql: MySql, owner: Owner, plan: ClockPlan): Promise<ClockSegment[]> {
  const { account, now } = owner;
  const names = [...owner.metrics.keys()];
  const specs = Array.from({ length: plan.segments }, (_, i) => {
    const kind = KINDS[(i + Math.floor(i / names.length)) % KINDS.length] ?? daily;
    // Half of the longest: `ago` reaches twice as far back.
    return kind(owner, names[i % names.length] ?? '', lengthOf(i, plan.historyMs / 2), i);
  });
  const found: ClockSegment[] = [];
  const partitions = Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => partition);
  for (let start = 0; start < specs.length; start += 500) {
    const page = specs.slice(start, start + 500);
    const rows = page.map((_, i) => ({
      account,
      name: `Segment ${start + i}`,
      version: 1,
      createdAt: now,
      updatedAt: now,
    }));
    // Numbered one after the other: nobody else is there.
    const [{ insertId }] = await mysql.db.insert(segments).values(rows);
    const made = page.map((spec, i) => {
      const number = insertId + i;
      return { ...spec, number, id: encodeId('Segment', account, number) };
    });
    await mysql.db.insert(segmentVersions).values(
      made.map(({ number, condition }) => ({
        segment: number,
        version: 1,
        definition: JSON.stringify(condition),
        createdAt: now,
      })),
    );
    await mysql.db.insert(segmentPartitions).values(
      made.flatMap(({ number }) =>
        partitions.map((partition) => ({
          segment: number,
          partition,
          account,
          version: 1,
          populatedAt: now,
        })),
      ),
    );
    found.push(...made);
  }
  return found;
}

/** Those of a metric together, and many in a statement: their rows are read while they are in memory. */
async function populate(
  clickhouse: ClickHouse,
  account: number,
  now: number,
  all: readonly ClockSegment[],
): Promise<void> {
  const ordered = [...all].sort((a, b) => (a.metric ?? '').localeCompare(b.metric ?? ''));
  for (let start = 0; start < ordered.length; start += SEGMENTS_PER_INSERT) {
    const selects = ordered.slice(start, start + SEGMENTS_PER_INSERT).map(
      ({
        number,
        members,
      }) => `SELECT toUInt32(${number}) AS segment, toUInt16(bitShiftRight(profile, 16)) AS chunk,
          groupBitmapState(toUInt32(bitAnd(profile, 65535))) AS lows
        FROM (${members(now)})
        GROUP BY chunk`,
    );
    await command(
      clickhouse,
      `INSERT INTO memberships (account, segment, chunk, members)
       SELECT toUInt32(${account}), segment, chunk, groupBitmapXorState(lows)
       FROM (${selects.join(' UNION ALL ')})
       GROUP BY segment, chunk`,
      {},
      { ...LONG, settings: LARGE_BLOCKS },
    );
  }
}
