/** Time passing over dates and over days of the account's calendar, each to the very millisecond. */
import type { QueryParams } from '@clickhouse/client';
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { startOfDay } from '../../src/segments/calendar.ts';
import { movedByDay, turnedByDay } from '../../src/evaluation/midnights.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import { criteriaOf, normalise, parseCondition } from '../../src/segments/index.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, until, type World } from './world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const engines = useEngines();
let world: World;
beforeAll(async () => {
  // ClickHouse forgets future events by its own clock, so that all of this lies ahead.
  const start = Date.parse('2040-02-20T12:00:00Z');
  world = await openWorld(engines.urls(), start);
});
afterAll(() => world.close());

async function upsert(account: number, externalId: string, properties: object): Promise<void> {
  const { accepted } = await acceptProfiles(world, account, [{ identifiers: { externalId }, properties }]);
  assert.equal(accepted, 1);
  await world.settle();
}

async function order(account: number, event: { time: number; properties?: object }): Promise<void> {
  const input = { metric: 'Placed Order', profile: { externalId: 'a' }, ...event };
  assert.equal((await acceptEvents(world, account, [input])).accepted, 1);
  await world.settle();
}

async function segment(account: number, condition: object): Promise<void> {
  assert('segment' in (await createSegment(world, account, { name: 'dates', condition })));
  await world.settle();
}

async function pass(to: number): Promise<void> {
  world.clock.set(to);
  await world.settle();
}

async function changesOf(account: number) {
  const { changes } = await readLogPage(world, account, { first: 100, after: null, segments: null });
  return changes.map(({ kind, cause, at }) => ({ kind, cause, at }));
}

const entered = (at: number) => ({ kind: 'ENTERED', cause: 'TIME', at });
const exited = (at: number) => ({ kind: 'EXITED', cause: 'TIME', at });
const dated = (path: string, date: object) => ({
  property: { path: `properties.${path}`, filter: { date } },
});

test('a subscription that ends within the next seven days enters and leaves at the very millisecond', async () => {
  const account = await world.newAccount(0);
  const now = world.clock.now();
  const end = now + 8 * DAY + 7;
  await segment(account, dated('endsAt', { next: 'P7D' }));
  await upsert(account, 'a', { endsAt: new Date(end).toISOString() });
  await pass(end - 7 * DAY - 1);
  expect(await changesOf(account)).toEqual([]);
  await pass(end - 7 * DAY);
  expect(await changesOf(account)).toEqual([entered(end - 7 * DAY)]);
  await pass(end - 1);
  expect(await changesOf(account)).toEqual([entered(end - 7 * DAY)]);
  await pass(end);
  expect(await changesOf(account)).toEqual([entered(end - 7 * DAY), exited(end)]);
});

test('a date alone crosses an edge as its day begins in the time zone of the account', async () => {
  const account = await world.newAccount(0, 'America/New_York');
  await segment(account, dated('endsOn', { within: { moreThanAgo: 'P1D' } }));
  await upsert(account, 'a', { endsOn: '2040-03-11' });
  await pass(Date.parse('2040-03-12T12:00:00Z'));
  expect(await changesOf(account)).toEqual([entered(Date.parse('2040-03-12T05:00:00Z'))]);
});

test('a date that was replaced crosses nothing any more', async () => {
  const account = await world.newAccount(0);
  const now = world.clock.now();
  await segment(account, dated('endsAt', { within: { moreThanAgo: 'PT1S' } }));
  await upsert(account, 'a', { endsAt: new Date(now + HOUR).toISOString() });
  await upsert(account, 'a', { endsAt: new Date(now + 2 * HOUR).toISOString() });
  await pass(now + 3 * HOUR);
  expect(await changesOf(account)).toEqual([entered(now + 2 * HOUR + 1_000)]);
});

test('a birthday lasts from midnight to midnight in the time zone of the account', async () => {
  const account = await world.newAccount(0, 'Europe/Berlin');
  await segment(account, dated('born', { anniversary: { today: true } }));
  await upsert(account, 'a', { born: '1984-03-20' });
  const [from, to] = [Date.parse('2040-03-19T23:00:00Z'), Date.parse('2040-03-20T23:00:00Z')];
  await pass(from - 1);
  expect(await changesOf(account)).toEqual([]);
  await pass(from);
  expect(await changesOf(account)).toEqual([entered(from)]);
  await pass(to - 1);
  await pass(to + DAY);
  expect(await changesOf(account)).toEqual([entered(from), exited(to)]);
});

test('THIS_MONTH ends at midnight of the summer time that began in it', async () => {
  const account = await world.newAccount(0, 'Europe/Berlin');
  await segment(account, { event: { metric: 'Placed Order', within: { calendar: 'THIS_MONTH' } } });
  await order(account, { time: Date.parse('2040-03-21T11:00:00Z') });
  // The clocks change on 25 March: April begins at 22:00 UTC, where March began at 23:00.
  const april = Date.parse('2040-03-31T22:00:00Z');
  await pass(Date.parse('2040-03-30T12:00:00Z'));
  await pass(april - 1);
  expect((await changesOf(account)).map(({ kind }) => kind)).toEqual(['ENTERED']);
  const parsed = parseCondition({
    event: { metric: 'Placed Order', within: { calendar: 'THIS_MONTH' } },
  });
  assert(parsed.ok);
  expect(await countAudience(world, account, parsed.condition)).toBe(1);
  await pass(april + 3 * DAY);
  expect((await changesOf(account)).slice(1)).toEqual([exited(april)]);
  expect(await countAudience(world, account, parsed.condition)).toBe(0);
});

test('a midnight is told before what happens to somebody whom nobody has looked at since', async () => {
  const account = await world.newAccount(0);
  await segment(account, { event: { metric: 'Placed Order', within: { calendar: 'TODAY' } } });
  const start = world.clock.now();
  const midnight = Math.ceil(start / DAY) * DAY;
  await pass(midnight - 2);
  await order(account, { time: midnight - 2 });
  const release = world.holdDays();
  world.clock.set(midnight + 5);
  const again = { metric: 'Placed Order', profile: { externalId: 'a' }, time: midnight + 5 };
  assert.equal((await acceptEvents(world, account, [again])).accepted, 1);
  const told = async () => (await changesOf(account)).slice(1);
  await until('the event has come', async () => (await told()).length >= 2, 20_000);
  const expected = [exited(midnight), { kind: 'ENTERED', cause: 'EVENT', at: midnight + 5 }];
  expect(await told()).toEqual(expected);
  release();
  await world.settle();
  expect(await told()).toEqual(expected);
});

test('an edge that is crossed while a midnight is looked at has its own instant, and the midnight keeps its', async () => {
  const account = await world.newAccount(0);
  const today = { event: { metric: 'Placed Order', within: { calendar: 'TODAY' } } };
  await segment(account, {
    any: [today, { event: { metric: 'Placed Order', within: { ago: { from: 'PT20S', to: 'PT10S' } } } }],
  });
  const midnight = Math.ceil(world.clock.now() / DAY) * DAY;
  await pass(midnight - 5_000);
  await order(account, { time: midnight - 5_000 });
  const release = world.holdDays();
  world.clock.set(midnight + 1_000);
  await sleep(300);
  world.clock.set(midnight + 5_000);
  const told = async () => (await changesOf(account)).slice(1);
  await sleep(300);
  release();
  await world.settle();
  await pass(midnight + 15_000);
  expect(await told()).toEqual([exited(midnight), entered(midnight + 5_000), exited(midnight + 15_000)]);
});

test('what a midnight has turned is not mixed up with an event that is stored before it is taken', async () => {
  const account = await world.newAccount(0);
  await segment(account, { event: { metric: 'Placed Order', within: { calendar: 'TODAY' } } });
  const midnight = Math.ceil(world.clock.now() / DAY) * DAY;
  await pass(midnight - 2);
  await order(account, { time: midnight - 2 });
  // Nobody's history is in memory any more.
  await world.restart('evaluator', false);
  const release = world.holdDays();
  for (const after of [1_000, 10_000]) {
    world.clock.set(midnight + after);
    await sleep(1_000);
  }
  const again = { metric: 'Placed Order', profile: { externalId: 'a' }, time: midnight + 5_000 };
  assert.equal((await acceptEvents(world, account, [again])).accepted, 1);
  await sleep(1_000);
  release();
  await world.settle();
  const told = (await changesOf(account)).slice(1);
  expect(told).toEqual([exited(midnight), { kind: 'ENTERED', cause: 'EVENT', at: midnight + 10_000 }]);
});

test('what a midnight has turned is told before a merge adds events', async () => {
  const account = await world.newAccount(0);
  await segment(account, { event: { metric: 'Placed Order', within: { calendar: 'TODAY' } } });
  const midnight = Math.ceil(world.clock.now() / DAY) * DAY;
  await pass(midnight - 2);
  await order(account, { time: midnight - 2 });
  await acceptProfiles(world, account, [{ identifiers: { anonymousId: 'x' } }]);
  await world.settle();
  await world.restart('evaluator', false);
  const release = world.holdDays();
  world.clock.set(midnight + 10_000);
  await sleep(1_000);
  // Of another profile, which goes into the first.
  const now = { metric: 'Placed Order', profile: { anonymousId: 'x' }, time: midnight };
  assert.equal((await acceptEvents(world, account, [now])).accepted, 1);
  await sleep(500);
  await acceptProfiles(world, account, [{ identifiers: { externalId: 'a', anonymousId: 'x' } }]);
  await sleep(1_500);
  release();
  await world.settle();
  expect(await changesOf(account)).toContainEqual(exited(midnight));
});

test('an order of last year enters seven days before its anniversary, and leaves on the day itself', async () => {
  const account = await world.newAccount(0, 'America/New_York');
  const where = [{ path: '$time', filter: { date: { anniversary: { next: 7 } } } }];
  await segment(account, { event: { metric: 'Placed Order', where } });
  const day = Math.floor(world.clock.now() / DAY) + 30;
  const date = new Date(day * DAY);
  await order(account, {
    time: Date.UTC(date.getUTCFullYear() - 1, date.getUTCMonth(), date.getUTCDate(), 17),
  });
  const [from, to] = [startOfDay(day - 7, 'America/New_York'), startOfDay(day, 'America/New_York')];
  await pass(from - 1);
  expect(await changesOf(account)).toEqual([]);
  await pass(from);
  expect(await changesOf(account)).toEqual([entered(from)]);
  await pass(to - 1);
  await pass(to);
  expect(await changesOf(account)).toEqual([entered(from), exited(to)]);
});

test('an event leaves when a date in its properties has passed, for whoever has the event after a merge', async () => {
  const account = await world.newAccount(0);
  const start = world.clock.now();
  const where = [{ path: 'trip.begins', filter: { date: { next: 'P1D' } } }];
  await segment(account, { event: { metric: 'Placed Order', where } });
  const begins = start + 2 * DAY;
  await order(account, { time: start, properties: { trip: { begins: new Date(begins).toISOString() } } });
  await acceptProfiles(world, account, [{ identifiers: { email: 'a@x.com' } }]);
  await world.settle();
  await acceptProfiles(world, account, [{ identifiers: { externalId: 'a', email: 'a@x.com' } }]);
  await world.settle();
  await pass(begins - DAY);
  expect(await changesOf(account)).toEqual([entered(begins - DAY)]);
  await pass(begins + HOUR);
  expect(await changesOf(account)).toEqual([entered(begins - DAY), exited(begins)]);
});

test('a birthday of this month enters and leaves as months begin in the time zone of the account', async () => {
  const account = await world.newAccount(0, 'Europe/Berlin');
  await segment(account, dated('born', { anniversary: { thisMonth: true } }));
  const leap = await world.newAccount(0, 'Pacific/Apia');
  const where = [{ path: 'born', filter: { date: { anniversary: { thisMonth: true } } } }];
  await segment(leap, { event: { metric: 'Placed Order', where } });
  const year = new Date(world.clock.now()).getUTCFullYear() + 1;
  await pass(Date.UTC(year, 0, 20));
  await upsert(account, 'a', { born: '1984-03-31T22:30:00Z' });
  await order(leap, { time: world.clock.now(), properties: { born: '2000-02-29' } });
  // In Berlin this is in April already, of which both ends lie in summer time.
  const [april, may] = [Date.UTC(year, 2, 31, 22), Date.UTC(year, 3, 30, 22)];
  const [february, march] = [Date.UTC(year, 0, 31, 11), Date.UTC(year, 1, 28, 11)];
  for (const [of, from, to] of [
    [leap, february, march],
    [account, april, may],
  ] as const) {
    await pass(from - 1);
    expect(await changesOf(of)).toEqual([]);
    await pass(from);
    expect(await changesOf(of)).toEqual([entered(from)]);
    await pass(to - 1);
    expect(await changesOf(of)).toEqual([entered(from)]);
    await pass(to);
    expect(await changesOf(of)).toEqual([entered(from), exited(to)]);
  }
  // A year later, in a leap of the clock over all of it.
  await pass(Date.UTC(year + 1, 3, 15));
  expect((await changesOf(account)).slice(2)).toEqual([entered(Date.UTC(year + 1, 2, 31, 22))]);
});

test('only on a day that begins a month is anybody compared for a birthday of this month', async () => {
  const account = await world.newAccount(0);
  const parsed = parseCondition({ not: dated('born', { anniversary: { thisMonth: true } }) });
  assert(parsed.ok);
  const condition = normalise(parsed.condition);
  const segment = {
    ...{ account, segment: 1, version: 1, references: new Set<number>() },
    ...{ own: condition, condition, criteria: criteriaOf(condition) },
  };
  const asked: string[] = [];
  const client = Object.create(world.clickhouse.client) as ClickHouse['client'];
  client.query = (params: QueryParams) => {
    asked.push(params.query);
    return world.clickhouse.client.query(params);
  };
  for (const [midnight, statements] of [
    ['2041-03-31', 0],
    ['2041-04-01', 1],
    ['2041-04-02', 0],
  ] as const) {
    const after = Date.parse(midnight);
    const change = { account, metrics: new Map(), timeZone: 'UTC', chunks: [0], before: after - 1, after };
    for await (const page of turnedByDay(
      { ...world.clickhouse, client },
      change,
      movedByDay(change, [segment]),
      { signal: new AbortController().signal, skipped: () => assert.fail('it can be read') },
    )) {
      assert.fail(`nobody is there: ${JSON.stringify(page)}`);
    }
    expect(asked.splice(0).length).toBe(statements);
  }
});
