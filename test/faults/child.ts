/**
 * One Tidemark process without an API: ingest and evaluation.   tsx child.ts '{"mysql", "clickhouse", "steps"}'
 * With `steps`, it kills itself at that step: a statement to MySQL, a request to ClickHouse. Every other time just
 * before, so that it never happens, every other time just after it was sent, so that nobody hears of its success.
 */
import { createRequire } from 'node:module';
import { startEvaluator } from '../../src/evaluation/worker.ts';
import { startIngestWorker } from '../../src/ingest/worker.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { shardsOf } from '../../src/storage/clickhouse/shards.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import { TOPICS } from '../../src/storage/topics.ts';

export interface Task {
  mysql: string;
  clickhouse: string;
  /** Absent: one server. */
  cluster?: string;
  /** Null: it lives until somebody else kills it. */
  steps: number | null;
}

const {
  mysql: mysqlUrl,
  clickhouse: clickhouseUrl,
  cluster = null,
  steps,
} = JSON.parse(process.argv[2] ?? '') as Task;
let left = steps ?? Infinity;

function step(): void {
  left -= 1;
  if (left !== 0) return;
  if ((steps ?? 0) % 2 === 0) process.kill(process.pid, 'SIGKILL');
  else setTimeout(() => process.kill(process.pid, 'SIGKILL'), (steps ?? 0) % 7);
}

type Method = (this: unknown, ...args: unknown[]) => unknown;

function countCalls(target: object, names: readonly string[]): void {
  const methods = target as Record<string, Method>;
  for (const name of names) {
    const original = methods[name];
    if (!original) throw new Error(`${name} is not there any more`);
    methods[name] = function (...args) {
      step();
      return original.apply(this, args);
    };
  }
}

const { Connection } = createRequire(import.meta.url)('mysql2') as { Connection: { prototype: object } };
const logger = createLogger('fatal');
const mysql = await openMySql(mysqlUrl);
const clickhouse: ClickHouse = await openClickHouse(clickhouseUrl, cluster);
const log = createEmbeddedLog({ pool: mysql.pool, logger });
await log.ensureTopics(TOPICS);
countCalls(Connection.prototype, ['query', 'execute']);
for (const { client } of shardsOf(clickhouse)) countCalls(client, ['query', 'exec', 'command']);
const deps = { log, mysql, clickhouse, clock: systemClock, logger };
await startEvaluator(deps);
await startIngestWorker(deps);
process.stdout.write('ready\n');
