/** On what it was measured: figures mean nothing without it. */
import { execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import os from 'node:os';
import { findProgram } from '../../src/embedded/find-mariadb.mjs';

export interface Machine {
  cpus: number;
  cpuModel: string;
  memoryGb: number;
  platform: string;
  node: string;
  /** Over the last minute, before the benchmark began: what else the machine was doing. */
  loadBefore: number;
  /** Null: somebody else's engines, of which nothing is known. */
  engines: { clickhouse: string; mysql: string; log: string } | null;
}

export function describeMachine(options: { embedded: boolean }): Machine {
  return {
    cpus: os.availableParallelism(),
    cpuModel: os.cpus()[0]?.model.trim() ?? 'unknown',
    memoryGb: Number((os.totalmem() / 2 ** 30).toFixed(1)),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    node: process.versions.node,
    loadBefore: Number((os.loadavg()[0] ?? 0).toFixed(2)),
    engines: options.embedded
      ? { clickhouse: clickhouseVersion(), mysql: mariadbVersion(), log: 'embedded, in that MySQL' }
      : null,
  };
}

function clickhouseVersion(): string {
  const name = `@chdb/lib-${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;
  try {
    const { version } = createRequire(import.meta.url)(`${name}/package.json`) as { version: string };
    return `${name} ${version}`;
  } catch {
    return 'unknown';
  }
}

function mariadbVersion(): string {
  const program = findProgram('mariadbd');
  if (program === null) return 'unknown';
  const text = execFileSync(program, ['--no-defaults', '--version'], { encoding: 'utf8' });
  return /Ver (\S+)/.exec(text)?.[1] ?? text.trim();
}
