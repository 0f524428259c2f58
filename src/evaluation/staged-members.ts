/**
 * First members of segments on their way into `memberships`: computed by one statement for many partitions, corrected
 * by each for those who have changed meanwhile, and stored by each under its own token.
 */
import { inPages } from '../runtime/in-pages.ts';
import type { NormalCondition } from '../segments/ast.ts';
import { command, query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS } from '../storage/topics.ts';
import { selectMembers, type ChunkQuery, type Scope } from './all-profiles.ts';
import { createParameters } from './parameters.ts';

export interface StagedRun {
  account: number;
  /** A UUID. */
  run: string;
}

const COMPUTES_FOR_S = 600;
/** Aggregation goes to disk beyond it. */
const MEMORY_BYTES = 2 * 2 ** 30;
/** Profile numbers in a statement. */
const PROFILES_AT_ONCE = 50_000;

/** Computes who satisfies the condition, in chunks of the scope. `queryId`: by which it can be watched and killed. */
export async function stageMembers(
  clickhouse: ClickHouse,
  { account, run }: StagedRun,
  condition: NormalCondition,
  scope: Scope & { chunks: readonly number[] },
  queryId: string,
): Promise<void> {
  const { sql, parameters, settings } = selectMembers(condition, scope);
  await command(
    clickhouse,
    `INSERT INTO staged_members (account, run, kind, chunk, members)
     SELECT ${parameters.add('UInt32', account)}, ${parameters.add('UUID', run)}, 'COMPUTED', chunk, members
     FROM (${sql})`,
    parameters.values,
    {
      timeoutSeconds: COMPUTES_FOR_S,
      queryId,
      settings: { ...settings, max_bytes_before_external_group_by: String(MEMORY_BYTES) },
    },
  );
}

/** Of the profiles that were asked about again, these hold: whatever was computed for them counts no more. */
export async function stageCorrections(
  clickhouse: ClickHouse,
  { account, run }: StagedRun,
  profiles: readonly number[],
  holds: (profile: number) => boolean,
): Promise<void> {
  for (const asked of inPages(profiles, PROFILES_AT_ONCE)) {
    await command(
      clickhouse,
      `INSERT INTO staged_members (account, run, kind, chunk, members)
       SELECT
         {account:UInt32},
         {run:UUID},
         kind,
         toUInt16(bitShiftRight(profile, ${CHUNK_BITS})) AS chunk,
         groupBitmapState(toUInt32(bitAnd(profile, ${2 ** CHUNK_BITS - 1})))
       FROM (
         SELECT 'ASKED' AS kind, arrayJoin({asked:Array(UInt32)}) AS profile
         UNION ALL
         SELECT 'HELD' AS kind, arrayJoin({held:Array(UInt32)}) AS profile
       )
       GROUP BY kind, chunk`,
      { account, run, asked, held: asked.filter(holds) },
    );
  }
}

/** Of the profiles, those that were computed to be members. */
export async function stagedMembers(
  clickhouse: ClickHouse,
  { account, run }: StagedRun,
  profiles: readonly number[],
): Promise<Set<number>> {
  if (profiles.length === 0) return new Set();
  const rows = await query<{ profile: number }>(
    clickhouse,
    `SELECT toUInt32(chunk * ${2 ** CHUNK_BITS} + arrayJoin(bitmapToArray(bitmapAnd(members, asked)))) AS profile
     FROM staged_members AS staged
     INNER JOIN (
       SELECT
         toUInt16(bitShiftRight(one, ${CHUNK_BITS})) AS chunk,
         groupBitmapState(toUInt32(bitAnd(one, ${2 ** CHUNK_BITS - 1}))) AS asked
       FROM (SELECT arrayJoin({profiles:Array(UInt32)}) AS one)
       GROUP BY chunk
     ) AS questions USING (chunk)
     WHERE account = {account:UInt32} AND run = {run:UUID} AND kind = 'COMPUTED'`,
    { account, run, profiles },
  );
  return new Set(rows.map((row) => row.profile));
}

/** Whether anything is left of what the run has staged. */
export async function isStaged(clickhouse: ClickHouse, { account, run }: StagedRun): Promise<boolean> {
  const rows = await query(
    clickhouse,
    'SELECT 1 FROM staged_members WHERE account = {account:UInt32} AND run = {run:UUID} LIMIT 1',
    { account, run },
  );
  return rows.length > 0;
}

/** A SELECT of `chunk` and `members` of the run, corrected, in these chunks. */
export function selectStaged({ account, run }: StagedRun, chunks: readonly number[]): ChunkQuery {
  const parameters = createParameters();
  const of = (kind: string) => `groupBitmapMergeStateIf(members, kind = '${kind}')`;
  const sql = `
    SELECT chunk, bitmapOr(bitmapAndnot(${of('COMPUTED')}, ${of('ASKED')}), ${of('HELD')}) AS corrected
    FROM staged_members
    WHERE account = ${parameters.add('UInt32', account)}
      AND run = ${parameters.add('UUID', run)}
      AND chunk IN ${parameters.add('Array(UInt16)', chunks)}
    GROUP BY chunk`;
  return { sql: `SELECT chunk, corrected AS members FROM (${sql})`, parameters };
}
