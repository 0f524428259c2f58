/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { metricsText } from '../../src/runtime/metrics.ts';
import { eventually, useApi } from './support.ts';

const start = useApi();
const CHANGES = 'subscription { membershipChanges { id } }';

interface Message {
  type: string;
  id?: string;
  // Payloads of all kinds.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  payload?: any;
}

interface Socket {
  send(message: Message | string): void;
  /** The next message; null once the socket is closed. */
  next(): Promise<Message | null>;
  closed: Promise<{ code: number; reason: string }>;
  socket: WebSocket;
}

const open: WebSocket[] = [];
afterEach(() => open.splice(0).forEach((socket) => socket.terminate()));

async function connectTo(protocol = 'graphql-transport-ws'): Promise<Socket> {
  const socket = new WebSocket(`${start().url.replace('http', 'ws')}/graphql`, protocol);
  open.push(socket);
  const messages: Message[] = [];
  const waiting: ((message: Message | null) => void)[] = [];
  let ended = false;
  socket.on('message', (data: Buffer) => {
    const message = JSON.parse(data.toString()) as Message;
    const first = waiting.shift();
    if (first) first(message);
    else messages.push(message);
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once('close', (code, reason) => {
      ended = true;
      waiting.splice(0).forEach((wake) => wake(null));
      resolve({ code, reason: String(reason) });
    }),
  );
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    closed,
    send: (message) => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    next: () => {
      const message = messages.shift();
      if (message || ended) return Promise.resolve(message ?? null);
      return new Promise((resolve) => waiting.push(resolve));
    },
  };
}

async function ready(key = start().admin): Promise<Socket> {
  const socket = await connectTo();
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${key}` } });
  expect(await socket.next()).toEqual({ type: 'connection_ack' });
  return socket;
}

const subscribe = (id: string, query: string, variables?: object): Message => ({
  id,
  type: 'subscribe',
  payload: { query, ...(variables ? { variables } : {}) },
});

async function subscribers(): Promise<number> {
  return Number(/^tidemark_subscribers (\d+)/m.exec(await metricsText())?.[1]);
}

describe('the protocol', () => {
  it('answers queries, mutations and pings', async () => {
    const socket = await ready();
    socket.send(subscribe('q', '{ account { name } }'));
    expect(await socket.next()).toEqual({
      id: 'q',
      type: 'next',
      payload: { data: { account: { name: 'Default' } } },
    });
    expect(await socket.next()).toEqual({ id: 'q', type: 'complete' });
    socket.send({ type: 'ping' });
    expect(await socket.next()).toEqual({ type: 'pong' });
  });

  it('takes the header of HTTP as the name of the key, too', async () => {
    const socket = await connectTo();
    socket.send({ type: 'connection_init', payload: { Authorization: `bearer ${start().admin}` } });
    expect(await socket.next()).toEqual({ type: 'connection_ack' });
  });

  it('closes with the code that the protocol has for each offence', async () => {
    const early = await connectTo();
    early.send(subscribe('1', '{ __typename }'));
    expect((await early.closed).code).toBe(4401);

    const noKey = await connectTo();
    noKey.send({ type: 'connection_init' });
    expect((await noKey.closed).code).toBe(4403);

    const wrongKey = await connectTo();
    wrongKey.send({ type: 'connection_init', payload: { authorization: 'Bearer tm_wrong' } });
    expect(await wrongKey.closed).toEqual({
      code: 4403,
      reason: 'This API key does not exist or was revoked.',
    });

    const twice = await ready();
    twice.send({ type: 'connection_init' });
    expect((await twice.closed).code).toBe(4429);

    const twins = await ready();
    twins.send(subscribe('1', CHANGES));
    twins.send(subscribe('1', CHANGES));
    expect((await twins.closed).code).toBe(4409);

    for (const nonsense of ['no json', '{"type":"what"}', '[]', '{"type":"subscribe"}']) {
      const broken = await ready();
      broken.send(nonsense);
      expect((await broken.closed).code).toBe(4400);
    }
    const foreign = await connectTo('graphql-ws').catch((error: Error) => error);
    expect(foreign).toBeInstanceOf(Error);
  });

  it('waits 3 s for the key, and no longer', async () => {
    const begun = Date.now();
    const silent = await connectTo();
    expect((await silent.closed).code).toBe(4408);
    expect(Date.now() - begun).toBeGreaterThan(2_500);
    expect(Date.now() - begun).toBeLessThan(5_000);
  });

  it('refuses upgrades anywhere else', async () => {
    const socket = new WebSocket(`${start().url.replace('http', 'ws')}/other`, 'graphql-transport-ws');
    await expect(new Promise((_, reject) => socket.once('error', reject))).rejects.toThrow('404');
  });
});

describe('a bad operation', () => {
  it.each([
    ['a syntax error', subscribe('bad', 'subscription {'), 'Syntax Error'],
    ['an unknown field', subscribe('bad', '{ nothing }'), 'Cannot query field'],
    ['too many tokens', subscribe('bad', `{ ${'__typename '.repeat(2_001)} }`), 'tokens'],
    ['a long document', subscribe('bad', `{ __typename } # ${'x'.repeat(70_000)}`), '65536 characters'],
    [
      'too deep a selection',
      subscribe(
        'bad',
        `{ segments(first: 1) { nodes { ${'members(first: 1) { nodes { segments(first: 1) { nodes { '.repeat(3)}id${' } } } }'.repeat(3)} } } }`,
      ),
      'deep',
    ],
    [
      'too many aliases',
      subscribe('bad', `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: position`).join(' ')} }`),
      'aliases',
    ],
    [
      'wrong variables',
      subscribe('bad', 'query ($n: Int!) { profiles(first: $n) { totalCount } }', { n: 'x' }),
      'Int cannot represent',
    ],
    ['no operation', subscribe('bad', 'fragment a on Query { __typename }'), 'a'],
    ['a bad argument', subscribe('bad', '{ profiles(first: 1000) { totalCount } }'), 'first must be'],
    [
      'a bad position',
      subscribe('bad', 'subscription { membershipChanges(after: "bm9uc2Vuc2U") { id } }'),
      'position',
    ],
    [
      'an unknown segment',
      subscribe('bad', 'subscription { segmentCounts(segments: ["x"]) { count } }'),
      'no segment',
    ],
  ])('with %s ends alone', async (_what, message, expected) => {
    const socket = await ready();
    socket.send(subscribe('good', CHANGES));
    socket.send(message);
    const answer = await socket.next();
    expect(answer?.id).toBe('bad');
    const errors = (answer?.type === 'error' ? answer.payload : answer?.payload.errors) as {
      message: string;
      extensions?: object;
    }[];
    expect(errors[0]?.message).toContain(expected);
    expect(JSON.stringify(errors)).not.toMatch(/"http"|INTERNAL_SERVER_ERROR/);
    // The socket lives, and so does the other operation: its id is still taken.
    socket.send(subscribe('later', '{ __typename }'));
    const seen: (string | undefined)[] = [];
    for (let message = await socket.next(); ; message = await socket.next()) {
      seen.push(`${message?.id} ${message?.type}`);
      if (message === null || (message.id === 'later' && message.type === 'complete')) break;
    }
    expect(seen).toContain('later next');
    socket.send(subscribe('good', CHANGES));
    expect((await socket.closed).code).toBe(4409);
  });

  it('that is nested too deep, or has a NUL, ends alone', async () => {
    const socket = await ready();
    const deep = `{"id":"deep","type":"subscribe","payload":{"query":"{ __typename }","variables":{"a":${'['.repeat(10_000)}${']'.repeat(10_000)}}}}`;
    socket.send(deep);
    expect(await socket.next()).toMatchObject({
      id: 'deep',
      type: 'error',
      payload: [{ extensions: { code: 'BAD_REQUEST' } }],
    });
    socket.send(subscribe('q', '{ __typename }'));
    expect(await socket.next()).toMatchObject({ id: 'q', type: 'next' });
  });

  it('fails on our side without taking the socket with it', async () => {
    const api = start();
    const socket = await ready();
    await api.clickhouse.client.command({ query: 'RENAME TABLE profiles TO profiles_hidden' });
    try {
      socket.send(subscribe('q', '{ account { profileCount } }'));
      const answer = await socket.next();
      expect(answer).toMatchObject({
        id: 'q',
        type: 'next',
        payload: { errors: [{ extensions: { code: 'INTERNAL_SERVER_ERROR' } }] },
      });
      expect(JSON.stringify(answer)).not.toMatch(/profiles_hidden|"http"/);
    } finally {
      await api.clickhouse.client.command({ query: 'RENAME TABLE profiles_hidden TO profiles' });
    }
    expect((await socket.next())?.type).toBe('complete');
    socket.send(subscribe('again', '{ account { profileCount } }'));
    expect(await socket.next()).toMatchObject({ id: 'again', type: 'next', payload: { data: {} } });
  });
});

describe('bounds', () => {
  it('takes 100 operations at once on a socket, and not one more', async () => {
    const before = await subscribers();
    const socket = await ready();
    for (let i = 0; i < 100; i++) socket.send(subscribe(`s${i}`, CHANGES));
    await eventually(subscribers, (count) => count === before + 100);
    socket.send(subscribe('more', CHANGES));
    expect(await socket.next()).toMatchObject({
      id: 'more',
      type: 'error',
      payload: [{ extensions: { code: 'TOO_MANY_OPERATIONS' } }],
    });
    socket.send({ id: 's0', type: 'complete' });
    await eventually(subscribers, (count) => count === before + 99);
    socket.send(subscribe('more', CHANGES));
    await eventually(subscribers, (count) => count === before + 100);
    socket.socket.terminate();
    await eventually(subscribers, (count) => count === before);
  });

  it('closes a socket that sends more than 4 MB at once', async () => {
    const socket = await ready();
    socket.send(JSON.stringify(subscribe('big', `# ${'x'.repeat(4 * 1024 * 1024)}`)));
    expect((await socket.closed).code).toBe(1009);
  });

  it('closes a socket with broken UTF-8', async () => {
    const socket = await ready();
    socket.socket.send(Buffer.from([0xff, 0xfe]), { binary: false });
    expect((await socket.closed).code).toBe(1007);
  });

  it('survives clients that vanish in the middle of anything', async () => {
    const { hostname, port } = new URL(start().url);
    for (const text of [
      'POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"que',
      'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n',
      'GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: nonsense\r\n\r\n',
    ]) {
      await new Promise<void>((resolve) => {
        const raw = connect(Number(port), hostname, () => raw.write(text, () => raw.destroy()));
        raw.once('close', () => resolve());
      });
    }
    const socket = await ready();
    socket.send(subscribe('1', CHANGES));
    socket.socket.terminate();
    expect((await start().gql('{ __typename }')).status).toBe(200);
  });
});
