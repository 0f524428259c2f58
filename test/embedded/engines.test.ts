import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startEmbeddedClickHouse, startEmbeddedMariaDb } from '../../src/embedded/index.ts';
import { isAlive, type ProcessId } from '../../src/embedded/processes.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { OperatorError } from '../../src/runtime/failure.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { retry } from '../../src/runtime/retry.ts';
import { clickhouseQuery, sql } from '../support/engines.ts';

const logger = createLogger('fatal');
let dataDir = '';
const cleanups: (() => Promise<unknown> | void)[] = [];

beforeEach(() => {
  mkdirSync('.cache', { recursive: true });
  dataDir = mkdtempSync(path.resolve('.cache/engines-'));
  cleanups.push(() => rmSync(dataDir, { recursive: true, force: true }));
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startBoth(folder = dataDir) {
  const options = { dataDir: folder, logger };
  const [clickhouse, mariadb] = await Promise.all([
    startEmbeddedClickHouse(options),
    startEmbeddedMariaDb(options),
  ]);
  const stop = () => Promise.all([clickhouse.stop(), mariadb.stop()]);
  cleanups.push(stop);
  return { clickhouse: clickhouse.url, mysql: mariadb.url, stop };
}

interface Urls {
  clickhouse: string;
  mysql: string;
}

async function write(urls: Urls): Promise<void> {
  await clickhouseQuery(urls.clickhouse, 'CREATE TABLE t (n UInt32) ENGINE = MergeTree ORDER BY n');
  await clickhouseQuery(urls.clickhouse, 'INSERT INTO t SELECT number FROM numbers(1000)');
  await sql(urls.mysql, 'CREATE TABLE t (n INT PRIMARY KEY)');
  await sql(urls.mysql, 'INSERT INTO t VALUES (1), (2), (3)');
}

async function expectData(urls: Urls): Promise<void> {
  expect(await clickhouseQuery(urls.clickhouse, 'SELECT count() FROM t')).toBe('1000');
  expect(await sql(urls.mysql, 'SELECT COUNT(*) AS n FROM t')).toEqual([{ n: 3 }]);
}

const patiently = <T>(work: () => Promise<T>) =>
  retry(work, { clock: systemClock, attempts: 200, baseMs: 50, maxMs: 100 });

function childOf(engine: 'clickhouse' | 'mariadb', folder = dataDir): ProcessId {
  const state = JSON.parse(readFileSync(path.join(folder, engine, 'run.json'), 'utf8')) as {
    child: ProcessId;
  };
  return state.child;
}

test('both engines survive kill -9, again and again, at the same URLs and with their data', async () => {
  const urls = await startBoth();
  await write(urls);
  for (let round = 0; round < 2; round++) {
    const before = [childOf('clickhouse'), childOf('mariadb')];
    for (const child of before) process.kill(child.pid, 'SIGKILL');
    await patiently(() => expectData(urls));
    const after = [childOf('clickhouse'), childOf('mariadb')];
    for (const [i, child] of after.entries()) {
      expect(child.pid).not.toBe(before[i]?.pid);
      expect(isAlive(child)).toBe(true);
    }
  }
  const last = [childOf('clickhouse'), childOf('mariadb')];
  await urls.stop();
  expect(last.filter(isAlive)).toEqual([]);
});

test('stopping while an engine is being restarted leaves no process', async () => {
  const urls = await startBoth();
  const first = [childOf('clickhouse'), childOf('mariadb')];
  for (const child of first) process.kill(child.pid, 'SIGKILL');
  await patiently(async () => expect(childOf('mariadb').pid).not.toBe(first[1]?.pid));
  const second = [childOf('clickhouse'), childOf('mariadb')];
  await urls.stop();
  expect(second.filter(isAlive)).toEqual([]);
});

function startService(): {
  child: ChildProcess;
  urls: Promise<Urls>;
  exit: Promise<{ code: number | null; output: string }>;
} {
  const child = spawn(process.execPath, ['--import', 'tsx', 'test/embedded/service.ts', dataDir]);
  cleanups.push(() => void child.kill('SIGKILL'));
  let output = '';
  const read = (chunk: Buffer) => (output += chunk.toString());
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const exit = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  );
  const urls = new Promise<Urls>((resolve, reject) => {
    child.stdout.on('data', () => {
      if (output.includes('\n')) resolve(JSON.parse(output.split('\n')[0] ?? '') as Urls);
    });
    void exit.then(() => reject(new Error(output)));
  });
  urls.catch(() => {}); // Not every test waits for them.
  return { child, urls, exit };
}

test('after kill -9 of the service its engines end, and the next start finds the data', async () => {
  const service = startService();
  await write(await service.urls);
  const engines = [childOf('clickhouse'), childOf('mariadb')];
  service.child.kill('SIGKILL');
  await service.exit;
  await expectData(await startBoth());
  expect(engines.filter(isAlive)).toEqual([]);
});

test('an engine that outlived its owner is ended by the next start', async () => {
  const service = startService();
  await write(await service.urls);
  // Where the kernel has no signal for it, engines outlive their owner. Made here with an owner that still exists (so
  // that nothing ends its engines), but neither moves nor is the one on record.
  const folders = (['clickhouse', 'mariadb'] as const).map((engine) =>
    path.join(dataDir, engine, 'run.json'),
  );
  const engines = [childOf('clickhouse'), childOf('mariadb')];
  for (const file of folders) {
    const state = JSON.parse(readFileSync(file, 'utf8')) as { owner: ProcessId };
    writeFileSync(file, JSON.stringify({ ...state, owner: { ...state.owner, born: 'long ago' } }));
  }
  service.child.kill('SIGSTOP');
  await expectData(await startBoth());
  expect(engines.filter(isAlive)).toEqual([]);
});

test('a folder in use by a living Tidemark is refused, and left alone', async () => {
  const service = startService();
  const urls = await service.urls;
  await write(urls);
  const error = await startEmbeddedClickHouse({ dataDir, logger }).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(OperatorError);
  expect((error as Error).message).toMatch(/in use by another Tidemark \(process \d+\).*DATA_DIR/);
  await expect(startEmbeddedMariaDb({ dataDir, logger })).rejects.toThrow(/in use by another Tidemark/);
  const second = startService();
  const { code, output } = await second.exit;
  expect(code).toBe(1);
  expect(output).toContain('in use by another Tidemark');
  expect(output).not.toContain('    at ');
  await expectData(urls);

  // Even without the record of its owner, the engines' own locks protect the data.
  for (const engine of ['clickhouse', 'mariadb']) rmSync(path.join(dataDir, engine, 'run.json'));
  await expect(startEmbeddedClickHouse({ dataDir, logger })).rejects.toThrow(/in use by another Tidemark/);
  await expectData(urls);
  service.child.kill('SIGTERM');
  expect((await service.exit).code).toBe(0);
});

test('the port is kept from run to run, unless somebody else has taken it', async () => {
  const first = await startEmbeddedClickHouse({ dataDir, logger });
  await first.stop();
  const second = await startEmbeddedClickHouse({ dataDir, logger });
  expect(second.url).toBe(first.url);
  await second.stop();
  const port = Number(new URL(first.url).port);
  const stranger = createServer().listen(port, '127.0.0.1');
  cleanups.push(() => void stranger.close());
  const third = await startEmbeddedClickHouse({ dataDir, logger });
  cleanups.push(() => third.stop());
  expect(new URL(third.url).port).not.toBe(String(port));
  expect(await clickhouseQuery(third.url, 'SELECT 1')).toBe('1');
});

test('a data folder whose path is too long for a socket, with odd characters, works', async () => {
  const folder = path.join(dataDir, `a folder & <more> ${'x'.repeat(100)}`);
  const urls = await startBoth(folder);
  await write(urls);
  await expectData(urls);
  const socket = new URL(urls.mysql).searchParams.get('socketPath') ?? '';
  expect(socket.startsWith(folder)).toBe(false);
  expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(100);
  await urls.stop();
  expect(existsSync(path.dirname(socket))).toBe(false);
});

test('an installation of MariaDB that was interrupted is begun again', async () => {
  mkdirSync(path.join(dataDir, 'mariadb/data.new/mysql'), { recursive: true });
  const engine = await startEmbeddedMariaDb({ dataDir, logger });
  cleanups.push(() => engine.stop());
  expect(await sql(engine.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a data folder that cannot be made is explained', async () => {
  writeFileSync(path.join(dataDir, 'file'), '');
  const error = await startEmbeddedClickHouse({ dataDir: path.join(dataDir, 'file'), logger }).catch(
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(OperatorError);
  expect((error as Error).message).toMatch(/cannot be written \(E\w+\).*DATA_DIR/);
});
