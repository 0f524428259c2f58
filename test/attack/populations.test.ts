/** First members are computed once for all partitions of a process, corrected, and nobody waits for the dead. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storedMemberships, populate } from '../../src/evaluation/memberships.ts';
import { createPopulations, type PopulationRequest } from '../../src/evaluation/populations.ts';
import { selectStaged, stageCorrections } from '../../src/evaluation/staged-members.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { command, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { readMetricIds } from '../../src/storage/mysql/names.ts';
import { accounts, metrics } from '../../src/storage/mysql/schema.ts';
import { chunksIn, EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const CHUNKS = 12;
const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
let mysql: MySql;
let clickhouse: ClickHouse;
let account: number;

beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
  const row = { name: 'large', timezone: 'UTC', nextProfile: CHUNKS * 65_536, createdAt: NOW };
  const [made] = await mysql.db.insert(accounts).values(row);
  account = made.insertId;
  // Two people a chunk: one is gold, the other is not.
  await command(
    clickhouse,
    `INSERT INTO profiles (account, profile, alive, revision)
     SELECT {account:UInt32}, intDiv(number, 2) * 65536 + number % 2, true, 1 FROM numbers(${CHUNKS * 2})`,
    { account },
  );
  await command(
    clickhouse,
    `INSERT INTO traits (account, profile, attribute, kind, text, revision)
     SELECT {account:UInt32}, number * 65536, 'properties.plan', 'text', 'gold', 1 FROM numbers(${CHUNKS})`,
    { account },
  );
});
afterAll(async () => {
  await clickhouse.close();
  await mysql.close();
});

const partitions = Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => partition);

function requestOf(partition: number, segment: number): PopulationRequest {
  const parsed = parseCondition({
    property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } },
  });
  if (!parsed.ok) throw new Error('not a condition');
  const chunks = chunksIn(partition, account, CHUNKS * 65_536);
  const condition = normalise(parsed.condition);
  const owner = { partition, epoch: 1 };
  return { owner, account, segment, version: 1, condition, edges: [], at: NOW + partition, chunks };
}

async function runs(): Promise<number> {
  const [row] = await query<{ n: string }>(
    clickhouse,
    'SELECT uniqExact(run) AS n FROM staged_members WHERE account = {account:UInt32}',
    { account },
  );
  return Number(row?.n);
}

it('one statement serves all partitions that ask together, at the latest of their instants', async () => {
  const populations = createPopulations({ mysql, clickhouse, clock: systemClock });
  for (const partition of partitions) populations.join(partition);
  const before = await runs();
  const { signal } = new AbortController();
  const asking = partitions.filter((partition) => requestOf(partition, 1).chunks.length > 0);
  const all = await Promise.all(
    asking.map((partition) => populations.compute(requestOf(partition, 1), signal)),
  );
  expect(new Set(all.map(({ run }) => run)).size).toBe(1);
  expect(all[0]?.at).toBe(NOW + Math.max(...asking));
  expect(await runs()).toBe(before + 1);
  const [first] = all;
  if (!first) throw new Error('nothing was computed');
  const chunks = Array.from({ length: CHUNKS }, (_, chunk) => chunk);
  // In the second chunk they have changed places; in the third one is gone; beyond the last somebody is new.
  const asked = [65_536, 65_537, 131_072, CHUNKS * 65_536 + 5];
  const holding = new Set([65_537, CHUNKS * 65_536 + 5]);
  await stageCorrections(clickhouse, { account, run: first.run }, asked, (profile) => holding.has(profile));
  const target = { account, segment: 1, chunks: [...chunks, CHUNKS] };
  const members = () => selectStaged({ account, run: first.run }, target.chunks);
  await populate(clickhouse, target, members(), 'population:1');
  await populate(clickhouse, target, members(), 'population:1');
  const everybody = [...chunks, CHUNKS].flatMap((chunk) => [0, 1, 5].map((low) => chunk * 65_536 + low));
  const stored = await storedMemberships(clickhouse, account, [1], everybody);
  const expected = [0, ...holding, ...chunks.slice(3).map((chunk) => chunk * 65_536)];
  expect([...(stored.get(1) ?? [])].sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
});

it('a partition that does not come is not waited for, and does it alone later', async () => {
  const populations = createPopulations({ mysql, clickhouse, clock: systemClock });
  for (const partition of partitions) populations.join(partition);
  const [early, late] = partitions.filter((partition) => requestOf(partition, 2).chunks.length > 0);
  const { signal } = new AbortController();
  const first = await populations.compute(requestOf(early ?? 0, 2), signal);
  const second = await populations.compute(requestOf(late ?? 0, 2), signal);
  expect(second.run).not.toBe(first.run);
});

it('who asks at another instant is answered, also where several ask at that one', async () => {
  const populations = createPopulations({ mysql, clickhouse, clock: systemClock });
  const [one, two, three] = partitions.filter((partition) => requestOf(partition, 3).chunks.length > 0);
  const { signal } = new AbortController();
  const ahead = (partition = 0) => ({ ...requestOf(partition, 3), at: NOW + 10_000 });
  const all = await Promise.all([
    populations.compute(requestOf(one ?? 0, 3), signal),
    populations.compute(ahead(two), signal),
    populations.compute(ahead(three), signal),
  ]);
  expect(all.map(({ at }) => at - NOW)).toEqual([one, 10_000, 10_000]);
});

it('what nobody needs any more is not computed', async () => {
  const populations = createPopulations({ mysql, clickhouse, clock: systemClock });
  for (const partition of partitions) populations.join(partition);
  const before = await runs();
  const stop = new AbortController();
  const computing = populations.compute(requestOf(0, 3), stop.signal);
  stop.abort();
  await expect(computing).rejects.toThrow('nobody needs it');
  expect(await runs()).toBe(before);
});

it('who crosses an edge is known until after the statement, however long it has taken', async () => {
  const [partition = 0] = partitions.filter((one) => requestOf(one, 4).chunks.length > 0);
  // Three days old, the event leaves a window of three days a second after the statement has begun.
  const crosser = 65_536;
  await mysql.db.insert(metrics).values({ account, name: 'Viewed', firstSeenAt: NOW });
  const metricIds = await readMetricIds(mysql.db, account, ['Viewed']);
  await command(
    clickhouse,
    `INSERT INTO events (account, metric, profile, time)
     VALUES ({account:UInt32}, {metric:UInt32}, {profile:UInt32}, fromUnixTimestamp64Milli({time:Int64}, 'UTC'))`,
    { account, metric: metricIds[0]?.id ?? 0, profile: crosser, time: NOW + partition + 1_000 - 3 * DAY_MS },
  );
  const edges = [{ source: { of: 'event' as const, metric: 'Viewed' }, offset: 3 * DAY_MS }];
  const parsed = parseCondition({ event: { metric: 'Viewed', within: { last: 'P3D' } } });
  if (!parsed.ok) throw new Error('not a condition');
  const request = { ...requestOf(partition, 4), condition: normalise(parsed.condition), edges };
  for (const statementTakes of [100, 60_000]) {
    let isBegun = false;
    const clock = {
      ...systemClock,
      now: () => (isBegun ? request.at + statementTakes : ((isBegun = true), request.at)),
    };
    const populations = createPopulations({ mysql, clickhouse, clock });
    const { crossed } = await populations.compute(request, new AbortController().signal);
    // What was looked for beside the statement, or behind it.
    expect(crossed.through).toBe(request.at + (statementTakes < 1_000 ? 0 : statementTakes) + 2_000);
    expect([...crossed.first]).toEqual([[crosser, request.at + 1_000]]);
  }
});
