/** Tidemark without its API: the real ingest worker, evaluator, log, MariaDB and ClickHouse, and a clock of our own. */
import type { QueryParams } from '@clickhouse/client';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCriterionSets, SET_LIMITS, type CriterionSets } from '../../src/evaluation/criterion-sets.ts';
import { FORESIGHT_LIMITS, type ForesightLimits } from '../../src/evaluation/foreseen.ts';
import { KNOWN_LIMITS, type KnownLimits } from '../../src/evaluation/known-profiles.ts';
import { startEvaluator } from '../../src/evaluation/worker.ts';
import { startIngestWorker } from '../../src/ingest/worker.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger, type Logger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log, LogConsumer } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { readNotInForce } from '../../src/storage/mysql/definitions.ts';
import { accounts, membershipAhead } from '../../src/storage/mysql/schema.ts';
import {
  DEAD_LETTERS,
  EVALUATOR_GROUP,
  EVALUATOR_PARTITIONS,
  INGEST_GROUP,
  ingestTopics,
  PROFILE_CHANGES,
  TOPICS,
} from '../../src/storage/topics.ts';
import { startHub, type Hub } from '../../src/streaming/hub.ts';
import { createLive } from '../../src/streaming/live.ts';
import type { EngineUrls } from '../support/engines.ts';
import { createSteppedClock, type SteppedClock } from './clock.ts';

export interface World {
  mysql: MySql;
  clickhouse: ClickHouse;
  log: Log;
  hub: Hub;
  logger: Logger;
  clock: SteppedClock;
  /** For counts in memory: one keeps what it can, the other hardly anything. */
  keptSets: [CriterionSets, CriterionSets];
  /** Warnings of the workers since the last call: what was tried again, and should not have needed to be. */
  warnings(): string[];
  /** An account whose next profile has this number. */
  newAccount(nextProfile: number, timezone?: string): Promise<number>;
  /** Whom a midnight has turned is read now, and told when the result is called. Nothing settles before that. */
  holdDays(): () => void;
  /** Statements that compute first members, or copy them, do it now, and answer when the result is called. */
  holdPopulations(into?: Held['into']): () => void;
  restart(what: 'evaluator' | 'ingest' | 'both', rolling: boolean): Promise<void>;
  /** Waits until everything accepted is evaluated, and the clock has been looked at. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** The answer to statements that put first members into the table. */
interface Held {
  into: 'staged_members' | 'memberships';
  end: Promise<void>;
}

/** Ahead of the present: ClickHouse forgets future events whose time is long past, by its own clock. */
export const START = Date.UTC(2040, 0, 1);
const TINY: KnownLimits = {
  profilesAtOnce: 4,
  readAtOnce: 2,
  wide: { criteria: 3, profilesAtOnce: 6 },
  questionsAtOnce: 60,
  eventsPerProfile: 3,
  facts: 40,
};
/** Time goes on by seconds or by months here: far ahead, as it is, and soon too much for what may be remembered. */
const FORESIGHTS: readonly ForesightLimits[] = [
  { aheadMs: 30 * 86_400_000, crossings: 50_000, turnings: 0 },
  FORESIGHT_LIMITS,
  { aheadMs: 86_400_000, crossings: 20, turnings: 3 },
];
const LATE_MS = [0, 300, 30, 0, 100];
const SETTLE_WITHIN_MS = 20_000;

export async function openWorld(
  urls: Pick<EngineUrls, 'mysql' | 'clickhouse'> & Partial<EngineUrls>,
  start: number,
): Promise<World> {
  let said: string[] = [];
  const logger = createLogger('warn', {
    write: (line) => said.push(line),
  });
  const [mysql, clickhouse] = await Promise.all([
    openMySql(urls.mysql),
    openClickHouse(urls.clickhouse, urls.cluster ?? null),
  ]);
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  await log.ensureTopics(TOPICS);
  const hub = await startHub({ log, logger });
  const clock = createSteppedClock(start);
  const storage = { log, mysql, clickhouse, logger };
  const live = createLive({ log, mysql, clickhouse, clock: systemClock });
  // What they wait for is the log, not the time.
  const setDeps = {
    ...storage,
    clock: { ...systemClock, now: () => clock.now() },
    news: live.activity,
  };
  const keptSets: World['keptSets'] = [
    createCriterionSets({ ...setDeps, setLimits: { ...SET_LIMITS, ageMs: Infinity, idleMs: Infinity } }),
    createCriterionSets({ ...setDeps, setLimits: { ...SET_LIMITS, changed: 2 } }),
  ];
  let starts = 0;
  let held: Held = { into: 'staged_members', end: Promise.resolve() };
  let release: () => void = () => {};
  let heldDays = Promise.resolve();
  const workers = {
    // Every other one keeps hardly anything in memory, so that every way of evaluating is taken.
    evaluator: () =>
      startEvaluator({
        ...storage,
        clickhouse: withLateMembers(
          clickhouse,
          () => held,
          () => heldDays,
        ),
        clock,
        knownLimits: starts++ % 2 === 0 ? TINY : KNOWN_LIMITS,
        foresight: FORESIGHTS[starts % FORESIGHTS.length] ?? FORESIGHT_LIMITS,
      }),
    // What it waits for is other writers, not the time.
    ingest: () => startIngestWorker({ ...storage, clock: { ...systemClock, now: () => clock.now() } }),
  };
  const running: Record<keyof typeof workers, LogConsumer> = {
    evaluator: await workers.evaluator(),
    ingest: await workers.ingest(),
  };

  async function replace(name: keyof typeof workers, rolling: boolean): Promise<void> {
    const old = running[name];
    if (rolling) {
      running[name] = await workers[name]();
      await sleep(50);
      await old.close();
    } else {
      await old.close();
      running[name] = await workers[name]();
    }
  }

  async function isIdle(): Promise<boolean> {
    for (const topic of ingestTopics()) if (!(await caughtUp(log, INGEST_GROUP, topic))) return false;
    return caughtUp(log, EVALUATOR_GROUP, PROFILE_CHANGES);
  }
  const everybodyAsleep = () => Promise.resolve(clock.asleep() === EVALUATOR_PARTITIONS);

  return {
    mysql,
    clickhouse,
    log,
    hub,
    logger,
    clock,
    keptSets,
    warnings() {
      const lines = said;
      said = [];
      return lines;
    },
    async newAccount(nextProfile, timezone = 'UTC') {
      const [made] = await mysql.db
        .insert(accounts)
        .values({ name: 'random', timezone, nextProfile, createdAt: clock.now() });
      return made.insertId;
    },
    holdPopulations(into = 'staged_members') {
      release();
      held = { into, end: new Promise((resolve) => (release = resolve)) };
      return release;
    },
    holdDays() {
      let end: () => void = () => {};
      heldDays = new Promise((resolve) => (end = resolve));
      return end;
    },
    async restart(what, rolling) {
      if (what !== 'ingest') await replace('evaluator', rolling);
      if (what !== 'evaluator') await replace('ingest', rolling);
    },
    async settle() {
      await until('everything is evaluated', isIdle, SETTLE_WITHIN_MS);
      await until('every segment is in force', () => isAllInForce(mysql), SETTLE_WITHIN_MS);
      // A partition may have looked at the time just before it moved: it looks once more.
      await until('the clocks are at rest', everybodyAsleep, SETTLE_WITHIN_MS);
      clock.wake();
      await until('the clocks are at rest', everybodyAsleep, SETTLE_WITHIN_MS);
      await until('ClickHouse has what was published', () => isAllWritten(mysql), SETTLE_WITHIN_MS);
      const [letters = 0] = await log.ends(DEAD_LETTERS);
      if (letters > 0) throw new Error('a record went to dead-letters');
    },
    async close() {
      await Promise.all([running.ingest.close(), running.evaluator.close()]);
      await Promise.all(keptSets.map((sets) => sets.close()));
      await live.close();
      await hub.close();
      await log.close();
      await Promise.all([mysql.close(), clickhouse.close()]);
    },
  };
}

/** What a segment's first members, an audit's, or a day's are computed from is read early and told late: much happens meanwhile. */
function withLateMembers(
  clickhouse: ClickHouse,
  held: () => Held,
  heldDays: () => Promise<void>,
): ClickHouse {
  const { cluster } = clickhouse;
  if (cluster) {
    const shards = cluster.shards.map((shard) => withLateMembers(shard, held, heldDays));
    return { ...clickhouse, cluster: { ...cluster, shards } };
  }
  let count = 0;
  const command: ClickHouse['client']['command'] = async (request) => {
    const result = await clickhouse.client.command(request);
    if (request.query.includes("'COMPUTED'")) {
      await sleep(LATE_MS[count++ % LATE_MS.length]);
      if (request.query.includes(`INTO ${held().into} `)) await held().end;
    }
    return result;
  };
  const query = async (request: QueryParams) => {
    const result = await clickhouse.client.query(request);
    // The audit's own: it takes no more than one thread.
    if (request.clickhouse_settings?.max_threads === 1) await sleep(LATE_MS[count++ % LATE_MS.length]);
    if (request.query.includes('AS moved')) {
      await sleep(LATE_MS[count++ % LATE_MS.length]);
      await heldDays();
    }
    return result;
  };
  const client = Object.create(clickhouse.client, {
    command: { value: command },
    query: { value: query },
  }) as ClickHouse['client'];
  return { ...clickhouse, client };
}

async function isAllInForce({ db }: MySql): Promise<boolean> {
  for (let partition = 0; partition < EVALUATOR_PARTITIONS; partition++) {
    if ((await readNotInForce(db, partition)).length > 0) return false;
  }
  return true;
}

/** Nothing is on its way to the membership log. */
export async function isAllWritten(mysql: MySql): Promise<boolean> {
  return (await mysql.db.select().from(membershipAhead).limit(1)).length === 0;
}

export async function caughtUp(log: Log, group: string, topic: string): Promise<boolean> {
  const ends = await log.ends(topic);
  const committed = await log.committed(group, topic);
  return ends.every((end, partition) => (committed[partition] ?? 0) >= end);
}

export async function until(what: string, isSo: () => Promise<boolean>, withinMs: number): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(5);
  }
}
