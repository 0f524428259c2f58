/** Engines of our own, because they are killed. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import path from 'node:path';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { until } from '../comparison/world.ts';
import { createLogger } from '../../src/runtime/logger.ts';

export interface Engines {
  mysql: string;
  clickhouse: string;
  /** kill -9, once it is there; its supervisor starts it again, after a while if it dies often. */
  kill(engine: 'clickhouse' | 'mariadb'): Promise<void>;
  /** kill -9 of ClickHouse when it has noted the token of an insert, and has perhaps not put the rows in their place. */
  killInInsert(): Promise<void>;
  stop(): Promise<void>;
}

export async function startEngines(): Promise<Engines> {
  mkdirSync('.cache', { recursive: true });
  const dataDir = mkdtempSync(path.resolve('.cache', 'faults-'));
  const options = { dataDir, logger: createLogger('fatal') };
  const pidOf = (engine: string): number => {
    const state = JSON.parse(readFileSync(path.join(dataDir, engine, 'run.json'), 'utf8')) as {
      child: { pid: number };
    };
    return state.child.pid;
  };
  const [clickhouse, mariadb] = await Promise.all([
    startEmbeddedClickHouse(options),
    startEmbeddedMariaDb(options),
  ]);
  return {
    mysql: mariadb.url,
    clickhouse: clickhouse.url,
    kill: (engine) => until(`${engine} is there to be killed`, () => hasKilled(pidOf(engine)), 30_000),
    async killInInsert() {
      const pid = pidOf('clickhouse');
      // Each table lies below three letters of its own.
      const store = path.join(dataDir, 'clickhouse', 'data', 'store');
      const tables = readdirSync(store).flatMap((letters) =>
        readdirSync(path.join(store, letters)).map((table) => path.join(store, letters, table)),
      );
      const logs = tables.map((table) => path.join(table, 'deduplication_logs'));
      await killWhenWritten(pid, logs.filter(existsSync));
    },
    async stop() {
      await Promise.all([clickhouse.stop(), mariadb.stop()]);
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function hasKilled(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

function killWhenWritten(pid: number, folders: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    let isDead = false;
    const watchers = folders.map((folder) =>
      watch(folder, () => {
        if (isDead) return;
        isDead = true;
        process.kill(pid, 'SIGKILL');
        for (const watcher of watchers) watcher.close();
        resolve();
      }),
    );
  });
}
