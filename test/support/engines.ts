import { randomBytes } from 'node:crypto';
import { createConnection } from 'mysql2/promise';
import { afterAll, beforeAll, inject } from 'vitest';
import { poolOptions } from '../../src/storage/mysql/connect.ts';
import { startCluster, type TestCluster } from './cluster.ts';

export interface EngineUrls {
  mysql: string;
  clickhouse: string;
  /** Null: one server. */
  cluster: string | null;
}

export interface TestEngines {
  mysqlUrl(): string;
  clickhouseUrl(): string;
  /** All of it. */
  urls(): EngineUrls;
}

/**
 * Gives the test file an empty database of its own in the run's MariaDB and ClickHouse; both are dropped at its end.
 * Call it at the top of a file or a describe; the URLs are there from the first beforeAll after it.
 * With TEST_SHARDS in the environment it is a cluster of so many servers instead, of the file's own.
 */
export function useEngines(): TestEngines {
  const database = `test_${randomBytes(8).toString('hex')}`;
  const urls = { mysql: inject('mysqlUrl'), clickhouse: inject('clickhouseUrl') };
  let cluster: TestCluster | null = null;

  beforeAll(async () => {
    await sql(urls.mysql, `CREATE DATABASE ${database}`);
    const shards = Number(process.env['TEST_SHARDS'] ?? 0);
    if (shards > 0) cluster = await startCluster(shards);
    else await clickhouseQuery(urls.clickhouse, `CREATE DATABASE ${database}`);
  });
  afterAll(async () => {
    await sql(urls.mysql, `DROP DATABASE ${database}`);
    if (cluster) await cluster.stop();
    else await clickhouseQuery(urls.clickhouse, `DROP DATABASE ${database} SYNC`);
  });
  const mysqlUrl = () => inDatabase(urls.mysql, database);
  const clickhouseUrl = () => inDatabase(cluster?.url ?? urls.clickhouse, database);
  return {
    mysqlUrl,
    clickhouseUrl,
    urls: () => ({ mysql: mysqlUrl(), clickhouse: clickhouseUrl(), cluster: cluster?.name ?? null }),
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
