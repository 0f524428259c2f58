/**
 * ClickHouse notes the token of an insert before the rows are in their table (a MergeTree writes its deduplication log
 * first, and then puts the part in its place). Whoever dies in between, or has no space left, comes back with the token
 * and without the rows, and passes over all that is sent under it again: lost without an error, in the table, in the
 * target of one of its views, or in both. So whoever repeats an insert looks whether all of it is there.
 */
import { randomUUID } from 'node:crypto';
import { command, insertLines, query, untilEnded, type ClickHouse, type InsertTable } from './connect.ts';

const ENDED_WITHIN_MS = 60_000;

/** With it begin the names of tables that are there for a moment only. */
export const RESTORED = 'restored__';

/**
 * Puts rows into one table that it lacks although they have been inserted, past the views that take from it: those may
 * have theirs. `clickhouse`: one server, or one shard. `missing`: the lines that the table lacks; asked more than once.
 * `purpose` (letters, digits, _): what names the insert among those into the table. Of several that restore the same at
 * the same time, whoever is not the last to begin fails; throws then, and is to be repeated.
 */
export async function restoreRows(
  clickhouse: ClickHouse,
  table: InsertTable,
  purpose: string,
  missing: () => Promise<string[]>,
): Promise<void> {
  const beside = `${RESTORED}${table}__${purpose}__` as const;
  // What one has left that was interrupted.
  await dropAll(clickhouse, beside, null);
  if ((await missing()).length === 0) return;
  const own = `${beside}${randomUUID().replaceAll('-', '')}` as const;
  await command(clickhouse, `CREATE TABLE ${own} AS ${table}`);
  // Whoever has looked before us now has nothing to put in: no row gets in twice.
  await dropAll(clickhouse, beside, own);
  await insertLines(clickhouse, own, await missing(), own);
  const parts = await query<{ id: string }>(
    clickhouse,
    `SELECT DISTINCT partition_id AS id
     FROM system.parts
     WHERE database = currentDatabase() AND table = {own:String} AND active`,
    { own },
  );
  for (const { id } of parts) {
    const attach = `ALTER TABLE ${table} ATTACH PARTITION ID {id:String} FROM ${own}`;
    await command(clickhouse, attach, { id }, { queryId: `${own}-${id}` });
  }
  await drop(clickhouse, own);
}

async function dropAll(clickhouse: ClickHouse, prefix: string, except: string | null): Promise<void> {
  const tables = await query<{ name: string }>(
    clickhouse,
    `SELECT name
     FROM system.tables
     WHERE database = currentDatabase() AND startsWith(name, {prefix:String})`,
    { prefix },
  );
  for (const { name } of tables) if (name !== except) await drop(clickhouse, name);
  // What reads from one that somebody else has just dropped may be under way still.
  await untilEnded(clickhouse, prefix, ENDED_WITHIN_MS);
}

/** Ends when nobody reads from it any more. */
function drop(clickhouse: ClickHouse, name: string): Promise<void> {
  return command(clickhouse, `DROP TABLE IF EXISTS ${name} SYNC`);
}
