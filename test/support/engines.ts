import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, inject } from 'vitest';
import { poolOptions } from '../../src/storage/mysql/connect.ts';

/**
 * Gives the test file an empty database of its own in the run's MariaDB and ClickHouse; both are dropped at its end.
 * Call it at the top of a file or a describe; the URLs are there from the first beforeAll after it.
 */
export function useEngines(): { mysqlUrl(): string; clickhouseUrl(): string } {
  const database = `test_${randomBytes(8).toString('hex')}`;
  const urls = { mysql: inject('mysqlUrl'), clickhouse: inject('clickhouseUrl') };

  beforeAll(async () => {
    await sql(urls.mysql, `CREATE DATABASE ${database}`);
    await clickhouseQuery(urls.clickhouse, `CREATE DATABASE ${database}`);
  });
  afterAll(async () => {
    await sql(urls.mysql, `DROP DATABASE ${database}`);
    await clickhouseQuery(urls.clickhouse, `DROP DATABASE ${database} SYNC`);
  });
  return {
    mysqlUrl: () => inDatabase(urls.mysql, database),
    clickhouseUrl: () => inDatabase(urls.clickhouse, database),
  };
}

/** Runs one statement on the server of a `http://user:password@host:port/database` URL and returns its text. */
export async function clickhouseQuery(url: string, query: string): Promise<string> {
  const { origin, username, password, pathname } = new URL(url);
  const response = await fetch(`${origin}/?database=${pathname.slice(1)}`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': username, 'X-ClickHouse-Key': decodeURIComponent(password) },
    body: query,
  });
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text.trim();
}

/** Runs one statement on the server of a `mysql://` URL and returns its rows. */
export async function sql(url: string, statement: string): Promise<unknown> {
  const connection = await createConnection(poolOptions(url));
  try {
    const [rows] = await connection.query(statement);
    return rows;
  } finally {
    await connection.end();
  }
}

function inDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
