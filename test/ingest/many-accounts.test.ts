/** One group of batches with the records of many accounts: each comes to what it would alone. */
import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EventRecord, Identifiers, IngestRecord, ProfileRecord } from '../../src/ingest/records.ts';
import { encodeRecord } from '../../src/ingest/records.ts';
import type { Reserve } from '../../src/ingest/resolve.ts';
import { Contention, type Debt, type Placed } from '../../src/ingest/share.ts';
import { storeRecords } from '../../src/ingest/store.ts';
import { startIngestWorker } from '../../src/ingest/worker.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { MySql, Queries } from '../../src/storage/mysql/connect.ts';
import { claimIdentifiers } from '../../src/storage/mysql/identifiers.ts';
import { createNameRegistry } from '../../src/storage/mysql/names.ts';
import { reserveNumbers, writeProfiles } from '../../src/storage/mysql/profiles.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import { DEAD_LETTERS, INGEST_GROUP, STREAMS, TOPICS, ingestTopic } from '../../src/storage/topics.ts';
import { newProfile } from '../../src/ingest/apply.ts';
import { useEngines } from '../support/engines.ts';

const NOW = Date.UTC(2026, 0, 1);

const engines = useEngines();
let mysql: MySql;
let clickhouse: ClickHouse;
let places = 0;

beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
  clickhouse = await openClickHouse(engines.clickhouseUrl());
});
afterAll(async () => {
  await mysql.close();
  await clickhouse.close();
});

async function newAccounts(count: number): Promise<number[]> {
  const made: number[] = [];
  for (let i = 0; i < count; i++) {
    const [{ insertId }] = await mysql.db.insert(accounts).values({ name: `Account ${i}`, createdAt: NOW });
    made.push(insertId);
  }
  return made;
}

function eventOf(account: number, identifiers: Identifiers, uniqueId: string): EventRecord {
  return {
    kind: 'event',
    account,
    arrivedAt: NOW,
    uniqueId,
    metric: 'Viewed',
    identifiers,
    time: NOW - 1_000,
    value: 1,
    currency: null,
    properties: { colour: 'red' },
    backfill: false,
  };
}

function profileOf(
  account: number,
  identifiers: Identifiers,
  properties: Record<string, unknown>,
): ProfileRecord {
  return {
    kind: 'profile',
    account,
    arrivedAt: NOW,
    identifiers,
    fields: {},
    location: {},
    properties,
    append: {},
    remove: {},
  };
}

const placed = (record: IngestRecord): Placed => ({
  record,
  stream: STREAMS.custom,
  partition: 0,
  offset: places++,
});

/** Stores the records as the worker does. */
function store(
  records: readonly Placed[],
  reserve?: Reserve,
  also?: (tx: Queries) => Promise<void>,
): Promise<Debt> {
  const deps = {
    names: createNameRegistry(mysql),
    reserve: reserve ?? ((counts) => reserveNumbers(mysql, counts)),
  };
  return mysql.db.transaction(async (tx) => {
    await also?.(tx);
    const debt = await storeRecords(deps, tx, records);
    await also?.(tx);
    return debt;
  });
}

async function rowsOf(sql: string, values: unknown[]): Promise<RowDataPacket[]> {
  const [rows] = await mysql.pool.query<RowDataPacket[]>(sql, values);
  return rows;
}

const profilesOf = (account: number) =>
  rowsOf(
    `SELECT number, external_id, email, phone, properties, revision, merged_into
     FROM profiles WHERE account = ? ORDER BY number`,
    [account],
  );

const identifiersOf = (account: number) =>
  rowsOf('SELECT kind, value, profile FROM identifiers WHERE account = ? ORDER BY kind, value', [account]);

/** What the debt says about the account, and which metric is which. */
async function owedTo(account: number, debt: Debt): Promise<unknown> {
  const metrics = await rowsOf('SELECT id, name FROM metrics WHERE account = ?', [account]);
  const names = new Map(metrics.map((row) => [row['id'] as number, row['name'] as string]));
  const lines = (all: readonly string[]) =>
    all
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter((line) => line['account'] === account)
      .map((line) => ({
        ...line,
        account: 0,
        ...('metric' in line && { metric: names.get(line['metric'] as number) ?? line['metric'] }),
      }));
  return {
    events: lines(debt.events),
    futureEvents: lines(debt.futureEvents),
    dates: lines(debt.dates),
    traits: lines(debt.traits),
    predictions: lines(debt.predictions),
    profiles: lines(debt.profiles),
    withEvents: debt.withEvents.filter(([of]) => of === account).map(([, profiles]) => profiles),
    messages: debt.messages.flatMap(({ message }) =>
      message.account !== account
        ? []
        : [
            message.kind !== 'profiles'
              ? { ...message, account: 0 }
              : message.changes.map((change) => ({
                  ...change,
                  ...(change.event && { event: { ...change.event, metric: names.get(change.event.metric) } }),
                })),
          ],
    ),
  };
}

describe('a group with the records of many accounts', () => {
  it('an identifier that two accounts have is two people, even in one group', async () => {
    const [one = 0, two = 0] = await newAccounts(2);
    const shared = { externalId: 'person-1', email: 'ada@example.com' };
    await store([
      placed(profileOf(one, shared, { plan: 'free' })),
      placed(profileOf(two, { email: shared.email }, { plan: 'pro' })),
      placed(profileOf(one, { email: shared.email }, { seats: 3 })),
    ]);
    expect(
      (await profilesOf(one)).map((row) => [row['number'] as number, row['properties'] as string]),
    ).toEqual([[0, '{"plan":"free","seats":3}']]);
    expect(
      (await profilesOf(two)).map((row) => [row['number'] as number, row['properties'] as string]),
    ).toEqual([[0, '{"plan":"pro"}']]);
    expect(await identifiersOf(one)).toMatchObject([
      { kind: 1, value: 'person-1', profile: 0 },
      { kind: 2, value: 'ada@example.com', profile: 0 },
    ]);
    expect(await identifiersOf(two)).toMatchObject([{ kind: 2, value: 'ada@example.com', profile: 0 }]);
  });

  it('a merge in one account leaves those alone who have the same numbers in another', async () => {
    const [one = 0, two = 0] = await newAccounts(2);
    const apart = [one, two].flatMap((account) => [
      placed(profileOf(account, { externalId: 'a' }, { from: 'a' })),
      placed(profileOf(account, { email: 'b@example.com' }, { from: 'b' })),
    ]);
    await store(apart);
    const debt = await store([
      placed(profileOf(one, { externalId: 'a', email: 'b@example.com' }, {})),
      placed(profileOf(two, { email: 'b@example.com' }, { still: 'b' })),
    ]);
    expect((await profilesOf(one)).map((row) => row['merged_into'] as number | null)).toEqual([null, 0]);
    expect((await profilesOf(two)).map((row) => row['merged_into'] as number | null)).toEqual([null, null]);
    expect((await identifiersOf(one)).map((row) => row['profile'] as number)).toEqual([0, 0]);
    expect((await identifiersOf(two)).map((row) => row['profile'] as number)).toEqual([0, 1]);
    const merges = debt.messages.filter(({ message }) => message.kind === 'merge');
    expect(merges.map(({ message }) => message)).toMatchObject([{ account: one, source: 1, target: 0 }]);
  });

  it('a uniqueId that two accounts use counts once in each, and what repeats it is a duplicate in its own', async () => {
    const [one = 0, two = 0] = await newAccounts(2);
    const first = await store([
      placed(eventOf(one, { externalId: 'a' }, 'order-1')),
      placed(eventOf(two, { externalId: 'a' }, 'order-1')),
      placed(eventOf(one, { externalId: 'b' }, 'order-1')),
    ]);
    expect(first.events).toHaveLength(2);
    expect(first.duplicates).toBe(1);
    const [three = 0] = await newAccounts(1);
    const second = await store([
      placed(eventOf(one, { externalId: 'c' }, 'order-1')),
      placed(eventOf(two, { externalId: 'c' }, 'order-2')),
      placed(eventOf(three, { externalId: 'c' }, 'order-1')),
    ]);
    expect(second.events.map((line) => (JSON.parse(line) as { account: number }).account)).toEqual([
      two,
      three,
    ]);
    expect(second.duplicates).toBe(1);
  });

  it('a group that is stored again is the first arrival of all its events again, in every account', async () => {
    const made = await newAccounts(3);
    const records = made.flatMap((account) =>
      ['1', '2'].map((id) => placed(eventOf(account, { externalId: 'a' }, id))),
    );
    const first = await store(records);
    const again = await store([...records, placed(eventOf(made[0] ?? 0, { externalId: 'a' }, '3'))]);
    expect(first.events).toHaveLength(6);
    expect(again.events).toHaveLength(7);
    expect(again.duplicates).toBe(0);
  });

  it('costs the same number of statements for five accounts as for a hundred', async () => {
    const counts: number[] = [];
    for (const many of [5, 100]) {
      const made = await newAccounts(many);
      const groups = [
        made.flatMap((account) => [
          placed(profileOf(account, { externalId: 'a' }, { plan: 'free' })),
          placed(profileOf(account, { email: 'b@example.com' }, {})),
          placed(eventOf(account, { externalId: 'c' }, '1')),
        ]),
        made.flatMap((account) => [
          placed(eventOf(account, { externalId: 'c' }, '1')),
          placed(eventOf(account, { externalId: 'a', email: 'b@example.com' }, '2')),
        ]),
      ];
      const asked: number[] = [];
      for (const group of groups) {
        await store(group, undefined, async (tx) => {
          const [[row]] = (await tx.execute("SHOW SESSION STATUS LIKE 'Questions'")) as unknown as [
            RowDataPacket[],
          ];
          asked.push(Number(row?.['Value']));
        });
      }
      const [a = 0, b = 0, c = 0, d = 0] = asked;
      counts.push(b - a, d - c);
    }
    expect(counts.slice(0, 2)).toEqual(counts.slice(2));
  });

  it('when another writer is faster in one account, nothing of any account is kept, and the next attempt finds it', async () => {
    const made = await newAccounts(10);
    const contested = made[6] ?? 0;
    const records = made.map((account) => placed(eventOf(account, { externalId: 'a' }, 'first')));
    const faster: Reserve = async (counts) => {
      const number = (await reserveNumbers(mysql, new Map([[contested, 1]]))).get(contested) ?? 0;
      await claimIdentifiers(mysql.db, [{ account: contested, kind: 1, value: 'a', profile: number }]);
      await writeProfiles(mysql.db, [
        { ...newProfile(contested, number, NOW), externalId: 'a', revision: 1 },
      ]);
      return reserveNumbers(mysql, counts);
    };
    await expect(store(records, faster)).rejects.toThrow(Contention);
    for (const account of made) {
      expect(await profilesOf(account)).toHaveLength(account === contested ? 1 : 0);
      expect(await rowsOf('SELECT 1 FROM event_ids WHERE account = ?', [account])).toEqual([]);
    }
    const debt = await store(records);
    expect(debt.events).toHaveLength(10);
    for (const account of made) {
      const [only, ...more] = await identifiersOf(account);
      expect(more).toEqual([]);
      // The numbers of the first attempt are gaps; the other writer's is the one that it took.
      expect(only?.['profile']).toBe(account === contested ? 0 : 1);
    }
  });

  it('identifiers are found again whatever they are made of', async () => {
    const made = await newAccounts(2);
    const odd = ['"', '\\', "'", 'ä', '😀', 'A', 'a', '{}', '[1]', '$', '\u0001', '\u2028', 'x'.repeat(255)];
    const records = () =>
      made.flatMap((account) =>
        odd.map((value) => placed(profileOf(account, { externalId: value }, { value }))),
      );
    await store(records());
    await store(records());
    for (const account of made) {
      const rows = await profilesOf(account);
      expect(rows.map((row) => row['external_id'] as string)).toEqual(odd);
      expect(rows.map((row) => Number(row['revision']))).toEqual(odd.map(() => 2));
    }
  });

  it('random records of several accounts come to what they come to when each account is stored alone', async () => {
    const text = fc.constantFrom('a', 'b', 'c');
    const identifiers = fc.record(
      {
        externalId: text,
        email: text.map((name) => `${name}@example.com`),
        anonymousId: text,
        number: fc.integer({ min: 0, max: 2 }),
      },
      { requiredKeys: [] },
    );
    const write = fc.record({
      of: fc.nat({ max: 3 }),
      identifiers: identifiers.filter((one) => Object.keys(one).length > 0),
      isEvent: fc.boolean(),
      uniqueId: fc.constantFrom('1', '2', '3', '4', '5'),
      plan: text,
    });
    const recordOf = (
      account: number,
      one: typeof write extends fc.Arbitrary<infer Write> ? Write : never,
    ) =>
      one.isEvent
        ? eventOf(account, one.identifiers, one.uniqueId)
        : profileOf(account, one.identifiers, { plan: one.plan });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(write, { maxLength: 12 }), { maxLength: 3 }), async (groups) => {
        const [together, alone] = [await newAccounts(4), await newAccounts(4)];
        // Numbers that writes name exist.
        const founders = (account: number) =>
          ['x', 'y', 'z'].map((name) => placed(profileOf(account, { phone: name }, {})));
        for (const account of [...together, ...alone]) await store(founders(account));
        for (const group of groups) {
          const base = places;
          places += group.length;
          const debt = await store(
            group.map((one, i) => ({ ...placed(recordOf(together[one.of] ?? 0, one)), offset: base + i })),
          );
          for (const [of, account] of alone.entries()) {
            const own = group
              .map((one, i) => ({ one, offset: base + i }))
              .filter(({ one }) => one.of === of)
              .map(({ one, offset }) => ({ ...placed(recordOf(account, one)), offset }));
            const ownDebt = own.length === 0 ? null : await store(own);
            const twin = together[of] ?? 0;
            if (ownDebt) expect(await owedTo(twin, debt)).toEqual(await owedTo(account, ownDebt));
            expect(await profilesOf(twin)).toEqual(await profilesOf(account));
            expect(await identifiersOf(twin)).toEqual(await identifiersOf(account));
          }
        }
      }),
      { numRuns: 25 },
    );
  }, 120_000);
});

describe('the worker', () => {
  it('puts one poison record aside, and the records of all accounts around it are stored', async () => {
    const made = await newAccounts(30);
    const log = createEmbeddedLog({ pool: mysql.pool, logger: createLogger('silent') });
    await log.ensureTopics(TOPICS);
    const topic = ingestTopic('custom');
    const poisoned = made[17] ?? 0;
    const values = made.flatMap((account) => [
      eventOf(account, { externalId: 'a' }, '1'),
      ...(account === poisoned ? [eventOf(account, { externalId: 'x'.repeat(300) }, 'poison')] : []),
      eventOf(account, { externalId: 'b' }, '2'),
    ]);
    const offsets = await log.append(
      topic,
      values.map((record) => ({ partition: 3, key: null, value: encodeRecord(record) })),
    );
    const worker = await startIngestWorker({
      log,
      mysql,
      clickhouse,
      clock: systemClock,
      logger: createLogger('silent'),
    });
    try {
      const end = Math.max(...offsets) + 1;
      const deadline = Date.now() + 20_000;
      while (((await log.committed(INGEST_GROUP, topic))[3] ?? 0) < end && Date.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 20));
    } finally {
      await worker.close();
    }
    const stored = await query<{ account: number; count: string }>(
      clickhouse,
      `SELECT account, count() AS count FROM events WHERE account IN {accounts:Array(UInt32)}
       GROUP BY account ORDER BY account`,
      { accounts: made },
    );
    expect(stored.map(({ account, count }) => [account, Number(count)])).toEqual(
      made.map((account) => [account, 2]),
    );
    const letters: { partition: number; offset: number; payload: string }[] = [];
    const tail = await log.tail({
      topic: DEAD_LETTERS,
      from: [0],
      onRecords: (_, records) => {
        for (const { value } of records)
          letters.push(JSON.parse(value.toString('utf8')) as (typeof letters)[0]);
        return Promise.resolve();
      },
    });
    const wanted = (await log.ends(DEAD_LETTERS))[0] ?? 0;
    while (letters.length < wanted) await new Promise((resolve) => setTimeout(resolve, 10));
    await tail.close();
    await log.close();
    const at = values.findIndex(({ uniqueId }) => uniqueId === 'poison');
    expect(letters).toHaveLength(1);
    expect(letters[0]).toMatchObject({ topic, partition: 3, offset: offsets[at] });
  });
});
