/** What time alone has turned is told before the news that follow it, which may turn it back. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { createForeseen } from '../../src/evaluation/foreseen.ts';
import { EVERYBODY } from '../../src/evaluation/slice.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, until, type World } from './world.ts';

const SECOND = 1_000;
const DAY = 86_400_000;
const WITHIN_MS = 20_000;

const engines = useEngines();
let world: World;
let account: number;
beforeAll(async () => {
  world = await openWorld(engines.urls(), Date.parse('2040-02-20T12:00:00Z'));
});
afterAll(() => world.close());
beforeEach(async () => {
  account = await world.newAccount(0);
});

const ordered = (within: object) => ({ event: { metric: 'Placed Order', within } });
const berlin = { property: { path: 'properties.city', filter: { text: { equals: 'Berlin' } } } };
const birthday = {
  property: { path: 'properties.born', filter: { date: { anniversary: { today: true } } } },
};

async function segment(condition: object): Promise<void> {
  const made = await createSegment(world, account, { name: 'before news', condition });
  assert('segment' in made, JSON.stringify(made));
  await world.settle();
}

async function upsert(externalId: string, properties: object): Promise<void> {
  const { accepted } = await acceptProfiles(world, account, [{ identifiers: { externalId }, properties }]);
  assert.equal(accepted, 1);
}

async function order(externalId: string, time: number): Promise<void> {
  const event = { metric: 'Placed Order', profile: { externalId }, time };
  assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
}

async function pass(to: number): Promise<void> {
  world.clock.set(to);
  await world.settle();
}

/** Entries and exits, in milliseconds behind `from`. */
async function told(from: number): Promise<string[]> {
  const { changes } = await readLogPage(world, account, { first: 100, after: null, segments: null });
  return changes.map(({ kind, cause, at }) => `${kind} ${cause} ${at - from}`);
}

/** The time goes on, and nobody looks at it before something happens. */
async function unseen<T>(to: number, work: () => Promise<T>): Promise<T> {
  const { now } = world.clock;
  world.clock.now = () => to;
  try {
    return await work();
  } finally {
    world.clock.now = now;
  }
}

/** Somebody is in the segment of the last ten seconds, and leaves it in a tenth of one; returns when they ordered. */
async function orderedTenSecondsAgo(externalId: string): Promise<number> {
  await segment(ordered({ last: 'PT10S' }));
  const start = world.clock.now();
  await order(externalId, start);
  await world.settle();
  await pass(start + 9_900);
  return start;
}

/** Just behind the edge, before anybody has looked at it. */
async function orderAgain(start: number): Promise<void> {
  await unseen(start + 10_200, async () => {
    await order('a', start + 10_200);
    await until('it is told', async () => (await told(start)).length === 3, WITHIN_MS);
  });
}

/** To five seconds before the next midnight, which is returned. */
async function shortlyBeforeMidnight(): Promise<number> {
  const midnight = Math.ceil((world.clock.now() + 1) / DAY) * DAY;
  await pass(midnight - 5 * SECOND);
  return midnight;
}

test('an event that brings back who has just left', async () => {
  const start = await orderedTenSecondsAgo('a');
  await orderAgain(start);
  await pass(start + 11_000);
  expect(await told(start)).toEqual(['ENTERED EVENT 0', 'EXITED TIME 10000', 'ENTERED EVENT 10200']);
});

test('an event before the edge keeps who would have left, although it is taken behind it', async () => {
  const start = await orderedTenSecondsAgo('a');
  // Accepted before the edge and evaluated behind it: what lies between them is not told, for it never was.
  await unseen(start + 9_950, () => order('a', start + 9_950));
  await unseen(start + 10_200, () => sleep(500));
  await pass(start + 10_500);
  expect(await told(start)).toEqual(['ENTERED EVENT 0']);
});

test('an order of the new day, before anybody has looked at it', async () => {
  await segment(ordered({ calendar: 'TODAY' }));
  const midnight = await shortlyBeforeMidnight();
  await order('a', midnight - 5 * SECOND);
  await world.settle();
  await pass(midnight - 100);
  await unseen(midnight + 200, async () => {
    await order('a', midnight + 200);
    await until('it is told', async () => (await told(midnight)).length === 3, WITHIN_MS);
  });
  await pass(midnight + SECOND);
  expect(await told(midnight)).toEqual(['ENTERED EVENT -5000', 'EXITED TIME 0', 'ENTERED EVENT 200']);
});

/** Somebody has a day that begins, and is read, but is told only when `what` has happened ten seconds after it. */
async function whileItIsOpen(midnight: number, what: () => Promise<void>): Promise<void> {
  const release = world.holdDays();
  await unseen(midnight + SECOND, async () => {
    world.clock.wake();
    await sleep(500);
  });
  await unseen(midnight + 10 * SECOND, async () => {
    await what();
    await sleep(1_000);
  });
  release();
  await pass(midnight + 11 * SECOND);
}

test('a property that changes while a day is open', async () => {
  await segment({ all: [ordered({ calendar: 'YESTERDAY' }), berlin] });
  const midnight = await shortlyBeforeMidnight();
  await upsert('a', { city: 'Berlin' });
  await order('a', midnight - 5 * SECOND);
  await world.settle();
  await whileItIsOpen(midnight, () => upsert('a', { city: 'Paris' }));
  expect(await told(midnight)).toEqual(['ENTERED TIME 0', 'EXITED PROFILE 10000']);
});

test('whoever is new while a day is open was not there when it began', async () => {
  await segment(ordered({ calendar: 'TODAY' }));
  await segment(birthday);
  const midnight = await shortlyBeforeMidnight();
  await order('z', midnight - 5 * SECOND);
  await world.settle();
  const born = `1984-${new Date(midnight).toISOString().slice(5, 10)}`;
  await whileItIsOpen(midnight, () => upsert('new', { born }));
  expect(await told(midnight)).toEqual(expect.arrayContaining(['EXITED TIME 0', 'ENTERED PROFILE 10000']));
  expect(await told(midnight)).toHaveLength(3);
});

test('whoever is new while a day is open and does more before it is over stays what they are', async () => {
  await segment(ordered({ calendar: 'TODAY' }));
  const midnight = await shortlyBeforeMidnight();
  await order('z', midnight - 5 * SECOND);
  await world.settle();
  await whileItIsOpen(midnight, async () => {
    await order('new', midnight + 10 * SECOND);
    await sleep(500);
    await upsert('new', { city: 'Paris' });
  });
  expect((await told(midnight)).sort()).toEqual([
    'ENTERED EVENT -5000',
    'ENTERED EVENT 10000',
    'EXITED TIME 0',
  ]);
});

test('whoever is new while the days of many accounts wait to be read', async () => {
  const accounts: number[] = [];
  for (let i = 0; i < 12; i++) {
    accounts.push((account = await world.newAccount(0)));
    await segment(ordered({ calendar: 'TODAY' }));
  }
  const midnight = await shortlyBeforeMidnight();
  for (account of accounts) await order('z', midnight - 5 * SECOND);
  await world.settle();
  await whileItIsOpen(midnight, async () => {
    for (account of accounts) await order('new', midnight + 10 * SECOND);
  });
  for (account of accounts)
    expect((await told(midnight)).sort()).toEqual([
      'ENTERED EVENT -5000',
      'ENTERED EVENT 10000',
      'EXITED TIME 0',
    ]);
});

test.each([10_200, 10_150])(
  'what has been told before news is not told again before others, of %i ms',
  async (second) => {
    const start = await orderedTenSecondsAgo('a');
    await orderAgain(start);
    await unseen(start + second, async () => {
      await upsert('a', { city: 'Berlin' });
      await sleep(500);
    });
    await pass(start + 11_000);
    expect(await told(start)).toEqual(['ENTERED EVENT 0', 'EXITED TIME 10000', 'ENTERED EVENT 10200']);
  },
);

test('news of a clock that is far ahead bring nothing before its time', async () => {
  await segment(ordered({ last: 'PT60S' }));
  const start = world.clock.now();
  await order('a', start);
  await world.settle();
  await pass(start + 40_000);
  await order('a', start + 40_000);
  await world.settle();
  await pass(start + 59_900);
  await unseen(start + 60_200, async () => {
    const ahead = { ...world, clock: { ...world.clock, now: () => start + 180_000 } };
    const write = { identifiers: { externalId: 'a' }, properties: { city: 'Paris' } };
    assert.equal((await acceptProfiles(ahead, account, [write])).accepted, 1);
    await sleep(500);
  });
  await pass(start + 101_000);
  expect(await told(start)).toEqual(['ENTERED EVENT 0', 'EXITED TIME 100000']);
});

test('whoever leaves before others are merged into them', async () => {
  await upsert('b', {});
  await world.settle();
  const start = await orderedTenSecondsAgo('b');
  await unseen(start + 10_200, async () => {
    const email = 'a@example.com';
    const event = { metric: 'Placed Order', profile: { email }, time: start + 9_950 };
    assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
    await sleep(500);
    const write = { identifiers: { externalId: 'b', email }, properties: {} };
    assert.equal((await acceptProfiles(world, account, [write])).accepted, 1);
    await until('it is told', async () => (await told(start)).length >= 4, WITHIN_MS);
  });
  await pass(start + 11_000);
  expect((await told(start)).filter((one) => !one.startsWith('EXITED MERGE'))).toEqual([
    'ENTERED EVENT 0',
    'ENTERED EVENT 10200',
    'EXITED TIME 10000',
    'ENTERED MERGE 10200',
  ]);
});

test('an event that has been evaluated is not looked at once more when its time has come', async () => {
  const now = Date.UTC(2040, 0, 1);
  const foreseen = createForeseen(world.clickhouse, () => Promise.resolve(), EVERYBODY, world.logger);
  const look = async (after: number, through: number) => {
    const found: number[] = [];
    const slice = { account: 1, metrics: new Map([['M', 1]]), timeZone: 'UTC', edges: [], after, through };
    for await (const page of foreseen.crossings([slice]))
      found.push(...page.flatMap(({ crossings }) => crossings.map(({ instant }) => instant - now)));
    return found;
  };
  await look(now - 500, now);
  const event = (time: number) => ({ id: String(time), time, metric: 1 });
  for (const time of [now + 100, now + 300])
    foreseen.note(
      1,
      [{ profile: 7, cause: 'EVENT', at: now + 200, metric: 'M', event: event(time) }],
      now + 200,
    );
  expect(await look(now, now + 500)).toEqual([300]);
});
