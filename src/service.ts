/** Composition: which parts there are and in which order they start. They stop in reverse. */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from './config.ts';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from './embedded/index.ts';
import { createCriterionSets } from './evaluation/criterion-sets.ts';
import { startEvaluator } from './evaluation/worker.ts';
import { startIngestWorker } from './ingest/worker.ts';
import { systemClock, type Clock } from './runtime/clock.ts';
import { createHealth, type Health } from './runtime/health.ts';
import type { Lifecycle } from './runtime/lifecycle.ts';
import type { Logger } from './runtime/logger.ts';
import { createApi } from './schema/server.ts';
import { connectCluster } from './storage/clickhouse/cluster.ts';
import { connectClickHouse, queryEach, type ClickHouse } from './storage/clickhouse/connect.ts';
import { migrateClickHouse } from './storage/clickhouse/migrate.ts';
import { createEmbeddedLog } from './storage/log/embedded.ts';
import type { Log } from './storage/log/log.ts';
import { bootstrapAccount } from './storage/mysql/accounts.ts';
import { connectMySql, type MySql } from './storage/mysql/connect.ts';
import { migrateMySql } from './storage/mysql/migrate.ts';
import { TOPICS } from './storage/topics.ts';
import { startHub } from './streaming/hub.ts';
import { createLive } from './streaming/live.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

export interface Service {
  /** Where the API listens; null without the api role. */
  url: string | null;
  /** An ADMIN key that was made at this start, to be shown this once. */
  createdKey: string | null;
}

type Starter = Pick<Lifecycle, 'start' | 'fail' | 'signal'>;

/** Starts the roles of the configuration, engines first. Resolves when everything is ready. */
export async function startService(
  lifecycle: Starter,
  config: Config,
  logger: Logger,
  clock: Clock = systemClock,
): Promise<Service> {
  const health = createHealth({ logger });
  lifecycle.signal.addEventListener('abort', () => health.setPhase('stopping'), { once: true });
  const storage = await openStorage(lifecycle, config, logger);
  const { mysql, clickhouse } = storage;
  const log = await lifecycle.start(
    'log',
    () => openLog(lifecycle, config, logger, mysql),
    (it) => it.close(),
  );
  await log.ensureTopics(TOPICS);
  const { createdKey } = await bootstrapAccount(mysql, {
    key: config.bootstrapApiKey,
    timezone: config.bootstrapTimezone,
  });
  addChecks(health, storage, log);

  const deps = { log, mysql, clickhouse, clock, logger };
  if (config.roles.has('evaluate')) {
    await lifecycle.start(
      'evaluator',
      () => startEvaluator(deps),
      (it) => it.close(),
    );
  }
  if (config.roles.has('ingest')) {
    await lifecycle.start(
      'ingest worker',
      () => startIngestWorker(deps),
      (it) => it.close(),
    );
  }
  let url: string | null = null;
  if (config.roles.has('api')) {
    const hub = await lifecycle.start(
      'hub',
      () => startHub(deps),
      (it) => it.close(),
    );
    const live = await lifecycle.start(
      'live data',
      () => createLive(deps),
      (it) => it.close(),
    );
    const criterionSets = await lifecycle.start(
      'sets of criteria',
      () => createCriterionSets({ ...deps, news: live.activity }),
      (it) => it.close(),
    );
    const api = await lifecycle.start(
      'api',
      () => createApi({ ...deps, hub, live, criterionSets, health }),
      (it) => it.close(),
    );
    url = (await api.listen(config.host, config.port)).url;
  }
  health.setPhase('running');
  return { url, createdKey };
}

async function openStorage(
  lifecycle: Starter,
  config: Config,
  logger: Logger,
): Promise<{ mysql: MySql; clickhouse: ClickHouse }> {
  const { dataDir } = config;
  const [mysqlUrl, clickhouseUrl] = await Promise.all([
    config.mysqlUrl ?? engineUrl(lifecycle, 'MariaDB', () => startEmbeddedMariaDb({ dataDir, logger })),
    config.clickhouseUrl ??
      engineUrl(lifecycle, 'ClickHouse', () => startEmbeddedClickHouse({ dataDir, logger })),
  ]);
  const [mysql, clickhouse] = await Promise.all([
    lifecycle.start(
      'MySQL',
      () => openMySql(mysqlUrl),
      (it) => it.close(),
    ),
    lifecycle.start(
      'ClickHouse client',
      () => openClickHouse(clickhouseUrl, config.clickhouseCluster),
      (it) => it.close(),
    ),
  ]);
  return { mysql, clickhouse };
}

async function engineUrl(
  lifecycle: Starter,
  name: string,
  start: () => Promise<{ url: string; stop(): Promise<void> }>,
): Promise<string> {
  return (await lifecycle.start(name, start, (engine) => engine.stop())).url;
}

/** Connected, and migrated to this version. */
export async function openMySql(url: string): Promise<MySql> {
  const mysql = connectMySql(url);
  try {
    await migrateMySql(mysql, path.join(ROOT, 'migrations'));
    return mysql;
  } catch (error) {
    await mysql.close();
    throw error;
  }
}

/** Connected, and migrated to this version. */
export async function openClickHouse(url: string, cluster: string | null = null): Promise<ClickHouse> {
  const clickhouse = await (cluster === null ? connectClickHouse(url) : connectCluster(url, cluster));
  try {
    await migrateClickHouse(clickhouse, path.join(ROOT, 'clickhouse'));
    return clickhouse;
  } catch (error) {
    await clickhouse.close();
    throw error;
  }
}

async function openLog(lifecycle: Starter, config: Config, logger: Logger, mysql: MySql): Promise<Log> {
  if (!config.kafkaBrokers) return createEmbeddedLog({ pool: mysql.pool, logger });
  const { createKafkaLog } = await import('./storage/log/kafka.ts');
  return createKafkaLog({
    brokers: config.kafkaBrokers,
    clientId: 'tidemark',
    logger,
    onCrash: (error) => lifecycle.fail(error),
  });
}

function addChecks(health: Health, storage: { mysql: MySql; clickhouse: ClickHouse }, log: Log): void {
  health.add('mysql', () => storage.mysql.pool.query('SELECT 1'));
  health.add('clickhouse', (signal) =>
    queryEach(storage.clickhouse, 'SELECT 1', {}, { signal, timeoutSeconds: 2 }),
  );
  health.add('log', () => log.ping());
}
