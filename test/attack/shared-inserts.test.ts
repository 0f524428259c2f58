/** An insert that carries the entries of several partitions, cut off at any place, and taken up by any of their owners. */
import { and, eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { insertEntries } from '../../src/evaluation/log-inserts.ts';
import { storedMemberships } from '../../src/evaluation/memberships.ts';
import {
  createWritersShare,
  takeOver,
  type MembershipWriter,
  type WritersShare,
} from '../../src/evaluation/writer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { encodeEntries, type LogEntry } from '../../src/storage/clickhouse/membership-log.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { Fenced } from '../../src/storage/mysql/evaluators.ts';
import { createPutAhead } from '../../src/storage/mysql/membership-ahead.ts';
import { membershipAhead, membershipInserts } from '../../src/storage/mysql/schema.ts';
import { useEngines } from '../support/engines.ts';
import { loseRows } from '../support/lose-rows.ts';
import { closeStores, openStores } from '../support/stores.ts';

const engines = useEngines();
const ACCOUNT = 7;
let mysql: MySql;
let clickhouse: ClickHouse;
let log: Log;
let segment = 100;

beforeAll(async () => {
  ({ mysql, clickhouse, log } = await openStores(engines));
});
afterAll(() => closeStores({ mysql, clickhouse, log }));

const deps = () => ({ log, mysql, clickhouse, clock: systemClock });
const entered = (profile: number) =>
  ({
    account: ACCOUNT,
    segment,
    version: 1,
    profile,
    kind: 'ENTERED',
    cause: 'EVENT',
    at: 1_000,
    event: null,
  }) as const;

/** Inserts go through `around`, which may do it or not. */
function watched(around: (number: number, insert: () => Promise<unknown>) => Promise<unknown>) {
  let number = 0;
  const client = Object.create(clickhouse.client, {
    exec: {
      value: (params: Parameters<ClickHouse['client']['exec']>[0]) =>
        around(number++, async () => clickhouse.client.exec(params)),
    },
  }) as ClickHouse['client'];
  return { ...deps(), clickhouse: { ...clickhouse, client } };
}

/** Three writers, of whom the second insert carries an entry each; it begins when `go` is called. */
async function together(
  around: (insert: () => Promise<unknown>) => Promise<unknown>,
  first = (insert: () => Promise<unknown>) => insert(),
) {
  segment += 1;
  let go: () => void = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  const its = watched(async (number, insert) => {
    if (number === 0) {
      await held;
      return first(insert);
    }
    return number === 1 ? around(insert) : insert();
  });
  const share: WritersShare = createWritersShare(its);
  const writers: MembershipWriter[] = [];
  for (const partition of [0, 1, 2]) writers.push(await takeOver(its, partition, share));
  await writers[0]?.write([entered(1)]);
  // The first is on its way alone, the others gather behind it.
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const [i, writer] of writers.entries()) await writer.write([entered(10 + i)]);
  const written = () => Promise.allSettled(writers.map((writer) => writer.written()));
  return { go, written };
}

/** The same insert has begun, and arrives when `arrive` is called. */
async function underWay() {
  let arrive: () => void = () => {};
  const held = new Promise<void>((resolve) => (arrive = resolve));
  let begun: () => void = () => {};
  const begins = new Promise<void>((resolve) => (begun = resolve));
  const { go, written } = await together(async (insert) => {
    begun();
    await held;
    return insert();
  });
  go();
  await begins;
  return { arrive, written };
}

async function arrived(): Promise<[profile: number, times: number][]> {
  const rows = await query<{ profile: number; times: string }>(
    clickhouse,
    `SELECT profile, count() AS times FROM membership_log WHERE account = ${ACCOUNT} AND segment = ${segment}
     GROUP BY profile ORDER BY profile`,
  );
  return rows.map(({ profile, times }) => [profile, Number(times)]);
}

async function expectOnce(): Promise<void> {
  expect(await arrived()).toEqual([
    [1, 1],
    [10, 1],
    [11, 1],
    [12, 1],
  ]);
  const members = await storedMemberships(clickhouse, ACCOUNT, [segment], [1, 10, 11, 12]);
  expect([...(members.get(segment) ?? [])]).toEqual([1, 10, 11, 12]);
}

async function expectNothingAhead(): Promise<void> {
  expect(await mysql.db.select().from(membershipAhead)).toEqual([]);
  expect(await mysql.db.select().from(membershipInserts)).toEqual([]);
}

it('what gathers while an insert is under way sets out together', async () => {
  let shares = 0;
  const { go, written } = await together(async (insert) => {
    shares = (await mysql.db.select().from(membershipInserts)).length;
    return insert();
  });
  go();
  expect((await written()).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  expect(shares).toBe(3);
  await expectOnce();
});

const cutOff = {
  'before it has arrived': () => Promise.reject(new Error('cut off')),
  'behind its arrival': async (insert: () => Promise<unknown>) => {
    await insert();
    throw new Error('cut off');
  },
};
it.each(
  Object.keys(cutOff).flatMap((when) =>
    [[1], [2, 1, 0]].map((order) => [when as keyof typeof cutOff, order] as const),
  ),
)('an insert that is cut off %s is finished by who takes over %j, for all', async (when, order) => {
  const { go, written } = await together(cutOff[when]);
  go();
  for (const result of await written())
    expect(result).toMatchObject({ status: 'rejected', reason: { cause: { message: 'cut off' } } });
  for (const partition of order) await takeOver(deps(), partition);
  await expectOnce();
  // Each looks after its own.
  const left = await mysql.db.select().from(membershipInserts);
  expect(left.map(({ partition }) => partition)).toEqual([0, 1, 2].filter((one) => !order.includes(one)));
  for (const partition of [0, 1, 2]) await takeOver(deps(), partition);
  await expectOnce();
  await expectNothingAhead();
});

it('what waits behind an insert that fails does not arrive before it, and keeps nobody else', async () => {
  const { go, written } = await together(
    (insert) => insert(),
    () => Promise.reject(new Error('cut off')),
  );
  go();
  expect((await written()).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
  expect(await arrived()).toEqual([
    [11, 1],
    [12, 1],
  ]);
  await takeOver(deps(), 0);
  await expectOnce();
});

it('an insert of an older version, whose token is known from its rows only, is repeated as it was', async () => {
  segment += 1;
  const owner = await takeOver(deps(), 3);
  const row = (sequence: number, profile: number): LogEntry => ({
    ...{ ...entered(profile), partition: 3, sequence, evaluatedAt: 1_000 },
  });
  const putAhead = createPutAhead(mysql);
  // The first is there already; what was put down behind it has not set out.
  await insertEntries({ clickhouse }, 'membership:3:1', [{ owner: owner.owner, entries: [row(1, 1)] }]);
  for (const [i, profile] of [1, 10, 11, 12].entries()) {
    const entries = encodeEntries([row(1 + i, profile)]);
    await putAhead(owner.owner, [{ account: ACCOUNT, firstSequence: 1 + i, entries }]);
  }
  const { partition } = membershipAhead;
  await mysql.db
    .update(membershipAhead)
    .set({ insertFrom: 1 })
    .where(and(eq(partition, 3), eq(membershipAhead.firstSequence, 1)));
  await takeOver(deps(), 3);
  await expectOnce();
});

it('several who take over at the same time, while it is under way still, repeat one insert', async () => {
  const { arrive, written } = await underWay();
  await Promise.all([0, 1, 2].map((partition) => takeOver(deps(), partition)));
  await expectOnce();
  arrive();
  await written();
  await expectOnce();
});

it('who wakes up behind a repeat ends nothing: what the server has lost is put in by those who own it now', async () => {
  const { arrive, written } = await underWay();
  await takeOver(deps(), 1);
  // What the first to repeat it has not seen, or has not lived to see.
  await loseRows(clickhouse, 'membership_log', `segment = ${segment} AND profile = 12`);
  arrive();
  expect((await written()).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  for (const partition of [0, 1, 2]) await takeOver(deps(), partition);
  await expectOnce();
  await expectNothingAhead();
});

it('who is fenced before it begins fails alone; the successor writes what was left', async () => {
  const { go, written } = await together((insert) => insert());
  const successor = await takeOver(deps(), 1);
  go();
  const results = await written();
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(results[1]).toMatchObject({ reason: { cause: expect.any(Fenced) as Fenced } });
  await successor.written();
  await expectOnce();
});
