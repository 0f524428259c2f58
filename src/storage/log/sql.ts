import type { Clock } from '../../runtime/clock.ts';
import { retry } from '../../runtime/retry.ts';

/** What the embedded log needs of a MySQL pool. mysql2's promise pool has this shape; drivers stay out of here. */
export interface SqlQueries {
  query(sql: string, values?: unknown[]): Promise<[unknown, unknown]>;
}

export interface SqlConnection extends SqlQueries {
  release(): void;
  /** Closes the socket at once: the server rolls back and frees the session's named locks. */
  destroy(): void;
}

export interface SqlPool extends SqlQueries {
  getConnection(): Promise<SqlConnection>;
}

export async function select<Row>(db: SqlQueries, sql: string, values: unknown[] = []): Promise<Row[]> {
  const [rows] = await db.query(sql, values);
  return rows as Row[];
}

/** Returns how many rows the statement found. */
export async function change(db: SqlQueries, sql: string, values: unknown[] = []): Promise<number> {
  const [result] = await db.query(sql, values);
  return (result as { affectedRows: number }).affectedRows;
}

/** The connection went away while COMMIT was under way: it may have been done or not. */
export class OutcomeUnknownError extends Error {
  constructor(cause: unknown) {
    super('the connection was lost during COMMIT: the outcome is unknown', { cause });
    this.name = 'OutcomeUnknownError';
  }
}

/**
 * Commits what `work` did, or rolls everything back; it begins by reading. Throws OutcomeUnknownError where neither is
 * certain.
 */
export async function transaction<T>(pool: SqlPool, work: (tx: SqlQueries) => Promise<T>): Promise<T> {
  const connection = await pool.getConnection();
  let result: T;
  try {
    // Statements of a connection run in their order: the first one of the work need not wait to be sent, the others do.
    const begun = connection.query('START TRANSACTION');
    result = await work({
      query: async (sql, values) => {
        const [answer] = await Promise.all([connection.query(sql, values), begun]);
        return answer;
      },
    });
  } catch (error) {
    await connection.query('ROLLBACK').then(
      () => connection.release(),
      () => connection.destroy(),
    );
    throw error;
  }
  try {
    await connection.query('COMMIT');
  } catch (error) {
    connection.destroy();
    throw new OutcomeUnknownError(error);
  }
  connection.release();
  return result;
}

const TRY_AGAIN = new Set([
  1205, // lock wait timeout
  1213, // deadlock
  1040, // too many connections
  1053, // server shutdown in progress
  1317, // query interrupted
  1927, // connection was killed
]);

/** Rolled back for reasons that pass: a deadlock, a lost connection, a server that restarts. */
export function isTransient(error: unknown): boolean {
  if (!(error instanceof Error) || error instanceof OutcomeUnknownError) return false;
  const { errno, fatal, code } = error as { errno?: number; fatal?: boolean; code?: string };
  if (errno !== undefined && TRY_AGAIN.has(errno)) return true;
  return fatal === true || /^(PROTOCOL_|ECONN|EPIPE$|ENOENT$|ETIMEDOUT$)/.test(code ?? '');
}

/** For reading: a pool hands out connections that have died unnoticed, so that the next attempt may well succeed. */
export function patient(pool: SqlPool, clock: Clock): SqlQueries {
  return {
    query: (sql, values) =>
      retry(() => pool.query(sql, values), {
        clock,
        attempts: 5,
        baseMs: 50,
        maxMs: 1_000,
        retryable: isTransient,
      }),
  };
}
