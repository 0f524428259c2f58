/**
 * Who is in which segment: one bitmap per segment and chunk of profile numbers, the XOR of all diffs there have been.
 */
import {
  command,
  onceUnder,
  query,
  queryEach,
  type ClickHouse,
  type QueryOptions,
} from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS, chunkOf } from '../storage/topics.ts';
import { selectMembers, type ChunkQuery, type Scope } from './all-profiles.ts';
import type { Parameters } from './parameters.ts';
import type { NormalCondition } from '../segments/ast.ts';

const CHUNK_SIZE = 2 ** CHUNK_BITS;
const lowBits = (profile: number) => profile & (CHUNK_SIZE - 1);

export interface Member {
  profile: number;
  /** Epoch milliseconds; null: has been a member since the segment was populated. */
  enteredAt: number | null;
}

/** A page of members by ascending profile number, behind `afterProfile`. */
export async function listMembers(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  afterProfile: number | null,
  limit: number,
): Promise<Member[]> {
  const from = afterProfile === null ? 0 : afterProfile + 1;
  const rows = await queryEach<{ profile: number }>(
    clickhouse,
    // The chunks come in order, so that a page opens no more of them than it needs.
    `SELECT toUInt32(chunk * ${CHUNK_SIZE} + low) AS profile
     FROM (
       SELECT chunk, arrayJoin(bitmapToArray(members)) AS low
       FROM (
         SELECT chunk, groupBitmapXorMergeState(members) AS members
         FROM memberships
         WHERE account = {account:UInt32} AND segment = {segment:UInt32} AND chunk >= {chunk:UInt16}
         GROUP BY chunk
         HAVING bitmapCardinality(members) > 0
         ORDER BY chunk
         LIMIT {limit:UInt32} + 1
       )
     )
     WHERE profile >= {from:UInt32}
     ORDER BY profile
     LIMIT {limit:UInt32}`,
    { account, segment, chunk: chunkOf(from), from, limit },
  );
  const profiles = rows
    .map((row) => row.profile)
    .sort((a, b) => a - b)
    .slice(0, limit);
  const entered = await entryTimes(clickhouse, account, [segment], profiles);
  return profiles.map((profile) => ({ profile, enteredAt: entered.get(`${segment}:${profile}`) ?? null }));
}

/** Those of the segments that hold the profile, in the order given. */
export async function segmentsOfProfile(
  clickhouse: ClickHouse,
  account: number,
  profile: number,
  segments: readonly number[],
): Promise<{ segment: number; enteredAt: number | null }[]> {
  const holding = await containsProfile(clickhouse, account, segments, profile);
  const held = segments.filter((segment) => holding.has(segment));
  const entered = await entryTimes(clickhouse, account, held, [profile]);
  return held.map((segment) => ({ segment, enteredAt: entered.get(`${segment}:${profile}`) ?? null }));
}

export async function containsProfile(
  clickhouse: ClickHouse,
  account: number,
  segments: readonly number[],
  profile: number,
): Promise<Set<number>> {
  const stored = await storedMemberships(clickhouse, account, segments, [profile]);
  return new Set([...stored].filter(([, profiles]) => profiles.has(profile)).map(([segment]) => segment));
}

/** Of these profiles, the members of each segment, as they are stored now. */
export async function storedMemberships(
  clickhouse: ClickHouse,
  account: number,
  segments: readonly number[],
  profiles: readonly number[],
): Promise<Map<number, Set<number>>> {
  const members = new Map<number, Set<number>>();
  if (segments.length === 0 || profiles.length === 0) return members;
  const asked = new Set(profiles);
  const rows = await query<{ segment: number; chunk: number; lows: number[] }>(
    clickhouse,
    `SELECT
       segment,
       chunk,
       bitmapToArray(bitmapAnd(groupBitmapXorMergeState(members), bitmapBuild({lows:Array(UInt32)}))) AS lows
     FROM memberships
     WHERE account = {account:UInt32} AND segment IN {segments:Array(UInt32)} AND chunk IN {chunks:Array(UInt16)}
     GROUP BY segment, chunk`,
    {
      account,
      segments,
      chunks: [...new Set(profiles.map(chunkOf))],
      lows: [...new Set(profiles.map(lowBits))],
    },
  );
  for (const { segment, chunk, lows } of rows) {
    const set = members.get(segment) ?? new Set<number>();
    for (const low of lows) {
      const profile = chunk * CHUNK_SIZE + low;
      if (asked.has(profile)) set.add(profile);
    }
    members.set(segment, set);
  }
  return members;
}

/** Some chunks of a segment. */
interface Chunks {
  account: number;
  segment: number;
  chunks: readonly number[];
}

/** A SELECT of `chunk` and `members`, as they are stored. */
function selectStored({ account, segment, chunks }: Chunks, parameters: Parameters): string {
  return `SELECT chunk, groupBitmapXorMergeState(members) AS members
       FROM memberships
       WHERE account = ${parameters.add('UInt32', account)}
         AND segment = ${parameters.add('UInt32', segment)}
         AND chunk IN ${parameters.add('Array(UInt16)', chunks)}
       GROUP BY chunk`;
}

/**
 * The first population of a segment: stored inside ClickHouse from a SELECT of members by chunk, over some of the
 * account's chunks. The token makes it happen once; the order makes it one block, which a token needs, and so does a row,
 * even where nobody is a member. What is stored is the difference from what is stored already: whoever died between
 * populating and saying so is followed by one who populates again, under another token.
 */
export async function populate(
  clickhouse: ClickHouse,
  target: Chunks,
  { sql, parameters }: ChunkQuery,
  token: string,
): Promise<void> {
  const account = parameters.add('UInt32', target.account);
  const id = parameters.add('UInt32', target.segment);
  const first = parameters.add('UInt16', Math.min(...target.chunks));
  await command(
    clickhouse,
    // No alias for the state: WHERE would take it for the column.
    `INSERT INTO memberships (account, segment, chunk, members)
     SELECT
       ${account},
       ${id},
       chunk,
       groupBitmapXorState(members)
     FROM (
       SELECT chunk, members FROM (${sql})
       UNION ALL
       SELECT ${first} AS chunk, bitmapBuild(emptyArrayUInt32()) AS members
       UNION ALL
       ${selectStored(target, parameters)}
     )
     WHERE bitmapCardinality(members) > 0 OR chunk = ${first}
     GROUP BY chunk
     ORDER BY chunk`,
    parameters.values,
    { timeoutSeconds: 600, ...onceUnder(token) },
  );
}

/** Whether the members are stored, as far as others than these are concerned. */
export async function isPopulated(
  clickhouse: ClickHouse,
  target: Chunks,
  { sql, parameters }: ChunkQuery,
  except: readonly number[],
): Promise<boolean> {
  const low = `toUInt32(bitAnd(profile, ${CHUNK_SIZE - 1}))`;
  const [row] = await query<{ wrong: string }>(
    clickhouse,
    `SELECT sum(bitmapCardinality(bitmapAndnot(bitmapXor(wanted, stored), excepted))) AS wrong
     FROM (
       SELECT
         groupBitmapMergeStateIf(members, source = 'wanted') AS wanted,
         groupBitmapMergeStateIf(members, source = 'stored') AS stored,
         groupBitmapMergeStateIf(members, source = 'excepted') AS excepted
       FROM (
         SELECT chunk, 'wanted' AS source, members FROM (${sql})
         UNION ALL
         SELECT chunk, 'stored' AS source, members FROM (${selectStored(target, parameters)})
         UNION ALL
         SELECT
           toUInt16(bitShiftRight(profile, ${CHUNK_BITS})) AS chunk,
           'excepted' AS source,
           groupBitmapState(${low}) AS members
         FROM (SELECT arrayJoin(${parameters.add('Array(UInt32)', except)}) AS profile)
         GROUP BY chunk
       )
       GROUP BY chunk
     )`,
    parameters.values,
    { timeoutSeconds: 600 },
  );
  return row?.wrong === '0';
}

export interface ChunkDiff {
  chunk: number;
  entered: number[];
  exited: number[];
}

/** How the members that the condition asks for differ from those that are stored, chunk by chunk. */
export async function diffWithStored(
  clickhouse: ClickHouse,
  segment: number,
  condition: NormalCondition,
  scope: Scope & { chunks: readonly number[] },
  options: QueryOptions = { timeoutSeconds: 600 },
): Promise<ChunkDiff[]> {
  const { sql, parameters, settings } = selectMembers(condition, scope);
  const wanted = 'groupBitmapMergeStateIf(members, is_wanted)';
  const stored = 'groupBitmapMergeStateIf(members, NOT is_wanted)';
  const rows = await query<{ chunk: number; entered: number[]; exited: number[] }>(
    clickhouse,
    `SELECT
       chunk,
       bitmapToArray(bitmapAndnot(${wanted}, ${stored})) AS entered,
       bitmapToArray(bitmapAndnot(${stored}, ${wanted})) AS exited
     FROM (
       SELECT chunk, true AS is_wanted, members FROM (${sql})
       UNION ALL
       SELECT chunk, false AS is_wanted, members FROM (${selectStored({ ...scope, segment }, parameters)})
     )
     GROUP BY chunk
     HAVING notEmpty(entered) OR notEmpty(exited)
     ORDER BY chunk`,
    parameters.values,
    { ...options, settings: { ...settings, ...options.settings } },
  );
  const numbers = (chunk: number, lows: number[]) => lows.map((low) => chunk * CHUNK_SIZE + low);
  return rows.map(({ chunk, entered, exited }) => ({
    chunk,
    entered: numbers(chunk, entered),
    exited: numbers(chunk, exited),
  }));
}

/** By "segment:profile", when present members last entered; those who came with the population are absent. */
async function entryTimes(
  clickhouse: ClickHouse,
  account: number,
  segments: readonly number[],
  profiles: readonly number[],
): Promise<Map<string, number>> {
  if (segments.length === 0 || profiles.length === 0) return new Map();
  const rows = await query<{ segment: number; profile: number; entered_at: string }>(
    clickhouse,
    `SELECT segment, profile, toUnixTimestamp64Milli(argMax(at, sequence)) AS entered_at
     FROM membership_latest
     WHERE account = {account:UInt32} AND segment IN {segments:Array(UInt32)} AND profile IN {profiles:Array(UInt32)}
     GROUP BY segment, profile
     HAVING argMax(kind, sequence) = 'ENTERED'`,
    { account, segments, profiles },
  );
  return new Map(rows.map((row) => [`${row.segment}:${row.profile}`, Number(row.entered_at)]));
}
