/**
 * A repeated insert whose token ClickHouse knows and whose rows it has lost, in any of the tables that have them. Rows that
 * are deleted leave the token behind, as a server does that dies between noting it and putting the rows in their place
 * (`npm test -- test/faults` kills one just then).
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyEvents } from '../../src/evaluation/merge.ts';
import { storedMemberships } from '../../src/evaluation/memberships.ts';
import { createWritersShare, takeOver, type NewEntry } from '../../src/evaluation/writer.ts';
import { payDebt, type Owed } from '../../src/ingest/pay.ts';
import type { EventRecord } from '../../src/ingest/records.ts';
import { eventLine, profileLine, traitLine } from '../../src/ingest/rows.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import {
  command,
  insertsEnded,
  onceUnder,
  query,
  type ClickHouse,
} from '../../src/storage/clickhouse/connect.ts';
import { markRepeated, unpaidOf, writeDebt } from '../../src/storage/mysql/positions.ts';
import { useEngines } from '../support/engines.ts';
import { loseRows } from '../support/lose-rows.ts';
import { closeStores, openStores, type Stores } from '../support/stores.ts';

const engines = useEngines();
const NOW = Date.UTC(2026, 0, 1);
let stores: Stores;
let account = 0;

beforeAll(async () => {
  stores = await openStores(engines);
});
afterAll(() => closeStores(stores));

const lose = (table: string, which: string) =>
  loseRows(stores.clickhouse, table, `account = {account:UInt32} AND (${which})`, { account });

describe('a debt of ingest', () => {
  const pay = (owed: Owed, isRepeated: boolean) =>
    payDebt({ ...stores, logger: createLogger('error') }, owed, isRepeated);

  /** Six events of two profiles, on both sides of a month and of a year. */
  function debt(): Owed {
    account += 1;
    const id = randomUUID().replaceAll('-', '');
    const events = [1, 2, 3, 4, 5, 6].map((number) => {
      const event: EventRecord = {
        ...{ kind: 'event', account, uniqueId: `${number}`, metric: 'Viewed', properties: {} },
        ...{ identifiers: {}, value: number, currency: null, backfill: false, arrivedAt: NOW },
        time: NOW + (number - 3) * 1_000,
      };
      const ids = { event: randomUUID(), metric: 1 + (number % 2), profile: number % 3 };
      return eventLine(event, ids, new Map());
    });
    const traits = [traitLine(account, 1, 1, 'properties.plan', 'pro')];
    const profiles = [1, 2].map((profile) => profileLine(account, profile, 1, true));
    return {
      id,
      place: { topic: 'ingest.events', partition: 0, offset: 0 },
      changesThrough: [],
      debt: {
        ...{ events, traits, profiles, futureEvents: [], dates: [], predictions: [], messages: [] },
        ...{ withEvents: [], duplicates: 0 },
      },
    };
  }

  async function expectAll(): Promise<void> {
    for (const table of ['events', 'events_by_profile']) {
      const [row] = await query<{ rows: string; sum: number }>(
        stores.clickhouse,
        `SELECT count() AS rows, sum(value) AS sum FROM ${table}
         WHERE account = {account:UInt32} AND NOT copied`,
        { account },
      );
      expect([table, row]).toEqual([table, { rows: '6', sum: 21 }]);
    }
    for (const table of ['traits', 'traits_by_profile', 'profiles']) {
      const rows = await query(
        stores.clickhouse,
        `SELECT * FROM ${table} FINAL WHERE account = {account:UInt32}`,
        { account },
      );
      expect([table, rows.length]).toEqual([table, table === 'profiles' ? 2 : 1]);
    }
    const left = await query(
      stores.clickhouse,
      `SELECT name FROM system.tables WHERE database = currentDatabase() AND startsWith(name, 'restored__')`,
    );
    expect(left).toEqual([]);
  }

  it.each([
    ['nothing', {}],
    ['rows of the table', { events: 'value IN (1, 4, 6)' }],
    ['rows of the target of its view', { events_by_profile: 'value IN (2, 3)' }],
    ['other rows of both', { events: 'value < 3', events_by_profile: 'value > 1' }],
    [
      'facts of profiles',
      { traits: 'profile = 1', traits_by_profile: 'profile = 1', profiles: 'profile = 2' },
    ],
  ])('is paid again when the server has lost %s', async (_, lost: Record<string, string>) => {
    const owed = debt();
    await pay(owed, false);
    // What a merge has copied is nobody's own.
    await copyEvents(stores.clickhouse, 0, account, [{ source: 1, target: 9 }]);
    for (const [table, which] of Object.entries(lost))
      await lose(table, `NOT (${table.startsWith('events') ? 'copied' : '0'}) AND (${which})`);
    for (let time = 0; time < 2; time++) {
      await pay(owed, true);
      await expectAll();
    }
  });

  it('is paid once by several at the same time', async () => {
    const owed = debt();
    await pay(owed, false);
    await lose('events', 'value < 5');
    await lose('events_by_profile', 'value > 2');
    await Promise.allSettled([1, 2, 3].map(() => pay(owed, true)));
    await pay(owed, true);
    await expectAll();
  });

  it('is looked after by who pays it first, if somebody has paid it again before', async () => {
    const owed = debt();
    // As if somebody else's had been cut off: the token is known, the rows are lost.
    await pay(owed, false);
    await lose('events', 'value < 3');
    await writeDebt(
      stores.mysql.db,
      owed.id,
      Buffer.from('owed'),
      [],
      [{ topic: 'ingest.events', partition: 0, nextOffset: 1 }],
    );
    await markRepeated(stores.mysql, owed.id);
    await pay(owed, false);
    await expectAll();
    expect(await unpaidOf(stores.mysql, [owed.id])).toEqual([]);
  });
});

describe('entries of the log', () => {
  const PARTITION = 5;
  const SEGMENT = 77;
  const entry = (profile: number, kind: 'ENTERED' | 'EXITED'): NewEntry => ({
    ...{ account, segment: SEGMENT, version: 1, profile, kind, cause: 'EVENT', at: NOW, event: null },
  });

  /** Its inserts arrive, and it does not hear of it. */
  function deaf(): ClickHouse {
    const { client } = stores.clickhouse;
    const exec = async (...args: Parameters<typeof client.exec>) => {
      await client.exec(...args);
      throw new Error('cut off');
    };
    return {
      ...stores.clickhouse,
      client: Object.create(client, { exec: { value: exec } }) as typeof client,
    };
  }

  /** Two inserts of one writer; the answer to the second is lost. */
  async function writeTwice(): Promise<void> {
    account += 1;
    const deps = { ...stores, clock: systemClock };
    const first = await takeOver(deps, PARTITION);
    await first.write([entry(1, 'ENTERED'), entry(2, 'ENTERED'), entry(3, 'ENTERED')]);
    await first.written();
    const its = { ...deps, clickhouse: deaf() };
    const writer = await takeOver(its, PARTITION, createWritersShare(its));
    await writer.write([
      ...[entry(2, 'EXITED'), entry(4, 'ENTERED'), entry(3, 'EXITED'), entry(3, 'ENTERED')],
      ...[entry(65_540, 'ENTERED'), entry(5, 'ENTERED'), entry(5, 'EXITED')],
    ]);
    await expect(writer.written()).rejects.toThrow();
  }

  async function expectAll(): Promise<void> {
    const log = await query<{ profile: number; kind: string }>(
      stores.clickhouse,
      'SELECT profile, kind FROM membership_log WHERE account = {account:UInt32} ORDER BY sequence',
      { account },
    );
    expect(log.map(({ profile }) => profile)).toEqual([1, 2, 3, 2, 4, 3, 3, 65_540, 5, 5]);
    const members = await storedMemberships(stores.clickhouse, account, [SEGMENT], [1, 2, 3, 4, 5, 65_540]);
    expect([...(members.get(SEGMENT) ?? [])].sort((a, b) => a - b)).toEqual([1, 3, 4, 65_540]);
    const latest = await query<{ profile: number; last: string }>(
      stores.clickhouse,
      `SELECT profile, argMax(kind, sequence) AS last FROM membership_latest
       WHERE account = {account:UInt32} GROUP BY profile ORDER BY profile`,
      { account },
    );
    const lasts = ['ENTERED', 'EXITED', 'ENTERED', 'ENTERED', 'EXITED', 'ENTERED'];
    expect(latest.map(({ last }) => last)).toEqual(lasts);
  }

  it.each([
    ['nothing', {}],
    ['rows of the log', { membership_log: 'profile IN (4, 65540)' }],
    ['last changes', { membership_latest: 'profile > 2' }],
    ['members of a chunk', { memberships: 'chunk = 1' }],
    [
      'something of everything',
      { membership_log: 'profile = 5', membership_latest: 'profile = 4', memberships: 'chunk = 1' },
    ],
  ])(
    'are all there for the next owner when the server has lost %s',
    async (_, lost: Record<string, string>) => {
      await writeTwice();
      for (const [table, which] of Object.entries(lost)) await lose(table, which);
      await takeOver({ ...stores, clock: systemClock }, PARTITION);
      await expectAll();
      await takeOver({ ...stores, clock: systemClock }, PARTITION);
      await expectAll();
    },
  );
});

it('an insert that is under way is waited for by who has repeated it, and no other', async () => {
  account += 1;
  const { clickhouse } = stores;
  const token = `under way:${account}`;
  const rows = async () => {
    const sql = 'SELECT profile FROM membership_latest WHERE account = {account:UInt32}';
    return (await query(clickhouse, sql, { account })).length;
  };
  const running = async () => {
    const sql = 'SELECT 1 FROM system.processes WHERE startsWith(query_id, {token:String})';
    return (await query(clickhouse, sql, { token: `${token}/` })).length;
  };
  const first = command(
    clickhouse,
    `INSERT INTO membership_latest (account, segment, profile, sequence, kind, at)
     SELECT {account:UInt32}, 1, 1, 1, 'ENTERED', now64(3) FROM numbers(1) WHERE sleep(2) = 0`,
    { account },
    onceUnder(token),
  );
  await expect.poll(running, { interval: 20 }).toBe(1);
  await insertsEnded(clickhouse, `${token}0`);
  expect(await rows()).toBe(0);
  await insertsEnded(clickhouse, token);
  expect(await rows()).toBe(1);
  await first;
});
