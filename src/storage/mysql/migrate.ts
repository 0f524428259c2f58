/**
 * Forward-only, numbered migrations. Every statement is idempotent, so a crash in the middle is mended by the next
 * run; a named lock lets two processes start at once.
 */
import type { RowDataPacket } from 'mysql2/promise';
import { readMigrations } from '../migration-files.ts';
import type { MySql } from './connect.ts';

const LOCK_SECONDS = 60;

/** Runs what has not run yet and returns the names of those files. */
export async function migrateMySql(mysql: MySql, folder: string): Promise<string[]> {
  const connection = await mysql.pool.getConnection();
  try {
    const [locked] = await connection.query<RowDataPacket[]>(
      "SELECT GET_LOCK(CONCAT('tidemark-migrate-', LEFT(SHA2(DATABASE(), 256), 16)), ?) AS got",
      [LOCK_SECONDS],
    );
    if (locked[0]?.['got'] !== 1) throw new Error(`another migration still runs after ${LOCK_SECONDS} s`);
    await connection.query(
      'CREATE TABLE IF NOT EXISTS migrations (name VARCHAR(255) NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)',
    );
    const [rows] = await connection.query<RowDataPacket[]>('SELECT name FROM migrations');
    const applied = new Set(rows.map((row) => String(row['name'])));
    const done: string[] = [];
    for (const { name, statements } of await readMigrations(folder)) {
      if (applied.has(name)) continue;
      for (const statement of statements) await connection.query(statement);
      await connection.query(
        'INSERT INTO migrations (name, applied_at) VALUES (?, ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000))',
        [name],
      );
      done.push(name);
    }
    return done;
  } finally {
    // A connection that closes releases its named locks: no unlock can be forgotten on an error path.
    connection.destroy();
  }
}
