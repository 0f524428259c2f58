/**
 * What a repeated insert of entries may lack though ClickHouse knows its token (storage/clickhouse/restore.ts): each table
 * that has of them is looked at on its own. For whoever takes a partition over, and writes nothing else meanwhile.
 */
import { randomUUID } from 'node:crypto';
import {
  command,
  insertLines,
  insertsEnded,
  onceUnder,
  query,
  type ClickHouse,
} from '../storage/clickhouse/connect.ts';
import { logLines, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import { restoreRows } from '../storage/clickhouse/restore.ts';
import { shardOf } from '../storage/clickhouse/shards.ts';
import type { PartitionOwner } from '../storage/mysql/evaluators.ts';
import { CHUNK_BITS } from '../storage/topics.ts';

/** Each is spent by a fault of its own. */
const MOST_TOKENS = 100;

/** `entries`: of the owner's partition, in their order. All have been inserted under the tokens, and none behind them. */
export async function restoreEntries(
  clickhouse: ClickHouse,
  owner: PartitionOwner,
  tokens: readonly string[],
  entries: readonly LogEntry[],
): Promise<void> {
  const [first] = entries;
  if (!first) return;
  const shard = shardOf(clickhouse, owner.partition);
  // What is put in here would come on top of what a predecessor has under way.
  for (const token of tokens) await insertsEnded(shard, token);
  await restoreRows(shard, 'membership_log', `p${owner.partition}`, () => missingOf(shard, owner, entries));
  await insertLines(
    shard,
    'membership_latest',
    entries.filter(({ kind }) => kind !== 'POPULATED').map(latestLine),
    // Twice does no harm, and under a token that nobody has had before it comes for certain.
    randomUUID(),
  );
  const told = toldBy(entries);
  await putUntil(
    shard,
    `restored:${owner.partition}:${first.sequence}`,
    async () => (await countWrong(shard, told)) === 0,
    (token) => toggleWrong(shard, told, token),
  );
}

/**
 * Puts something under one token after the other until it is there. They are the same whoever does it: what one had under
 * way who was interrupted does not come on top of what the next one does.
 */
export async function putUntil(
  clickhouse: ClickHouse,
  token: string,
  isThere: () => Promise<boolean>,
  put: (token: string) => Promise<void>,
): Promise<void> {
  for (let i = 1; !(await isThere()); i++) {
    if (i > MOST_TOKENS) throw new Error(`ClickHouse does not keep what is inserted as ${token}`);
    await put(`${token}/${i}`);
    await insertsEnded(clickhouse, `${token}/${i}`);
  }
}

async function missingOf(
  shard: ClickHouse,
  owner: PartitionOwner,
  entries: readonly LogEntry[],
): Promise<string[]> {
  const rows = await query<{ sequence: string }>(
    shard,
    `SELECT sequence
     FROM membership_log
     WHERE account IN {accounts:Array(UInt32)}
       AND partition_no = {partition:UInt16}
       AND sequence IN {sequences:Array(UInt64)}`,
    {
      accounts: [...new Set(entries.map(({ account }) => account))],
      partition: owner.partition,
      sequences: entries.map(({ sequence }) => sequence),
    },
  );
  const found = new Set(rows.map(({ sequence }) => Number(sequence)));
  return logLines(
    entries.filter(({ sequence }) => !found.has(sequence)),
    owner.epoch,
  );
}

function latestLine({ account, segment, profile, sequence, kind, at }: LogEntry): string {
  return JSON.stringify({ account, segment, profile, sequence, kind, at: new Date(at).toISOString() });
}

/** What the entries have made of profiles in segments, by columns: parameters of WRONG. */
type Told = Record<'accounts' | 'segments' | 'profiles' | 'members', number[]>;

function toldBy(entries: readonly LogEntry[]): Told {
  const last = new Map<number, Map<number, LogEntry>>();
  for (const entry of entries) {
    const { segment, profile, kind } = entry;
    // What had been told of its members before says nothing of those that it has been populated with.
    if (kind === 'POPULATED') last.delete(segment);
    else last.set(segment, (last.get(segment) ?? new Map<number, LogEntry>()).set(profile, entry));
  }
  const changes = [...last.values()].flatMap((bySegment) => [...bySegment.values()]);
  return {
    accounts: changes.map(({ account }) => account),
    segments: changes.map(({ segment }) => segment),
    profiles: changes.map(({ profile }) => profile),
    members: changes.map(({ kind }) => Number(kind === 'ENTERED')),
  };
}

/** Where the stored members are others: rows of `account`, `segment`, `chunk` and `low`. */
const WRONG = `
  FROM (
    SELECT
      told.1 AS account,
      told.2 AS segment,
      toUInt16(bitShiftRight(told.3, ${CHUNK_BITS})) AS chunk,
      toUInt32(bitAnd(told.3, ${2 ** CHUNK_BITS - 1})) AS low,
      told.4 AS is_member
    FROM (
      SELECT arrayJoin(arrayZip(
        {accounts:Array(UInt32)}, {segments:Array(UInt32)}, {profiles:Array(UInt32)}, {members:Array(UInt8)}
      )) AS told
    )
  ) AS entries
  LEFT JOIN (
    SELECT account, segment, chunk, groupBitmapXorMergeState(members) AS stored
    FROM memberships
    WHERE account IN {accounts:Array(UInt32)}
      AND segment IN {segments:Array(UInt32)}
      AND chunk IN (SELECT toUInt16(bitShiftRight(arrayJoin({profiles:Array(UInt32)}), ${CHUNK_BITS})))
    GROUP BY account, segment, chunk
  ) AS memberships USING (account, segment, chunk)
  WHERE is_member != bitmapContains(stored, low)`;

async function countWrong(shard: ClickHouse, told: Told): Promise<number> {
  const [row] = await query<{ wrong: string }>(shard, `SELECT count() AS wrong ${WRONG}`, told);
  return Number(row?.wrong);
}

function toggleWrong(shard: ClickHouse, told: Told, token: string): Promise<void> {
  return command(
    shard,
    // The order makes it one block, which a token needs.
    `INSERT INTO memberships (account, segment, chunk, members)
     SELECT account, segment, chunk, groupBitmapXorState(bitmapBuild([low]))
     ${WRONG}
     GROUP BY account, segment, chunk
     ORDER BY account, segment, chunk`,
    told,
    onceUnder(token),
  );
}
