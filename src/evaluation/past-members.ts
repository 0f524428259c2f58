/**
 * Who was in a segment before the later part of the membership log: the present bitmaps with those entries undone. Who
 * has no later entry is where he was; of the others the first later entry says where they came from. A segment's
 * population has no entries: the part of it that lies in a partition is undone by leaving the partition out.
 */
import { query, queryEach, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS, chunkOf, chunkPartition, EVALUATOR_PARTITIONS } from '../storage/topics.ts';
import { moment } from './compile.ts';
import type { Member } from './memberships.ts';
import { createParameters, type Parameters } from './parameters.ts';

/** The last sequence of each evaluator partition; 0 for those that are missing. */
export type LogPlace = ReadonlyMap<number, number>;

/** A page of those who were members at the place, by ascending profile number, behind `afterProfile`. */
export async function listMembersAt(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  place: LogPlace,
  afterProfile: number | null,
  limit: number,
): Promise<Member[]> {
  const parameters = createParameters();
  const from = afterProfile === null ? 0 : afterProfile + 1;
  const past = await membersAt(clickhouse, account, segment, place, parameters);
  const rows = await queryEach<{ profile: number }>(
    clickhouse,
    `SELECT toUInt32(chunk * ${2 ** CHUNK_BITS} + low) AS profile
     FROM (
       SELECT chunk, arrayJoin(bitmapToArray(members)) AS low
       FROM (
         SELECT chunk, members
         FROM (${past})
         WHERE chunk >= ${parameters.add('UInt16', chunkOf(from))} AND bitmapCardinality(members) > 0
         ORDER BY chunk
         LIMIT ${parameters.add('UInt32', limit + 1)}
       )
     )
     WHERE profile >= ${parameters.add('UInt32', from)}
     ORDER BY profile
     LIMIT ${parameters.add('UInt32', limit)}`,
    parameters.values,
  );
  const profiles = rows
    .map(({ profile }) => profile)
    .sort((a, b) => a - b)
    .slice(0, limit);
  const entered = await entryTimesAt(clickhouse, account, segment, place, profiles);
  return profiles.map((profile) => ({ profile, enteredAt: entered.get(profile) ?? null }));
}

export async function countMembersAt(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  place: LogPlace,
): Promise<number> {
  const parameters = createParameters();
  const past = await membersAt(clickhouse, account, segment, place, parameters);
  const rows = await queryEach<{ size: string }>(
    clickhouse,
    `SELECT sum(bitmapCardinality(members)) AS size FROM (${past})`,
    parameters.values,
  );
  return rows.reduce((sum, { size }) => sum + Number(size), 0);
}

/**
 * By evaluator partition: how many were members at the instant (epoch milliseconds), or, where the segment was populated
 * later, how many it was populated with. Partitions without any are absent.
 */
export async function sizesAfter(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  instant: number,
): Promise<Map<number, number>> {
  const parameters = createParameters();
  const later = `evaluated_at > ${moment(instant, parameters)}`;
  const rows = await queryEach<{ chunk: number; size: string }>(
    clickhouse,
    `SELECT chunk, bitmapCardinality(members) AS size
     FROM (${undone(account, segment, later, parameters)})
     WHERE size > 0`,
    parameters.values,
  );
  const sizes = new Map<number, number>();
  for (const { chunk, size } of rows) {
    const partition = chunkPartition(account, chunk);
    sizes.set(partition, (sizes.get(partition) ?? 0) + Number(size));
  }
  return sizes;
}

/** A SELECT of `chunk` and `members` (bitmap of the low 16 bits), some of them perhaps empty. */
async function membersAt(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  place: LogPlace,
  parameters: Parameters,
): Promise<string> {
  const populatedLater = await partitionsPopulatedAfter(clickhouse, account, segment, place);
  const first = parameters.add('UInt16', chunkPartition(account, 0));
  return `SELECT chunk, members
    FROM (${undone(account, segment, behind(place, parameters), parameters)})
    WHERE (chunk + ${first}) % ${EVALUATOR_PARTITIONS} NOT IN ${parameters.add('Array(UInt16)', populatedLater)}`;
}

function undone(account: number, segment: number, later: string, parameters: Parameters): string {
  const ofSegment = `account = ${parameters.add('UInt32', account)} AND segment = ${parameters.add('UInt32', segment)}`;
  return `SELECT
      chunk,
      bitmapOr(
        bitmapAndnot(
          groupBitmapMergeStateIf(members, source = 'present'),
          groupBitmapMergeStateIf(members, source = 'was out')
        ),
        groupBitmapMergeStateIf(members, source = 'was in')
      ) AS members
    FROM (
      SELECT chunk, 'present' AS source, groupBitmapXorMergeState(members) AS members
      FROM memberships
      WHERE ${ofSegment}
      GROUP BY chunk
      UNION ALL
      SELECT
        toUInt16(bitShiftRight(profile, ${CHUNK_BITS})) AS chunk,
        if(first = 'EXITED', 'was in', 'was out') AS source,
        groupBitmapState(toUInt32(bitAnd(profile, ${2 ** CHUNK_BITS - 1}))) AS members
      FROM (
        SELECT profile, argMin(kind, sequence) AS first
        FROM membership_log
        WHERE ${ofSegment} AND kind != 'POPULATED' AND ${later}
        GROUP BY profile
      )
      GROUP BY chunk, source
    )
    GROUP BY chunk`;
}

/** Spelled out, so that the order of the table is made use of. */
function behind(place: LogPlace, parameters: Parameters): string {
  return `(${eachPartition(place, '>', parameters)})`;
}

function upTo(place: LogPlace, parameters: Parameters): string {
  return `(${eachPartition(place, '<=', parameters)})`;
}

function eachPartition(place: LogPlace, operator: '>' | '<=', parameters: Parameters): string {
  return Array.from(
    { length: EVALUATOR_PARTITIONS },
    (_, partition) =>
      `partition_no = ${partition} AND sequence ${operator} ${parameters.add('UInt64', place.get(partition) ?? 0)}`,
  ).join(' OR ');
}

async function partitionsPopulatedAfter(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  place: LogPlace,
): Promise<number[]> {
  const parameters = createParameters();
  const rows = await query<{ partition_no: number }>(
    clickhouse,
    `SELECT DISTINCT partition_no
     FROM membership_log
     WHERE account = ${parameters.add('UInt32', account)} AND segment = ${parameters.add('UInt32', segment)}
       AND kind = 'POPULATED' AND ${behind(place, parameters)}`,
    parameters.values,
  );
  return rows.map((row) => row.partition_no);
}

/** When those who were members then had last entered; those who came with the population are absent. */
async function entryTimesAt(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  place: LogPlace,
  profiles: readonly number[],
): Promise<Map<number, number>> {
  if (profiles.length === 0) return new Map();
  const parameters = createParameters();
  const rows = await query<{ profile: number; entered_at: string }>(
    clickhouse,
    `SELECT profile, toUnixTimestamp64Milli(argMax(at, sequence)) AS entered_at
     FROM membership_log
     WHERE account = ${parameters.add('UInt32', account)} AND segment = ${parameters.add('UInt32', segment)}
       AND profile IN ${parameters.add('Array(UInt32)', profiles)}
       AND kind = 'ENTERED' AND ${upTo(place, parameters)}
     GROUP BY profile`,
    parameters.values,
  );
  return new Map(rows.map((row) => [row.profile, Number(row.entered_at)]));
}
