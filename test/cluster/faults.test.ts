/** Shards are killed while events come in and segments are made, and evaluators come and go. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createSegment } from '../../src/evaluation/definitions.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { shardsOf } from '../../src/storage/clickhouse/shards.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import { TOPICS } from '../../src/storage/topics.ts';
import { startHub, type Hub } from '../../src/streaming/hub.ts';
import { seededRandom } from '../comparison/random.ts';
import { listen } from '../faults/listener.ts';
import { endChild, endChildren, startChild, type Child } from '../faults/processes.ts';
import { startTraffic } from '../faults/traffic.ts';
import { settle, verify, type Stores } from '../faults/verify.ts';
import { startCluster, type TestCluster } from '../support/cluster.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let cluster: TestCluster;
let stores: Stores;
let hub: Hub;
beforeAll(async () => {
  cluster = await startCluster(2);
  const logger = createLogger('fatal');
  const [mysql, clickhouse] = await Promise.all([
    openMySql(engines.mysqlUrl()),
    openClickHouse(cluster.url, cluster.name),
  ]);
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  await log.ensureTopics(TOPICS);
  stores = { mysql, clickhouse, log };
  hub = await startHub({ log, logger });
});
afterAll(async () => {
  await hub.close();
  await stores.log.close();
  await Promise.all([stores.mysql.close(), stores.clickhouse.close()]);
  await cluster.stop();
});
afterEach(endChildren);

const child = (): Child =>
  startChild({ mysql: engines.mysqlUrl(), clickhouse: cluster.url, cluster: cluster.name, steps: null });

test('shards that are killed, a process that is killed and one that is added lose and repeat nothing', async () => {
  const random = seededRandom(11);
  // Who comes after the first few dozen lies in another chunk, on the other shard. There is one chunk before: the
  // account is spread from the beginning.
  const [made] = await stores.mysql.db
    .insert(accounts)
    .values({ name: 'faults', nextProfile: 2 * 65_536 - 36, createdAt: 0 });
  const account = made.insertId;
  const listener = listen({ ...stores, hub }, account);
  const traffic = await startTraffic(stores, account, random, true);

  /** A segment is being populated when the shard goes. */
  async function killWhileForming(shard: number): Promise<void> {
    const condition = { event: { metric: 'Placed Order', is: { atLeast: random.between(1, 3) } } };
    const accepting = { ...stores, clock: systemClock };
    const formed = await createSegment(accepting, account, { name: 'interrupted', condition });
    if (!('segment' in formed)) throw new Error('a segment was not made');
    traffic.segments.set(formed.segment, condition);
    await sleep(random.between(0, 150));
    await cluster.kill(shard);
    await sleep(random.between(300, 800));
    await cluster.start(shard);
  }

  let last: Child | undefined;
  await traffic.during(async () => {
    const first = child();
    await first.ready;
    await sleep(500);
    await killWhileForming(1);
    const second = child();
    await second.ready;
    // Both have partitions by now.
    await sleep(500);
    await killWhileForming(0);
    await endChild(first);
    await sleep(500);
    last = second;
  });
  await settle(stores, 90_000);
  const received = await listener.end();
  const result = await verify(stores, account, traffic, received);
  const onEach = await Promise.all(
    shardsOf(stores.clickhouse).map((shard) =>
      query<{ rows: string }>(shard, 'SELECT count() AS rows FROM membership_log'),
    ),
  );
  console.log(
    `cluster faults: ${result.events} events, ${result.changes} entries and exits, ${result.members} members; ` +
      `in the logs of the shards: ${onEach.map(([row]) => row?.rows).join(', ')}`,
  );
  expect(result.events).toBeGreaterThan(100);
  expect(result.changes).toBeGreaterThan(50);
  for (const [row] of onEach) expect(Number(row?.rows)).toBeGreaterThan(20);
  if (last) await endChild(last, 'SIGTERM');
}, 240_000);
