/** GraphQL over WebSocket (graphql-transport-ws), with the bounds that the protocol's library leaves to us. */
import { setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLError } from 'graphql';
import { CloseCode, handleProtocols, makeServer, type SubscribePayload } from 'graphql-ws';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Authenticator, Principal } from '../resolvers/auth.ts';
import { ApiError } from '../resolvers/errors.ts';
import type { Logger } from '../runtime/logger.ts';
import { requestError, withoutStatus, type ClientErrors } from './client-errors.ts';
import { checkJsonText, LIMITS, WireError } from './wire.ts';
import type { Caller, Yoga } from './yoga.ts';

const SOCKET_LIMITS = {
  sockets: 2_000,
  /** Operations under way at once on one socket. */
  operations: 100,
  initWaitMs: 3_000,
  pingEveryMs: 12_000,
  /** Beyond it, whoever sends waits until the other side has taken what there is. */
  bufferedBytes: 65_536,
} as const;

interface Extra {
  socket: WebSocket;
  gone: AbortController;
  principal: Principal | null;
}

export interface WebSockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells everybody that we are going away, and waits for them for a moment. */
  close(): Promise<void>;
}

export function createWebSockets(deps: {
  yoga: Yoga;
  authenticator: Authenticator;
  logger: Logger;
  toClientError: ClientErrors;
}): WebSockets {
  const { yoga, authenticator, logger, toClientError } = deps;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LIMITS.bodyBytes,
    perMessageDeflate: false,
    handleProtocols,
  });

  const protocol = makeServer<Record<string, unknown>, Extra>({
    connectionInitWaitTimeout: SOCKET_LIMITS.initWaitMs,

    async onConnect({ connectionParams, extra }) {
      try {
        extra.principal = await authenticator.authenticate(authorizationOf(connectionParams));
      } catch (error) {
        if (!(error instanceof ApiError)) {
          logger.warn({ err: error }, 'a key could not be checked');
          extra.socket.close(CloseCode.InternalServerError, 'The key cannot be checked at the moment');
          return false;
        }
        extra.socket.close(CloseCode.Forbidden, error.message.slice(0, 120));
        return false;
      }
      const unwatch = authenticator.watch(extra.principal.key, () =>
        extra.socket.close(CloseCode.Forbidden, 'This API key was revoked.'),
      );
      extra.gone.signal.addEventListener('abort', unwatch, { once: true });
      return true;
    },

    // Whatever is wrong with an operation is told as its own error: a thrown one would end the whole socket.
    async onSubscribe({ extra, subscriptions }, _id, payload) {
      try {
        if (Object.keys(subscriptions).length > SOCKET_LIMITS.operations) {
          throw requestError(
            'TOO_MANY_OPERATIONS',
            `At most ${SOCKET_LIMITS.operations} operations at once on a socket; open another one for more.`,
          );
        }
        return await prepare(yoga, extra, payload);
      } catch (error) {
        return errorsOf(error).map(toClientError);
      }
    },
    execute: async (args) => {
      try {
        return await enveloped(args).execute(args);
      } catch (error) {
        return { errors: [toClientError(error)] };
      }
    },
    subscribe: async (args) => {
      try {
        return await enveloped(args).subscribe(args);
      } catch (error) {
        return { errors: [toClientError(error)] };
      }
    },
    onNext: (_ctx, _id, _payload, _args, { errors, data, extensions }) =>
      errors && {
        ...(data === undefined ? {} : { data }),
        errors: errors.map((error) => withoutStatus(error).toJSON()),
        ...(extensions ? { extensions } : {}),
      },
    onError: (_ctx, _id, _payload, errors) =>
      errors.map((error) => withoutStatus(toClientError(error)).toJSON()),
  });

  sockets.on('connection', (socket: WebSocket, request: IncomingMessage) => {
    const extra: Extra = { socket, gone: new AbortController(), principal: null };
    // Each operation listens for it once or twice.
    setMaxListeners(3 * SOCKET_LIMITS.operations, extra.gone.signal);
    const stopPinging = keepAlive(socket);
    const gather = gatherWrites(request.socket);
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send(text) {
          if (socket.readyState !== socket.OPEN) return;
          gather();
          // What is wrong with the socket is told by its own events.
          const sent = new Promise<void>((resolve) => socket.send(text, () => resolve()));
          return socket.bufferedAmount > SOCKET_LIMITS.bufferedBytes ? sent : undefined;
        },
        close: (code, reason) => socket.close(code, reason),
        onMessage: (take) =>
          socket.on('message', (data: RawData) => {
            receive(socket, textOf(data), take).catch((error: unknown) => {
              logger.warn({ err: error }, 'a WebSocket message could not be handled');
              socket.close(CloseCode.InternalServerError, 'Internal server error');
            });
          }),
      },
      extra,
    );
    // Too large a message, broken framing: ws closes the socket with the code that says so.
    socket.on('error', () => {});
    socket.once('close', (code, reason) => {
      stopPinging();
      extra.gone.abort();
      closed(code, String(reason)).catch((error: unknown) =>
        logger.warn({ err: error }, 'the subscriptions of a socket did not end cleanly'),
      );
    });
  });

  return {
    upgrade(request, socket, head) {
      if (sockets.clients.size >= SOCKET_LIMITS.sockets) {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n\r\n');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (opened) => sockets.emit('connection', opened, request));
    },
    async close() {
      const clients = [...sockets.clients];
      const gone = clients.map((client) => new Promise((resolve) => client.once('close', resolve)));
      for (const client of clients) client.close(1001, 'Going away');
      const patience = setTimeout(() => clients.forEach((client) => client.terminate()), 1_000);
      await Promise.all(gone);
      clearTimeout(patience);
      sockets.close();
    },
  };
}

/** The functions of one operation, wrapped by the plugins. */
interface Enveloped {
  schema: ExecutionArgs['schema'];
  parse(query: string): DocumentNode;
  validate(schema: ExecutionArgs['schema'], document: DocumentNode): readonly GraphQLError[];
  contextFactory(): Promise<unknown>;
  execute(args: ExecutionArgs): Promise<ExecutionResult>;
  subscribe(args: ExecutionArgs): Promise<AsyncGenerator<ExecutionResult> | ExecutionResult>;
}

function enveloped(args: ExecutionArgs): Enveloped {
  return args.rootValue as Enveloped;
}

/** Parsed, validated and with its context: through the same plugins as over HTTP. */
async function prepare(
  yoga: Yoga,
  { principal, gone }: Extra,
  payload: SubscribePayload,
): Promise<ExecutionArgs | readonly GraphQLError[]> {
  // Null cannot be: the protocol refuses operations before the acknowledgement.
  if (principal === null) throw new Error('an operation came before the key');
  const caller: Caller = { transport: 'websocket', signal: gone.signal, principal };
  const graphql = yoga.getEnveloped(caller as never) as unknown as Enveloped;
  const document = graphql.parse(payload.query);
  const errors = graphql.validate(graphql.schema, document);
  if (errors.length > 0) return errors;
  return {
    schema: graphql.schema,
    document,
    operationName: payload.operationName,
    variableValues: payload.variables,
    contextValue: await graphql.contextFactory(),
    rootValue: graphql,
  };
}

/** A text that must not be parsed ends its own operation, if it can be told which one that is. */
async function receive(
  socket: WebSocket,
  text: string,
  take: (text: string) => Promise<void>,
): Promise<void> {
  try {
    checkJsonText(text);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const id = operationId(text);
    if (id === null) return socket.close(CloseCode.BadRequest, error.message.slice(0, 120));
    const payload = [requestError('BAD_REQUEST', error.message).toJSON()];
    return socket.send(JSON.stringify({ id, type: 'error', payload }));
  }
  await take(text);
}

function operationId(text: string): string | null {
  try {
    const message = JSON.parse(text) as { type?: unknown; id?: unknown } | null;
    return message?.type === 'subscribe' && typeof message.id === 'string' ? message.id : null;
  } catch {
    return null;
  }
}

/** `{ "authorization": "Bearer …" }`, in any case: some clients send the headers of HTTP here. */
function authorizationOf(parameters: Record<string, unknown> | undefined): string {
  const entry = Object.entries(parameters ?? {}).find(([name]) => name.toLowerCase() === 'authorization');
  return typeof entry?.[1] === 'string' ? entry[1] : '';
}

function errorsOf(error: unknown): readonly unknown[] {
  return error instanceof AggregateError ? error.errors : [error];
}

function textOf(data: RawData): string {
  return (Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)).toString('utf8');
}

/** Returns what to call before a message: a thousand that are sent together are a few writes, not a thousand. */
function gatherWrites(socket: Duplex): () => void {
  let isCorked = false;
  return () => {
    if (isCorked) return;
    isCorked = true;
    socket.cork();
    setImmediate(() => {
      isCorked = false;
      socket.uncork();
    });
  };
}

/** Ends sockets whose other side has vanished without a word. */
function keepAlive(socket: WebSocket): () => void {
  let answered = true;
  socket.on('pong', () => (answered = true));
  const timer = setInterval(() => {
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, SOCKET_LIMITS.pingEveryMs);
  return () => clearInterval(timer);
}
