/** A cluster of embedded ClickHouse servers of our own, one per shard, which can be killed and started one by one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findLibrary } from '../../src/embedded/clickhouse.ts';
import { freePorts } from '../../src/embedded/ports.ts';

export interface TestCluster {
  /** As the servers know it. There are also `NAME-swapped`, in reverse order, and `NAME-first`, the first shard alone. */
  name: string;
  /** Of the first server. */
  url: string;
  /** kill -9. */
  kill(shard: number): Promise<void>;
  /** Again, with the same ports and files. */
  start(shard: number): Promise<void>;
  stop(): Promise<void>;
}

const CHILD = path.resolve('src/embedded/clickhouse-child.mjs');
const NAME = 'shards';
const PASSWORD = 'in-tests-only';

export async function startCluster(shards: number): Promise<TestCluster> {
  mkdirSync('.cache', { recursive: true });
  const folder = mkdtempSync(path.resolve('.cache', 'cluster-'));
  const ports = await freePorts(2 * shards);
  const servers = Array.from({ length: shards }, (_, i) => ({
    http: ports[2 * i] ?? 0,
    tcp: ports[2 * i + 1] ?? 0,
    folder: path.join(folder, String(i)),
  }));
  const tcpPorts = servers.map(({ tcp }) => tcp);
  const running = new Map<number, ChildProcess>();

  async function start(shard: number): Promise<void> {
    const server = servers[shard];
    if (!server || running.has(shard)) throw new Error(`shard ${shard} cannot be started`);
    const library = findLibrary();
    const options = [`--config-file=${path.join(server.folder, 'config.xml')}`, '--log-level=error'];
    const child = spawn(process.execPath, [CHILD, library, String(process.pid), 'HTTP,TCP', ...options], {
      stdio: 'ignore',
    });
    running.set(shard, child);
    const deadline = performance.now() + 30_000;
    // The native protocol comes second.
    while (!(await answers(server.http)) || !(await isOpen(server.tcp))) {
      if (child.exitCode !== null || performance.now() > deadline)
        throw new Error(`shard ${shard} does not answer; its log is in ${server.folder}`);
      await sleep(20);
    }
  }

  async function end(shard: number, signal: NodeJS.Signals): Promise<void> {
    const child = running.get(shard);
    if (!child) return;
    running.delete(shard);
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await ended;
  }

  async function stop(): Promise<void> {
    await Promise.all(servers.map((_, shard) => end(shard, 'SIGKILL')));
    rmSync(folder, { recursive: true, force: true });
  }

  for (const server of servers) writeConfig(server, tcpPorts);
  try {
    await Promise.all(servers.map((_, shard) => start(shard)));
  } catch (error) {
    await stop();
    throw error;
  }
  const url = `http://tidemark:${PASSWORD}@127.0.0.1:${servers[0]?.http}/tidemark`;
  return { name: NAME, url, kill: (shard) => end(shard, 'SIGKILL'), start, stop };
}

function isOpen(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  return new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  }).finally(() => socket.destroy());
}

async function answers(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/ping`).catch(() => null);
  return response?.ok === true;
}

function writeConfig(
  { folder, http, tcp }: { folder: string; http: number; tcp: number },
  tcpPorts: readonly number[],
): void {
  mkdirSync(folder);
  const user = (name: string, inside: string) => `<${name}>
      <networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota>
      ${inside}
    </${name}>`;
  writeFileSync(
    path.join(folder, 'users.xml'),
    `<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users>
    ${user(
      'default',
      `<password/><grants>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT SELECT ON system.numbers</query>
      </grants>`,
    )}
    ${user('tidemark', `<password>${PASSWORD}</password>`)}
  </users>
</clickhouse>
`,
  );
  const shards = tcpPorts.map(
    (port) => `<shard><replica>
        <host>127.0.0.1</host><port>${port}</port><user>tidemark</user><password>${PASSWORD}</password>
      </replica></shard>`,
  );
  writeFileSync(
    path.join(folder, 'config.xml'),
    `<clickhouse>
  <path>${path.join(folder, 'data')}</path>
  <users_config>${path.join(folder, 'users.xml')}</users_config>
  <logger><log>${path.join(folder, 'clickhouse.log')}</log></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>${http}</http_port>
  <tcp_port>${tcp}</tcp_port>
  <timezone>UTC</timezone>
  <max_server_memory_usage_to_ram_ratio>0.25</max_server_memory_usage_to_ram_ratio>
  <mark_cache_size>268435456</mark_cache_size>
  <background_pool_size>4</background_pool_size>
  <remote_servers>
    <${NAME}>${shards.join('')}</${NAME}>
    <${NAME}-swapped>${[...shards].reverse().join('')}</${NAME}-swapped>
    <${NAME}-first>${shards[0]}</${NAME}-first>
  </remote_servers>
</clickhouse>
`,
  );
}
