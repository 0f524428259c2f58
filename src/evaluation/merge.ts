/** After merges: the sources' events are counted for the targets. */
import { command, query, type ClickHouse } from '../storage/clickhouse/connect.ts';

export interface Merge {
  source: number;
  target: number;
}

/** Merges that one pair of statements carries out. */
const MERGES_PER_COPY = 1_000;

/**
 * Copies the events of each source that its target does not have yet. Repeating it copies nothing again; only the
 * writer of the targets' partition does it, so no two copies run at once. No source may come twice.
 */
export async function copyEvents(
  clickhouse: ClickHouse,
  account: number,
  merges: readonly Merge[],
): Promise<void> {
  for (let start = 0; start < merges.length; start += MERGES_PER_COPY) {
    await copy(clickhouse, account, merges.slice(start, start + MERGES_PER_COPY));
  }
}

async function copy(clickhouse: ClickHouse, account: number, merges: readonly Merge[]): Promise<void> {
  const parameters = {
    account,
    sources: merges.map(({ source }) => source),
    targets: merges.map(({ target }) => target),
  };
  const targetOf = 'transform(profile, {sources:Array(UInt32)}, {targets:Array(UInt32)}, toUInt32(0))';
  const fromSources = `
    FROM events_by_profile
    WHERE account = {account:UInt32} AND profile IN {sources:Array(UInt32)}`;
  const missing = `
    SELECT *
    ${fromSources}
      AND (${targetOf}, id) NOT IN (
        SELECT profile, id
        FROM events_by_profile
        WHERE account = {account:UInt32} AND profile IN {targets:Array(UInt32)}
      )`;
  const [set] = await query<{ size: string; future: string; hash: string }>(
    clickhouse,
    `SELECT count() AS size, countIf(time > arrived_at) AS future, groupBitXor(sipHash64(${targetOf}, id)) AS hash
     FROM (${missing})`,
    parameters,
  );
  if (!set || set.size === '0') return;
  if (set.future !== '0') {
    // First, and without looking what is there: waking somebody twice does no harm.
    await command(
      clickhouse,
      `INSERT INTO future_events
       SELECT account, metric, ${targetOf}, time
       ${fromSources} AND time > arrived_at`,
      parameters,
    );
  }
  await command(
    clickhouse,
    `INSERT INTO events
     SELECT * REPLACE (${targetOf} AS profile, true AS copied)
     FROM (${missing})
     ORDER BY profile, id`,
    parameters,
    // After a crash between the table and its view the same set is missing again, and comes under the same token.
    { settings: { insert_deduplication_token: `merge:${account}:${set.size}:${set.hash}` } },
  );
}
