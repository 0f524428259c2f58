/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-return */
import { describe, expect, it } from 'vitest';
import { metrics } from '../../src/runtime/metrics.ts';
import { MAX_AUDIENCES } from '../../src/streaming/audience-counts.ts';
import { event, expectRefusal, expectSeen, sleep, subscribers, until, useFollowing } from './following.ts';
import { evaluated, events, eventually, useApi } from './support.ts';

const start = useApi();
const { counts, ingest, later, socket, statements, upsert } = useFollowing(start);

const iso = (at: number) => new Date(at).toISOString();

/** How often a condition of so many criteria has been counted since: in ClickHouse, or from sets in memory. */
async function counter(criteria: number): Promise<() => Promise<number>> {
  const asked = statements();
  // Each count needs the set of everybody besides.
  const inMemory = async () => (await setsNeeded()) / (criteria + 1);
  const before = await inMemory();
  const inClickHouse = (sql: string) => sql.includes('sum(bitmapCardinality(members)) AS size');
  return async () => asked().filter(inClickHouse).length + (await inMemory()) - before;
}

async function setsNeeded(): Promise<number> {
  const { values } = await metrics.criterionSets.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

describe('audienceCount', () => {
  it('gives the size at once, then whenever it is another, and nothing when it is the same', async () => {
    await evaluated(start(), await ingest([event('Sized', 'sized-1@example.com')]));
    const followed = counts({ where: { event: { metric: 'Sized' } } });
    await expectSeen(followed, [1]);
    await ingest([event('Sized', 'sized-2@example.com')]);
    await expectSeen(followed, [1, 2]);
    // The same people again, and others doing something else.
    await ingest([event('Sized', 'sized-1@example.com'), event('Not Sized', 'sized-3@example.com')]);
    await sleep(2_500);
    await ingest([event('Sized', 'sized-4@example.com')]);
    await expectSeen(followed, [1, 2, 3]);
  });

  it('is there about a second after a change, also in the middle of many', async () => {
    const followed = counts({ where: { event: { metric: 'Quick' } } });
    await expectSeen(followed, [0]);
    for (let i = 0; i < 15; i++) {
      await ingest([event('Quick', `quick-${i}@example.com`)]);
      await sleep(200);
    }
    const sent = Date.now();
    await until(
      () => followed.seen,
      (seen) => seen.at(-1) === 15,
    );
    expect(Date.now() - sent).toBeLessThan(5_000);
    expect(followed.seen.length).toBeGreaterThan(2);
  });

  it('takes a typed condition as audience does', async () => {
    const followed = counts({ query: 'did "Typed" at least twice' });
    await expectSeen(followed, [0]);
    await ingest([event('Typed', 'typed@example.com'), event('Typed', 'typed@example.com')]);
    await expectSeen(followed, [0, 1]);
  });

  it('changes when nothing but time passes', async () => {
    const now = Date.now();
    const lately = counts({ where: { event: { metric: 'Passing', within: { last: 'PT8S' } } } });
    const ever = counts({ where: { event: { metric: 'Ahead' } } });
    await Promise.all([expectSeen(lately, [0]), expectSeen(ever, [0])]);
    await ingest([
      event('Passing', 'passing@example.com', { time: iso(now) }),
      event('Ahead', 'passing@example.com', { time: iso(now + 8_000) }),
    ]);
    await expectSeen(lately, [0, 1]);
    expect(ever.seen).toEqual([0]);
    await Promise.all([expectSeen(lately, [0, 1, 0]), expectSeen(ever, [0, 1])]);
    expect(Date.now()).toBeGreaterThanOrEqual(now + 8_000);
  });

  it('sees new people, changed attributes and merged histories', async () => {
    const marked = { property: { path: 'properties.mark', filter: { text: { equals: 'follow-me' } } } };
    const attributes = counts({ where: marked });
    const others = counts({ where: { not: marked } });
    const twice = counts({ where: { event: { metric: 'Merged', is: { atLeast: 2 } } } });
    await until(
      () => [attributes, others, twice],
      (all) => all.every(({ seen }) => seen.length > 0),
    );
    const before = others.seen.at(-1) as number;
    await evaluated(
      start(),
      await upsert([
        { identifiers: { email: 'marked-1@example.com' }, properties: { mark: 'follow-me' } },
        { identifiers: { email: 'marked-2@example.com' } },
      ]),
    );
    await expectSeen(attributes, [0, 1]);
    await until(
      () => others.seen.at(-1),
      (last) => last === before + 1,
    );
    await upsert([{ identifiers: { email: 'marked-1@example.com' }, properties: { mark: null } }]);
    await expectSeen(attributes, [0, 1, 0]);

    await evaluated(
      start(),
      await ingest([
        event('Merged', 'merged@example.com'),
        { metric: 'Merged', profile: { phone: '+16175550177' } },
      ]),
    );
    // Long enough that the merge is counted at once, before its events can have been copied.
    await sleep(2_500);
    await upsert([{ identifiers: { email: 'merged@example.com', phone: '+16175550177' } }]);
    await expectSeen(twice, [0, 1]);
  });

  it('is counted once for all who ask the same, however they say it, and never when idle', async () => {
    const client = socket();
    const followers = [
      ...Array.from({ length: 5 }, () =>
        counts({ where: { all: [{ event: { metric: 'Shared' } }, { event: { metric: 'Too' } }] } }, client),
      ),
      ...Array.from({ length: 5 }, () => counts({ query: 'did "Too" and did "Shared"' }, client)),
    ];
    await Promise.all(followers.map((each) => expectSeen(each, [0])));
    // The news are followed by now, which is counted once more.
    await sleep(1_500);
    const counted = await counter(2);
    await sleep(2_500);
    expect(await counted()).toBe(0);

    const began = Date.now();
    for (let i = 0; i < 10; i++) {
      await ingest([event('Shared', `shared-${i}@example.com`), event('Too', `shared-${i}@example.com`)]);
      await sleep(200);
    }
    for (const { seen } of followers) {
      await until(
        () => seen,
        (sizes) => sizes.at(-1) === 10,
      );
    }
    expect(await counted()).toBeGreaterThan(1);
    expect(await counted()).toBeLessThanOrEqual(Math.ceil((Date.now() - began) / 1_000) + 1);
  });

  it('is looked after while time goes on, counted only when that matters, and neither when nobody is left', async () => {
    const before = await subscribers();
    const client = socket();
    const asked = statements();
    const counted = await counter(1);
    await evaluated(start(), await ingest([event('Left', 'left@example.com')]));
    const where = { event: { metric: 'Left', within: { last: 'P1D' } } };
    await expectSeen(counts({ where }, client), [1]);
    await sleep(4_500);
    expect(await counted()).toBeLessThanOrEqual(2);
    const looked = asked().length;
    await sleep(2_500);
    expect(asked().length).toBeGreaterThan(looked);
    await client.dispose();
    await eventually(subscribers, (count) => count === before);
    // The evaluators look for themselves at the segments there are: at none.
    await sleep(500);
    const last = asked().length;
    await sleep(2_500);
    expect(asked().length).toBe(last);
  });

  it('follows dates of profiles as they come near', async () => {
    const due = new Date(Date.now() + 86_400_000 + 6_000).toISOString();
    const followed = counts({
      where: { property: { path: 'properties.due', filter: { date: { next: 'P1D' } } } },
    });
    await expectSeen(followed, [0]);
    await upsert([{ identifiers: { email: 'due@example.com' }, properties: { due } }]);
    await sleep(2_000);
    expect(followed.seen).toEqual([0]);
    await expectSeen(followed, [0, 1]);
  });

  it("never counts another account's people", async () => {
    const { admin } = await start().otherAccount();
    const where = { event: { metric: 'Elsewhere' } };
    const mine = counts({ where });
    const theirs = counts({ where }, socket(admin));
    await Promise.all([expectSeen(mine, [0]), expectSeen(theirs, [0])]);
    await ingest([event('Elsewhere', 'a@example.com'), event('Elsewhere', 'b@example.com')]);
    await until(
      () => mine.seen,
      (seen) => seen.at(-1) === 2,
    );
    await sleep(1_500);
    expect(theirs.seen).toEqual([0]);
    await ingest([event('Elsewhere', 'a@example.com')], admin);
    await expectSeen(theirs, [0, 1]);
    expect(mine.seen.at(-1)).toBe(2);
  });

  it('comes over server-sent events, too', async () => {
    const stop = new AbortController();
    later(() => stop.abort());
    const sse = events(
      start().url,
      start().admin,
      'subscription { audienceCount(query: "did \\"Sent\\"") }',
      stop,
    );
    expect((await sse.next()).value).toEqual({ event: 'next', data: { data: { audienceCount: 0 } } });
    await ingest([event('Sent', 'sent@example.com')]);
    expect((await sse.next()).value).toEqual({ event: 'next', data: { data: { audienceCount: 1 } } });
    stop.abort();
  });

  it('says what is wrong with the question', async () => {
    const where = { event: { metric: 'X' } };
    for (const [variables, message] of [
      [{}, 'exactly one of where and query'],
      [{ where, query: 'did "X"' }, 'exactly one of where and query'],
      [{ where: { event: { metric: '' } } }, 'The condition is not valid'],
      [{ query: 'did did' }, 'The query is not valid'],
    ] as const) {
      const followed = counts(variables);
      await expectRefusal(followed, message, 'BAD_USER_INPUT');
    }
  });

  it(`follows ${MAX_AUDIENCES} different audiences of an account, and not one more`, async () => {
    const { admin } = await start().otherAccount();
    const [one, another] = [socket(admin), socket(admin)];
    const of = (i: number) => ({ where: { event: { metric: 'Many', is: { atLeast: i + 1 } } } });
    const all = Array.from({ length: MAX_AUDIENCES }, (_, i) => counts(of(i), one));
    await Promise.all(all.map((each) => expectSeen(each, [0])));
    const more = counts(of(MAX_AUDIENCES), another);
    await expectRefusal(more, 'TOO_MANY');
    await expectSeen(counts(of(3), another), [0]);
    const before = await subscribers();
    await one.dispose();
    await eventually(subscribers, (count) => count === before - MAX_AUDIENCES);
    await expectSeen(counts(of(MAX_AUDIENCES), another), [0]);
  });
});
