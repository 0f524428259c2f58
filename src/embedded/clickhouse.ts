import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { OperatorError } from '../runtime/failure.ts';
import type { Logger } from '../runtime/logger.ts';
import { claimFolder, inUse } from './folder.ts';
import { freePorts, isFree } from './ports.ts';
import { EngineExit, supervise, type Supervised } from './supervise.ts';

export interface EmbeddedEngine {
  url: string;
  stop(): Promise<void>;
}

const CHILD = fileURLToPath(new URL('./clickhouse-child.mjs', import.meta.url));

/**
 * A private ClickHouse on 127.0.0.1, its files in `dataDir/clickhouse`.
 * `url` is `http://tidemark:password@127.0.0.1:port/tidemark`; it stays the same when the engine is restarted.
 */
export async function startEmbeddedClickHouse(options: {
  dataDir: string;
  logger: Logger;
}): Promise<EmbeddedEngine> {
  const library = findLibrary();
  const folder = await claimFolder(options.dataDir, 'clickhouse');
  try {
    const password = folder.settings['password'] ?? randomBytes(18).toString('base64url');
    // The port of the last run first, so that a person's bookmarks keep working.
    let port = await freePort(folder.settings['port']);
    for (let attempt = 1; ; attempt++) {
      folder.save({ port: String(port), password });
      const config = writeConfig(folder.path, port, password);
      try {
        const engine = await supervise({
          name: 'clickhouse',
          logger: options.logger,
          spawn: () =>
            spawn(
              process.execPath,
              [CHILD, library, String(process.pid), 'HTTP', `--config-file=${config}`, '--log-level=error'],
              // A group of its own: Ctrl-C in the terminal must not end it before the service has stopped.
              { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
            ),
          ping: () => createDatabase(port, password),
          onSpawn: (pid) => folder.childStarted(pid),
        });
        return { url: `http://tidemark:${password}@127.0.0.1:${port}/tidemark`, stop: () => stop(engine) };
      } catch (error) {
        // Somebody took the port between our look and the server's start.
        if (attempt < 3 && error instanceof EngineExit && error.output.includes('Address already in use')) {
          port = await freePort(undefined);
          continue;
        }
        throw explain(error, options.dataDir, folder.path);
      }
    }
  } catch (error) {
    folder.release();
    throw error;
  }

  async function stop(engine: Supervised): Promise<void> {
    await engine.stop();
    folder.release();
  }
}

export function findLibrary(): string {
  const platform = `${process.platform}-${process.arch}${process.platform === 'linux' ? '-gnu' : ''}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`@chdb/lib-${platform}/package.json`);
    return path.join(path.dirname(manifest), 'libchdb.so');
  } catch {
    throw new OperatorError(
      `The embedded ClickHouse for this platform (npm package @chdb/lib-${platform}) is not installed. ` +
        'Run npm ci without --omit=optional. If the package does not exist for this platform, ' +
        'set CLICKHOUSE_URL to a running ClickHouse server (26.7 or newer).',
    );
  }
}

function explain(error: unknown, dataDir: string, folder: string): unknown {
  if (!(error instanceof EngineExit)) return error;
  if (error.output.includes('Cannot lock file')) return inUse(dataDir);
  return new OperatorError(
    `The embedded ClickHouse did not start: ${error.message}.\n${error.output.trim()}\nIts log: ${folder}/clickhouse.log`,
  );
}

/** Also the sign of life. The password makes sure that it is our server that answers, not a stranger on its port. */
async function createDatabase(port: number, password: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'X-ClickHouse-User': 'tidemark', 'X-ClickHouse-Key': password },
    body: 'CREATE DATABASE IF NOT EXISTS tidemark',
    signal: AbortSignal.timeout(5_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`ClickHouse answered ${response.status}: ${text.slice(0, 200)}`);
}

function writeConfig(folder: string, port: number, password: string): string {
  const file = (name: string) => xml(path.join(folder, name));
  const hash = createHash('sha256').update(password).digest('hex');
  const config = path.join(folder, 'config.xml');
  // The first query, which opens the port, runs as `default`: it may do that and nothing else.
  writeFileSync(
    path.join(folder, 'users.xml'),
    `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password/>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>
    </default>
    <tidemark>
      <password_sha256_hex>${hash}</password_sha256_hex>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </tidemark>
  </users>
</clickhouse>
`,
    { mode: 0o600 },
  );
  // Sized for a machine that has other things to do: half of the memory at most, small caches.
  writeFileSync(
    config,
    `<clickhouse>
  <path>${file('data')}</path>
  <users_config>${file('users.xml')}</users_config>
  <logger>
    <log>${file('clickhouse.log')}</log>
    <size>10M</size>
    <count>2</count>
  </logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>${port}</http_port>
  <timezone>UTC</timezone>
  <max_server_memory_usage_to_ram_ratio>0.5</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>268435456</mark_cache_size>
  <background_pool_size>4</background_pool_size>
</clickhouse>
`,
    { mode: 0o600 },
  );
  return config;
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** `wanted` when it is free, otherwise any free port. */
async function freePort(wanted: string | undefined): Promise<number> {
  if (wanted !== undefined && (await isFree(Number(wanted)))) return Number(wanted);
  const [port = 0] = await freePorts(1);
  return port;
}
