/**
 * Forward-only, numbered migrations. ClickHouse has no lock to offer, so every statement is idempotent and two
 * processes may run them at once. Of a cluster each shard is migrated by itself.
 */
import { OperatorError } from '../../runtime/failure.ts';
import { readMigrations } from '../migration-files.ts';
import { createWholeTables, isShardMark, shardMark } from './cluster.ts';
import { command, query, type ClickHouse } from './connect.ts';

/** Runs what has not run yet and returns the names of those files. */
export async function migrateClickHouse(clickhouse: ClickHouse, folder: string): Promise<string[]> {
  const { cluster } = clickhouse;
  if (!cluster) return migrateServer(clickhouse, folder, null);
  const done = await Promise.all(
    cluster.shards.map((shard, i) => migrateServer(shard, folder, shardMark(i, cluster))),
  );
  await createWholeTables(clickhouse);
  return [...new Set(done.flat())];
}

/** `mark`: which shard it is; null: it is alone. */
async function migrateServer(clickhouse: ClickHouse, folder: string, mark: string | null): Promise<string[]> {
  await command(
    clickhouse,
    `CREATE TABLE IF NOT EXISTS migrations (name String, applied_at DateTime64(3, 'UTC'))
     ENGINE = ReplacingMergeTree(applied_at) ORDER BY name`,
  );
  const rows = await query<{ name: string }>(clickhouse, 'SELECT DISTINCT name FROM migrations');
  const applied = new Set(rows.map((row) => row.name));
  const note = (name: string) =>
    command(clickhouse, 'INSERT INTO migrations SELECT {name:String}, now64(3)', { name });
  const isNow = mark ?? 'a single server';
  const was = [...applied].find(isShardMark) ?? (applied.size > 0 ? 'a single server' : isNow);
  if (was !== isNow)
    throw new OperatorError(
      `The ClickHouse database ${clickhouse.database} is that of ${was}, not of ${isNow}. ` +
        'The shards of CLICKHOUSE_CLUSTER and their order stay as they were in the beginning.',
    );
  if (mark !== null && applied.size === 0) await note(mark);
  const done: string[] = [];
  for (const { name, statements } of await readMigrations(folder)) {
    if (applied.has(name)) continue;
    for (const statement of statements) await command(clickhouse, statement);
    await note(name);
    done.push(name);
  }
  return done;
}
