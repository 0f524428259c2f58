/** Where things lie on a cluster, who is asked, and what happens when a shard is away. */
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { listMembers, segmentsOfProfile } from '../../src/evaluation/memberships.ts';
import { copyEvents } from '../../src/evaluation/merge.ts';
import { profileLine } from '../../src/ingest/rows.ts';
import { parseCondition } from '../../src/segments/index.ts';
import { openClickHouse } from '../../src/service.ts';
import { command, insertLines, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import {
  countEvents,
  countProfiles,
  listEventsOfProfiles,
  readLastEventTimes,
} from '../../src/storage/clickhouse/event-reads.ts';
import { countMembers } from '../../src/storage/clickhouse/member-counts.ts';
import { logLines, type LogEntry } from '../../src/storage/clickhouse/membership-log.ts';
import { shardOf, shardOfProfile } from '../../src/storage/clickhouse/shards.ts';
import { chunkPartition, evaluatorPartition } from '../../src/storage/topics.ts';
import { CREATE, INGEST, post } from '../api/support.ts';
import { inParallel } from '../comparison/scopes.ts';
import { openWorld, START, type World } from '../comparison/world.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { useEngines } from '../support/engines.ts';
import { SERVICE_KEY, startWholeService } from '../support/service.ts';

const CHUNK = 65_536;
const EVERYTHING = { metric: null, from: null, to: null };

let cluster: TestCluster;
let clickhouse: ClickHouse;
beforeAll(async () => {
  cluster = await startCluster(2);
  clickhouse = await openClickHouse(cluster.url, cluster.name);
});
afterAll(async () => {
  await clickhouse.close();
  await cluster.stop();
});

const shards = () => clickhouse.cluster?.shards ?? [];
let accounts = 1_000;
let account: number;
/** A profile on each of the two shards. */
let profiles: [number, number];
beforeEach(() => {
  account = ++accounts;
  profiles = chunkPartition(account, 0) % 2 === 0 ? [5, CHUNK + 6] : [CHUNK + 6, 5];
});

const event = (profile: number, id: number) =>
  JSON.stringify({
    account,
    metric: 1,
    profile,
    time: '2024-05-05T00:00:00Z',
    id: `00000000-0000-0000-0000-${String(id).padStart(12, '0')}`,
  });
const trait = (profile: number) =>
  JSON.stringify({ account, attribute: 'a', profile, revision: 1, kind: 'text', text: 'x' });

/** Of one column of numbers, on each shard by itself. */
async function onEach(sql: string): Promise<number[]> {
  const rows = await Promise.all(shards().map((shard) => query<{ found: string }>(shard, sql, { account })));
  return rows.map((found) => Number(found[0]?.found));
}

async function away(shard: number, work: () => Promise<void>): Promise<void> {
  await cluster.kill(shard);
  try {
    await work();
  } finally {
    await cluster.start(shard);
  }
}

test('rows lie on the shard of their partition, and servers look for them there', async () => {
  const rows = Array.from({ length: 18 }, (_, i) => ({ account: 2_000 + (i >> 1), profile: i * CHUNK + i }));
  const lines = rows.map((row) => profileLine(row.account, row.profile, 1, true));
  await insertLines(clickhouse, 'profiles', lines, 'many accounts');
  const entries = rows.map((row, i): LogEntry => {
    const partition = evaluatorPartition(row.account, row.profile);
    return {
      ...{ ...row, partition, sequence: i + 1, segment: 1, version: 1, kind: 'ENTERED' },
      ...{ cause: 'EVENT', at: START, evaluatedAt: START, event: null },
    };
  });
  await insertLines(clickhouse, 'membership_log', logLines(entries, 1), 'many entries');
  const settings = { force_optimize_skip_unused_shards: 1, max_execution_time: 20 };
  await inParallel(8, rows, async (row) => {
    const partition = evaluatorPartition(row.account, row.profile);
    const chunk = Math.floor(row.profile / CHUNK);
    for (const place of [
      'profiles WHERE account = {account:UInt32} AND profile = {profile:UInt32}',
      'profiles WHERE account = {account:UInt32} AND profile IN [{profile:UInt32}]',
      'memberships WHERE account = {account:UInt32} AND chunk = {chunk:UInt16}',
      'membership_latest WHERE account = {account:UInt32} AND profile = {profile:UInt32}',
      'membership_log WHERE account = {account:UInt32} AND partition_no = {partition:UInt16}',
    ]) {
      const sql = `SELECT count() AS found FROM ${place}`;
      const parameters = { ...row, partition, chunk };
      expect([place, await query(clickhouse, sql, parameters, { settings })]).toEqual([
        place,
        [{ found: '1' }],
      ]);
      expect(await query(shardOf(clickhouse, partition), sql, parameters)).toEqual([{ found: '1' }]);
    }
  });
  const counts = await onEach('SELECT count() AS found FROM membership_log WHERE segment = 1');
  expect(counts).toEqual([9, 9]);
});

test('what is asked about one profile asks its shard alone, and what is asked of all is not answered by a part', async () => {
  const [here, there] = profiles;
  await insertLines(clickhouse, 'events', [event(here, 1), event(there, 2)], `events ${account}`);
  await insertLines(
    clickhouse,
    'profiles',
    [here, there].map((one) => profileLine(account, one, 1, true)),
    `profiles ${account}`,
  );
  const ask = (profile: number) =>
    Promise.all([
      listEventsOfProfiles(clickhouse, account, [profile], EVERYTHING, null, 10).then((found) => found.size),
      readLastEventTimes(clickhouse, account, [profile], START).then((found) => found.size),
      countEvents(clickhouse, account, EVERYTHING, profile),
      segmentsOfProfile(clickhouse, account, profile, [1]).then((found) => found.length),
    ]);
  const all = [
    () => countEvents(clickhouse, account, EVERYTHING, null),
    () => countProfiles(clickhouse, account),
    () => countMembers(clickhouse, account, [1]).then((counts) => 2 + (counts.get(1) ?? 0)),
  ];
  await away(1, async () => {
    expect(await ask(here)).toEqual([1, 1, 1, 0]);
    await expect(ask(there)).rejects.toThrow();
    for (const one of all) await expect(one()).rejects.toThrow();
  });
  expect(await ask(there)).toEqual([1, 1, 1, 0]);
  for (const one of all) expect(await one()).toBe(2);
});

describe('an insert that finds a shard away, and is repeated', () => {
  test('is there once on each shard, and in the tables that views feed', async () => {
    const lines = profiles.map(trait);
    const insert = () => insertLines(clickhouse, 'traits', lines, `traits ${account}`);
    await away(1, async () => {
      await expect(insert()).rejects.toThrow();
    });
    const counts = () =>
      Promise.all(
        ['traits', 'traits_by_profile'].map((table) =>
          onEach(`SELECT count() AS found FROM ${table} WHERE account = {account:UInt32}`),
        ),
      );
    expect(await counts()).toEqual([
      [1, 0],
      [1, 0],
    ]);
    await insert();
    await insert();
    expect(await counts()).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test('has toggled each member once', async () => {
    const entries = profiles.map((profile, i): LogEntry => {
      const partition = evaluatorPartition(account, profile);
      return {
        ...{ account, partition, sequence: i + 1, segment: 9, version: 1, profile, kind: 'ENTERED' },
        ...{ cause: 'EVENT', at: START, evaluatedAt: START, event: null },
      };
    });
    const lines = logLines(entries, 1);
    const insert = () => insertLines(clickhouse, 'membership_log', lines, `log ${account}`);
    await away(0, async () => {
      await expect(insert()).rejects.toThrow();
    });
    expect((await countMembers(clickhouse, account, [9])).get(9)).toBe(1);
    await insert();
    await insert();
    const members = await listMembers(clickhouse, account, 9, null, 10);
    expect(members).toEqual(
      [...profiles].sort((a, b) => a - b).map((profile) => ({ profile, enteredAt: START })),
    );
  });
});

test('a merge copies the events of a source on another shard, once', async () => {
  const [source, target] = profiles;
  await insertLines(
    clickhouse,
    'events',
    [event(source, 1), event(source, 2), event(target, 2)],
    `m ${account}`,
  );
  const shard = shardOfProfile(clickhouse, account, target);
  for (let time = 0; time < 2; time++) {
    await copyEvents(shard, evaluatorPartition(account, target), account, [{ source, target }]);
    for (const table of ['events', 'events_by_profile']) {
      const sql = `SELECT count() AS found FROM ${table} WHERE account = {account:UInt32}`;
      expect([table, await onEach(sql)]).toEqual([table, [2, 2]]);
    }
  }
});

describe('with workers', () => {
  const engines = useEngines();
  let world: World;
  beforeAll(async () => {
    world = await openWorld(
      { mysql: engines.mysqlUrl(), clickhouse: cluster.url, cluster: cluster.name },
      START,
    );
  });
  afterAll(() => world.close());

  test('first members are computed and stored on each shard by itself', async () => {
    account = await world.newAccount(2 * CHUNK);
    const people = Array.from({ length: 60 }, (_, i) => i * 2_000);
    const lines = people.map((profile) => profileLine(account, profile, 1, true));
    await insertLines(world.clickhouse, 'profiles', lines, `people of ${account}`);
    const written = vi.spyOn(world.clickhouse.client, 'command');
    const sent = vi.spyOn(world.clickhouse.client, 'exec');
    const condition = { not: { event: { metric: 'Never', is: { atLeast: 1 } } } };
    const made = await createSegment(world, account, { name: 'everybody', condition });
    if (!('segment' in made)) throw new Error('not made');
    await world.settle();
    expect(written).not.toHaveBeenCalled();
    expect(sent).not.toHaveBeenCalled();
    const inFirst = people.filter((profile) => profile < CHUNK).length;
    const wanted = shards().map((_, shard) =>
      chunkPartition(account, 0) % 2 === shard ? inFirst : people.length - inFirst,
    );
    expect(
      await onEach(
        `SELECT groupBitmapMerge(members) AS found FROM staged_members
         WHERE account = {account:UInt32} AND kind = 'COMPUTED'`,
      ),
    ).toEqual(wanted);
    expect(
      await onEach(
        `SELECT sum(size) AS found FROM (
           SELECT groupBitmapXorMerge(members) AS size FROM memberships
           WHERE account = {account:UInt32} GROUP BY chunk
         )`,
      ),
    ).toEqual(wanted);
    const parsed = parseCondition(condition);
    if (!parsed.ok) throw new Error('not a condition');
    expect(await countAudience(world, account, parsed.condition)).toBe(people.length);
    expect((await listMembers(world.clickhouse, account, made.segment, null, 100)).length).toBe(
      people.length,
    );
  });
});

describe('the service', () => {
  const engines = useEngines();
  test('starts with CLICKHOUSE_CLUSTER, is ready, and takes an event to an entry', async () => {
    const service = await startWholeService({
      MYSQL_URL: engines.mysqlUrl(),
      CLICKHOUSE_URL: cluster.url.replace(/\/tidemark$/, '/service'),
      CLICKHOUSE_CLUSTER: cluster.name,
    });
    try {
      expect((await fetch(`${service.url}/health/ready`)).status).toBe(200);
      const ask = async (text: string, variables: object) => {
        const answer = await post(service.url, { query: text, variables }, SERVICE_KEY);
        expect(answer.errors).toBeUndefined();
        return answer.data as Record<string, Record<string, unknown>>;
      };
      const condition = { event: { metric: 'Viewed', is: { atLeast: 1 } } };
      await ask(CREATE, { input: { name: 'Looking', condition } });
      const sent = await ask(INGEST, {
        events: [{ metric: 'Viewed', profile: { email: 'ada@example.com' } }],
      });
      await ask('query ($token: Receipt!) { receipt(token: $token, timeout: "PT20S") { reached } }', {
        token: sent['eventsIngest']?.['receipt'],
      });
      const log = await ask(
        '{ membershipLog(first: 10) { changes { kind } } events(first: 5) { totalCount } }',
        {},
      );
      expect(log['membershipLog']?.['changes']).toEqual([{ kind: 'ENTERED' }]);
      expect(log['events']).toEqual({ totalCount: 1 });
    } finally {
      await service.stop();
    }
  });
});

describe('what is not the cluster it was', () => {
  test('shards in another order are refused', async () => {
    await expect(openClickHouse(cluster.url, `${cluster.name}-swapped`)).rejects.toThrow(
      /shard 1 of 2.*shard 2 of 2|shard 2 of 2.*shard 1 of 2/,
    );
  });

  test('so are fewer shards, a cluster of another name, and a single server in its place', async () => {
    await expect(openClickHouse(cluster.url, `${cluster.name}-first`)).rejects.toThrow(/shard 1 of 2/);
    await expect(openClickHouse(cluster.url, 'nowhere')).rejects.toThrow('is not known to the server');
    await expect(openClickHouse(cluster.url)).rejects.toThrow(
      /is that of shard \d of 2, not of a single server/,
    );
  });

  test('the tables of a single server are not taken for those of a cluster', async () => {
    const url = cluster.url.replace(/\/tidemark$/, '/alone');
    await (await openClickHouse(url)).close();
    await expect(openClickHouse(url, cluster.name)).rejects.toThrow('A cluster begins empty');
  });
});

test('nothing is written through the tables of all shards', async () => {
  const write = command(clickhouse, 'INSERT INTO profiles (account, profile) SELECT 1, 1');
  await expect(write).rejects.toThrow(/readonly/);
});

test('a column that a migration adds is there in the tables of all shards', async () => {
  for (const shard of shards()) {
    await command(shard, `ALTER TABLE profiles ADD COLUMN added String DEFAULT 'by a migration'`);
  }
  await insertLines(
    clickhouse,
    'profiles',
    profiles.map((one) => profileLine(account, one, 1, true)),
    `a ${account}`,
  );
  await (await openClickHouse(cluster.url, cluster.name)).close();
  expect(
    await query(
      clickhouse,
      'SELECT added, count() AS rows FROM profiles WHERE account = {account:UInt32} GROUP BY added',
      { account },
    ),
  ).toEqual([{ added: 'by a migration', rows: '2' }]);
});
