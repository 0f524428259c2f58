/** What the server tells: counts and changes, over one WebSocket, taken up again where it was lost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

export interface Change {
  id: string;
  position: string;
  kind: 'ENTERED' | 'EXITED';
  cause: string;
  at: string;
  segment: { id: string };
  profileId: string;
  profile: { firstName: string | null; lastName: string | null; externalId: string | null } | null;
}
export interface Count {
  segment: { id: string };
  count: number;
}

export interface FeedOptions {
  /** The HTTP endpoint; the WebSocket is on the same path. */
  url: string;
  apiKey: string;
  segments: string[];
  /** Where to begin, in the membership log. */
  after: string;
  signal: AbortSignal;
  onChange: (change: Change) => void;
  onCount: (count: Count) => void;
  onConnection: (connected: boolean) => void;
}

const CHANGES = `subscription ($segments: [ID!], $after: Position) {
  membershipChanges(segments: $segments, after: $after) {
    id position kind cause at segment { id } profileId profile { firstName lastName externalId }
  }
}`;
const COUNTS = `subscription ($segments: [ID!]!) { segmentCounts(segments: $segments) { segment { id } count } }`;

/** Runs until the signal aborts. Throws when the server refuses, as opposed to being away. */
export async function follow(options: FeedOptions): Promise<void> {
  const { signal, segments } = options;
  let after = options.after;
  const socket = createClient({
    url: options.url.replace(/^http/, 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${options.apiKey}` },
    keepAlive: 10_000,
    // graphql-ws would repeat the subscription as it was; ours must go on from the last position.
    retryAttempts: 0,
    on: { connected: () => options.onConnection(true), closed: () => options.onConnection(false) },
  });
  const stop = () => void socket.dispose();
  signal.addEventListener('abort', stop, { once: true });

  const changes = () =>
    listen<{ membershipChanges: Change }>(CHANGES, { segments, after }, ({ membershipChanges: change }) => {
      after = change.position;
      options.onChange(change);
    });
  const counts = () =>
    listen<{ segmentCounts: Count }>(COUNTS, { segments }, (data) => options.onCount(data.segmentCounts));

  async function listen<Data>(
    query: string,
    variables: Record<string, unknown>,
    take: (data: Data) => void,
  ): Promise<void> {
    for await (const result of socket.iterate<Data>({ query, variables })) {
      if (result.errors) {
        const slow = result.errors.some((error) => error.extensions?.['code'] === 'SLOW_CONSUMER');
        if (slow) return;
        throw new Refused(result.errors.map((error) => error.message).join('; '));
      }
      if (result.data) take(result.data);
    }
  }

  const resumed = async (subscribe: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      try {
        await subscribe();
      } catch (error) {
        if (signal.aborted) return;
        const refusal = refusalOf(error);
        if (refusal) throw refusal;
      }
      await sleep(1_000, undefined, { signal }).catch(() => {});
    }
  };
  await Promise.all([resumed(changes), resumed(counts)]);
}

class Refused extends Error {}

/** Of a closed socket, an error of the network or an answer: what repeating would not change. */
function refusalOf(error: unknown): Refused | null {
  if (error instanceof Refused) return error;
  if (Array.isArray(error))
    return new Refused(error.map((each: { message: string }) => each.message).join('; '));
  if (typeof error === 'object' && error !== null && 'code' in error && 'reason' in error) {
    const { code, reason } = error as { code: number; reason: string };
    return [4400, 4401, 4403].includes(code)
      ? new Refused(reason || `the socket was closed with ${code}`)
      : null;
  }
  return null;
}
