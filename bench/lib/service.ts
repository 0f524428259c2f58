/** A private Tidemark for one benchmark, with a data folder of its own that is removed afterwards. */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isAlive, processTree } from './processes.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a benchmark talks to. */
export interface Target {
  /** Base URL, without /graphql. */
  url: string;
  apiKey: string;
  /** Null: somebody else runs it. */
  pid: number | null;
}

export interface PrivateService extends Target {
  pid: number;
  /** From the spawn to the first 200 of /health/ready. */
  readySeconds: number;
  /** SIGTERM, and waits until every process of it has ended. */
  stop(): Promise<void>;
}

export type StartCommand = 'npm start' | 'node';

const READY_WITHIN_MS = 120_000;
const END_WITHIN_MS = 20_000;
const POLL_MS = 10;

/** What is to be undone, latest first, when a signal ends the benchmark. */
const undo: (() => unknown)[] = [];

/** Ends the private services and removes their folders at once: for signals. */
export async function cleanUp(): Promise<void> {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
}

function forget(step: () => unknown): void {
  const at = undo.indexOf(step);
  if (at >= 0) undo.splice(at, 1);
}

/** Runs `work` with an empty folder under .cache/, and removes it whatever happens. */
export async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const cache = path.join(ROOT, '.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(path.join(cache, 'bench-'));
  return withEnding(
    () => rmSync(folder, { recursive: true, force: true }),
    () => work(folder),
  );
}

/** Runs `work` and then `end`, whatever happens; `end` also when a signal ends the benchmark. */
export async function withEnding<Result>(end: () => unknown, work: () => Promise<Result>): Promise<Result> {
  undo.push(end);
  try {
    return await work();
  } finally {
    forget(end);
    await end();
  }
}

/** Runs `work` with the Tidemark that the options name, or with a private one that is ended afterwards. */
export async function withTarget<Result>(
  given: { url: string; apiKey: string } | null,
  work: (target: Target, folder: string) => Promise<Result>,
): Promise<Result> {
  return inFolder(async (folder) => {
    if (given) return work({ ...given, pid: null }, folder);
    const service = await startService({ folder, command: 'node' });
    try {
      return await work(service, folder);
    } finally {
      await service.stop();
    }
  });
}

/**
 * Starts Tidemark on a free port with `folder/data` as its data folder; a second start finds the first one's data.
 * `env` may name engines that are there already.
 */
export async function startService(options: {
  folder: string;
  command: StartCommand;
  env?: Record<string, string>;
}): Promise<PrivateService> {
  const { folder, command, env = {} } = options;
  const port = await freePort();
  const apiKey = randomBytes(18).toString('base64url');
  const logFile = path.join(folder, 'service.log');
  const output = openSync(logFile, 'a');
  const [program, args] =
    command === 'npm start'
      ? ['npm', ['start', '--silent']]
      : [process.execPath, ['--max-semi-space-size=64', '--import', 'tsx', 'src/main.ts']];
  const begun = performance.now();
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', output, output],
    env: ownEnvironment({
      PORT: String(port),
      DATA_DIR: path.join(folder, 'data'),
      BOOTSTRAP_API_KEY: apiKey,
      // As npm start does.
      NODE_ENV: 'production',
      ...env,
    }),
  });
  closeSync(output);
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    forget(stop);
    await end(child);
  };
  undo.push(stop);
  try {
    await untilReady(child, `${url}/health/ready`);
  } catch (error) {
    await stop();
    const log = readFileSync(logFile, 'utf8').trim().split('\n').slice(-15).join('\n');
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}. The end of its log:\n${log}`,
      {
        cause: error,
      },
    );
  }
  const readySeconds = (performance.now() - begun) / 1000;
  return { url, apiKey, pid: child.pid ?? 0, readySeconds, stop };
}

/** Ours without what would lead a private Tidemark to other people's engines, or change its parts. */
function ownEnvironment(own: Record<string, string>): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const name of ['CLICKHOUSE_URL', 'MYSQL_URL', 'KAFKA_BROKERS', 'ROLES', 'HOST', 'LOG_LEVEL']) {
    delete env[name];
  }
  return { ...env, ...own };
}

async function untilReady(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`Tidemark ended (${child.exitCode ?? child.signalCode}) before it was ready`);
    }
    const status = await fetch(url, { signal: AbortSignal.timeout(5_000) }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );
    if (status === 200) return;
    await sleep(POLL_MS);
  }
  throw new Error(`Tidemark was not ready within ${READY_WITHIN_MS / 1000} s`);
}

/** The whole tree is looked at: behind `npm start` stand npm, a shell, our script, the service and its engines. */
async function end(child: ChildProcess): Promise<void> {
  const tree = child.pid === undefined ? [] : [...new Set([child.pid, ...processTree(child.pid)])];
  child.kill('SIGTERM');
  const deadline = performance.now() + END_WITHIN_MS;
  while (tree.some(isAlive)) {
    if (performance.now() > deadline) {
      const left = tree.filter(isAlive);
      for (const pid of left) process.kill(pid, 'SIGKILL');
      throw new Error(
        `Tidemark did not end within ${END_WITHIN_MS / 1000} s; ${left.length} processes killed`,
      );
    }
    await sleep(20);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
