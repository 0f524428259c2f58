/** Bytes on the disks and in the log, a row each, of whatever lies there. */
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { round } from '../lib/stats.ts';

export interface Size {
  rows: number;
  bytesPerRow: number;
}

export async function clickHouseBytes({
  client,
  database,
  ...rest
}: ClickHouse): Promise<Record<string, Size>> {
  const rows = await query<{ table: string; n: string; bytes: string }>(
    { client, database, ...rest },
    `SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS bytes
     FROM system.parts WHERE active AND database = {database:String} GROUP BY table HAVING n > 0`,
    { database },
  );
  return sizes(rows.map(({ table, n, bytes }) => [table, Number(n), Number(bytes)]));
}

/** Indexes included. Of tables with many rows: pages of the others are mostly empty. */
export async function mysqlBytes({ pool }: MySql): Promise<Record<string, Size>> {
  const found: [string, number, number][] = [];
  for (const table of ['profiles', 'identifiers', 'event_ids']) {
    await pool.query(`ANALYZE TABLE ${table}`);
    const [count] = await pool.query(`SELECT COUNT(*) AS n FROM ${table}`);
    const [size] = await pool.query(
      `SELECT DATA_LENGTH + INDEX_LENGTH AS bytes FROM information_schema.TABLES
       WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = ?`,
      [table],
    );
    found.push([
      table,
      Number((count as { n: number }[])[0]?.n),
      Number((size as { bytes: number }[])[0]?.bytes),
    ]);
  }
  return sizes(found);
}

/** Of the records' values alone. */
export async function logBytes({ pool }: MySql): Promise<Record<string, Size>> {
  const [rows] = await pool.query(
    `SELECT name, COUNT(*) AS n, SUM(size) AS bytes FROM log_records JOIN log_topics USING (topic_id) GROUP BY name`,
  );
  return sizes(
    (rows as { name: string; n: number; bytes: number }[]).map(({ name, n, bytes }) => [
      name,
      Number(n),
      Number(bytes),
    ]),
  );
}

function sizes(rows: readonly [name: string, rows: number, bytes: number][]): Record<string, Size> {
  return Object.fromEntries(
    rows.map(([name, count, bytes]) => [name, { rows: count, bytesPerRow: round(bytes / count, 1) }]),
  );
}
