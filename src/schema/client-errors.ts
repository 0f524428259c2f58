/** What clients get to see of what went wrong: clear where it is theirs to mend, a number to ask us with where it is ours. */
import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { ApiError, type ApiErrorCode } from '../resolvers/errors.ts';
import type { Logger } from '../runtime/logger.ts';

const STATUS: Partial<Record<ApiErrorCode, number>> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  UNAVAILABLE: 503,
};

/** How drivers, and whoever waits for a store, say that the other side cannot be reached, or not in time. */
const OUTAGE_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
  'ER_CON_COUNT_ERROR',
  'ER_SERVER_SHUTDOWN',
  'NOT_STORED',
  'PROTOCOL_CONNECTION_LOST',
]);

export type ClientErrors = (error: unknown) => GraphQLError;

/** Errors of ours and of GraphQL pass; an outage becomes UNAVAILABLE; everything else is masked and logged. */
export function createClientErrors(logger: Logger): ClientErrors {
  return (error) => {
    const cause = originOf(error);
    if (cause instanceof GraphQLError) return error instanceof GraphQLError ? error : cause;
    if (cause instanceof ApiError) return clientError(error, cause);
    const correlationId = randomUUID();
    if (isOutage(cause)) {
      logger.warn({ err: cause, correlationId }, 'a request failed because a dependency is down');
      const message = 'A part of the service cannot be reached at the moment. Try again in a few seconds.';
      return clientError(error, new ApiError('UNAVAILABLE', message, { correlationId }));
    }
    logger.error({ err: cause, correlationId }, 'a request failed');
    const extensions = withStatus({ code: 'INTERNAL_SERVER_ERROR', correlationId }, 500);
    return located(error, 'Something went wrong on our side. Please tell us the correlation id.', extensions);
  };
}

/** An error of a request that was not even looked at. */
export function requestError(code: string, message: string, status = 400): GraphQLError {
  return new GraphQLError(message, { extensions: withStatus({ code }, status) });
}

function clientError(error: unknown, { code, message, details }: ApiError): GraphQLError {
  const extensions = { code, ...details };
  const status = STATUS[code];
  return located(error, message, status === undefined ? extensions : withStatus(extensions, status));
}

function located(error: unknown, message: string, extensions: Record<string, unknown>): GraphQLError {
  if (!(error instanceof GraphQLError)) return new GraphQLError(message, { extensions });
  const { nodes, source, positions, path } = error;
  return new GraphQLError(message, {
    nodes: nodes ?? null,
    source: source ?? null,
    positions: positions ?? null,
    path: path ?? null,
    extensions,
  });
}

/** The same without the status that Yoga has put into it: statuses belong to HTTP. */
export function withoutStatus(error: GraphQLError): GraphQLError {
  const { http: _, ...extensions } = error.extensions;
  return located(error, error.message, extensions);
}

/** Yoga takes the status of the response from here; it must not be told to clients on other transports. */
function withStatus(extensions: Record<string, unknown>, status: number): Record<string, unknown> {
  return Object.defineProperty(extensions, 'http', { value: { status }, enumerable: false });
}

/** GraphQL wraps what resolvers throw. */
function originOf(error: unknown): unknown {
  let origin = error;
  while (origin instanceof GraphQLError && origin.originalError) origin = origin.originalError;
  return origin;
}

function isOutage(error: unknown): boolean {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth++) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && OUTAGE_CODES.has(code)) return true;
    // kafkajs names its classes, @clickhouse/client has only a message.
    if (cause.name.startsWith('KafkaJS') || cause.message === 'Timeout error.') return true;
    if (cause instanceof AggregateError && cause.errors.some(isOutage)) return true;
  }
  return false;
}
