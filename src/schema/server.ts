/** The HTTP server: GraphQL over HTTP, server-sent events and WebSocket, GraphiQL, health and metrics. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAuthenticator } from '../resolvers/auth.ts';
import type { Deps } from '../resolvers/context.ts';
import { OperatorError } from '../runtime/failure.ts';
import type { Health } from '../runtime/health.ts';
import { metricsContentType, metricsText } from '../runtime/metrics.ts';
import { createClientErrors } from './client-errors.ts';
import { graphiqlPage } from './graphiql.ts';
import { createWebSockets } from './websocket.ts';
import { checkJsonText, readBody, WireError } from './wire.ts';
import { createGraphql } from './yoga.ts';

export interface Api {
  /** Port 0 takes any free one. Throws OperatorError when the port is taken. */
  listen(host: string, port: number): Promise<{ url: string }>;
  /** Takes nothing new, ends subscriptions, lets requests under way finish (5 s). */
  close(): Promise<void>;
}

const MAX_STREAMS = 2_000;
const DRAIN_MS = 5_000;

export async function createApi(deps: Deps & { health: Health }): Promise<Api> {
  const { health, logger } = deps;
  const toClientError = createClientErrors(logger);
  const authenticator = createAuthenticator(deps);
  const yoga = createGraphql(deps, authenticator, toClientError);
  const sockets = createWebSockets({ yoga, authenticator, logger, toClientError });
  const closing = new AbortController();
  const streams = new Set<AbortController>();

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (closing.signal.aborted) response.setHeader('connection', 'close');
    switch (targetOf(request).path) {
      case '/graphql':
        return graphql(request, response);
      case '/health/live':
        return sendJson(response, 200, health.live());
      case '/health/ready': {
        const readiness = await health.ready();
        return sendJson(response, readiness.ready ? 200 : 503, readiness);
      }
      case '/metrics':
        response.setHeader('content-type', metricsContentType);
        response.end(await metricsText());
        return;
      case '/':
        return page(request, response);
      default:
        return sendJson(response, 404, {
          message: 'There is nothing here. The API is at /graphql, a page to try it at /.',
        });
    }
  }

  async function graphql(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isStream = request.headers.accept?.includes('text/event-stream') ?? false;
    if (isStream && streams.size >= MAX_STREAMS) {
      return refuse(response, 503, 'UNAVAILABLE', 'Too many subscriptions at once. Try again later.');
    }
    if (request.method === 'POST') {
      const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
      if (type !== 'application/json' && type !== 'application/graphql+json') {
        return refuse(response, 415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the operation as application/json.');
      }
      if ((request.headers['content-encoding'] ?? 'identity') !== 'identity') {
        return refuse(response, 415, 'UNSUPPORTED_MEDIA_TYPE', 'Send the body uncompressed.');
      }
      const text = await readBody(request);
      if (text.trim() === '')
        return refuse(response, 400, 'BAD_REQUEST', 'The body is empty; send {"query": "…"}.');
      const body = parseJson(text);
      if (body === undefined) return refuse(response, 400, 'BAD_REQUEST', 'POST body sent invalid JSON.');
      // Yoga takes a body that has been read from here. It lists the keys of what it finds: those of a text are its
      // characters, which cost more than all the rest, so only what is no object stays a text.
      const isObject = typeof body === 'object' && body !== null && Object.keys(body).length > 0;
      Object.assign(request, { body: isObject ? body : text });
    } else if (request.method === 'GET') {
      const { search } = targetOf(request);
      if (search === '' && request.headers.accept?.includes('text/html')) {
        response.writeHead(302, { location: '/' }).end();
        return;
      }
      for (const value of new URLSearchParams(search).values()) checkJsonText(value);
    }
    // Yoga makes a URL of it, and nobody looks at that; what clients send may be anything.
    request.headers.host = 'localhost';
    const gone = new AbortController();
    if (isStream) streams.add(gone);
    response.once('close', () => {
      gone.abort();
      streams.delete(gone);
    });
    await yoga(request, response, { transport: isStream ? 'sse' : 'http', signal: gone.signal });
  }

  const server = createServer({ requestTimeout: 60_000, headersTimeout: 20_000 }, (request, response) => {
    route(request, response).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) return response.destroy();
      if (error instanceof WireError) {
        const code = error.status === 413 ? 'BODY_TOO_LARGE' : 'BAD_REQUEST';
        return refuse(response, error.status, code, error.message);
      }
      // The client hung up while it was sending.
      if (request.destroyed && !request.complete) return response.destroy();
      const { message, extensions } = toClientError(error);
      sendJson(response, 500, { errors: [{ message, extensions }] });
    });
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => {});
    if (targetOf(request).path === '/graphql' && !closing.signal.aborted)
      sockets.upgrade(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n');
  });

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) => reject(explained(error, host, port)));
        server.listen(port, host, () => {
          const { port: taken } = server.address() as AddressInfo;
          resolve({ url: `http://${host.includes(':') ? `[${host}]` : host}:${taken}` });
        });
      }),
    async close() {
      closing.abort();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const stream of streams) stream.abort();
      await sockets.close();
      // A connection that becomes idle from now on is closed; one that never does is cut off in the end.
      const sweep = setInterval(() => server.closeIdleConnections(), 50);
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
      await closed;
      clearInterval(sweep);
      clearTimeout(cut);
      authenticator.close();
    },
  };
}

/** Request targets can be anything, also what is no URL. */
function targetOf(request: IncomingMessage): { path: string; search: string } {
  const [path = '/', ...search] = (request.url ?? '/').split('?');
  return { path, search: search.join('?') };
}

async function page(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return sendJson(response, 405, { message: 'This is a page to look at. The API is at /graphql.' });
  }
  const body = await graphiqlPage();
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-encoding': 'gzip',
    'content-length': body.length,
    'cache-control': 'no-cache',
    'x-frame-options': 'DENY',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.setHeader('access-control-allow-origin', '*');
  sendJson(response, status, { errors: [{ message, extensions: { code } }] });
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

function explained(error: NodeJS.ErrnoException, host: string, port: number): Error {
  if (error.code === 'EADDRINUSE') {
    return new OperatorError(
      `Port ${port} is taken by another program. Stop that one, or set PORT to another port.`,
    );
  }
  if (error.code === 'EACCES') {
    return new OperatorError(`Port ${port} may not be used by this user. Set PORT to a port above 1023.`);
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new OperatorError(`HOST ${host} is not an address of this machine. Set HOST to one that is.`);
  }
  return error;
}

/** Undefined for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
