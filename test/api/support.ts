/* eslint-disable @typescript-eslint/no-unsafe-member-access */
/** The real service on real engines, and clients for its three transports. */
import path from 'node:path';
import { createClient, type Client } from 'graphql-ws';
import { afterAll, beforeAll } from 'vitest';
import WebSocket from 'ws';
import { createCriterionSets } from '../../src/evaluation/criterion-sets.ts';
import { startEvaluator } from '../../src/evaluation/worker.ts';
import { startIngestWorker } from '../../src/ingest/worker.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { createLogger, type Logger } from '../../src/runtime/logger.ts';
import { createApi, type Api } from '../../src/schema/server.ts';
import { openClickHouse } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import { bootstrapAccount, hashSecret } from '../../src/storage/mysql/accounts.ts';
import { connectMySql, type MySql } from '../../src/storage/mysql/connect.ts';
import { insertKey } from '../../src/storage/mysql/keys.ts';
import { migrateMySql } from '../../src/storage/mysql/migrate.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import { TOPICS } from '../../src/storage/topics.ts';
import { startHub } from '../../src/streaming/hub.ts';
import { createLive } from '../../src/streaming/live.ts';
import { useEngines, type EngineUrls } from '../support/engines.ts';

export interface Answer {
  status: number;
  headers: Headers;
  // Tests look into answers of every shape.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  data: any;
  errors: { message: string; path?: (string | number)[]; extensions: Record<string, unknown> }[] | undefined;
}

export interface TestApi {
  url: string;
  /** The ADMIN key of the first account. */
  admin: string;
  mysql: MySql;
  clickhouse: ClickHouse;
  log: Log;
  clickhouseUrl: string;
  api: Api;
  /** Everything that was logged. */
  logged: string[];
  gql(query: string, variables?: object, options?: { key?: string | null }): Promise<Answer>;
  /** A key with these scopes, of the first account or another one. */
  key(scopes: string, account?: number): Promise<string>;
  otherAccount(): Promise<{ account: number; admin: string }>;
  socket(key?: string): Client;
}

/** One service for a test file. Call it at the top of the file. */
export function useApi(): () => TestApi {
  const engines = useEngines();
  let running: TestApi | undefined;
  const stops: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    running = await start(engines.urls(), stops);
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  return () => running as TestApi;
}

async function start(
  { mysql: mysqlUrl, clickhouse: clickhouseUrl, cluster }: EngineUrls,
  stops: (() => Promise<unknown>)[],
): Promise<TestApi> {
  const logged: string[] = [];
  const logger: Logger = createLogger('debug', { write: (line: string) => logged.push(line) });
  const clock = systemClock;
  const mysql = connectMySql(mysqlUrl);
  stops.push(() => mysql.close());
  await migrateMySql(mysql, path.resolve('migrations'));
  const clickhouse = await openClickHouse(clickhouseUrl, cluster);
  stops.push(() => clickhouse.close());
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  stops.push(() => log.close());
  await log.ensureTopics(TOPICS);
  const { account, createdKey } = await bootstrapAccount(mysql, { key: null, timezone: 'UTC' });
  const deps = { log, mysql, clickhouse, clock, logger };
  const evaluator = await startEvaluator(deps);
  stops.push(() => evaluator.close());
  const worker = await startIngestWorker(deps);
  stops.push(() => worker.close());
  const hub = await startHub(deps);
  stops.push(() => hub.close());
  const live = createLive(deps);
  stops.push(() => live.close());
  const health = createHealth({ logger });
  health.add('mysql', () => mysql.pool.query('SELECT 1'));
  health.setPhase('running');
  const criterionSets = createCriterionSets({ ...deps, news: live.activity });
  stops.push(() => criterionSets.close());
  const api = await createApi({ ...deps, hub, live, criterionSets, health });
  stops.push(() => api.close());
  const { url } = await api.listen('127.0.0.1', 0);
  const admin = createdKey as string;

  const clients: Client[] = [];
  stops.push(async () => {
    for (const client of clients) await client.dispose();
  });

  let keys = 0;
  const key = async (scopes: string, of = account) => {
    const secret = `tm_test_${++keys}_${Math.random().toString(36).slice(2)}`;
    await insertKey(mysql.db, {
      account: of,
      name: `Test ${keys}`,
      secretHash: hashSecret(secret),
      scopes,
      createdAt: clock.now(),
    });
    return secret;
  };

  return {
    url,
    admin,
    mysql,
    clickhouse,
    log,
    clickhouseUrl,
    api,
    logged,
    key,
    gql: (query, variables, options = {}) =>
      post(
        url,
        { query, ...(variables ? { variables } : {}) },
        options.key === undefined ? admin : options.key,
      ),
    async otherAccount() {
      const [made] = await mysql.db.insert(accounts).values({ name: 'Other', createdAt: clock.now() });
      return { account: made.insertId, admin: await key('ADMIN', made.insertId) };
    },
    socket(secret = admin) {
      const client = createClient({
        url: `${url.replace('http', 'ws')}/graphql`,
        webSocketImpl: WebSocket,
        connectionParams: { authorization: `Bearer ${secret}` },
        retryAttempts: 0,
        lazyCloseTimeout: 0,
      });
      clients.push(client);
      return client;
    },
  };
}

export async function post(
  url: string,
  body: unknown,
  key: string | null,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      // With plain JSON, faults of the document would be answered with status 200.
      accept: 'application/graphql-response+json',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    },
    body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
  });
  const answer = (await response.json()) as Pick<Answer, 'data' | 'errors'>;
  return {
    status: response.status,
    headers: response.headers,
    data: answer.data as unknown,
    errors: answer.errors,
  };
}

/** The results of a subscription as they come. */
export async function* stream(
  client: Client,
  query: string,
  variables: Record<string, unknown> = {},
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
): AsyncGenerator<any> {
  for await (const result of client.iterate({ query, variables })) {
    if (result.errors) throw new Error(JSON.stringify(result.errors));
    yield result.data;
  }
}

/** The events of a server-sent stream, parsed. End it through the controller. */
export async function* events(
  url: string,
  key: string | null,
  query: string,
  stop: AbortController,
): AsyncGenerator<{ event: string; data: { data?: Record<string, unknown>; errors?: Answer['errors'] } }> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
    },
    body: JSON.stringify({ query }),
    signal: stop.signal,
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n');
      text = text.slice(end + 2);
      const field = (name: string) =>
        lines
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim();
      const event = field('event');
      if (event) yield { event, data: JSON.parse(field('data') || '{}') as never };
    }
  }
}

/** Asks again until the answer is yes. */
export async function eventually<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    if (Date.now() > deadline) throw new Error(`not within 15 s: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export const INGEST = `mutation ($events: [EventInput!]!) {
  eventsIngest(events: $events) { accepted receipt userErrors { index field code message } }
}`;

export const UPSERT = `mutation ($profiles: [ProfileInput!]!) {
  profilesUpsert(profiles: $profiles) { accepted receipt userErrors { index field code message } }
}`;

export const CREATE = `mutation ($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { segment { id name status } userErrors { index field code message } }
}`;

/** Waits until segments have taken the write into account. */
export async function evaluated(api: TestApi, receipt: string): Promise<void> {
  const answer = await api.gql(
    `query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached stage } }`,
    { token: receipt },
  );
  if (answer.data?.receipt.reached !== true)
    throw new Error(`not evaluated: ${JSON.stringify(answer)}; ${api.logged.slice(-5).join('')}`);
}
