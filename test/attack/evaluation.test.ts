/** What once went wrong in the evaluator: populating twice, conditions at their limits, merges that overtake each other. */
import path from 'node:path';
import { eq } from 'drizzle-orm';
import { beforeAll, afterAll, expect, it } from 'vitest';
import { selectMembers } from '../../src/evaluation/all-profiles.ts';
import { copyEvents } from '../../src/evaluation/merge.ts';
import { populate, storedMemberships } from '../../src/evaluation/memberships.ts';
import { ownerOf } from '../support/owner.ts';
import { openPartition } from '../../src/evaluation/partition.ts';
import { newProfile } from '../../src/ingest/apply.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import {
  connectClickHouse,
  insertLines,
  query,
  type ClickHouse,
} from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import { connectMySql, type MySql } from '../../src/storage/mysql/connect.ts';
import { migrateMySql } from '../../src/storage/mysql/migrate.ts';
import { writeProfiles } from '../../src/storage/mysql/profiles.ts';
import { profiles } from '../../src/storage/mysql/schema.ts';
import { decodeChange, type ProfileChangeMessage } from '../../src/storage/profile-changes.ts';
import { evaluatorPartition, PROFILE_CHANGES, TOPICS } from '../../src/storage/topics.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const logger = createLogger('error');
const ACCOUNT = 7;
let mysql: MySql;
let clickhouse: ClickHouse;
let log: Log;

beforeAll(async () => {
  mysql = connectMySql(engines.mysqlUrl());
  await migrateMySql(mysql, path.resolve('migrations'));
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
  log = createEmbeddedLog({ pool: mysql.pool, logger });
  await log.ensureTopics(TOPICS);
  const lines = [1, 2, 3].map((profile) =>
    JSON.stringify({ account: ACCOUNT, profile, revision: 1, alive: true }),
  );
  await insertLines(clickhouse, 'profiles', lines, 'three profiles');
  const trait = {
    account: ACCOUNT,
    attribute: 'properties.x',
    profile: 2,
    revision: 1,
    kind: 'text',
    list: [],
  };
  await insertLines(clickhouse, 'traits', [JSON.stringify({ ...trait, text: LONG, number: 0 })], 'a trait');
});
afterAll(async () => {
  await log.close();
  await clickhouse.close();
  await mysql.close();
});

/** A value with whatever could end a literal. */
const LONG = `it's \\ {p0:String} \\' ${'z'.repeat(600)}`;
const scope = {
  account: ACCOUNT,
  at: Date.now(),
  metrics: new Map<string, number>(),
  timeZone: 'UTC',
  chunks: [0],
};

function condition(input: unknown) {
  const parsed = parseCondition(input);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return normalise(parsed.condition);
}

async function membersOf(input: unknown): Promise<number> {
  const { sql, parameters } = selectMembers(condition(input), scope);
  const rows = await query<{ size: string }>(
    clickhouse,
    `SELECT toString(sum(bitmapCardinality(members))) AS size FROM (${sql})`,
    parameters.values,
  );
  return Number(rows[0]?.size);
}

it('populates the same members again after a death between populating and saying so', async () => {
  const everybody = condition({ not: { property: { path: 'email', filter: { exists: true } } } });
  const target = { account: ACCOUNT, segment: 1, chunks: [0] };
  await populate(clickhouse, target, selectMembers(everybody, scope), 'membership:0:1');
  await populate(clickhouse, target, selectMembers(everybody, scope), 'membership:0:1');
  await populate(clickhouse, target, selectMembers(everybody, scope), 'membership:0:2');
  const stored = await storedMemberships(clickhouse, ACCOUNT, [1], [1, 2, 3, 4]);
  expect(stored.get(1)).toEqual(new Set([1, 2, 3]));
});

it('computes a condition with as many and as long values as are allowed', async () => {
  const values = Array.from({ length: 5_000 }, (_, i) => (i === 4_321 ? LONG : `${i} ${'y'.repeat(600)}`));
  expect(await membersOf({ property: { path: 'properties.x', filter: { text: { in: values } } } })).toBe(1);
});

it('computes a condition with as many conditions as are allowed', async () => {
  const children = Array.from({ length: 500 }, (_, i) => ({
    property: { path: `properties.x${i || ''}`, filter: { text: { startsWith: `it's` } } },
  }));
  expect(await membersOf({ any: children })).toBe(1);
});

it.each([
  ['the table and not its look-up', ['events']],
  ['the look-up and not the table', ['events_by_profile']],
])(
  'copies events once although a copy was interrupted after %s, and more have come since',
  async (_, tables) => {
    const [source, target] = tables[0] === 'events' ? [70, 71] : [80, 81];
    const event = (profile: number, n: number, copied: boolean) =>
      JSON.stringify({
        account: ACCOUNT,
        metric: 1 + (n % 2),
        profile,
        time: new Date(1_700_000_000_000 + n).toISOString(),
        id: `00000000-0000-4000-8000-${String(source * 1_000 + n).padStart(12, '0')}`,
        unique_id: `${source}-${n}`,
        value: null,
        currency: '',
        texts: {},
        numbers: {},
        booleans: {},
        lists: {},
        properties: '{}',
        arrived_at: new Date(1_700_000_001_000).toISOString(),
        copied,
      });
    await insertLines(
      clickhouse,
      'events',
      [1, 2, 3].map((n) => event(source, n, false)),
      `own ${source}`,
    );
    for (const table of tables) {
      await clickhouse.client.exec({
        query: `INSERT INTO ${table} FORMAT JSONEachRow\n${[1, 2].map((n) => event(target, n, true)).join('\n')}`,
      });
    }
    for (let time = 0; time < 2; time++) await copyEvents(clickhouse, 0, ACCOUNT, [{ source, target }]);
    for (const table of ['events', 'events_by_profile']) {
      const rows = await query<{ events: string; distinct: string }>(
        clickhouse,
        `SELECT count() AS events, uniqExact(id) AS distinct FROM ${table}
       WHERE account = {account:UInt32} AND profile = {target:UInt32}`,
        { account: ACCOUNT, target },
      );
      expect([table, ...rows]).toEqual([table, { events: '3', distinct: '3' }]);
    }
  },
);

it('waits for the copy that a predecessor has begun', async () => {
  const [source, target] = [90, 91];
  const running = clickhouse.client.query({
    query: 'SELECT sleep(2)',
    query_id: `copy-${clickhouse.database}-3-of-a-predecessor`,
  });
  const began = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await copyEvents(clickhouse, 2, ACCOUNT, [{ source, target }]);
  expect(performance.now() - began).toBeLessThan(1_500);
  await copyEvents(clickhouse, 3, ACCOUNT, [{ source, target }]);
  expect(performance.now() - began).toBeGreaterThan(1_900);
  await (await running).text();
});

it('carries events on when the next merge was carried out before this one', async () => {
  const row = (number: number, mergedInto: number | null) => ({
    ...newProfile(ACCOUNT, number, 1),
    revision: 1,
    mergedInto,
  });
  await writeProfiles(mysql.db, [row(11, 12), row(12, 13), row(13, null)]);
  const event = {
    account: ACCOUNT,
    metric: 1,
    profile: 11,
    time: '2026-01-01T00:00:00.000Z',
    unique_id: 'a',
    id: '00000000-0000-0000-0000-00000000000a',
    value: null,
    currency: '',
    texts: {},
    numbers: {},
    booleans: {},
    lists: {},
    properties: '{}',
    arrived_at: '2026-01-01T00:00:00.000Z',
    copied: false,
  };
  await insertLines(clickhouse, 'events', [JSON.stringify(event)], 'one event');
  const merge = (source: number, target: number): ProfileChangeMessage => ({
    kind: 'merge',
    account: ACCOUNT,
    source,
    target,
    at: 1,
  });
  const number = evaluatorPartition(ACCOUNT, 13);
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const owner = ownerOf(deps);
  const partition = await openPartition(deps, number, owner);
  const forwarded: ProfileChangeMessage[] = [];
  const tail = await log.tail({
    topic: PROFILE_CHANGES,
    from: 'end',
    onRecords: (_, records) => {
      forwarded.push(...records.map((record) => decodeChange(record.value)));
      return Promise.resolve();
    },
  });
  await partition.take([merge(12, 13)]);
  await partition.take([merge(11, 12)]);
  await expect.poll(() => forwarded, { timeout: 20_000 }).toEqual([merge(11, 13)]);
  await partition.take(forwarded);
  await tail.close();
  const rows = await query<{ n: string }>(
    clickhouse,
    'SELECT toString(count()) AS n FROM events_by_profile WHERE account = {a:UInt32} AND profile = 13',
    { a: ACCOUNT },
  );
  expect(rows[0]?.n).toBe('1');
  await mysql.db.delete(profiles).where(eq(profiles.account, ACCOUNT));
});
