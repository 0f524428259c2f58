/** The real service on real engines, and the import as a process of its own against it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createClient, type Client } from '../../examples/client.ts';
import { useEngines } from '../support/engines.ts';
import { SERVICE_KEY, startWholeService } from '../support/service.ts';

export interface TestServer {
  /** Of the server, without a path. */
  url: string;
  apiKey: string;
  client: Client;
  clickhouseUrl: string;
}

/** One service for a test file. Call it at the top of the file. */
export function useServer(): () => TestServer {
  const engines = useEngines();
  let service: { url: string; stop: () => Promise<void> } | undefined;
  let server: TestServer | undefined;
  beforeAll(async () => {
    const clickhouseUrl = engines.clickhouseUrl();
    service = await startWholeService({ MYSQL_URL: engines.mysqlUrl(), CLICKHOUSE_URL: clickhouseUrl });
    const { url } = service;
    server = { url, apiKey: SERVICE_KEY, client: createClient({ url, apiKey: SERVICE_KEY }), clickhouseUrl };
  });
  afterAll(() => service?.stop());
  return () => server!;
}

/** A folder for a test file, removed at its end. */
export function useFolder(): () => string {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'tidemark-import-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return () => folder;
}

export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  finished: Promise<Finished>;
}

/** Starts `examples/<program>/main.ts`, as the npm command does. */
export function startProgram(
  program: 'import' | 'demo',
  args: string[],
  env: { TIDEMARK_URL?: string; TIDEMARK_API_KEY?: string },
  stdin?: string | Buffer,
): Running {
  const child = spawn(process.execPath, ['--import', 'tsx', `examples/${program}/main.ts`, ...args], {
    env: { ...process.env, TIDEMARK_URL: '', TIDEMARK_API_KEY: '', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const finished = new Promise<Finished>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
  // The program may end before it has read everything.
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  return { child, finished };
}

export function runImport(server: TestServer, args: string[], stdin?: string | Buffer): Promise<Finished> {
  const env = { TIDEMARK_URL: server.url, TIDEMARK_API_KEY: server.apiKey };
  return startProgram('import', args, env, stdin).finished;
}

/** How many profiles satisfy the condition. */
export async function audienceCount(client: Client, where: unknown): Promise<number> {
  const { audience } = await client.request<{ audience: { count: number } }>(
    'query ($where: ConditionInput!) { audience(where: $where) { count } }',
    { where },
  );
  return audience.count;
}

export async function eventually(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
