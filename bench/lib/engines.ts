/** Engines of a benchmark's own. */
import path from 'node:path';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { inFolder, withEnding } from './service.ts';

export interface Engines {
  /** Of the benchmark; it goes when the benchmark ends. */
  folder: string;
  mysqlUrl: string;
  clickhouseUrl: string;
  mysql: MySql;
  clickhouse: ClickHouse;
  /** `stop` is called at the end, before what was begun earlier ends. */
  later: (stop: () => unknown) => void;
}

/** Runs `work` with engines of its own, connected and migrated, which end with it, data and all. */
export async function withEngines<Result>(work: (engines: Engines) => Promise<Result>): Promise<Result> {
  return inFolder(async (folder) => {
    const options = { dataDir: path.join(folder, 'engines'), logger: createLogger('error') };
    const stops: (() => unknown)[] = [];
    const stop = async () => {
      for (let one = stops.pop(); one; one = stops.pop()) await one();
    };
    return withEnding(stop, async () => {
      const mariaDb = await startEmbeddedMariaDb(options);
      stops.push(() => mariaDb.stop());
      const mysql = await openMySql(mariaDb.url);
      stops.push(() => mysql.close());
      const engine = await startEmbeddedClickHouse(options);
      stops.push(() => engine.stop());
      const clickhouse = await openClickHouse(engine.url);
      stops.push(() => clickhouse.close());
      const urls = { mysqlUrl: mariaDb.url, clickhouseUrl: engine.url };
      return work({ folder, ...urls, mysql, clickhouse, later: (last) => stops.push(last) });
    });
  });
}
