import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import { TOPICS } from '../../src/storage/topics.ts';
import { startHub, type Hub } from '../../src/streaming/hub.ts';
import { until } from '../comparison/world.ts';
import { seededRandom, type Random } from '../comparison/random.ts';
import { startEngines, type Engines } from './engines.ts';
import { endChild, endChildren, startChild, type Child } from './processes.ts';
import { listen } from './listener.ts';
import { startTraffic } from './traffic.ts';
import { settle, verify, type Stores } from './verify.ts';

let engines: Engines;
let stores: Stores;
let hub: Hub;
beforeAll(async () => {
  engines = await startEngines();
  const logger = createLogger('fatal');
  const [mysql, clickhouse] = await Promise.all([
    openMySql(engines.mysql),
    openClickHouse(engines.clickhouse),
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
  await engines.stop();
});
afterEach(endChildren);

const child = (steps: number | null = null): Child =>
  startChild({ mysql: engines.mysql, clickhouse: engines.clickhouse, steps });

/** Traffic while the faults happen, then peace, then everything must be right. */
async function survive(seed: number, faults: (random: Random) => Promise<Child>): Promise<void> {
  const random = seededRandom(seed);
  const [made] = await stores.mysql.db.insert(accounts).values({ name: 'faults', createdAt: 0 });
  const account = made.insertId;
  const listener = listen({ ...stores, hub }, account);
  const traffic = await startTraffic(stores, account, random, false);
  let last: Child | undefined;
  await traffic.during(async () => {
    last = await faults(random);
  });
  await settle(stores, 90_000);
  const received = await listener.end();
  const result = await verify(stores, account, traffic, received);
  console.log(
    `faults: ${result.events} events, ${result.changes} entries and exits, ${result.members} members`,
  );
  expect(result.events).toBeGreaterThan(100);
  expect(result.changes).toBeGreaterThan(50);
  if (last) await endChild(last, 'SIGTERM');
}

test('a process that is killed again and again, at any step, loses and repeats nothing', async () => {
  await survive(1, async (random) => {
    for (let life = 0; life < 7; life++) {
      // From the first moments of a take-over to the middle of the work.
      const victim = child(
        random.pick([random.between(1, 300), random.between(300, 1_000), random.between(300, 1_000)]),
      );
      await Promise.race([victim.ended, sleep(15_000)]);
      await endChild(victim);
    }
    const last = child();
    await last.ready;
    await sleep(1_000);
    return last;
  });
}, 240_000);

/** What a silence of ten seconds does: the sessions that hold partitions are closed, and with them go the locks. */
async function endSessionsWithPartitions(): Promise<void> {
  const [rows] = await stores.mysql.pool.query(
    'SELECT IS_USED_LOCK(lock_name) AS holder FROM log_members HAVING holder IS NOT NULL',
  );
  for (const { holder } of rows as { holder: number }[]) {
    await stores.mysql.pool.query(`KILL ${holder}`).catch(() => undefined);
  }
}

test('processes that wake up after their partitions went to another change nothing', async () => {
  await survive(2, async (random) => {
    const both = [child(), child()];
    await Promise.all(both.map(({ ready }) => ready));
    for (let round = 0; round < 6; round++) {
      await sleep(random.between(1_000, 1_500));
      const { process: sleeper } = random.pick(both);
      sleeper.kill('SIGSTOP');
      await endSessionsWithPartitions();
      // The other one owns everything by the time the sleeper goes on with whatever it was doing.
      await sleep(random.between(1_500, 2_500));
      sleeper.kill('SIGCONT');
    }
    await sleep(1_000);
    await Promise.all(both.map((one) => endChild(one)));
    const last = child();
    await last.ready;
    await sleep(1_000);
    return last;
  });
}, 240_000);

test('a ClickHouse that is killed as it takes inserts loses and repeats nothing', async () => {
  await survive(4, async (random) => {
    const worker = child();
    await worker.ready;
    for (let life = 0; life < 8; life++) {
      const isBack = () => query(stores.clickhouse, 'SELECT 1').then(Boolean, () => false);
      await until('ClickHouse is back', isBack, 60_000);
      await sleep(random.between(300, 1_000));
      await engines.killInInsert();
    }
    await sleep(3_000);
    return worker;
  });
}, 240_000);

test('engines that are killed in the middle lose and repeat nothing', async () => {
  await survive(3, async (random) => {
    const worker = child();
    await worker.ready;
    for (const engine of ['clickhouse', 'clickhouse', 'mariadb', 'clickhouse'] as const) {
      await sleep(random.between(700, 2_000));
      await engines.kill(engine);
    }
    await sleep(3_000);
    return worker;
  });
}, 240_000);
