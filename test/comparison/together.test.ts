import { afterAll, beforeAll, expect, test } from 'vitest';
import { useEngines } from '../support/engines.ts';
import { accountSeeds, runTogether } from './pipeline.ts';
import { openWorld, START, type World } from './world.ts';

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld({ mysql: engines.mysqlUrl(), clickhouse: engines.clickhouseUrl() }, START);
});
afterAll(() => world.close());

test('reference, audience, members, log and subscription agree where accounts share a partition and things happen in all of them at once', async () => {
  const results = await runTogether(world, accountSeeds(1), 4, new Map());
  expect(results.filter(({ changes }) => changes > 0).length).toBeGreaterThan(1);
}, 180_000);
