/* eslint-disable @typescript-eslint/no-unsafe-member-access -- answers have every shape */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/runtime/clock.ts';
import { OperatorError } from '../../src/runtime/failure.ts';
import { createHealth } from '../../src/runtime/health.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { createApi, type Api } from '../../src/schema/server.ts';
import { connectClickHouse, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { bootstrapAccount, hashSecret } from '../../src/storage/mysql/accounts.ts';
import { startHub, type Hub } from '../../src/streaming/hub.ts';
import { createCriterionSets } from '../../src/evaluation/criterion-sets.ts';
import { createLive } from '../../src/streaming/live.ts';
import { CREATE, events, eventually, INGEST, post, stream, useApi } from './support.ts';

const start = useApi();
const stops: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Another API process, so to speak, on the same stores. */
async function another(
  clickhouse: ClickHouse = start().clickhouse,
): Promise<{ api: Api; url: string; hub: Hub; logged: string[] }> {
  const { mysql, log } = start();
  const logged: string[] = [];
  const logger = createLogger('debug', { write: (line: string) => logged.push(line) });
  const hub = await startHub({ log, logger });
  stops.push(() => hub.close());
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const live = createLive(deps);
  const api = await createApi({
    ...deps,
    hub,
    live,
    criterionSets: createCriterionSets({ ...deps, news: live.activity }),
    health: createHealth({ logger }),
  });
  stops.push(() => api.close());
  return { api, hub, logged, url: (await api.listen('127.0.0.1', 0)).url };
}

/** A way to the server of the URL that can be cut. */
async function passage(target: string): Promise<{ url: string; cut(): Promise<void> }> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(Number(port), hostname);
    for (const end of [socket, onward]) {
      sockets.add(end);
      end.on('error', () => {});
      end.on('close', () => sockets.delete(end));
    }
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(target);
  url.port = String((server.address() as AddressInfo).port);
  const cut = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      sockets.forEach((socket) => socket.destroy());
    });
  stops.push(cut);
  return { url: url.href, cut };
}

describe('when ClickHouse is away', () => {
  it('says so, and goes on with what does not need it', async () => {
    const { admin, clickhouseUrl } = start();
    const way = await passage(clickhouseUrl);
    const clickhouse = await connectClickHouse(way.url);
    stops.push(() => clickhouse.close());
    const { url, logged } = await another(clickhouse);
    expect((await post(url, { query: '{ account { profileCount } }' }, admin)).status).toBe(200);
    await way.cut();
    const away = await post(url, { query: '{ account { profileCount } }' }, admin);
    expect([away.status, away.errors?.[0]?.extensions['code']]).toEqual([503, 'UNAVAILABLE']);
    expect(logged.join('')).toContain(away.errors?.[0]?.extensions['correlationId']);
    const partly = await post(url, { query: '{ account { name } }' }, admin);
    expect([partly.status, partly.data.account.name]).toEqual([200, 'Default']);
    const write = await post(
      url,
      { query: INGEST, variables: { events: [{ metric: 'X', profile: { email: 'a@example.com' } }] } },
      admin,
    );
    expect(write.data.eventsIngest.accepted).toBe(1);
  });
});

describe('closing', () => {
  it('ends sockets and streams, lets requests finish, and takes nothing new', async () => {
    const { admin } = start();
    const { api, url } = await another();
    const receipt = await post(
      url,
      { query: INGEST, variables: { events: [{ metric: 'X', profile: { email: 'a@example.com' } }] } },
      admin,
    );
    // Someone who waits, for a segment that nobody makes a member of: a request under way.
    const slow = post(
      url,
      {
        query: 'query ($t: Receipt!) { receipt(token: $t, timeout: "PT1.5S") { reached } }',
        variables: { t: furtherThan(receipt.data.eventsIngest.receipt as string) },
      },
      admin,
    );
    const { createClient } = await import('graphql-ws');
    const { default: WebSocket } = await import('ws');
    const client = createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${admin}` },
      retryAttempts: 0,
    });
    const opened = new Promise((resolve) => client.on('connected', resolve));
    const socket = stream(client, 'subscription { membershipChanges { id } }').next();
    const sse = events(url, admin, 'subscription { membershipChanges { id } }', new AbortController()).next();
    const ended = Promise.allSettled([socket, sse]);
    await opened;
    await new Promise((resolve) => setTimeout(resolve, 200));

    const begun = Date.now();
    await api.close();
    expect(Date.now() - begun).toBeLessThan(5_000);
    const [onSocket, onStream] = await ended;
    expect(onSocket).toMatchObject({ status: 'rejected', reason: { code: 1001 } });
    expect(onStream.status === 'rejected' || onStream.value.value?.event !== 'next').toBe(true);
    expect((await slow).data.receipt).toEqual({ reached: false });
    await expect(fetch(`${url}/health/live`)).rejects.toThrow();
  });

  /** A receipt for what will not come for a while. */
  function furtherThan(receipt: string): string {
    const { a, p } = JSON.parse(Buffer.from(receipt, 'base64url').toString()) as { a: number; p: number[][] };
    return Buffer.from(
      JSON.stringify({ a, p: p.map(([s, n, o]) => [s, n, (o as number) + 1_000_000]) }),
    ).toString('base64url');
  }
});

describe('two API processes', () => {
  it('both bring what happens', async () => {
    const api = start();
    const { url: second } = await another();
    const created = await api.gql(CREATE, {
      input: { name: 'Both', condition: { event: { metric: 'Both' } } },
    });
    const id = created.data.segmentCreate.segment.id as string;
    await eventually(
      () => api.gql('query ($id: ID!) { segment(id: $id) { status } }', { id }),
      (answer) => answer.data.segment.status === 'LIVE',
    );
    const stop = new AbortController();
    stops.push(() => stop.abort());
    const next = [api.url, second].map((url) =>
      events(url, api.admin, 'subscription { membershipChanges { id kind } }', stop).next(),
    );
    for (const each of next) each.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 500));
    await api.gql(INGEST, { events: [{ metric: 'Both', profile: { email: 'both@example.com' } }] });
    const [one, other] = await Promise.all(next);
    expect(one?.value?.data).toMatchObject({ data: { membershipChanges: { kind: 'ENTERED' } } });
    expect(other?.value).toEqual(one?.value);
  });
});

describe('strange requests', () => {
  it.each([
    ['a target that is no URL', 'GET // HTTP/1.1\r\nHost: x\r\n'],
    ['a target with a broken escape', 'GET /%zz?%zz HTTP/1.1\r\nHost: x\r\n'],
    ['an absolute target', 'GET http://elsewhere/graphql HTTP/1.1\r\nHost: x\r\n'],
    ['a host that is none', 'GET /graphql?query={__typename} HTTP/1.1\r\nHost: [ ]:x\r\n'],
    ['a broken escape in the query', 'GET /graphql?query=%zz HTTP/1.1\r\nHost: x\r\n'],
    ['an upgrade to nowhere', 'GET // HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'],
    [
      'an upgrade to something else',
      'GET /graphql HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n',
    ],
  ])('with %s get no server error', async (_what, head) => {
    const { hostname, port } = new URL(start().url);
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(Number(port), hostname, () =>
        socket.write(`${head}${head.includes('Upgrade') ? '' : 'Connection: close\r\n'}\r\n`),
      );
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 [234]\d\d /);
    expect((await start().gql('{ __typename }')).status).toBe(200);
  });

  it('sends browsers from the API to the page', async () => {
    const answer = await fetch(`${start().url}/graphql`, {
      headers: { accept: 'text/html' },
      redirect: 'manual',
    });
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/']);
  });

  it('says what to do about a port that is taken', async () => {
    const { api } = await another();
    const port = Number(new URL(start().url).port);
    const deps = { ...start(), clock: systemClock };
    const live = createLive(deps);
    const fresh = await createApi({
      ...deps,
      logger: createLogger('silent'),
      hub: await startHub({ log: start().log, logger: createLogger('silent') }).then((hub) => {
        stops.push(() => hub.close());
        return hub;
      }),
      live,
      criterionSets: createCriterionSets({ ...deps, news: live.activity }),
      health: createHealth({ logger: createLogger('silent') }),
    });
    await expect(fresh.listen('127.0.0.1', port)).rejects.toThrow(OperatorError);
    await fresh.close();
    await api.close();
  });
});

describe('the first account', () => {
  it('is made once, by however many at once, with the key that was given', async () => {
    const { mysql } = start();
    await mysql.pool.query('CREATE TABLE accounts_kept AS SELECT * FROM accounts');
    await mysql.pool.query('DELETE FROM accounts');
    try {
      const key = `given-${Math.random()}`;
      const given = { key, timezone: 'Europe/Berlin' };
      const made = await Promise.all(Array.from({ length: 4 }, () => bootstrapAccount(mysql, given)));
      const [zones] = await mysql.pool.query('SELECT timezone FROM accounts');
      expect(zones).toEqual([{ timezone: 'Europe/Berlin' }]);
      expect(new Set(made.map(({ account }) => account)).size).toBe(1);
      expect(made.map(({ createdKey }) => createdKey)).toEqual([null, null, null, null]);
      const [rows] = await mysql.pool.query('SELECT account, scopes FROM api_keys WHERE secret_hash = ?', [
        hashSecret(key),
      ]);
      expect(rows).toEqual([{ account: made[0]?.account, scopes: 'ADMIN' }]);
      expect(await bootstrapAccount(mysql, { key: null, timezone: 'UTC' })).toEqual({
        account: made[0]?.account,
        createdKey: null,
      });
    } finally {
      await mysql.pool.query('DELETE FROM accounts');
      await mysql.pool.query('INSERT INTO accounts SELECT * FROM accounts_kept');
      await mysql.pool.query('DROP TABLE accounts_kept');
    }
  });

  it('gets a key that was given later, but not one that was revoked', async () => {
    const api = start();
    const { mysql, url } = api;
    const key = `later-${Math.random()}`;
    await bootstrapAccount(mysql, { key, timezone: 'UTC' });
    expect((await post(url, { query: '{ account { name } }' }, key)).data.account.name).toBe('Default');
    await mysql.pool.query('UPDATE api_keys SET revoked_at = 1 WHERE secret_hash = ?', [hashSecret(key)]);
    await bootstrapAccount(mysql, { key, timezone: 'UTC' });
    await eventually(
      () => api.gql('{ account { name } }', undefined, { key }),
      (answer) => answer.status === 401,
    );
  });
});
