import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { createLogger } from '../../src/runtime/logger.ts';

declare module 'vitest' {
  interface ProvidedContext {
    mysqlUrl: string;
    clickhouseUrl: string;
  }
}

/** One ClickHouse and one MariaDB for the whole run. Test files take databases of their own in them (engines.ts). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cache = path.resolve('.cache');
  mkdirSync(cache, { recursive: true });
  const dataDir = mkdtempSync(path.join(cache, 'test-'));
  const options = { dataDir, logger: createLogger('warn') };
  const [clickhouse, mariadb] = await Promise.all([
    startEmbeddedClickHouse(options),
    startEmbeddedMariaDb(options),
  ]);
  project.provide('clickhouseUrl', clickhouse.url);
  project.provide('mysqlUrl', mariadb.url);
  return async () => {
    await Promise.all([clickhouse.stop(), mariadb.stop()]);
    rmSync(dataDir, { recursive: true, force: true });
  };
}
