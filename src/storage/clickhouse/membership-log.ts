/**
 * The membership log: every entry and exit there has been, numbered without gaps within a partition. Its table is the
 * truth; the topic `membership-changes` carries the same entries to whoever waits for them.
 */
import type { ChangeCause, EventReference } from '../profile-changes.ts';
import { query, type ClickHouse, type Parameter } from './connect.ts';

export type LogKind = 'ENTERED' | 'EXITED' | 'POPULATED';

export interface LogEntry {
  account: number;
  partition: number;
  /** From 1, dense within the partition. */
  sequence: number;
  segment: number;
  version: number;
  /** 0 where the whole segment is meant (POPULATED). */
  profile: number;
  kind: LogKind;
  cause: ChangeCause;
  /** When it became true, epoch milliseconds. */
  at: number;
  /** The instant of the evaluation that found it; never decreases within a partition. */
  evaluatedAt: number;
  event: EventReference | null;
}

const NO_EVENT = '00000000-0000-0000-0000-000000000000';

/** Rows of JSON. */
export function logLines(entries: readonly LogEntry[], epoch: number): string[] {
  const isoOf = remembered((ms) => new Date(ms).toISOString());
  return entries.map((entry) =>
    JSON.stringify({
      account: entry.account,
      partition_no: entry.partition,
      sequence: entry.sequence,
      epoch,
      segment: entry.segment,
      version: entry.version,
      profile: entry.profile,
      kind: entry.kind,
      cause: entry.cause,
      at: isoOf(entry.at),
      evaluated_at: isoOf(entry.evaluatedAt),
      event_id: entry.event?.id ?? NO_EVENT,
      event_time: isoOf(entry.event?.time ?? 0),
      event_metric: entry.event?.metric ?? 0,
    }),
  );
}

/** Entries that are written together have few instants among them, and writing one out takes longer than all else of a row. */
function remembered(write: (ms: number) => string): (ms: number) => string {
  const written = new Map<number, string>();
  return (ms) => {
    const known = written.get(ms);
    if (known !== undefined) return known;
    const text = write(ms);
    written.set(ms, text);
    return text;
  };
}

interface LogRow {
  partition_no: number;
  sequence: string;
  segment: number;
  version: number;
  profile: number;
  kind: LogKind;
  cause: ChangeCause;
  at: string;
  evaluated_at: string;
  event_id: string;
  event_time: string;
  event_metric: number;
}

/**
 * The next entries of an account behind the given sequence of each partition (missing: from the beginning), in the
 * order of their evaluation, which is the order of the sequence within each partition.
 */
export async function readLog(
  clickhouse: ClickHouse,
  account: number,
  after: ReadonlyMap<number, number>,
  limit: number,
  segments: readonly number[] | null = null,
): Promise<LogEntry[]> {
  const parameters: Record<string, Parameter> = {
    account,
    limit,
    partitions: [...after.keys()],
    sequences: [...after.values()],
    ...(segments ? { segments } : {}),
  };
  const rows = await query<LogRow>(
    clickhouse,
    `SELECT
       partition_no, sequence, segment, version, profile, kind, cause,
       toUnixTimestamp64Milli(at) AS at,
       toUnixTimestamp64Milli(evaluated_at) AS evaluated_at,
       event_id,
       toUnixTimestamp64Milli(event_time) AS event_time,
       event_metric
     FROM membership_log
     WHERE account = {account:UInt32}
       AND sequence > transform(partition_no, {partitions:Array(UInt16)}, {sequences:Array(UInt64)}, toUInt64(0))
       ${segments ? 'AND segment IN {segments:Array(UInt32)}' : ''}
     ORDER BY membership_log.evaluated_at, partition_no, sequence
     LIMIT {limit:UInt32}`,
    parameters,
  );
  return rows.map((row) => ({
    account,
    partition: row.partition_no,
    sequence: Number(row.sequence),
    segment: row.segment,
    version: row.version,
    profile: row.profile,
    kind: row.kind,
    cause: row.cause,
    at: Number(row.at),
    evaluatedAt: Number(row.evaluated_at),
    event:
      row.event_id === NO_EVENT
        ? null
        : { id: row.event_id, time: Number(row.event_time), metric: row.event_metric },
  }));
}

/** The last sequence of the account in each partition that it has entries in. */
export async function lastSequences(clickhouse: ClickHouse, account: number): Promise<Map<number, number>> {
  const rows = await query<{ partition_no: number; sequence: string }>(
    clickhouse,
    `SELECT partition_no, max(sequence) AS sequence
     FROM membership_log
     WHERE account = {account:UInt32}
     GROUP BY partition_no`,
    { account },
  );
  return new Map(rows.map((row) => [row.partition_no, Number(row.sequence)]));
}

/** An entry without the names of its fields: each is written and sent several times, and by the thousand. */
type Packed = [
  account: number,
  partition: number,
  sequence: number,
  segment: number,
  version: number,
  profile: number,
  kind: LogKind,
  cause: ChangeCause,
  at: number,
  evaluatedAt: number,
  event: [id: string, time: number, metric: number] | null,
];

/** What one record of `membership-changes` holds: entries of one partition, in order. */
export function encodeEntries(entries: readonly LogEntry[]): Buffer {
  const packed = entries.map(
    ({
      account,
      partition,
      sequence,
      segment,
      version,
      profile,
      kind,
      cause,
      at,
      evaluatedAt,
      event,
    }): Packed => [
      ...([account, partition, sequence, segment, version, profile, kind, cause, at, evaluatedAt] as const),
      event && [event.id, event.time, event.metric],
    ],
  );
  return Buffer.from(JSON.stringify(packed), 'utf8');
}

/** Also what was written before, with the names of the fields. */
export function decodeEntries(value: Buffer): LogEntry[] {
  const entries = JSON.parse(value.toString('utf8')) as (Packed | LogEntry)[];
  return entries.map((entry) => (Array.isArray(entry) ? unpacked(entry) : entry));
}

function unpacked([account, partition, sequence, ...rest]: Packed): LogEntry {
  const [segment, version, profile, kind, cause, at, evaluatedAt, event] = rest;
  const of = event && { id: event[0], time: event[1], metric: event[2] };
  return { account, partition, sequence, segment, version, profile, kind, cause, at, evaluatedAt, event: of };
}
