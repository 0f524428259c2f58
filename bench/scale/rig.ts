/** A private Tidemark over engines that the benchmark itself reaches too: data goes in below, questions above. */
import path from 'node:path';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { createApi, type Api } from '../lib/api.ts';
import { inFolder, startService, withEnding, type Target } from '../lib/service.ts';

export interface Rig {
  target: Target;
  api: Api;
  mysql: MySql;
  clickhouse: ClickHouse;
  /** The account of the key. */
  account: number;
  /** Where ClickHouse keeps its files; null: that is not for the benchmark to say. */
  folder: string | null;
  /** The roots of the processes that work for it. */
  processes: readonly number[];
}

/** Runs `work` with engines and a Tidemark of its own, which end with it, data and all. */
export async function withRig<Result>(work: (rig: Rig) => Promise<Result>): Promise<Result> {
  return inFolder(async (folder) => {
    const options = { dataDir: path.join(folder, 'engines'), logger: createLogger('error') };
    const stops: (() => Promise<void>)[] = [];
    const stop = async () => {
      for (let one = stops.pop(); one; one = stops.pop()) await one();
    };
    return withEnding(stop, async () => {
      const mariaDb = await startEmbeddedMariaDb(options);
      stops.push(() => mariaDb.stop());
      const clickhouseEngine = await startEmbeddedClickHouse(options);
      stops.push(() => clickhouseEngine.stop());
      const env = { MYSQL_URL: mariaDb.url, CLICKHOUSE_URL: clickhouseEngine.url };
      const service = await startService({ folder, command: 'node', env });
      stops.push(() => service.stop());
      const mysql = await openMySql(mariaDb.url);
      stops.push(() => mysql.close());
      const clickhouse = await openClickHouse(clickhouseEngine.url);
      stops.push(() => clickhouse.close());
      return work({ ...(await rigOf(service, mysql, clickhouse)), folder, processes: [process.pid] });
    });
  });
}

/** Over a Tidemark and engines that somebody else has started. */
export async function rigOf(target: Target, mysql: MySql, clickhouse: ClickHouse): Promise<Rig> {
  const [owner] = await mysql.db.select({ id: accounts.id }).from(accounts).limit(1);
  if (!owner) throw new Error('Tidemark has made no account');
  return {
    target,
    api: createApi(target),
    mysql,
    clickhouse,
    account: owner.id,
    folder: null,
    processes: [],
  };
}
