/**
 * A small client of the public API: one POST per request, with bounded retries. Shared by the import and the demo.
 *
 * Retried: network errors, time-outs, 429, 5xx and errors that the server marks as its own. Not retried: a missing or
 * wrong key (`unauthorized`) and requests that the server cannot accept (`refused`), since repeating changes nothing.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface ClientOptions {
  /** The endpoint, or the server's base URL. */
  url: string;
  apiKey: string;
  /** Attempts in all before a request counts as failed; the pauses between them double from 250 ms up to 15 s. */
  attempts?: number;
  /** Milliseconds that one attempt may take. */
  timeoutMs?: number;
  /** Ends pauses and requests at once. */
  signal?: AbortSignal;
  onRetry?: (reason: string, delayMs: number) => void;
}

export interface Client {
  /** The endpoint in use. */
  readonly url: string;
  /** The `data` of the answer, or a ClientError. `Data` is what the caller's document selects. */
  request<Data>(query: string, variables?: Record<string, unknown>): Promise<Data>;
  /** The same for a body that is JSON already. */
  post<Data>(body: string): Promise<Data>;
}

export type ClientFailure = 'unauthorized' | 'unavailable' | 'refused' | 'stopped';

export class ClientError extends Error {
  readonly kind: ClientFailure;
  constructor(kind: ClientFailure, message: string) {
    super(message);
    this.name = 'ClientError';
    this.kind = kind;
  }
}

interface GraphQLAnswer {
  data?: unknown;
  errors?: { message: string; extensions?: { code?: string } }[];
}

/** One attempt's end: an answer, or why it should be tried again. */
type Outcome = { data: unknown } | { retry: string; afterMs?: number };

const UNAUTHORIZED = new Set(['UNAUTHENTICATED', 'UNAUTHORIZED', 'FORBIDDEN']);
const TRANSIENT = new Set([
  'INTERNAL_SERVER_ERROR',
  'UNAVAILABLE',
  'SERVICE_UNAVAILABLE',
  'TIMEOUT',
  'RATE_LIMITED',
]);

/** The GraphQL endpoint of a URL that may be just the server's base. */
export function endpointOf(url: string): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new ClientError('refused', `"${url}" is not a URL. Example: http://127.0.0.1:4000/graphql`);
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') {
    throw new ClientError('refused', `"${url}" must begin with http:// or https://`);
  }
  if (parsed.pathname === '' || parsed.pathname === '/') parsed.pathname = '/graphql';
  return parsed.toString();
}

export function createClient(options: ClientOptions): Client {
  const url = endpointOf(options.url);
  const attempts = options.attempts ?? 10;
  const timeoutMs = options.timeoutMs ?? 60_000;
  const stopped = () => new ClientError('stopped', 'Stopped before the request was answered.');

  async function attempt(body: string): Promise<Outcome> {
    const timeout = AbortSignal.timeout(timeoutMs);
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/graphql-response+json, application/json',
          authorization: `Bearer ${options.apiKey}`,
        },
        body,
        signal: options.signal ? AbortSignal.any([timeout, options.signal]) : timeout,
      });
      text = await response.text();
    } catch (error) {
      if (options.signal?.aborted) throw stopped();
      return { retry: timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : networkReason(error) };
    }
    return judge(url, response, text);
  }

  async function post<Data>(body: string): Promise<Data> {
    for (let n = 1; ; n++) {
      if (options.signal?.aborted) throw stopped();
      const outcome = await attempt(body);
      if ('data' in outcome) return outcome.data as Data;
      if (n >= attempts) {
        throw new ClientError('unavailable', `${url} failed ${n} times, at last: ${outcome.retry}.`);
      }
      const delay = Math.max(
        outcome.afterMs ?? 0,
        Math.min(15_000, 250 * 2 ** (n - 1)) * (0.75 + Math.random() / 4),
      );
      options.onRetry?.(outcome.retry, delay);
      await sleep(delay, undefined, options.signal ? { signal: options.signal } : {}).catch(() => {
        throw stopped();
      });
    }
  }

  return { url, post, request: (query, variables = {}) => post(JSON.stringify({ query, variables })) };
}

function judge(url: string, response: Response, text: string): Outcome {
  const answer = parseAnswer(text);
  const errors = answer?.errors ?? [];
  const codes = errors.map((error) => error.extensions?.code ?? '');
  const message = errors.map((error) => error.message).join('; ') || `HTTP ${response.status}`;
  const { status } = response;

  if (status === 401 || status === 403 || codes.some((code) => UNAUTHORIZED.has(code))) {
    throw new ClientError('unauthorized', `${url} refuses the API key: ${message}`);
  }
  if (status === 429 || codes.includes('RATE_LIMITED')) {
    const seconds = Number(response.headers.get('retry-after'));
    return { retry: message, afterMs: Number.isFinite(seconds) ? Math.min(seconds, 60) * 1000 : 0 };
  }
  if (status >= 500 || codes.some((code) => TRANSIENT.has(code))) return { retry: message };
  if (!answer) {
    throw new ClientError('refused', `${url} does not answer as a GraphQL endpoint (HTTP ${status}).`);
  }
  if (errors.length > 0 || answer.data === undefined || answer.data === null) {
    throw new ClientError('refused', `${url} does not accept the request: ${message}`);
  }
  return { data: answer.data };
}

function parseAnswer(text: string): GraphQLAnswer | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : null;
  } catch {
    return null;
  }
}

/** undici hides the reason (ECONNREFUSED, …) in the error's cause. */
function networkReason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (typeof cause === 'object' && cause !== null && 'code' in cause && typeof cause.code === 'string') {
    return cause.code === 'ECONNREFUSED' ? 'nothing listens there (ECONNREFUSED)' : cause.code;
  }
  return error instanceof Error ? error.message : String(error);
}
