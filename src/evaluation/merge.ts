/** After merges: the sources' events are counted for the targets. */
import { inPages } from '../runtime/in-pages.ts';
import { randomUUID } from 'node:crypto';
import { command, query, untilEnded, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { everywhere } from '../storage/clickhouse/shards.ts';

export interface Merge {
  source: number;
  target: number;
}

/** Merges that one pair of statements carries out. */
const MERGES_PER_COPY = 1_000;
const COPY_SECONDS = 60;

/**
 * Copies the events of each source that its target does not have yet. Repeating it copies nothing again; only the
 * writer of the targets' partition does it, so no two copies run at once. No source may come twice.
 */
export async function copyEvents(
  clickhouse: ClickHouse,
  partition: number,
  account: number,
  merges: readonly Merge[],
): Promise<void> {
  const name = `copy-${clickhouse.database}-${partition}-`;
  // What a predecessor has begun could copy the same events beside us.
  await untilEnded(clickhouse, name, 2 * COPY_SECONDS * 1_000);
  for (const page of inPages(merges, MERGES_PER_COPY)) await copy(clickhouse, name, account, page);
}

/**
 * Each of the two tables on its own, by what it lacks itself: a copy that was interrupted between a table and its view
 * would else be taken for missing in both, or in none.
 */
async function copy(
  clickhouse: ClickHouse,
  name: string,
  account: number,
  merges: readonly Merge[],
): Promise<void> {
  const parameters = {
    account,
    sources: merges.map(({ source }) => source),
    targets: merges.map(({ target }) => target),
  };
  const targetOf = 'transform(profile, {sources:Array(UInt32)}, {targets:Array(UInt32)}, toUInt32(0))';
  const fromSources = `
    FROM ${everywhere(clickhouse, 'events_by_profile')}
    WHERE account = {account:UInt32} AND profile IN {sources:Array(UInt32)}`;
  const run = (sql: string) =>
    command(clickhouse, sql, parameters, {
      timeoutSeconds: COPY_SECONDS,
      queryId: `${name}${randomUUID()}`,
      settings: { deduplicate_insert_select: 'disable' },
    });
  const [found] = await query<{ events: string; future: string; dated: string }>(
    clickhouse,
    `SELECT count() AS events, countIf(time > arrived_at) AS future, countIf(notEmpty(dates)) AS dated
     ${fromSources}`,
    parameters,
  );
  if (!found || found.events === '0') return;
  if (found.future !== '0') {
    // First, and without looking what is there: waking somebody twice does no harm.
    await run(`INSERT INTO future_events
      SELECT account, metric, ${targetOf}, time
      ${fromSources} AND time > arrived_at`);
  }
  if (found.dated !== '0') {
    await run(`INSERT INTO dates
      SELECT account, metric, path, written.1, written.2, ${targetOf}
      FROM (SELECT account, metric, profile, dates ${fromSources})
      ARRAY JOIN mapKeys(dates) AS path, mapValues(dates) AS written`);
  }
  const metrics = `SELECT metric ${fromSources}`;
  for (const [table, among] of [
    ['events', `metric IN (${metrics}) AND`],
    ['events_by_profile', ''],
  ] as const) {
    // Within: outside, the new profile would take the place of the old one in every expression.
    await run(`INSERT INTO ${table}
      SELECT * REPLACE (${targetOf} AS profile, true AS copied)
      FROM (
        SELECT *
        ${fromSources}
          AND (${targetOf}, id) GLOBAL NOT IN (
            SELECT profile, id
            FROM ${table}
            WHERE account = {account:UInt32} AND ${among} profile IN {targets:Array(UInt32)}
          )
        -- Two sources of a target share events when one of them has been merged into the other before.
        LIMIT 1 BY ${targetOf}, id
      )`);
  }
}
