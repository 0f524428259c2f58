import { afterAll, beforeAll, expect, test } from 'vitest';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { shardsOf } from '../../src/storage/clickhouse/shards.ts';
import type { Coverage } from '../comparison/coverage.ts';
import { runScript } from '../comparison/pipeline.ts';
import { openWorld, START, type World } from '../comparison/world.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let cluster: TestCluster;
let world: World;
beforeAll(async () => {
  cluster = await startCluster(2);
  world = await openWorld(
    { mysql: engines.mysqlUrl(), clickhouse: cluster.url, cluster: cluster.name },
    START,
  );
});
afterAll(async () => {
  await world.close();
  await cluster.stop();
});

const coverage: Coverage = new Map();
const total = { cases: 0, changes: 0 };

/** Their profiles cross the border between two chunks, which lie on different shards. */
test.each([2, 5, 8])(
  'reference, audience, members, log and subscription agree after every step on two shards (seed %i)',
  async (seed) => {
    const { cases, changes } = await runScript(world, seed, 12, coverage);
    total.cases += cases;
    total.changes += changes;
  },
  120_000,
);

test('the scripts have brought about entries and exits on both shards', async () => {
  expect(total.cases).toBeGreaterThan(100);
  expect(total.changes).toBeGreaterThan(10);
  for (const shard of shardsOf(world.clickhouse)) {
    const [row] = await query<{ rows: string }>(shard, 'SELECT count() AS rows FROM membership_latest');
    expect(Number(row?.rows)).toBeGreaterThan(0);
  }
});
