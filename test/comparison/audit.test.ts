/** The audit finds what is wrong in the stored memberships, and takes nothing for wrong that is only on its way. */
import assert from 'node:assert/strict';
import type { QueryParams } from '@clickhouse/client';
import { eq } from 'drizzle-orm';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createSegment, deleteSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { listMembers } from '../../src/evaluation/memberships.ts';
import { ownerOf } from '../support/owner.ts';
import { openPartition, type EvaluatorPartition } from '../../src/evaluation/partition.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import { metrics } from '../../src/runtime/metrics.ts';
import { command, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { ingestDebts } from '../../src/storage/mysql/schema.ts';
import {
  decodeChange,
  type ProfileChange,
  type ProfileChangeMessage,
} from '../../src/storage/profile-changes.ts';
import { evaluatorPartition, PROFILE_CHANGES } from '../../src/storage/topics.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { createSteppedClock } from './clock.ts';
import { subscribe } from './subscriber.ts';
import { isAllWritten, openWorld, START, until, type World } from './world.ts';

const BORDER = 65_536;
const ROUND_MS = 11_000;

const engines = useEngines();
let world: World;
let segments: [account: number, segment: number][] = [];
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterEach(async () => {
  for (const [account, segment] of segments) await deleteSegment(world, account, segment);
  segments = [];
  await world.settle();
  world.warnings();
});
afterAll(() => world.close());

const ordered = (rest: object = {}) => ({ event: { metric: 'Placed Order', ...rest } });
const gold = { property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } } };

/** People with the numbers from `first` on, the even ones of them on the plan. */
async function people(first: number, count: number): Promise<number> {
  const account = await world.newAccount(first);
  const inputs = Array.from({ length: count }, (_, i) => ({
    identifiers: { externalId: String(i) },
    properties: { plan: i % 2 === 0 ? 'gold' : 'silver' },
  }));
  assert.equal((await acceptProfiles(world, account, inputs)).accepted, count);
  await world.settle();
  return account;
}

async function segment(account: number, condition: object): Promise<number> {
  const made = await createSegment(world, account, { name: 'audited', condition });
  assert('segment' in made);
  segments.push([account, made.segment]);
  await world.settle();
  return made.segment;
}

/** Behind everybody's back. */
async function turn(account: number, of: number, profiles: number[]): Promise<void> {
  await command(
    world.clickhouse,
    `INSERT INTO memberships (account, segment, chunk, members)
     SELECT {account:UInt32}, {of:UInt32}, intDiv(profile, ${BORDER}) AS number,
       groupBitmapXorState(bitmapBuild([toUInt32(profile % ${BORDER})]))
     FROM (SELECT arrayJoin({profiles:Array(UInt32)}) AS profile)
     GROUP BY number`,
    { account, of, profiles },
  );
}

async function members(account: number, of: number): Promise<number[]> {
  const rows = await listMembers(world.clickhouse, account, of, null, 1_000);
  return rows.map(({ profile }) => profile);
}

async function changesOf(account: number) {
  const page = await readLogPage(world, account, { first: 1_000, after: null, segments: null });
  return page.changes.map(({ kind, cause, profile, segment: of }) => ({ kind, cause, profile, segment: of }));
}

async function counted(of: 'audits' | 'drift'): Promise<Record<string, number>> {
  const { values } = await metrics[of].get();
  return Object.fromEntries(values.map(({ labels, value }) => [Object.values(labels).join(), value]));
}

/** Lets the evaluators' time pass until it is so. */
async function audited(what: string, isSo: () => Promise<boolean>): Promise<void> {
  await until(
    what,
    async () => {
      world.clock.set(world.clock.now() + ROUND_MS);
      await pause(50);
      await world.settle();
      return isSo();
    },
    60_000,
  );
}

test('members who are missing, and others who should not be there, are repaired and announced', async () => {
  // Both sides of a block of 256, and of a chunk: two partitions.
  const account = await people(BORDER - 260, 270);
  const other = await people(BORDER - 260, 270);
  const [made, same] = [await segment(account, gold), await segment(account, { not: gold })];
  const elsewhere = await segment(other, gold);
  const right = await members(account, made);
  expect(right).toHaveLength(135);
  // The evaluators know the members, and some of the profiles, by now.
  const news = ['0', '4', '256', '260', '264'];
  const inputs = news.map((externalId) => ({ identifiers: { externalId }, properties: { plan: 'silver' } }));
  await acceptProfiles(world, account, inputs);
  await world.settle();
  await acceptProfiles(
    world,
    account,
    inputs.map((input) => ({ ...input, properties: { plan: 'gold' } })),
  );
  await world.settle();
  expect(await members(account, made)).toEqual(right);
  const before = await changesOf(account);
  const listener = subscribe(world, account);
  await listener.reconnect();
  const drift = await counted('drift');

  const [missing, extra] = [
    [0, 4, 260],
    [3, 257, 259, 263],
  ].map((list) => list.map((i) => BORDER - 260 + i));
  assert(missing && extra);
  await turn(account, made, [...missing, ...extra]);
  expect(await members(account, made)).not.toEqual(right);
  await audited(
    'the members are repaired',
    async () => (await members(account, made)).join() === right.join(),
  );

  const repairs = (await changesOf(account)).slice(before.length);
  const sorted = repairs.sort((a, b) => a.profile - b.profile);
  const wanted = [
    ...missing.map((profile) => ({ kind: 'ENTERED', cause: 'REPAIR', profile, segment: made })),
    ...extra.map((profile) => ({ kind: 'EXITED', cause: 'REPAIR', profile, segment: made })),
  ].sort((a, b) => a.profile - b.profile);
  expect(sorted).toEqual(wanted);
  const page = await readLogPage(world, account, { first: 1_000, after: null, segments: null });
  await listener.expect(page.changes.slice(before.length));
  await listener.stop();
  const now = await counted('drift');
  expect([now['missing'], now['extra'], now['disputed']]).toEqual([
    (drift['missing'] ?? 0) + 3,
    (drift['extra'] ?? 0) + 4,
    drift['disputed'],
  ]);
  expect(world.warnings().filter((line) => line.includes('memberships were wrong'))).toHaveLength(2);
  expect(await members(account, same)).toHaveLength(135);
  expect(await changesOf(other)).toEqual([]);
  expect(await members(other, elsewhere)).toHaveLength(135);

  // What is in memory is right as well.
  await acceptProfiles(world, account, [{ identifiers: { externalId: '3' }, properties: { plan: 'gold' } }]);
  await acceptProfiles(world, account, [{ identifiers: { externalId: '4' }, properties: { plan: 'none' } }]);
  await world.settle();
  const changes = await changesOf(account);
  const lastOf = (i: number) =>
    changes.filter((one) => one.segment === made && one.profile === BORDER - 260 + i).at(-1);
  expect([lastOf(3), lastOf(4)]).toMatchObject([
    { kind: 'ENTERED', cause: 'PROFILE' },
    { kind: 'EXITED', cause: 'PROFILE' },
  ]);
}, 120_000);

test('nothing is taken for drift while events pour in and time passes', async () => {
  const account = await people(BORDER - 5, 10);
  const conditions = [1, 2, 3].flatMap((equals) => [
    ordered({ is: { equals: equals * 10 } }),
    ordered({ is: { equals }, within: { last: 'PT35S' } }),
    ordered({ is: { equals }, within: { last: 'PT60S' } }),
  ]);
  for (const condition of conditions) await segment(account, condition);
  const [audits, drift] = [await counted('audits'), await counted('drift')];
  for (let i = 0; i < 150; i++) {
    const inputs = [0, 1, 2, 3].map((k) => ({
      metric: 'Placed Order',
      profile: { externalId: String((i * 3 + k) % 10) },
    }));
    await acceptEvents(world, account, inputs);
    if (i % 50 === 49) await world.restart(i === 99 ? 'both' : 'evaluator', false);
    await pause((i * 7) % 40);
    world.clock.set(world.clock.now() + ROUND_MS);
  }
  await world.settle();
  const changes = await changesOf(account);
  expect(changes.length).toBeGreaterThan(100);
  expect(changes.filter(({ cause }) => cause === 'REPAIR')).toEqual([]);
  expect(await counted('drift')).toEqual(drift);
  const since = await counted('audits');
  expect((since['agreed'] ?? 0) - (audits['agreed'] ?? 0)).toBeGreaterThan(5);
  // Some have met with data whose news were still on their way.
  expect(since['overtaken'] ?? 0).toBeGreaterThan(audits['overtaken'] ?? 0);
  expect(world.warnings()).toEqual([]);
}, 120_000);

test('what is too much for one turn is repaired in several', async () => {
  const account = await people(0, 10);
  const made = await segment(account, gold);
  const drift = await counted('drift');
  const nobody = Array.from({ length: 6_000 }, (_, i) => 20_000 + i);
  await turn(account, made, nobody);
  await audited('the members are repaired', async () => (await members(account, made)).length === 5);
  expect((await counted('drift'))['extra']).toBe((drift['extra'] ?? 0) + 6_000);
  const said = world.warnings().flatMap((line) => /"extra":\d+/.exec(line) ?? []);
  expect(said).toEqual(['"extra":5000', '"extra":1000']);
}, 120_000);

/** A partition of its own, whose news come when the test says so. It owns it until the evaluators are restarted. */
async function alone(account: number) {
  const clock = createSteppedClock(world.clock.now() + ROUND_MS);
  const marks: ProfileChangeMessage[] = [];
  const append: World['log']['append'] = (topic, records) => {
    const changes = topic === PROFILE_CHANGES ? records.map(({ value }) => decodeChange(value)) : [];
    const own = changes.filter(({ kind }) => kind === 'mark');
    marks.push(...own);
    return own.length > 0 ? Promise.resolve([0]) : world.log.append(topic, records);
  };
  let held = Promise.resolve();
  const query = async (request: QueryParams) => {
    if (request.clickhouse_settings?.max_threads === 1) await held;
    return world.clickhouse.client.query(request);
  };
  const client = Object.create(world.clickhouse.client, { query: { value: query } }) as ClickHouse['client'];
  const clickhouse = { ...world.clickhouse, client };
  const deps = { ...world, clickhouse, clock, log: { ...world.log, append } };
  const owner = ownerOf(world);
  const open = () => openPartition(deps, evaluatorPartition(account, 0), owner);
  const partition = await open();
  const pass = async (ms: number, of: EvaluatorPartition = partition) => {
    clock.set(clock.now() + ms);
    await of.tick();
  };
  return {
    partition,
    marks,
    pass,
    /** Comparisons begin, and read when the result is called. */
    hold: (): (() => void) => {
      let release: () => void = () => {};
      held = new Promise((resolve) => (release = resolve));
      return release;
    },
    /** Goes on until a difference is found, whose mark is returned. */
    mark: async (of: EvaluatorPartition = partition): Promise<ProfileChangeMessage> => {
      marks.length = 0;
      await until(
        'a mark is put',
        async () => {
          await pass(ROUND_MS, of);
          await of.written();
          return marks.length > 0;
        },
        20_000,
      );
      const [mark] = marks;
      assert(mark);
      return mark;
    },
    reopen: open,
  };
}

const silent = () =>
  ({ ...world, log: { ...world.log, append: () => Promise.resolve([]) } }) as unknown as World;

async function withOneWrong() {
  const account = await people(0, 10);
  const made = await segment(account, gold);
  await turn(account, made, [1]);
  return { account, made, ...(await alone(account)) };
}

test('a difference that its news explain is theirs, not drift', async () => {
  const { account, made, partition, mark } = await withOneWrong();
  const change: ProfileChange = { profile: 1, cause: 'PROFILE', at: world.clock.now(), whole: true };
  await partition.take([{ kind: 'profiles', account, changes: [change] }, await mark()]);
  await partition.written();
  expect(await changesOf(account)).toEqual([{ kind: 'EXITED', cause: 'PROFILE', profile: 1, segment: made }]);
  await world.restart('evaluator', false);
});

test('what time turns meanwhile is no drift', async () => {
  const account = await people(0, 10);
  const made = await segment(account, ordered({ within: { last: 'PT60S' } }));
  await acceptEvents(world, account, [{ metric: 'Placed Order', profile: { externalId: '1' } }]);
  await world.settle();
  const { partition, marks, pass, hold } = await alone(account);
  const drift = await counted('drift');
  const release = hold();
  await pass(ROUND_MS);
  await pass(60_000);
  const changes = [
    { kind: 'ENTERED', cause: 'EVENT', profile: 1, segment: made },
    { kind: 'EXITED', cause: 'TIME', profile: 1, segment: made },
  ];
  await until('it is written', () => isAllWritten(world.mysql), 10_000);
  expect(await changesOf(account)).toEqual(changes);
  // What is stored is read only now, and what is computed is of the time before.
  const { overtaken = 0 } = await counted('audits');
  release();
  await partition.written();
  expect((await counted('audits'))['overtaken']).toBe(overtaken + 1);
  expect(marks).toEqual([]);
  expect(await counted('drift')).toEqual(drift);
  await world.restart('evaluator', false);
});

test('a difference is not judged before the news of all that ClickHouse has are in the log', async () => {
  const { account, made, partition, marks, pass, mark } = await withOneWrong();
  const debt = { id: 'd'.repeat(32), part: 0, owed: Buffer.of(0), ahead: null };
  await world.mysql.db.insert(ingestDebts).values(debt);
  await pass(ROUND_MS);
  await pause(300);
  expect(marks).toEqual([]);
  await world.mysql.db.delete(ingestDebts).where(eq(ingestDebts.id, debt.id));
  await partition.written();
  await partition.take([marks[0] ?? (await mark())]);
  await partition.written();
  expect(await changesOf(account)).toEqual([{ kind: 'EXITED', cause: 'REPAIR', profile: 1, segment: made }]);
  await world.restart('evaluator', false);
});

test('what a predecessor has found is nothing to whoever has taken over, who finds it again', async () => {
  const { account, made, partition, mark, reopen } = await withOneWrong();
  const found = await mark();
  const successor = await reopen();
  await successor.take([found]);
  await successor.written();
  expect(await changesOf(account)).toEqual([]);
  await successor.take([await mark(successor)]);
  await successor.written();
  expect(await changesOf(account)).toEqual([{ kind: 'EXITED', cause: 'REPAIR', profile: 1, segment: made }]);
  expect(await members(account, made)).toEqual([0, 2, 4, 6, 8]);
  await expect(partition.take([found])).resolves.toBeUndefined();
  await world.restart('evaluator', false);
});

test('what is in memory of a profile does not hide that its membership is wrong', async () => {
  const account = await people(0, 10);
  const made = await segment(account, gold);
  const { partition, mark } = await alone(account);
  const news = (plan: string, revision: number): ProfileChangeMessage => {
    const values: ProfileChange['values'] = [['properties.plan', plan]];
    const at = world.clock.now();
    const attributes = ['properties.plan'];
    const change: ProfileChange = { profile: 1, cause: 'PROFILE', at, attributes, values, revision };
    return { kind: 'profiles', account, changes: [change] };
  };
  // Of the second news ClickHouse never hears.
  await partition.take([news('silver', 50)]);
  await partition.take([news('gold', 51)]);
  await partition.take([await mark()]);
  await partition.written();
  expect(await changesOf(account)).toEqual([
    { kind: 'ENTERED', cause: 'PROFILE', profile: 1, segment: made },
    { kind: 'EXITED', cause: 'REPAIR', profile: 1, segment: made },
  ]);
  await world.restart('evaluator', false);
});

test('a segment that is edited meanwhile is as it was edited', async () => {
  const { account, made, partition, mark } = await withOneWrong();
  const found = await mark();
  assert('segment' in (await updateSegment(silent(), account, made, { condition: { not: gold } })));
  await partition.take([{ kind: 'definition', account, segment: made, version: 2 }, found]);
  await partition.written();
  expect(await members(account, made)).toEqual([1, 3, 5, 7, 9]);
  expect((await changesOf(account)).filter(({ cause }) => cause !== 'DEFINITION')).toEqual([]);
  await world.restart('evaluator', false);
});

test('a segment that is deleted meanwhile is no more', async () => {
  const { account, made, partition, mark } = await withOneWrong();
  const found = await mark();
  assert('deleted' in (await deleteSegment(silent(), account, made)));
  await partition.take([{ kind: 'deleted', account, segment: made }, found]);
  await partition.written();
  expect(await changesOf(account)).toEqual([]);
  await world.restart('evaluator', false);
});
