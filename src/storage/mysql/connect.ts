/** The one place where a MySQL connection pool is made. */
import { TransactionRollbackError } from 'drizzle-orm';
import { drizzle, type MySql2Database } from 'drizzle-orm/mysql2';
import { createPool, type Pool, type PoolOptions } from 'mysql2/promise';

export interface MySql {
  pool: Pool;
  db: MySql2Database;
  close(): Promise<void>;
}

/** What both the database and a transaction offer: pass it on to take part in a caller's transaction. */
export type Queries = Pick<MySql2Database, 'select' | 'insert' | 'update' | 'delete' | 'execute'>;

/**
 * `mysql://user:password@host:port/database`, or with `?socketPath=/…` for a server on a Unix socket.
 * Sessions run in READ COMMITTED (row locks only where we ask for them) and in UTC.
 */
export function connectMySql(url: string, connections = 16): MySql {
  const pool = createPool({
    ...poolOptions(url),
    connectionLimit: connections,
    maxIdle: connections,
    supportBigNumbers: true,
    charset: 'utf8mb4_bin',
    timezone: 'Z',
    enableKeepAlive: true,
    multipleStatements: false,
    // Objects as parameters would expand into SQL: parameters here are scalars, buffers and lists of them.
    stringifyObjects: true,
  });
  pool.pool.on('connection', (connection) => {
    // Commands of a connection run in order: these two come before whatever it was made for. A failure is the
    // connection's own, and that first command will tell of it.
    const ignore = () => undefined;
    connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED', ignore);
    connection.query("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'", ignore);
  });
  return { pool, db: drizzle(pool), close: () => pool.end() };
}

export function poolOptions(url: string): PoolOptions {
  const parsed = new URL(url);
  const socketPath = parsed.searchParams.get('socketPath');
  return {
    ...(socketPath ? { socketPath } : { host: parsed.hostname, port: Number(parsed.port || 3306) }),
    user: decodeURIComponent(parsed.username),
    password: decodeURIComponent(parsed.password),
    database: decodeURIComponent(parsed.pathname.slice(1)),
  };
}

/** A transaction of all that `work` does. Where that turns out false, nothing has been done. */
export function allOrNothing(mysql: MySql, work: (tx: Queries) => Promise<boolean>): Promise<boolean> {
  return mysql.db
    .transaction(async (tx) => {
      if (!(await work(tx))) tx.rollback();
      return true;
    })
    .catch((error: unknown) => {
      if (error instanceof TransactionRollbackError) return false;
      throw error;
    });
}

/** Deadlock (1213) and lock wait timeout (1205): the transaction was rolled back and may be run again. */
export function isRetryable(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const number = (cause as { errno?: number }).errno;
    if (number === 1213 || number === 1205) return true;
  }
  return false;
}
