import { afterAll, beforeAll, expect, test } from 'vitest';
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

/** Their profiles cross the border between two chunks, which lie on different shards. */
test.each([2, 5])(
  'reference, audience, members, log and subscription agree after every step on two shards (seed %i)',
  async (seed) => {
    const { cases, changes } = await runScript(world, seed, 25, coverage);
    expect(cases).toBeGreaterThan(100);
    expect(changes).toBeGreaterThan(5);
  },
  120_000,
);
