/** While the first members of a segment are being computed, the world goes on, and so do all other segments. */
import assert from 'node:assert/strict';
import { eq, sql } from 'drizzle-orm';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSegment, deleteSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { listMembers } from '../../src/evaluation/memberships.ts';
import { acceptEvents } from '../../src/ingest/accept.ts';
import type { EventInput } from '../../src/ingest/validate.ts';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { evaluatorPartitions } from '../../src/storage/mysql/schema.ts';
import { readComputing } from '../../src/storage/mysql/segment-reads.ts';
import { EVALUATOR_GROUP, evaluatorPartition, PROFILE_CHANGES } from '../../src/storage/topics.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { caughtUp, openWorld, START, until, type World } from './world.ts';

const MINUTE = 60_000;
const engines = useEngines();
let world: World;
let account: number;
/** Ada has ordered 50 minutes ago, Bob has never. */
const [ADA, BOB] = [0, 1];

beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());
// Also of a test that has failed before.
afterEach(() => world.holdPopulations()());
beforeEach(async () => {
  account = await world.newAccount(0);
  const time = world.clock.now() - 50 * MINUTE;
  // One after the other: each is numbered as they come.
  await send([{ metric: 'Placed Order', profile: { externalId: 'ada' }, time }]);
  await world.settle();
  await send([{ metric: 'Seen', profile: { externalId: 'bob' }, time }]);
  await world.settle();
});

const ordered = { event: { metric: 'Placed Order', within: { last: 'PT1H' } } };
const seen = { event: { metric: 'Seen', is: { atLeast: 2 } } };

async function send(events: EventInput[]): Promise<void> {
  assert.equal((await acceptEvents(world, account, events)).accepted, events.length);
}

/** Sent, stored and evaluated, as far as the news have come. */
async function taken(events: EventInput[]): Promise<void> {
  const before = await world.log.ends(PROFILE_CHANGES);
  await send(events);
  const haveCome = async () =>
    (await world.log.ends(PROFILE_CHANGES)).some((end, i) => end > (before[i] ?? 0));
  await until('there are news', haveCome, 30_000);
  await until('they are taken', () => caughtUp(world.log, EVALUATOR_GROUP, PROFILE_CHANGES), 30_000);
}

async function create(condition: object): Promise<number> {
  const made = await createSegment(world, account, { name: 'new', condition });
  assert('segment' in made, JSON.stringify(made));
  return made.segment;
}

/** Returns once so many statements of the account have read what they read; they answer at the release. */
async function untilComputed(count: number): Promise<void> {
  const runs = async () => {
    const [row] = await query<{ runs: string }>(
      world.clickhouse,
      'SELECT uniqExact(run) AS runs FROM staged_members WHERE account = {account:UInt32}',
      { account },
    );
    return Number(row?.runs) >= count;
  };
  await until('the members are computed', runs, 30_000);
}

async function created(condition: object): Promise<{ segment: number; release: () => void }> {
  const release = world.holdPopulations();
  const segment = await create(condition);
  await untilComputed(1);
  return { segment, release };
}

const order = (who: string): EventInput => ({ metric: 'Placed Order', profile: { externalId: who } });

async function members(segment: number): Promise<number[]> {
  return (await listMembers(world.clickhouse, account, segment, null, 10)).map(({ profile }) => profile);
}

async function changes() {
  const page = await readLogPage(world, account, { first: 100, after: null, segments: null });
  return page.changes.map(({ segment, profile, kind, cause }) => ({ segment, profile, kind, cause }));
}

test('who does something meanwhile is told to have entered, behind the population', async () => {
  const { segment, release } = await created(ordered);
  await taken([order('bob')]);
  expect(await changes()).toEqual([]);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([ADA, BOB]);
  expect(await changes()).toEqual([{ segment, profile: BOB, kind: 'ENTERED', cause: 'EVENT' }]);
});

test('who does something when the members have been stored already is told all the same', async () => {
  const release = world.holdPopulations('memberships');
  const segment = await create(ordered);
  await until('they are stored', async () => (await members(segment)).length > 0, 30_000);
  await taken([order('bob')]);
  expect(await members(segment)).toEqual([ADA]);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([ADA, BOB]);
  expect(await changes()).toEqual([{ segment, profile: BOB, kind: 'ENTERED', cause: 'EVENT' }]);
});

test('an evaluator that takes over when the members have been stored already stores what has changed', async () => {
  const release = world.holdPopulations('memberships');
  const segment = await create(ordered);
  await until('they are stored', async () => (await members(segment)).length > 0, 30_000);
  world.clock.set(world.clock.now() + 20 * MINUTE);
  await taken([order('bob')]);
  await world.restart('evaluator', false);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([BOB]);
});

test('where something happens in one of two partitions, the other keeps what was stored for both', async () => {
  account = await world.newAccount(65_535);
  const time = world.clock.now() - 50 * MINUTE;
  for (const who of ['ada', 'bob', 'cleo']) {
    const metric = who === 'cleo' ? 'Seen' : 'Placed Order';
    await send([{ metric, profile: { externalId: who }, time }]);
    await world.settle();
  }
  expect(evaluatorPartition(account, 65_535)).not.toBe(evaluatorPartition(account, 65_536));
  const { segment, release } = await created(ordered);
  await taken([order('cleo')]);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([65_535, 65_536, 65_537]);
  expect(await changes()).toEqual([{ segment, profile: 65_537, kind: 'ENTERED', cause: 'EVENT' }]);
});

test('whom time turns meanwhile is populated as it is at the end', async () => {
  const { segment, release } = await created(ordered);
  world.clock.set(world.clock.now() + 20 * MINUTE);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([]);
  expect(await changes()).toEqual([]);
});

test('segments that are in force are evaluated all the while', async () => {
  const live = await create(seen);
  await world.settle();
  const { release } = await created(ordered);
  await taken([{ metric: 'Seen', profile: { externalId: 'bob' } }]);
  const arrived = async () => (await changes()).length > 0;
  await until('the change has come', arrived, 30_000);
  expect(await changes()).toEqual([{ segment: live, profile: BOB, kind: 'ENTERED', cause: 'EVENT' }]);
  release();
  await world.settle();
});

test('a segment that is deleted meanwhile comes to nothing', async () => {
  const { segment, release } = await created(ordered);
  assert('deleted' in (await deleteSegment(world, account, segment)));
  await until('it is known', () => caughtUp(world.log, EVALUATOR_GROUP, PROFILE_CHANGES), 30_000);
  await taken([order('bob')]);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([]);
  expect(await changes()).toEqual([]);
});

test('a segment that is edited meanwhile is computed as it is now', async () => {
  const { segment, release } = await created(ordered);
  assert('segment' in (await updateSegment(world, account, segment, { condition: seen })));
  await taken([{ metric: 'Seen', profile: { externalId: 'bob' } }]);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([BOB]);
});

test('an evaluator that takes over meanwhile computes it again', async () => {
  const { segment, release } = await created(ordered);
  await taken([order('bob')]);
  await world.restart('evaluator', false);
  await untilComputed(2);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([ADA, BOB]);
});

test('a segment that refers to one that is being computed comes behind it', async () => {
  const { segment, release } = await created(ordered);
  const other = await create({ segment: { id: encodeId('Segment', account, segment), member: false } });
  await taken([order('bob')]);
  release();
  await world.settle();
  expect([await members(segment), await members(other)]).toEqual([[ADA, BOB], []]);
  world.clock.set(world.clock.now() + 20 * MINUTE);
  await world.settle();
  expect([await members(segment), await members(other)]).toEqual([[BOB], [ADA]]);
});

test('who waits for a segment that is edited meanwhile comes behind it all the same', async () => {
  const { segment, release } = await created(ordered);
  const other = await create({ segment: { id: encodeId('Segment', account, segment), member: false } });
  const known = () => caughtUp(world.log, EVALUATOR_GROUP, PROFILE_CHANGES);
  await until('it is known', known, 30_000);
  assert('segment' in (await updateSegment(world, account, segment, { condition: seen })));
  await until('the edit is known', known, 30_000);
  release();
  // The clock stands still: nobody looks for what has been forgotten.
  const areLive = async () => (await readComputing(world.mysql.db, account, null)).length === 0;
  await until('both are in force', areLive, 30_000);
  expect([await members(segment), await members(other)]).toEqual([[], [ADA, BOB]]);
});

test('an entry names the event that has brought it, not the last one', async () => {
  const few = { event: { metric: 'Refunded', is: { atMost: 2 } } };
  const { release } = await created({ all: [ordered, few] });
  await taken([{ ...order('bob'), uniqueId: 'the order' }]);
  await taken([{ metric: 'Refunded', profile: { externalId: 'bob' }, uniqueId: 'the refund' }]);
  release();
  await world.settle();
  const page = await readLogPage(world, account, { first: 100, after: null, segments: null });
  const [{ id } = { id: null }] = await query<{ id: string }>(
    world.clickhouse,
    `SELECT id FROM events WHERE account = {account:UInt32} AND unique_id = 'the order'`,
    { account },
  );
  expect(page.changes.map(({ event }) => event?.id)).toEqual([id]);
});

test('more segments than form at once follow one another', async () => {
  const release = world.holdPopulations();
  const segments: number[] = [];
  for (let i = 0; i < 7; i++) segments.push(await create(ordered));
  await taken([order('bob')]);
  release();
  await world.settle();
  for (const segment of segments) expect(await members(segment)).toEqual([ADA, BOB]);
});

test('a partition that has lost its owner is not taken back by what it had computed', async () => {
  const { segment, release } = await created(ordered);
  const partition = evaluatorPartition(account, 0);
  const here = eq(evaluatorPartitions.partition, partition);
  const epoch = async () => (await world.mysql.db.select().from(evaluatorPartitions).where(here))[0]?.epoch;
  // Somebody else has it for a moment: the next look at the time fails.
  await world.mysql.db
    .update(evaluatorPartitions)
    .set({ epoch: sql`epoch + 1` })
    .where(here);
  world.clock.set(world.clock.now() + 5_000);
  await until('it is noticed', () => Promise.resolve(world.warnings().length > 0), 30_000);
  await world.restart('evaluator', false);
  await untilComputed(2);
  const owned = await epoch();
  release();
  await world.settle();
  expect(await epoch()).toBe(owned);
  expect(await members(segment)).toEqual([ADA]);
});

test('partitions whose times are far apart do not share an instant', async () => {
  account = await world.newAccount(65_536);
  await send([{ ...order('ada'), time: world.clock.now() - 50 * MINUTE }]);
  await world.settle();
  const ahead = evaluatorPartition(account, 0);
  expect(ahead).not.toBe(evaluatorPartition(account, 65_536));
  const latest = world.clock.now() + 60 * MINUTE;
  await world.mysql.db
    .update(evaluatorPartitions)
    .set({ latest })
    .where(eq(evaluatorPartitions.partition, ahead));
  await world.restart('evaluator', false);
  const segment = await create(ordered);
  await world.settle();
  expect(await members(segment)).toEqual([65_536]);
  // For whoever comes next it is the same time everywhere.
  world.clock.set(latest);
  await world.settle();
});

test('an event that was accepted by a clock that is ahead counts, though no segment is in force yet', async () => {
  const { segment, release } = await created(ordered);
  const clock = { ...world.clock, now: () => world.clock.now() + 3_000 };
  await acceptEvents({ ...world, clock }, account, [order('bob')]);
  const isStored = async () => {
    const rows = await query(
      world.clickhouse,
      `SELECT 1 FROM events WHERE account = {account:UInt32} AND metric > 0`,
      {
        account,
      },
    );
    return rows.length === 3;
  };
  await until('it is stored', isStored, 30_000);
  await until('it is taken', () => caughtUp(world.log, EVALUATOR_GROUP, PROFILE_CHANGES), 30_000);
  release();
  await world.settle();
  expect(await members(segment)).toEqual([ADA, BOB]);
});
