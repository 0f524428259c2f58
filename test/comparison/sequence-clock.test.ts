/** Time passing over sequences of events, each to the very millisecond. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { acceptEvents } from '../../src/ingest/accept.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, type World } from './world.ts';

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

/** An account with one segment; the clock does not go back from one test to the next. */
async function withSegment(sequence: object, timezone = 'UTC') {
  const account = await world.newAccount(0, timezone);
  const name = 'in order';
  assert('segment' in (await createSegment(world, account, { name, condition: { sequence } })));
  await world.settle();
  return {
    start: world.clock.now(),
    send: async (metric: string, time: number, properties: object = {}) => {
      const event = { metric, profile: { externalId: 'a' }, time, properties };
      assert.equal((await acceptEvents(world, account, [event])).accepted, 1);
      await world.settle();
    },
    pass: async (to: number) => {
      world.clock.set(to);
      await world.settle();
    },
    changes: async () => {
      const { changes } = await readLogPage(world, account, { first: 100, after: null, segments: null });
      return changes.map(({ kind, cause, at }) => `${kind} ${cause} ${at}`);
    },
  };
}

const A = { metric: 'Started Checkout' };
const B = { metric: 'Placed Order' };
const not = (step: object) => ({ ...step, negate: true });
const entered = (at: number) => `ENTERED TIME ${at}`;
const exited = (at: number) => `EXITED TIME ${at}`;

test('who starts a checkout and does not order within the hour enters at its very end, and leaves with the window', async () => {
  const { start, send, pass, changes } = await withSegment({
    steps: [A, not(B)],
    completeWithin: 'PT1H',
    within: { last: 'P7D' },
  });
  const begun = start - 7;
  await send('Started Checkout', begun);
  await pass(begun + HOUR - 1);
  expect(await changes()).toEqual([]);
  await pass(begun + HOUR);
  expect(await changes()).toEqual([entered(begun + HOUR)]);
  // A millisecond too late, and so still missed.
  await pass(begun + HOUR + 1);
  await send('Placed Order', begun + HOUR + 1);
  await pass(begun + 7 * DAY - 1);
  expect(await changes()).toEqual([entered(begun + HOUR)]);
  await pass(begun + 7 * DAY);
  expect(await changes()).toEqual([entered(begun + HOUR), exited(begun + 7 * DAY)]);
});

test('an order that arrives late, but was in time to the millisecond, takes an abandoned checkout back', async () => {
  const { start, send, pass, changes } = await withSegment({ steps: [A, not(B)], completeWithin: 'PT1H' });
  await send('Started Checkout', start);
  await pass(start + 3 * HOUR);
  await send('Placed Order', start + HOUR);
  const seen = await changes();
  expect(seen).toHaveLength(2);
  expect(seen[0]).toBe(entered(start + HOUR));
  expect(seen[1]).toMatch(/^EXITED EVENT/);
});

test('a sequence leaves as its first event leaves the window, and no later', async () => {
  const { start, send, pass, changes } = await withSegment({ steps: [A, B], within: { last: 'P1D' } });
  await send('Started Checkout', start - HOUR);
  await send('Placed Order', start - 1);
  await pass(start - HOUR + DAY - 1);
  expect(await changes()).toEqual([`ENTERED EVENT ${start}`]);
  await pass(start + 3 * DAY);
  expect(await changes()).toEqual([`ENTERED EVENT ${start}`, exited(start - HOUR + DAY)]);
});

test('what was forbidden before the first event leaves the window: from then on the sequence holds', async () => {
  const { start, send, pass, changes } = await withSegment({ steps: [not(B), A], within: { last: 'P1D' } });
  await send('Placed Order', start - 2 * HOUR);
  await send('Started Checkout', start - HOUR);
  await pass(start - 2 * HOUR + DAY - 1);
  expect(await changes()).toEqual([]);
  await pass(start - HOUR + DAY - 1);
  expect(await changes()).toEqual([entered(start - 2 * HOUR + DAY)]);
  await pass(start + 2 * DAY);
  expect(await changes()).toEqual([entered(start - 2 * HOUR + DAY), exited(start - HOUR + DAY)]);
});

test('an event that was sent ahead of its time completes a sequence when its time comes', async () => {
  const { start, send, pass, changes } = await withSegment({ steps: [A, B], completeWithin: 'PT2H' });
  await send('Placed Order', start + 2 * HOUR);
  await send('Started Checkout', start);
  await pass(start + 2 * HOUR - 1);
  expect(await changes()).toEqual([]);
  await pass(start + 5 * HOUR);
  expect(await changes()).toEqual([entered(start + 2 * HOUR)]);
});

test('a negated event in between that comes of age breaks a sequence', async () => {
  const { start, send, pass, changes } = await withSegment({ steps: [A, not(B)] });
  await send('Started Checkout', start - 1);
  await send('Placed Order', start + HOUR);
  await pass(start + HOUR - 1);
  await pass(start + DAY);
  expect(await changes()).toEqual([`ENTERED EVENT ${start}`, exited(start + HOUR)]);
});

test('a sequence of today ends at midnight in the time zone of the account', async () => {
  const { start, send, pass, changes } = await withSegment(
    { steps: [A, B], within: { calendar: 'TODAY' } },
    'America/New_York',
  );
  const midnight = new Date(start);
  midnight.setUTCHours(5, 0, 0, 0);
  const next = midnight.getTime() + (midnight.getTime() <= start ? DAY : 0);
  await pass(next + HOUR);
  await send('Started Checkout', next + 1);
  await send('Placed Order', next + 2);
  await pass(next + DAY - 1);
  expect(await changes()).toHaveLength(1);
  await pass(next + DAY + HOUR);
  expect((await changes())[1]).toBe(exited(next + DAY));
});

test('a step that looks at the time of its event turns as it has been long enough', async () => {
  const where = [{ path: '$time', filter: { date: { within: { ago: { from: 'P3D', to: 'P1D' } } } } }];
  const { start, send, pass, changes } = await withSegment({ steps: [{ ...A, where }, B] });
  await send('Started Checkout', start - 2);
  await send('Placed Order', start - 1);
  await pass(start - 3 + DAY);
  expect(await changes()).toEqual([]);
  await pass(start - 2 + DAY);
  expect(await changes()).toEqual([entered(start - 2 + DAY)]);
  await pass(start + 4 * DAY);
  expect(await changes()).toEqual([entered(start - 2 + DAY), exited(start - 2 + 3 * DAY)]);
});

test('a step that looks at a date of its event turns as the date comes near', async () => {
  const where = [{ path: 'trip', filter: { date: { next: 'P1D' } } }];
  const { start, send, pass, changes } = await withSegment({ steps: [{ ...A, where }, B] });
  const trip = start + 3 * DAY;
  await send('Started Checkout', start - 2, { trip: new Date(trip).toISOString() });
  await send('Placed Order', start - 1);
  await pass(trip - DAY);
  expect(await changes()).toEqual([entered(trip - DAY)]);
  await pass(trip);
  expect(await changes()).toEqual([entered(trip - DAY), exited(trip)]);
});
