/** What many partitions store in one insert counts for those that still own theirs, and never arrives too late. */
import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { populate, storedMemberships } from '../../src/evaluation/memberships.ts';
import { copyMembers } from '../../src/evaluation/population-copies.ts';
import { selectStaged, stageCorrections } from '../../src/evaluation/staged-members.ts';
import { takeOver, type MembershipWriter } from '../../src/evaluation/writer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { readLog } from '../../src/storage/clickhouse/membership-log.ts';
import { putInForce, readAhead, type InForceStep } from '../../src/storage/mysql/membership-ahead.ts';
import { readCopies } from '../../src/storage/mysql/population-copies.ts';
import { segmentPartitions } from '../../src/storage/mysql/schema.ts';
import { useEngines } from '../support/engines.ts';
import { closeStores, openStores } from '../support/stores.ts';

const engines = useEngines();
const ACCOUNT = 9;
/** The chunks of two partitions, and of each somebody who has been computed to be a member. */
const CHUNKS = [0, 1];
const [ADA, BOB] = [1, 65_537];
let mysql: MySql;
let clickhouse: ClickHouse;
let log: Log;
let segment = 100;
let writers: [MembershipWriter, MembershipWriter];

beforeAll(async () => {
  ({ mysql, clickhouse, log } = await openStores(engines));
});
afterAll(() => closeStores({ mysql, clickhouse, log }));
beforeEach(async () => {
  segment += 1;
  writers = [await takeOver(deps(), 0), await takeOver(deps(), 1)];
});

const deps = () => ({ log, mysql, clickhouse, clock: systemClock });
const owners = () => writers.map(({ owner }) => owner);

async function staged(members: readonly number[] = [ADA, BOB]) {
  const copy = { account: ACCOUNT, segment, run: randomUUID() };
  await stageCorrections(clickhouse, copy, members, () => true);
  return copy;
}

async function stored(): Promise<number[]> {
  const found = await storedMemberships(clickhouse, ACCOUNT, [segment], [ADA, BOB]);
  return [...(found.get(segment) ?? [])].sort((a, b) => a - b);
}

/** ClickHouse, which is sent what goes into memberships when `send` lets it. */
function sending(send: (statement: () => Promise<unknown>) => Promise<unknown>): ClickHouse {
  const { client } = clickhouse;
  const command: typeof client.command = async (params) => {
    const statement = () => client.command(params);
    return (params.query.includes('INTO memberships') ? await send(statement) : await statement()) as Awaited<
      ReturnType<typeof client.command>
    >;
  };
  return {
    ...clickhouse,
    client: new Proxy(client, {
      get: (of, name) => (name === 'command' ? command : (Reflect.get(of, name) as unknown)),
    }),
  };
}

it('one insert stores the members of all, and what has been stored before does not count twice', async () => {
  for (const members of [[ADA], [ADA, BOB], [BOB]]) {
    expect(await copyMembers(deps(), owners(), await staged(members), CHUNKS)).toBe(true);
    expect(await stored()).toEqual(members);
  }
});

it('what a newer owner has not waited for never arrives, and counts for none of them', async () => {
  let late: () => Promise<unknown> = () => Promise.resolve();
  const slow = sending(async (statement) => {
    late = statement;
    await takeOver(deps(), 1);
    return statement();
  });
  const copy = await staged();
  expect(await copyMembers({ mysql, clickhouse: slow }, owners(), copy, CHUNKS)).toBe(false);
  expect(await stored()).toEqual([]);
  await populate(
    clickhouse,
    { account: ACCOUNT, segment, chunks: CHUNKS },
    selectStaged(copy, CHUNKS),
    'another way',
  );
  await late();
  expect(await stored()).toEqual([ADA, BOB]);
});

it('a take-over leaves alone what has arrived', async () => {
  const gone = sending(async (statement) => {
    await statement();
    throw new Error('no answer');
  });
  await expect(copyMembers({ mysql, clickhouse: gone }, owners(), await staged(), CHUNKS)).rejects.toThrow(
    'no answer',
  );
  expect(await readCopies(mysql, [0, 1], segment)).toHaveLength(2);
  await takeOver(deps(), 0);
  await takeOver(deps(), 1);
  expect(await readCopies(mysql, [0, 1], segment)).toEqual([]);
  expect(await stored()).toEqual([ADA, BOB]);
});

it('what has failed and arrives later does not come on top of what was copied again', async () => {
  let late: () => Promise<unknown> = () => Promise.resolve();
  const lost = sending((statement) => {
    late = statement;
    return Promise.reject(new Error('no answer'));
  });
  await expect(
    copyMembers({ mysql, clickhouse: lost }, owners(), await staged([ADA]), CHUNKS),
  ).rejects.toThrow('no answer');
  expect(await copyMembers(deps(), owners(), await staged(), CHUNKS)).toBe(true);
  await late();
  expect(await stored()).toEqual([ADA, BOB]);
});

it('who has lost a partition copies nothing', async () => {
  await takeOver(deps(), 0);
  expect(await copyMembers(deps(), owners(), await staged(), CHUNKS)).toBe(false);
  expect(await stored()).toEqual([]);
  expect(await readCopies(mysql, [0, 1], segment)).toEqual([]);
});

it('of steps that are written together, those of former owners are not', async () => {
  await takeOver(deps(), 0);
  const place = { account: ACCOUNT, segment, version: 1, populatedAt: 0 };
  const steps = owners().map((owner) => ({ ...place, owner, sequence: 1_000, entry: Buffer.from('[]') }));
  expect(await putInForce(mysql, steps)).toEqual([false, true]);
  const here = eq(segmentPartitions.segment, segment);
  const rows = await mysql.db.select().from(segmentPartitions).where(here);
  expect(rows.map(({ partition }) => partition)).toEqual([1]);
  const ahead = [...(await readAhead(mysql, 0)), ...(await readAhead(mysql, 1))];
  expect(ahead).toHaveLength(1);
});

it('a step that nobody has published is published by the next owner, and the segment is in force', async () => {
  const [writer] = writers;
  const silent = { ...deps(), log: { ...log, append: () => Promise.reject(new Error('no log')) } };
  const cut = await takeOver(silent, 0);
  const at = cut.advance(0);
  const put = async (step: InForceStep) => (await putInForce(mysql, [step]))[0] ?? false;
  await expect(cut.bringIntoForce(ACCOUNT, { segment, version: 1, at }, put)).rejects.toThrow('no log');
  await expect(writer.bringIntoForce(ACCOUNT, { segment, version: 1, at }, put)).rejects.toThrow(
    'newer owner',
  );
  await takeOver(deps(), 0);
  const entries = await readLog(clickhouse, ACCOUNT, new Map(), 10, [segment]);
  expect(entries.map(({ kind, partition }) => [kind, partition])).toEqual([['POPULATED', 0]]);
});
