/** Edges that were looked for ahead of their time, and what has happened between then and their time. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { createForeseen, type Foreseen } from '../../src/evaluation/foreseen.ts';
import { createLooks } from '../../src/evaluation/looks.ts';
import type { Edge } from '../../src/evaluation/registry.ts';
import { EVERYBODY } from '../../src/evaluation/slice.ts';
import { acceptConsents, acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import { insertLines } from '../../src/storage/clickhouse/connect.ts';
import type { ProfileChange } from '../../src/storage/profile-changes.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, type World } from './world.ts';

const SECOND = 1_000;

const engines = useEngines();
let world: World;
let account: number;
let start: number;
beforeAll(async () => {
  const urls = { mysql: engines.mysqlUrl(), clickhouse: engines.clickhouseUrl() };
  world = await openWorld(urls, Date.parse('2040-02-20T12:00:00Z'));
});
afterAll(() => world.close());

/** An account whose next minute has been looked at: a segment of those who have viewed something in 30 s is in force. */
beforeEach(async () => {
  account = await world.newAccount(0);
  await segment({ event: { metric: 'Viewed', within: { last: 'PT30S' } } });
  await upsert({ externalId: 'somebody' });
  // Whoever jumps by hours looks anew, with all that there is.
  world.clock.set(world.clock.now() + 3_600_000);
  await world.settle();
  start = world.clock.now();
  await pass(1);
});

async function segment(condition: object): Promise<number> {
  const made = await createSegment(world, account, { name: 'foreseen', condition });
  assert('segment' in made, JSON.stringify(made));
  await world.settle();
  return made.segment;
}

async function upsert(identifiers: Record<string, string>, properties: object = {}): Promise<void> {
  assert.equal((await acceptProfiles(world, account, [{ identifiers, properties }])).accepted, 1);
  await world.settle();
}

async function viewed(externalId: string, at: number, properties: object = {}): Promise<void> {
  const event = { metric: 'Viewed', profile: { externalId }, time: start + at * SECOND, properties };
  assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
  await world.settle();
}

/** To so many seconds after the start. */
async function pass(seconds: number): Promise<void> {
  world.clock.set(start + seconds * SECOND);
  await world.settle();
}

/** Entries and exits, in seconds after the start. */
async function changes(): Promise<string[]> {
  const page = await readLogPage(world, account, { first: 100, after: null, segments: null });
  return page.changes.map(({ kind, cause, at }) => `${kind} ${cause} ${(at - start) / SECOND}`);
}

test('an event leaves a window although it came after its end had been looked for', async () => {
  await pass(2);
  await viewed('a', 1.5);
  await pass(31.499);
  expect(await changes()).toEqual(['ENTERED EVENT 2']);
  await pass(31.5);
  expect(await changes()).toEqual(['ENTERED EVENT 2', 'EXITED TIME 31.5']);
});

test('an event that was sent ahead of its time counts when its time comes, and leaves', async () => {
  await viewed('a', 5);
  await pass(5);
  expect(await changes()).toEqual(['ENTERED TIME 5']);
  await pass(34.999);
  await pass(35);
  expect(await changes()).toEqual(['ENTERED TIME 5', 'EXITED TIME 35']);
});

test('a filter on the time of an event has edges as a window has, which the news move along', async () => {
  const ago = { within: { ago: { from: 'PT20S', to: 'PT10S' } } };
  await segment({ event: { metric: 'Viewed', where: [{ path: '$time', filter: { date: ago } }] } });
  await pass(2);
  await viewed('a', 1.5);
  const before = await changes();
  await pass(11.499);
  expect(await changes()).toEqual(before);
  await pass(11.5);
  await pass(21.499);
  expect((await changes()).slice(before.length)).toEqual(['ENTERED TIME 11.5']);
  await pass(21.5);
  expect((await changes()).slice(before.length)).toEqual(['ENTERED TIME 11.5', 'EXITED TIME 21.5']);
});

test('events that a merge has copied leave a window although nobody has named them', async () => {
  await viewed('a', 1);
  await upsert({ email: 'a@x.com' });
  await pass(10);
  await upsert({ externalId: 'b', email: 'a@x.com' });
  await upsert({ externalId: 'a', email: 'a@x.com' });
  await pass(30);
  const before = await changes();
  await pass(31);
  expect((await changes()).slice(before.length)).toEqual(['EXITED TIME 31']);
});

test('a segment that has come since then has its own edges, and one that was edited', async () => {
  await viewed('a', 1);
  const made = await segment({ event: { metric: 'Viewed', within: { last: 'PT20S' } } });
  await pass(20.999);
  expect(await changes()).not.toContain('EXITED TIME 21');
  await pass(21);
  expect(await changes()).toContain('EXITED TIME 21');
  await updateSegment(world, account, made, {
    condition: { event: { metric: 'Viewed', within: { moreThanAgo: 'PT25S' } } },
  });
  await world.settle();
  await pass(26);
  expect(await changes()).toContain('ENTERED TIME 26');
});

test('a segment about a metric that nobody had looked at sees its events come of age', async () => {
  const event = { metric: 'Ordered', profile: { externalId: 'a' }, time: start + 9 * SECOND };
  assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
  await world.settle();
  await segment({ event: { metric: 'Ordered', within: { last: 'PT5S' } } });
  await pass(9);
  await pass(14);
  expect(await changes()).toEqual(expect.arrayContaining(['ENTERED TIME 9', 'EXITED TIME 14']));
});

/** A change of somebody who has viewed something, told so many milliseconds after it was accepted. */
const news = (profile: number, time: number): ProfileChange => ({
  profile,
  cause: 'EVENT',
  at: time,
  metric: 'Viewed',
  event: { id: randomUUID(), time, metric: 1 },
});

async function crossed(foreseen: Foreseen, after: number, through: number): Promise<number[][]> {
  const edges: Edge[] = [{ source: { of: 'event', metric: 'Viewed' }, offset: 2_000 }];
  const slice = { account: 9, metrics: new Map([['Viewed', 1]]), timeZone: 'UTC', edges, after, through };
  const found: number[][] = [];
  for await (const page of foreseen.crossings([slice])) {
    for (const { profile, crossings } of page) {
      found.push([profile, ...crossings.map(({ instant }) => instant - after)]);
    }
  }
  return found;
}

test('news that come behind an edge bring it all the same: somebody may have been evaluated with what they tell', async () => {
  const { clickhouse } = world;
  const foreseen = createForeseen(clickhouse, createLooks(clickhouse), EVERYBODY, world.logger);
  const now = Date.parse('2040-03-01T12:00:00Z');
  expect(await crossed(foreseen, now, now + 1_000)).toEqual([]);
  foreseen.note(9, [news(1, now - 1_500)], now + 1_000);
  expect(await crossed(foreseen, now + 1_000, now + 1_500)).toEqual([[1, -500]]);
  // What was over before it arrived has been evaluated since.
  foreseen.note(9, [{ ...news(2, now - 60_000), at: now }], now + 1_500);
  expect(await crossed(foreseen, now + 1_500, now + 2_000)).toEqual([]);
});

test('news that come before anything was looked at are looked for from when they arrived', async () => {
  const { clickhouse } = world;
  const now = Date.parse('2040-03-02T12:00:00Z');
  const row = {
    account: 9,
    metric: 1,
    profile: 3,
    time: new Date(now - 5_000).toISOString(),
    unique_id: 'a',
  };
  const line = JSON.stringify({ ...row, id: randomUUID(), properties: '{}', arrived_at: row.time });
  await insertLines(clickhouse, 'events', [line], 'a late event');
  const foreseen = createForeseen(clickhouse, createLooks(clickhouse), EVERYBODY, world.logger);
  foreseen.note(9, [news(3, now - 5_000)], now);
  // Where the clock of a predecessor stood, who had not been told.
  expect(await crossed(foreseen, now, now + 500)).toEqual([[3, -3_000]]);
});

test('an event leaves although its metric was not known yet when its end was looked for', async () => {
  const ordered = { event: { metric: 'Ordered', within: { last: 'PT700S' } } };
  const pro = { property: { path: 'properties.plan', filter: { text: { equals: 'pro' } } } };
  await segment({ any: [ordered, pro] });
  await upsert({ externalId: 'a' }, { plan: 'pro' });
  // A member already: nobody asks for the metric.
  const event = { metric: 'Ordered', profile: { externalId: 'a' }, time: start + 2 * SECOND };
  assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
  await world.settle();
  await pass(600);
  await upsert({ externalId: 'a' }, { plan: 'free' });
  await pass(701.999);
  const before = await changes();
  expect(before.filter((change) => change.startsWith('EXITED'))).toEqual([]);
  await pass(702);
  expect((await changes()).slice(before.length)).toEqual(['EXITED TIME 702']);
});

test('a date that is set, changed or taken away moves its edges', async () => {
  const at = (seconds: number) => new Date(start + seconds * SECOND).toISOString();
  await segment({ property: { path: 'properties.endsAt', filter: { date: { next: 'PT10S' } } } });
  world.clock.set(start + 600 * SECOND);
  await world.settle();
  start = world.clock.now();
  await pass(1);
  await upsert({ externalId: 'a' }, { endsAt: at(15) });
  await upsert({ externalId: 'b' }, { endsAt: at(16) });
  await upsert({ externalId: 'c' }, { endsAt: at(17) });
  await upsert({ externalId: 'b' }, { endsAt: at(18) });
  await upsert({ externalId: 'c' }, { endsAt: null });
  await pass(5);
  await pass(8);
  expect(await changes()).toEqual(['ENTERED TIME 5', 'ENTERED TIME 8']);
  await pass(15);
  await pass(18);
  expect((await changes()).slice(2)).toEqual(['EXITED TIME 15', 'EXITED TIME 18']);
});

test('a date in an event and the time of a consent have edges that were not looked for', async () => {
  const where = [{ path: 'trip.begins', filter: { date: { next: 'PT10S' } } }];
  await segment({ event: { metric: 'Viewed', where } });
  await segment({ consent: { channel: 'EMAIL', status: ['SUBSCRIBED'], since: { last: 'PT12S' } } });
  world.clock.set(start + 600 * SECOND);
  await world.settle();
  start = world.clock.now();
  await pass(1);
  await viewed('a', 1, { trip: { begins: new Date(start + 15 * SECOND).toISOString() } });
  const consent = { channel: 'EMAIL', status: 'SUBSCRIBED' } as const;
  const given = await acceptConsents(world, account, [
    { identifiers: { email: 'c@x.com' }, ...consent, at: start + SECOND },
  ]);
  assert.deepEqual(given.userErrors, []);
  await world.settle();
  await pass(5);
  await pass(13);
  await pass(15);
  const times = (await changes()).filter((change) => change.includes('TIME'));
  expect(times).toEqual(['ENTERED TIME 5', 'EXITED TIME 13', 'EXITED TIME 15']);
});

test('minutes that were looked for one after the other miss nobody at their borders', async () => {
  for (let i = 0; i < 20; i++) {
    await viewed(`p${i}`, 1 + i * 13);
    await pass(1 + (i + 1) * 13);
  }
  await pass(400);
  const exits = (await changes()).filter((change) => change.startsWith('EXITED'));
  expect(exits).toEqual(Array.from({ length: 20 }, (_, i) => `EXITED TIME ${31 + i * 13}`));
});

test('of a profile with more crossings than a look of the past remembers, the first ones still come', async () => {
  await segment({ event: { metric: 'Viewed', is: { atLeast: 1_150 }, within: { last: 'PT4H' } } });
  const profile = { externalId: 'busy' };
  for (let sent = 0; sent < 1_200; sent += 600) {
    const events = Array.from({ length: 600 }, (_, i) => ({
      metric: 'Viewed',
      profile,
      time: start - 20 * SECOND + (sent + i) * 10,
    }));
    assert.equal((await acceptEvents(world, account, events)).accepted, 600);
    await world.settle();
  }
  const hours = 4 * 3_600 - 20;
  await pass(hours - 60);
  const before = await changes();
  await pass(hours + 1);
  expect((await changes()).slice(before.length)).toEqual([`EXITED TIME ${hours + 0.5}`]);
});
