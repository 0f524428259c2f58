/** One consumer of membershipChanges, over a WebSocket. It only notes what comes, and when. */
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import type { Target } from '../lib/service.ts';

export interface Noted {
  segment: string;
  profile: string;
  kind: string;
  cause: string;
  at: string;
  /** performance.now() and epoch milliseconds of its arrival. */
  received: number;
  receivedAt: number;
}

export interface Subscriber {
  readonly changes: readonly Noted[];
  /** Why the subscription has ended; null while it has not. */
  failure(): string | null;
  close(): Promise<void>;
}

const CHANGES = `subscription Changes($segments: [ID!], $after: Position) {
  membershipChanges(segments: $segments, after: $after) {
    id position kind cause at profileId segment { id }
  }
}`;

interface Payload {
  membershipChanges: {
    kind: string;
    cause: string;
    at: string;
    profileId: string;
    segment: { id: string };
  };
}

/** Everything after the position, of these segments or of all: whether the subscription is up already when the load begins does not matter. */
export function subscribe(target: Target, segments: readonly string[] | null, after: string): Subscriber {
  const changes: Noted[] = [];
  let failure: string | null = null;
  let closing = false;
  const client = createClient({
    url: `${target.url.replace(/^http/, 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${target.apiKey}` },
    retryAttempts: 0,
  });
  const end = client.subscribe<Payload>(
    { query: CHANGES, variables: { segments, after } },
    {
      next({ data, errors }) {
        const received = performance.now();
        const receivedAt = Date.now();
        if (!data || errors) {
          failure ??= errors?.map(({ message }) => message).join('; ') ?? 'an empty message came';
          return;
        }
        const { profileId, segment, kind, cause, at } = data.membershipChanges;
        changes.push({ segment: segment.id, profile: profileId, kind, cause, at, received, receivedAt });
      },
      error: (error) => void (failure ??= explain(error)),
      complete: () => void (closing ? undefined : (failure ??= 'the server ended it')),
    },
  );
  return {
    changes,
    failure: () => failure,
    async close() {
      closing = true;
      end();
      await client.dispose();
    },
  };
}

function explain(error: unknown): string {
  if (Array.isArray(error)) return error.map((one: { message: string }) => one.message).join('; ');
  if (error instanceof Error) return error.message;
  const { code, reason } = error as { code?: number; reason?: string };
  return `the socket was closed (${code ?? 'no code'} ${reason ?? ''})`;
}
