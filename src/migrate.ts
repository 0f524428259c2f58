/** `npm run migrate`: brings both databases to this version and ends. */
import { loadConfig } from './config.ts';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from './embedded/index.ts';
import { OperatorError } from './runtime/failure.ts';
import { createLogger } from './runtime/logger.ts';
import { openClickHouse, openMySql } from './service.ts';

async function migrate(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config.logLevel);
  const { dataDir } = config;
  const engines: { stop(): Promise<void> }[] = [];
  const urlOf = async (start: () => Promise<{ url: string; stop(): Promise<void> }>) => {
    const engine = await start();
    engines.push(engine);
    return engine.url;
  };
  try {
    const mysql = await openMySql(
      config.mysqlUrl ?? (await urlOf(() => startEmbeddedMariaDb({ dataDir, logger }))),
    );
    await mysql.close();
    const clickhouse = await openClickHouse(
      config.clickhouseUrl ?? (await urlOf(() => startEmbeddedClickHouse({ dataDir, logger }))),
      config.clickhouseCluster,
    );
    await clickhouse.close();
    logger.info('both databases are at this version');
  } finally {
    for (const engine of engines) await engine.stop();
  }
}

try {
  await migrate();
} catch (error) {
  process.stderr.write(`${error instanceof OperatorError ? error.message : String(error)}\n`);
  process.exitCode = error instanceof OperatorError ? error.exitCode : 1;
}
