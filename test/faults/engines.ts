/** Engines of our own, because they are killed. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { createLogger } from '../../src/runtime/logger.ts';

export interface Engines {
  mysql: string;
  clickhouse: string;
  /** kill -9; its supervisor starts it again. */
  kill(engine: 'clickhouse' | 'mariadb'): void;
  stop(): Promise<void>;
}

export async function startEngines(): Promise<Engines> {
  mkdirSync('.cache', { recursive: true });
  const dataDir = mkdtempSync(path.resolve('.cache', 'faults-'));
  const options = { dataDir, logger: createLogger('fatal') };
  const [clickhouse, mariadb] = await Promise.all([
    startEmbeddedClickHouse(options),
    startEmbeddedMariaDb(options),
  ]);
  return {
    mysql: mariadb.url,
    clickhouse: clickhouse.url,
    kill(engine) {
      const state = JSON.parse(readFileSync(path.join(dataDir, engine, 'run.json'), 'utf8')) as {
        child: { pid: number };
      };
      process.kill(state.child.pid, 'SIGKILL');
    },
    async stop() {
      await Promise.all([clickhouse.stop(), mariadb.stop()]);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
