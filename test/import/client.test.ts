import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { ClientError, createClient, endpointOf } from '../../examples/client.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, attempt: number) => void;

const servers: ReturnType<typeof createServer>[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A GraphQL endpoint that answers as told, to see what the client makes of it. */
async function endpoint(answer: Answer): Promise<{ url: string; attempts: () => number }> {
  let attempts = 0;
  const server = createServer((request, response) => answer(request, response, ++attempts));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, attempts: () => attempts };
}

const reply = (response: ServerResponse, status: number, body: unknown) =>
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
const failing = (code: string) => ({ errors: [{ message: 'no', extensions: { code } }] });

async function failureOf(promise: Promise<unknown>): Promise<ClientError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ClientError);
  return error as ClientError;
}

describe('the client of the examples', () => {
  test('sends the key and the variables to /graphql, and returns the data', async () => {
    let seen = {};
    const { url } = await endpoint((request, response) => {
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        seen = { path: request.url, key: request.headers.authorization, body: JSON.parse(body) as unknown };
        reply(response, 200, { data: { n: 1 } });
      });
    });
    const data = await createClient({ url, apiKey: 'k' }).request('query Q { n }', { a: 1 });
    expect(data).toEqual({ n: 1 });
    expect(seen).toEqual({
      path: '/graphql',
      key: 'Bearer k',
      body: { query: 'query Q { n }', variables: { a: 1 } },
    });
    expect(endpointOf('https://x.example/other/graphql')).toBe('https://x.example/other/graphql');
    expect(() => endpointOf('localhost:4000')).toThrow('must begin with http');
  });

  test('tries again after a lost connection, 5xx, 429 and a fault of the server, then succeeds', async () => {
    const { url, attempts } = await endpoint((request, response, attempt) => {
      if (attempt === 1) request.socket.destroy();
      else if (attempt === 2) reply(response, 503, {});
      else if (attempt === 3) reply(response, 429, {});
      else if (attempt === 4) reply(response, 200, failing('INTERNAL_SERVER_ERROR'));
      else reply(response, 200, { data: { ok: true } });
    });
    const reasons: string[] = [];
    const client = createClient({ url, apiKey: 'k', onRetry: (reason) => reasons.push(reason) });
    expect(await client.request('{ ok }')).toEqual({ ok: true });
    expect([attempts(), reasons.length]).toEqual([5, 4]);
  });

  test('gives up after the attempts it has, and when nothing answers in time', async () => {
    const { url, attempts } = await endpoint(() => {});
    const error = await failureOf(
      createClient({ url, apiKey: 'k', attempts: 2, timeoutMs: 50 }).request('{ ok }'),
    );
    expect([error.kind, attempts()]).toEqual(['unavailable', 2]);
    expect(error.message).toContain('no answer within 0.05 s');
    const away = await failureOf(
      createClient({ url: 'http://127.0.0.1:1', apiKey: 'k', attempts: 1 }).request('{ ok }'),
    );
    expect(away.message).toContain('failed 1 times');
  });

  test.each([
    [401, {}, 'unauthorized'],
    [403, failing('FORBIDDEN'), 'unauthorized'],
    [200, failing('UNAUTHENTICATED'), 'unauthorized'],
    [400, failing('BAD_USER_INPUT'), 'refused'],
    [404, 'not found', 'refused'],
  ])('does not repeat what cannot become right: %i %j', async (status, body, kind) => {
    const { url, attempts } = await endpoint((_, response) => reply(response, status, body));
    const error = await failureOf(createClient({ url, apiKey: 'secret' }).request('{ ok }'));
    expect([error.kind, attempts()]).toEqual([kind, 1]);
    expect(error.message).not.toContain('secret');
  });

  test('ends at once when it is told to, also in the middle of a pause', async () => {
    const stop = new AbortController();
    const { url } = await endpoint((_, response) => reply(response, 503, {}));
    const client = createClient({ url, apiKey: 'k', signal: stop.signal, onRetry: () => stop.abort() });
    const started = performance.now();
    expect((await failureOf(client.request('{ ok }'))).kind).toBe('stopped');
    expect(performance.now() - started).toBeLessThan(200);
  });
});
