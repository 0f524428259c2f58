/**
 * Forward-only, numbered migrations. ClickHouse has no lock to offer, so every statement is idempotent and two
 * processes may run them at once.
 */
import { readMigrations } from '../migration-files.ts';
import { command, query, type ClickHouse } from './connect.ts';

/** Runs what has not run yet and returns the names of those files. */
export async function migrateClickHouse(clickhouse: ClickHouse, folder: string): Promise<string[]> {
  await command(
    clickhouse,
    `CREATE TABLE IF NOT EXISTS migrations (name String, applied_at DateTime64(3, 'UTC'))
     ENGINE = ReplacingMergeTree(applied_at) ORDER BY name`,
  );
  const rows = await query<{ name: string }>(clickhouse, 'SELECT DISTINCT name FROM migrations');
  const applied = new Set(rows.map((row) => row.name));
  const done: string[] = [];
  for (const { name, statements } of await readMigrations(folder)) {
    if (applied.has(name)) continue;
    for (const statement of statements) await command(clickhouse, statement);
    await command(clickhouse, 'INSERT INTO migrations SELECT {name:String}, now64(3)', { name });
    done.push(name);
  }
  return done;
}
