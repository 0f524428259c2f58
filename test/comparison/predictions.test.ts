/** Changes of predictions: what counts as a past value, and time passing over it to the very millisecond. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { explainProfile } from '../../src/evaluation/explanation.ts';
import { acceptProfiles } from '../../src/ingest/accept.ts';
import type { ProfileInput } from '../../src/ingest/validate.ts';
import { parseCondition } from '../../src/segments/index.ts';
import { insertLines, query } from '../../src/storage/clickhouse/connect.ts';
import { predictionLine } from '../../src/ingest/rows.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, START, type World } from './world.ts';

const SECOND = 1_000;
const HOUR = 3_600_000;
const PATH = 'properties.$predictions.churnRisk';

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());

async function accept(account: number, ...inputs: ProfileInput[]): Promise<void> {
  assert.equal((await acceptProfiles(world, account, inputs)).accepted, inputs.length);
}

async function write(account: number, ...inputs: ProfileInput[]): Promise<void> {
  await accept(account, ...inputs);
  await world.settle();
}

async function pass(ms: number): Promise<number> {
  world.clock.set(world.clock.now() + ms);
  await world.settle();
  return world.clock.now();
}

const risk = (churnRisk: unknown, identifiers: object = { externalId: 'a' }): ProfileInput => ({
  identifiers,
  properties: { $predictions: { churnRisk } },
});
const change = (by: number, within = 'PT1H') => ({
  prediction: { dimension: 'CHURN_RISK', change: { by, within } },
});

async function segment(account: number, condition: object): Promise<void> {
  assert('segment' in (await createSegment(world, account, { name: 'predictions', condition })));
  await world.settle();
}

async function changesOf(account: number) {
  const { changes } = await readLogPage(world, account, { first: 100, after: null, segments: null });
  return changes.map(({ kind, cause, at }) => ({ kind, cause, at }));
}

/** The past values that are kept, as [milliseconds after `from`, value]. */
async function historyOf(account: number, profile: number, from: number) {
  const rows = await query<{ at: string; newest: [number | null] }>(
    world.clickhouse,
    `SELECT toUnixTimestamp64Milli(time) AS at, argMax(tuple(value), revision) AS newest
     FROM predictions_by_profile
     WHERE account = {account:UInt32} AND profile = {profile:UInt32} AND path = {path:String}
     GROUP BY time ORDER BY time`,
    { account, profile, path: PATH },
  );
  return rows.map(({ at, newest }) => [Number(at) - from, newest[0]]);
}

const entered = (cause: string, at: number) => ({ kind: 'ENTERED', cause, at });
const exited = (cause: string, at: number) => ({ kind: 'EXITED', cause, at });

test('a rise holds from the write on until the value has been there for as long as one looks back', async () => {
  const account = await world.newAccount(0);
  await segment(account, change(0.2));
  await write(account, risk(0.1));
  await pass(2 * HOUR);
  await write(account, risk(0.3));
  const risen = world.clock.now();
  expect(await changesOf(account)).toEqual([entered('PROFILE', risen)]);
  await pass(HOUR - 1);
  expect(await changesOf(account)).toHaveLength(1);
  await pass(1);
  expect(await changesOf(account)).toEqual([entered('PROFILE', risen), exited('TIME', risen + HOUR)]);
});

test('time alone begins a change too: what was there before the first value is no value', async () => {
  const account = await world.newAccount(0);
  await segment(account, change(-1));
  await write(account, risk(5));
  const first = world.clock.now();
  await pass(10 * SECOND);
  await write(account, risk(3));
  expect(await changesOf(account)).toEqual([]);
  // An hour after the first value it is the one that was in force an hour ago, for ten seconds.
  await pass(2 * HOUR);
  expect(await changesOf(account)).toEqual([]);
  await write(account, risk(2));
  const last = world.clock.now();
  await pass(HOUR);
  expect(await changesOf(account)).toEqual([entered('PROFILE', last), exited('TIME', last + HOUR)]);
  expect(await historyOf(account, 0, first)).toEqual([
    [0, 5],
    [10 * SECOND, 3],
    [last - first, 2],
  ]);
});

test('a change that begins and ends by time alone is found at its beginning', async () => {
  const account = await world.newAccount(0);
  await segment(account, change(-1));
  await write(account, risk(5));
  const first = world.clock.now();
  await pass(10 * SECOND);
  await write(account, risk(3));
  await pass(HOUR - 10 * SECOND - 1);
  expect(await changesOf(account)).toEqual([]);
  await pass(1);
  expect(await changesOf(account)).toEqual([entered('TIME', first + HOUR)]);
  await pass(10 * SECOND);
  expect(await changesOf(account)).toEqual([
    entered('TIME', first + HOUR),
    exited('TIME', first + HOUR + 10 * SECOND),
  ]);
});

test('of several values of one millisecond the last one counts, however they come together', async () => {
  for (const together of [true, false]) {
    const account = await world.newAccount(0);
    const from = world.clock.now();
    const inputs = [risk(0.1), risk(0.9), risk(0.4)];
    if (together) await write(account, ...inputs);
    else for (const input of inputs) await write(account, input);
    expect(await historyOf(account, 0, from)).toEqual([[0, 0.4]]);
  }
});

test('a value that went up and down again before it was looked at has been there', async () => {
  const account = await world.newAccount(0);
  await segment(account, change(-0.5, 'PT10S'));
  await write(account, risk(0.1));
  const from = world.clock.now();
  await pass(HOUR);
  await accept(account, risk(0.9));
  world.clock.set(world.clock.now() + 5 * SECOND);
  await accept(account, risk(0.1));
  await world.settle();
  expect(await historyOf(account, 0, from)).toEqual([
    [0, 0.1],
    [HOUR, 0.9],
    [HOUR + 5 * SECOND, 0.1],
  ]);
  await pass(HOUR);
  expect(await changesOf(account)).toEqual([]);
  await write(account, risk(0.1));
  expect(await historyOf(account, 0, from)).toHaveLength(3);
});

test('what is taken away, or is no number any more, has no value from then on', async () => {
  const account = await world.newAccount(0);
  const from = world.clock.now();
  await write(account, risk(0.1));
  await pass(1);
  await write(account, risk('0.5'));
  await pass(1);
  await write(account, risk(null));
  await pass(1);
  await write(account, risk(0.2));
  await pass(1);
  await write(account, { identifiers: { externalId: 'a' }, properties: { $predictions: null } });
  expect(await historyOf(account, 0, from)).toEqual([
    [0, 0.1],
    [1, null],
    [3, 0.2],
    [4, null],
  ]);
});

test('of a profile that is merged the present value goes over, from then on, and its past is forgotten', async () => {
  const account = await world.newAccount(0);
  await segment(account, change(0.2));
  const e = { email: 'e@x.com' };
  await write(account, risk(0.1, e), { identifiers: { externalId: 'a' } });
  await pass(2 * HOUR);
  await write(account, risk(0.9, e));
  await pass(HOUR / 2);
  const risen = (await changesOf(account)).length;
  expect(risen).toBe(1);
  await write(account, { identifiers: { externalId: 'a', ...e } });
  const merged = world.clock.now();
  // The target had no value an hour ago.
  expect((await changesOf(account)).slice(1)).toEqual([exited('MERGE', merged)]);
  expect(await historyOf(account, 1, merged)).toEqual([[0, 0.9]]);
  await pass(HOUR);
  await write(account, risk(1.5));
  expect((await changesOf(account)).slice(2)).toEqual([entered('PROFILE', world.clock.now())]);
});

test('a profile that is merged into one with predictions leaves nothing of its own', async () => {
  const account = await world.newAccount(0);
  const e = { email: 'e@x.com' };
  await write(account, risk(0.9, e), risk(0.1));
  const from = world.clock.now();
  await pass(HOUR);
  await write(account, { identifiers: { externalId: 'a', ...e } });
  expect(await historyOf(account, 1, from)).toEqual([[0, 0.1]]);
  const condition = parseCondition(change(0.5));
  assert(condition.ok);
  expect(await countAudience(world, account, condition.condition)).toBe(0);
});

test('an explanation says both values and when time ends the change, or, of too many values, only the truth', async () => {
  const account = await world.newAccount(0);
  const condition = parseCondition(change(0.2));
  assert(condition.ok);
  const explain = () =>
    explainProfile(world, account, condition.condition, {
      number: 0,
      attributes: new Map(),
      consents: new Map(),
    });
  await write(account, risk(0.1));
  await pass(2 * HOUR);
  await write(account, risk(0.3));
  await pass(SECOND);
  const { complete, root } = await explain();
  expect(complete).toBe(true);
  expect(root).toMatchObject({
    satisfied: true,
    finding: { text: '0.3 now, 0.1 1 hour ago', actual: 0.2 },
    flipsAt: world.clock.now() - SECOND + HOUR,
  });
  const now = world.clock.now();
  const lines = Array.from({ length: 1_000 }, (_, i) =>
    predictionLine(account, 0, 9, { path: PATH, time: now - 900 + i, value: 0.4 }),
  );
  await insertLines(world.clickhouse, 'predictions', lines, 'many');
  expect(await explain()).toMatchObject({
    complete: false,
    root: { satisfied: true, finding: null, flipsAt: null },
  });
});
