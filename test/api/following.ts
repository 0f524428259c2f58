/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-explicit-any, @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-assignment */
/** Subscriptions of a test, collected as they come, and ended with it. */
import type { Client } from 'graphql-ws';
import { afterEach, expect, vi } from 'vitest';
import { metricsText } from '../../src/runtime/metrics.ts';
import { eventually, INGEST, stream, UPSERT, type TestApi } from './support.ts';

export interface Followed {
  seen: any[];
  error: () => Error | undefined;
}

const COUNT =
  'subscription ($where: ConditionInput, $query: String) { audienceCount(where: $where, query: $query) }';
const FEED =
  'subscription ($metric: String) { eventFeed(metric: $metric) { id uniqueId time value currency properties metric { name } profile { id email } } }';

/** Call it at the top of the file, behind `useApi`. After each test nothing may be left of its subscriptions. */
export function useFollowing(start: () => TestApi) {
  const stops: (() => unknown)[] = [];
  afterEach(async () => {
    vi.restoreAllMocks();
    for (const stop of stops.splice(0)) await stop();
    await eventually(subscribers, (count) => count === 0);
  });

  function socket(key?: string): Client {
    const client = start().socket(key);
    stops.push(() => client.dispose());
    return client;
  }

  return {
    /** Called after the test. */
    later: (stop: () => unknown) => stops.push(stop),
    socket,
    follow: (query: string, variables: object, client = socket()) =>
      collected(stream(client, query, { ...variables })),
    counts: (variables: object, client = socket()) => collected(stream(client, COUNT, { ...variables })),
    /** Returns when the feed is there: what is sent from now on comes. */
    feed: async (metric: string | null, client = socket()): Promise<Followed> => {
      const before = await subscribers();
      const followed = collected(stream(client, FEED, { metric }));
      await eventually(subscribers, (count) => count > before);
      return followed;
    },
    /** The receipt. */
    ingest: async (events: object[], key?: string): Promise<string> => {
      const { data } = await start().gql(INGEST, { events }, key === undefined ? {} : { key });
      expect(data.eventsIngest.userErrors).toEqual([]);
      return data.eventsIngest.receipt as string;
    },
    /** The receipt. */
    upsert: async (profiles: object[]): Promise<string> => {
      const { data } = await start().gql(UPSERT, { profiles });
      expect(data.profilesUpsert.userErrors).toEqual([]);
      return data.profilesUpsert.receipt as string;
    },
    accountNumber: async (): Promise<number> => {
      const { data } = await start().gql('{ account { id } }');
      return Number(
        Buffer.from(data.account.id as string, 'base64url')
          .toString('utf8')
          .split(':')[1],
      );
    },
    /** The statements that ClickHouse is asked from now on. */
    statements: (): (() => string[]) => {
      const spy = vi.spyOn(start().clickhouse.client, 'query');
      return () => spy.mock.calls.map(([{ query }]) => query);
    },
  };
}

/** The values of a subscription's only field. */
function collected(source: AsyncGenerator<Record<string, any>>): Followed {
  const seen: unknown[] = [];
  let failed: Error | undefined;
  void (async () => {
    for await (const data of source) seen.push(...Object.values(data));
  })().catch((error: unknown) => {
    // What ends a subscription that has begun comes as a list.
    failed = error instanceof Error ? error : new Error(JSON.stringify(error));
  });
  return { seen, error: () => failed };
}

/** Waits for so many values, which then must be these. */
export async function expectSeen({ seen }: Followed, expected: unknown[]): Promise<void> {
  await until(
    () => seen.length,
    (length) => length >= expected.length,
  );
  expect(seen).toEqual(expected);
}

export async function expectRefusal(followed: Followed, ...texts: string[]): Promise<void> {
  await until(followed.error, (error) => error !== undefined);
  for (const text of texts) expect(followed.error()?.message).toContain(text);
}

/** Looks again until it holds. */
export function until<T>(look: () => T, holds: (value: T) => boolean): Promise<T> {
  return eventually(() => Promise.resolve(look()), holds);
}

export async function subscribers(): Promise<number> {
  return Number(/^tidemark_subscribers (\d+)/m.exec(await metricsText())?.[1]);
}

export const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export const event = (metric: string, email: string, more: object = {}) => ({
  metric,
  profile: { email },
  ...more,
});
