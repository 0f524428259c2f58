/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return */
import type { Client } from 'graphql-ws';
import { describe, expect, it, vi } from 'vitest';
import { createContext, type Context, type Deps } from '../../src/resolvers/context.ts';
import { eventFeed } from '../../src/resolvers/events.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { encodeChange } from '../../src/storage/profile-changes.ts';
import { PROFILE_CHANGES } from '../../src/storage/topics.ts';
import { createLive } from '../../src/streaming/live.ts';
import { event, expectRefusal, expectSeen, sleep, subscribers, until, useFollowing } from './following.ts';
import { evaluated, events, eventually, useApi } from './support.ts';

const start = useApi();
const { accountNumber, counts, feed, follow, ingest, later, socket, statements, upsert } =
  useFollowing(start);
const iso = (at: number) => new Date(at).toISOString();

describe('eventFeed', () => {
  it('has every event once, in the order in which they come, with all that belongs to it', async () => {
    const followed = await feed(null);
    const time = iso(Date.now() - 86_400_000);
    await ingest([
      event('Fed', 'fed@example.com', {
        uniqueId: 'fed-0',
        time,
        value: 12.5,
        currency: 'EUR',
        properties: { items: ['a', { deep: true }] },
      }),
    ]);
    for (let i = 1; i < 6; i++) {
      // Sent again, an event is the same event.
      await ingest([event('Fed', 'fed@example.com', { uniqueId: `fed-${i - 1}` })]);
      await evaluated(
        start(),
        await ingest([event(`Fed ${i}`, `fed-${i}@example.com`, { uniqueId: `fed-${i}` })]),
      );
    }
    await until(
      () => followed.seen,
      (seen) => seen.length >= 6,
    );
    expect(followed.seen.map(({ uniqueId }) => uniqueId)).toEqual([0, 1, 2, 3, 4, 5].map((i) => `fed-${i}`));
    expect(followed.seen[0]).toMatchObject({
      uniqueId: 'fed-0',
      time,
      value: 12.5,
      currency: 'EUR',
      properties: { items: ['a', { deep: true }] },
      metric: { name: 'Fed' },
      profile: { email: 'fed@example.com' },
    });
    const again = await start().gql('query ($id: ID!) { node(id: $id) { ... on Event { uniqueId } } }', {
      id: followed.seen[0].id,
    });
    expect(again.data.node).toEqual({ uniqueId: 'fed-0' });
  });

  it('has a thousand events of one call, those of each person in their order', async () => {
    const followed = await feed('Burst');
    const sent = Array.from({ length: 1_000 }, (_, i) =>
      event('Burst', `burst-${i % 7}@example.com`, { uniqueId: `burst-${i}` }),
    );
    await ingest(sent);
    await until(
      () => followed.seen.length,
      (length) => length >= sent.length,
    );
    const of = (person: number) =>
      followed.seen
        .filter(({ profile }) => profile.email === `burst-${person}@example.com`)
        .map(({ uniqueId }) => uniqueId as string);
    for (let person = 0; person < 7; person++) {
      const expected = sent
        .filter((_, i) => i % 7 === person)
        .map((each) => (each as unknown as { uniqueId: string }).uniqueId);
      expect(of(person)).toEqual(expected);
    }
    expect(followed.seen).toHaveLength(sent.length);
  });

  it('has only the metric that was asked for, also one that comes into being later', async () => {
    const followed = await feed('  Newly Made ');
    await ingest([
      event('Other', 'new@example.com'),
      event('Newly Made', 'new@example.com', { uniqueId: 'n-1' }),
    ]);
    await evaluated(start(), await ingest([event('newly made', 'new@example.com', { uniqueId: 'n-2' })]));
    await ingest([event('Newly Made', 'new@example.com', { uniqueId: 'n-3' })]);
    await until(
      () => followed.seen,
      (seen) => seen.length >= 2,
    );
    expect(followed.seen.map(({ uniqueId }) => uniqueId)).toEqual(['n-1', 'n-3']);
  });

  it('has an event once, though it is announced again, and not those that a merge copies', async () => {
    const api = start();
    await evaluated(api, await ingest([{ metric: 'Again', profile: { phone: '+16175550188' } }]));
    const followed = await feed('Again');
    await evaluated(api, await ingest([event('Again', 'again@example.com', { uniqueId: 'again-1' })]));
    const [row] = await query<{ account: number; metric: number; profile: number; id: string; at: string }>(
      api.clickhouse,
      `SELECT account, metric, profile, id, toUnixTimestamp64Milli(time) AS at FROM events WHERE unique_id = 'again-1'`,
    );
    if (!row) throw new Error('the event is not there');
    const { account, profile, id, metric, at } = row;
    const change = {
      profile,
      cause: 'EVENT' as const,
      at: Number(at),
      metric: 'Again',
      event: { id, time: Number(at), metric },
    };
    const value = encodeChange({ kind: 'profiles', account, changes: [change, change] });
    await api.log.append(PROFILE_CHANGES, [{ partition: 0, key: String(account), value }]);
    await evaluated(
      api,
      await upsert([{ identifiers: { email: 'again@example.com', phone: '+16175550188' } }]),
    );
    await evaluated(api, await ingest([event('Again', 'again@example.com', { uniqueId: 'again-2' })]));
    await until(
      () => followed.seen,
      (seen) => seen.length >= 2,
    );
    await sleep(500);
    expect(followed.seen.map(({ uniqueId }) => uniqueId)).toEqual(['again-1', 'again-2']);
  });

  it("never has another account's events", async () => {
    const { admin } = await start().otherAccount();
    const mine = await feed('Secret');
    const theirs = await feed('Secret', socket(admin));
    await evaluated(start(), await ingest([event('Secret', 'x@example.com', { uniqueId: 'same' })]));
    await ingest([event('Secret', 'x@example.com', { uniqueId: 'same', value: 7 })], admin);
    await until(
      () => theirs.seen,
      (seen) => seen.length > 0,
    );
    await sleep(500);
    expect(theirs.seen).toMatchObject([{ uniqueId: 'same', value: 7 }]);
    expect(mine.seen).toMatchObject([{ uniqueId: 'same', value: null }]);
    expect(mine.seen[0].profile.id).not.toBe(theirs.seen[0].profile.id);
  });

  it('comes over server-sent events, too', async () => {
    const stop = new AbortController();
    later(() => stop.abort());
    const before = await subscribers();
    const sse = events(
      start().url,
      start().admin,
      'subscription { eventFeed(metric: "Streamed") { uniqueId profile { email } } }',
      stop,
    );
    const first = sse.next();
    await eventually(subscribers, (count) => count > before);
    await ingest([event('Streamed', 'streamed@example.com', { uniqueId: 's-1' })]);
    expect((await first).value).toEqual({
      event: 'next',
      data: { data: { eventFeed: { uniqueId: 's-1', profile: { email: 'streamed@example.com' } } } },
    });
    stop.abort();
    await eventually(subscribers, (count) => count === before);
  });

  it('says what is wrong with the question', async () => {
    for (const [metric, message] of [
      [' ', 'must not be empty'],
      ['x'.repeat(256), 'at most 255 characters'],
    ] as const) {
      const followed = follow('subscription ($metric: String) { eventFeed(metric: $metric) { id } }', {
        metric,
      });
      await expectRefusal(followed, message, 'BAD_USER_INPUT');
    }
  });

  it('is read once for all who follow it, and not at all while nobody does', async () => {
    const asked = statements();
    const reads = () => asked().filter((sql) => sql.includes('id IN {ids:Array(UUID)}')).length;
    await evaluated(start(), await ingest([event('Read', 'read@example.com')]));
    expect(reads()).toBe(0);
    const client = socket();
    const followers = [await feed('Read', client), await feed(null, client), await feed('Read', client)];
    await ingest([event('Read', 'read@example.com')]);
    await Promise.all(
      followers.map(({ seen }) =>
        until(
          () => seen,
          ({ length }) => length === 1,
        ),
      ),
    );
    expect(reads()).toBe(1);
    // Nobody wants it.
    await feed('Unread');
    await client.dispose();
    await sleep(200);
    await evaluated(start(), await ingest([event('Read', 'read@example.com')]));
    expect(reads()).toBe(1);
  });

  it('ends a consumer that is too slow, and says so', async () => {
    const { ctx } = await direct();
    const before = await subscribers();
    const slow = eventFeed(ctx, { metric: 'Heavy' });
    const first = slow.next();
    await eventually(subscribers, (count) => count > before);
    await ingest([event('Heavy', 'heavy@example.com', { uniqueId: 'h-0' })]);
    expect((await first).value).toMatchObject({ uniqueId: 'h-0' });
    // Nine million characters in all: more than may wait.
    const properties = Object.fromEntries(['a', 'b', 'c', 'd'].map((name) => [name, 'x'.repeat(95_000)]));
    for (let call = 0; call < 3; call++) {
      const heavy = Array.from({ length: 8 }, () => event('Heavy', 'heavy@example.com', { properties }));
      await evaluated(start(), await ingest(heavy));
    }
    await sleep(1_000);
    await expect(slow.next()).rejects.toMatchObject({ code: 'SLOW_CONSUMER' });
    expect((await slow.next()).done).toBe(true);
    await eventually(subscribers, (count) => count === before);
  });

  it('lets go of everything, also when the server stops while an event is looked at', async () => {
    const { ctx, gone } = await direct();
    const feed = eventFeed(ctx, { metric: 'Looked At' });
    const first = feed.next();
    await eventually(subscribers, (count) => count === 1);
    await ingest([event('Looked At', 'looked@example.com')]);
    expect((await first).done).toBe(false);
    gone.abort();
    expect((await feed.next()).done).toBe(true);
    await eventually(subscribers, (count) => count === 0);
  });

  it('ends with an error when ClickHouse cannot be asked, and begins anew', async () => {
    const { log, mysql, clickhouse } = start();
    let broken = true;
    const client = {
      query: (options: never) =>
        broken ? Promise.reject(new Error('away')) : clickhouse.client.query(options),
    };
    const live = createLive({
      log,
      mysql,
      clickhouse: { client } as unknown as ClickHouse,
      clock: systemClock,
    });
    later(() => live.close());
    const account = await accountNumber();
    const before = await subscribers();
    const { signal } = new AbortController();
    const first = live.events.follow(account, 'Broken', signal);
    const failing = first.next().catch((error: Error) => error.message);
    await eventually(subscribers, (count) => count > before);
    await evaluated(start(), await ingest([event('Broken', 'broken@example.com')]));
    expect(await failing).toBe('away');
    await eventually(subscribers, (count) => count === before);

    broken = false;
    const second = live.events.follow(account, 'Broken', signal);
    const next = second.next();
    await eventually(subscribers, (count) => count > before);
    await ingest([event('Broken', 'broken@example.com', { uniqueId: 'mended' })]);
    expect((await next).value).toMatchObject([{ uniqueId: 'mended' }]);
    await second.return(undefined);
  });
});

describe('audienceCount and eventFeed', () => {
  it('need a key with the scope READ', async () => {
    const client = socket(await start().key('INGEST'));
    for (const query of [
      'subscription { audienceCount(query: "did \\"X\\"") }',
      'subscription { eventFeed { id } }',
    ]) {
      const followed = follow(query, {}, client);
      await expectRefusal(followed, 'FORBIDDEN', 'READ');
    }
    const reader = socket(await start().key('READ'));
    await expectSeen(counts({ where: { event: { metric: 'Readable' } } }, reader), [0]);
    expect((await feed('Readable', reader)).error()).toBeUndefined();
  });

  it('leave nothing behind when the client goes or the key is revoked', async () => {
    const api = start();
    await eventually(subscribers, (count) => count === 0);
    const tails: { close: () => Promise<void> }[] = [];
    const closed: unknown[] = [];
    const open = api.log.tail.bind(api.log);
    vi.spyOn(api.log, 'tail').mockImplementation(async (options) => {
      const tail = await open(options);
      const close = tail.close.bind(tail);
      const watched = { close: () => (closed.push(options.topic), close()) };
      tails.push(watched);
      return watched;
    });
    const made = await api.gql(
      'mutation { apiKeyCreate(name: "Brief", scopes: [READ]) { apiKey { id } secret } }',
    );
    const { apiKey, secret } = made.data.apiKeyCreate;
    for (const leave of [
      (client: Client) => Promise.resolve(client.terminate()),
      () => api.gql('mutation ($id: ID!) { apiKeyRevoke(id: $id) { revokedId } }', { id: apiKey.id }),
    ]) {
      const client = socket(secret as string);
      const count = counts({ where: { event: { metric: 'Gone', within: { last: 'P1D' } } } }, client);
      await expectSeen(count, [0]);
      await feed(null, client);
      expect(await subscribers()).toBe(2);
      await leave(client);
      await eventually(subscribers, (open) => open === 0);
    }
    // The one that is there belongs to the sets of criteria, which are kept for a minute after a count.
    expect(tails.length - closed.length).toBeLessThanOrEqual(1);
    expect(closed).toEqual(closed.map(() => PROFILE_CHANGES));
  });
});

/** A caller without a transport, who takes what there is when he likes. */
async function direct(): Promise<{ ctx: Context; gone: AbortController }> {
  const { log, clickhouse, mysql } = start();
  const live = createLive({ log, mysql, clickhouse, clock: systemClock });
  later(() => live.close());
  const gone = new AbortController();
  later(() => gone.abort());
  const ctx = createContext({
    deps: { log, clickhouse, mysql, clock: systemClock, live } as unknown as Deps,
    authenticator: { watch: () => () => {} } as unknown as Context['authenticator'],
    principal: { key: 1, account: await accountNumber(), scopes: new Set(['READ'] as const) },
    transport: 'websocket',
    signal: gone.signal,
  });
  return { ctx, gone };
}
