/** What the random comparisons have found, each as small as it can be said. */
import assert from 'node:assert/strict';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { takeOver } from '../../src/evaluation/writer.ts';
import { listMembers } from '../../src/evaluation/memberships.ts';
import { copyEvents } from '../../src/evaluation/merge.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import type { EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import { parseCondition } from '../../src/segments/index.ts';
import { command } from '../../src/storage/clickhouse/connect.ts';
import { shardOf, shardsOf } from '../../src/storage/clickhouse/shards.ts';
import { profiles } from '../../src/storage/mysql/schema.ts';
import { evaluatorPartition } from '../../src/storage/topics.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, START, type World } from './world.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());

async function send(account: number, events: Partial<EventInput>[]): Promise<void> {
  const inputs = events.map((event): EventInput => ({ metric: 'Placed Order', profile: {}, ...event }));
  assert.equal((await acceptEvents(world, account, inputs)).accepted, inputs.length);
  await world.settle();
}

async function write(account: number, inputs: ProfileInput[]): Promise<void> {
  assert.equal((await acceptProfiles(world, account, inputs)).accepted, inputs.length);
  await world.settle();
}

async function segment(account: number, condition: object): Promise<number> {
  const made = await createSegment(world, account, { name: 'regression', condition });
  assert('segment' in made);
  await world.settle();
  return made.segment;
}

async function changesOf(account: number) {
  return (await readLogPage(world, account, { first: 100, after: null, segments: null })).changes;
}

const ordered = (rest: object) => ({ event: { metric: 'Placed Order', ...rest } });

test('a segment is populated with the profiles that are already there', async () => {
  const account = await world.newAccount(0);
  await write(account, [
    { identifiers: { externalId: 'a' }, firstName: 'Ada' },
    { identifiers: { externalId: 'b' } },
  ]);
  const made = await segment(account, {
    property: { path: 'firstName', filter: { text: { equals: 'Ada' } } },
  });
  expect(await listMembers(world.clickhouse, account, made, null, 10)).toEqual([
    { profile: 0, enteredAt: null },
  ]);
});

test('the log can be read past more populations than a page holds', async () => {
  const account = await world.newAccount(0);
  await write(account, [{ identifiers: { externalId: 'a' } }]);
  for (let i = 0; i < 3; i++) await segment(account, ordered({}));
  await send(account, [{ profile: { externalId: 'a' } }]);
  const page = await readLogPage(world, account, {
    first: 1,
    after: null,
    segments: null,
  });
  expect(page.changes.map(({ kind }) => kind)).toEqual(['ENTERED']);
});

test('with a merge the events come along, those to come as well', async () => {
  const account = await world.newAccount(0);
  const made = await segment(account, ordered({ is: { atLeast: 2 } }));
  const now = world.clock.now();
  await send(account, [
    { profile: { email: 'e@x.com' } },
    { profile: { email: 'e@x.com' }, time: now + HOUR },
  ]);
  await write(account, [
    { identifiers: { externalId: 'a' } },
    { identifiers: { externalId: 'a', email: 'e@x.com' } },
  ]);
  expect(await changesOf(account)).toEqual([]);
  world.clock.set(now + 2 * HOUR);
  await world.settle();
  expect(await changesOf(account)).toMatchObject([
    { kind: 'ENTERED', cause: 'TIME', at: now + HOUR, segment: made, profile: 1 },
  ]);
});

test('two profiles that are merged into a third at once bring along but once what they share', async () => {
  const account = await world.newAccount(0);
  await send(account, [{ profile: { externalId: 'a' } }, { profile: { email: 'e@x.com' } }]);
  await write(account, [
    { identifiers: { externalId: 'a', email: 'e@x.com' } },
    { identifiers: { externalId: 'b' } },
  ]);
  const merges = [0, 1].map((source) => ({ source, target: 2 }));
  const partition = evaluatorPartition(account, 0);
  await copyEvents(shardOf(world.clickhouse, partition), partition, account, merges);
  const made = await segment(account, ordered({ is: { equals: 2 } }));
  expect(await listMembers(world.clickhouse, account, made, null, 10)).toMatchObject([
    { profile: 0 },
    { profile: 2 },
  ]);
});

test('what happened several times within one look at the time is dated by its last instant', async () => {
  const account = await world.newAccount(0);
  await segment(account, ordered({ within: { last: 'PT1H' } }));
  const now = world.clock.now();
  await send(account, [
    { profile: { externalId: 'a' }, time: now },
    { profile: { externalId: 'a' }, time: now + 30 * SECOND },
    { profile: { externalId: 'a' }, time: now - 30 * SECOND },
  ]);
  world.clock.set(now + 3 * HOUR);
  await world.settle();
  expect(await changesOf(account)).toMatchObject([
    { kind: 'ENTERED', cause: 'EVENT' },
    { kind: 'EXITED', cause: 'TIME', at: now + 30 * SECOND + HOUR },
  ]);
});

test('it makes no difference whether writes come one by one or in one batch', async () => {
  const before: ProfileInput[] = [
    { identifiers: { email: 'e@x.com' }, properties: { tier: 'silver' } },
    { identifiers: { externalId: 'x' }, properties: { tier: 'gold' } },
  ];
  // The write to the one identifier comes before the two are united, the target keeps what it had.
  const after: ProfileInput[] = [
    { identifiers: { email: 'e@x.com' }, properties: { tier: 'bronze', note: 'of the source' } },
    { identifiers: { phone: '+491234567' }, properties: { note: 'of somebody new' } },
    { identifiers: { email: 'e@x.com', phone: '+491234567' } },
    { identifiers: { externalId: 'x', email: 'e@x.com' } },
  ];
  const outcome = async (batches: ProfileInput[][]) => {
    const account = await world.newAccount(0);
    for (const batch of batches) await write(account, batch);
    const rows = await world.mysql.db.select().from(profiles).where(eq(profiles.account, account));
    const parsed = parseCondition({
      property: { path: 'properties.tier', filter: { text: { equals: 'gold' } } },
    });
    assert(parsed.ok);
    return {
      living: rows
        .filter((row) => row.mergedInto === null)
        .map((row) => JSON.parse(row.properties) as unknown),
      gold: await countAudience(world, account, parsed.condition),
    };
  };
  const expected = { living: [{ tier: 'gold', note: 'of the source' }], gold: 1 };
  expect(await outcome([...before, ...after].map((input) => [input]))).toEqual(expected);
  expect(await outcome([before, after])).toEqual(expected);
  expect(await outcome([[...before, ...after]])).toEqual(expected);
});

test('an event is counted although it was accepted by a clock that is ahead of the evaluator', async () => {
  const account = await world.newAccount(0);
  await segment(account, ordered({}));
  const ahead = { ...world.clock, now: () => world.clock.now() + 3 * SECOND };
  const event = { metric: 'Placed Order', profile: { externalId: 'a' }, time: ahead.now() };
  await acceptEvents({ ...world, clock: ahead }, account, [event]);
  await world.settle();
  expect(await changesOf(account)).toMatchObject([{ kind: 'ENTERED', cause: 'EVENT' }]);
});

test('a take-over long after the last write repeats nothing, although ClickHouse has forgotten it', async () => {
  const account = await world.newAccount(0);
  const made = await segment(account, ordered({}));
  await send(account, [{ profile: { externalId: 'a' } }]);
  world.clock.set(world.clock.now() + 2 * SECOND);
  await world.settle();
  const tables = ['membership_log', 'memberships', 'membership_latest'];
  const remember = async (window: number) => {
    const change = `MODIFY SETTING non_replicated_deduplication_window = ${window}`;
    for (const server of shardsOf(world.clickhouse)) {
      for (const table of tables) await command(server, `ALTER TABLE ${table} ${change}`);
    }
  };
  await remember(0);
  await world.restart('evaluator', false);
  await world.settle();
  await remember(10_000);
  expect(await listMembers(world.clickhouse, account, made, null, 10)).toMatchObject([{ profile: 0 }]);
  expect(await changesOf(account)).toMatchObject([{ kind: 'ENTERED' }]);
});

test('a successor whose clock is behind evaluates nothing before its predecessor', async () => {
  const account = await world.newAccount(0);
  const clocked = (now: number) => ({ ...world, clock: { ...world.clock, now: () => now } });
  const now = world.clock.now();
  const first = await takeOver(clocked(now + HOUR), 5);
  first.advance(0);
  const entry = {
    account,
    segment: 1,
    version: 1,
    profile: 0,
    cause: 'EVENT',
    at: now,
    event: null,
  } as const;
  await first.write([{ ...entry, kind: 'ENTERED' }]);
  await first.written();
  const second = await takeOver(clocked(now), 5);
  expect(second.advance(0)).toBe(now + HOUR);
  await second.write([{ ...entry, kind: 'EXITED' }]);
  expect((await changesOf(account)).map(({ kind }) => kind)).toEqual(['ENTERED', 'EXITED']);
});

test('a profile that crosses more edges than one query looks for is dated by all of them', async () => {
  const account = await world.newAccount(0);
  const never = Array.from({ length: 230 }, (_, i) =>
    ordered({ is: { equals: 100 }, within: { last: `PT${i + 1}S` } }),
  );
  const sum = ordered({ measure: { sum: '$value' }, is: { moreThan: 0 }, within: { last: 'PT1H' } });
  await segment(account, { any: [...never, sum] });
  const now = world.clock.now();
  await send(account, [{ profile: { externalId: 'a' }, value: 5 }]);
  world.clock.set(now + 2 * HOUR);
  await world.settle();
  expect(await changesOf(account)).toMatchObject([
    { kind: 'ENTERED', cause: 'EVENT' },
    { kind: 'EXITED', cause: 'TIME', at: now + HOUR },
  ]);
});

test('a profile that crosses an edge hundreds of times at once still crosses the others', async () => {
  const account = await world.newAccount(0);
  await segment(account, ordered({ is: { atLeast: 280 }, within: { last: 'PT1H' } }));
  await segment(account, { event: { metric: 'Viewed Product', within: { last: 'PT1H' } } });
  const now = world.clock.now();
  const burst = Array.from({ length: 300 }, (_, i) => ({ profile: { externalId: 'a' }, time: now - i }));
  await send(account, [
    ...burst,
    { metric: 'Viewed Product', profile: { externalId: 'a' }, time: now - 150 },
  ]);
  world.clock.set(now + 2 * HOUR);
  await world.settle();
  const left = (await changesOf(account)).filter(({ kind }) => kind === 'EXITED');
  // 279 are left when the 21st of the oldest has gone.
  expect(left.map(({ at }) => at)).toEqual([now - 279 + HOUR, now - 150 + HOUR]);
});

test('a text and a number that are the same bytes are two values, a text and the element of a list are one', async () => {
  const account = await world.newAccount(0);
  // The number is what these eight letters are as a double.
  const codes = ['AAAAAAAA', 2_261_634.5098039214, ['AAAAAAAA', 'b'], true];
  await send(
    account,
    codes.map((code) => ({ profile: { externalId: 'a' }, properties: { code } })),
  );
  const size = (equals: number) => {
    const parsed = parseCondition(ordered({ measure: { distinct: 'code' }, is: { equals } }));
    assert(parsed.ok);
    return countAudience(world, account, parsed.condition);
  };
  expect([await size(3), await size(4), await size(5)]).toEqual([0, 1, 0]);
});
