import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { TOPICS } from '../../src/storage/topics.ts';
import type { TestEngines } from './engines.ts';

export interface Stores {
  mysql: MySql;
  clickhouse: ClickHouse;
  log: Log;
}

/** What a writer needs, over the engines of a test file: one server of ClickHouse, or all of a cluster. */
export async function openStores(engines: TestEngines, cluster: string | null = null): Promise<Stores> {
  const mysql = await openMySql(engines.mysqlUrl());
  const clickhouse = await openClickHouse(engines.clickhouseUrl(), cluster);
  const log = createEmbeddedLog({ pool: mysql.pool, logger: createLogger('error') });
  await log.ensureTopics(TOPICS);
  return { mysql, clickhouse, log };
}

export async function closeStores({ mysql, clickhouse, log }: Stores): Promise<void> {
  await log.close();
  await clickhouse.close();
  await mysql.close();
}
