import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createManualClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import {
  createAppendQueue,
  LogOverloadedError,
  MAX_RECORD_BYTES,
} from '../../src/storage/log/append-queue.ts';
import { quota } from '../../src/storage/log/embedded-consume.ts';
import { removeOldRecords } from '../../src/storage/log/embedded-retention.ts';
import { createTopicDirectory } from '../../src/storage/log/embedded-topics.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import { connectMySql, type MySql } from '../../src/storage/mysql/connect.ts';
import { readMigrations } from '../../src/storage/migration-files.ts';
import { sql, useEngines } from '../support/engines.ts';
import { collect, eventually, records, text, unique } from './helpers.ts';
import { runHistory } from './history.ts';

const engines = useEngines();
const logger = createLogger('silent');
let mysql: MySql;

beforeAll(async () => {
  const [migration] = await readMigrations('migrations');
  for (const statement of migration?.statements ?? []) await sql(engines.mysqlUrl(), statement);
  mysql = connectMySql(engines.mysqlUrl());
});
afterAll(() => mysql.close());

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('shares of a group', () => {
  it('add up to all partitions and differ by one at most', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 64 }),
        fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 20 }),
        fc.nat(100),
        (partitions, members, turn) => {
          const shares = members.map((me) => quota(partitions, members, me, turn));
          expect(shares.reduce((sum, share) => sum + share, 0)).toBe(partitions);
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
        },
      ),
    );
  });

  it('give the one more to different members in different topics', () => {
    const members = ['a', 'b', 'c'];
    const owners = range(3).map((turn) => members.find((me) => quota(1, members, me, turn) === 1));
    expect([...owners].sort()).toEqual(members);
  });
});

describe('the append queue', () => {
  it('writes together what is appended together or came while a write was under way, one write at a time, in order', async () => {
    const writes: number[][] = [];
    let running = 0;
    let next = 0;
    const queue = createAppendQueue(async (calls) => {
      expect(++running).toBe(1);
      writes.push(calls.map((call) => call.records.length));
      await new Promise((resolve) => setTimeout(resolve, 10));
      running--;
      return calls.map((call) => call.records.map(() => next++));
    });
    const one = [queue.append('t', records(0, ['a'])), queue.append('u', records(0, []))];
    const also = queue.append('u', records(0, ['x']));
    await new Promise((resolve) => setTimeout(resolve, 2));
    const rest = [queue.append('t', records(0, ['b', 'c'])), queue.append('u', records(0, ['d']))];
    expect(await Promise.all([...one, also, ...rest])).toEqual([[0], [], [1], [2, 3], [4]]);
    expect(writes).toEqual([
      [1, 1],
      [2, 1],
    ]);
  });

  it('refuses what memory should not hold, and recovers', async () => {
    let release = () => {};
    const released = new Promise<void>((resolve) => (release = resolve));
    const queue = createAppendQueue(async (calls) => {
      await released;
      return calls.map((call) => call.records.map(() => 0));
    });
    const value = Buffer.alloc(MAX_RECORD_BYTES);
    const waiting = range(10).map(() => queue.append('t', records(0, [value])));
    await expect(queue.append('t', records(0, [value]))).rejects.toThrow(LogOverloadedError);
    release();
    await Promise.all(waiting);
    expect(await queue.append('t', records(0, [value]))).toEqual([0]);
    await expect(queue.append('t', records(0, [Buffer.alloc(MAX_RECORD_BYTES + 1)]))).rejects.toThrow(
      RangeError,
    );
    await queue.close();
    await expect(queue.append('t', records(0, ['late']))).rejects.toThrow(/closed/);
  });

  it('fails only the calls of the write that failed', async () => {
    let writes = 0;
    const queue = createAppendQueue(async (calls) => {
      if (++writes === 1) throw new Error('disk full');
      return calls.map((call) => call.records.map(() => 7));
    });
    const first = queue.append('t', records(0, ['a']));
    await Promise.resolve();
    const second = queue.append('t', records(0, ['b']));
    await expect(first).rejects.toThrow('disk full');
    expect(await second).toEqual([7]);
  });
});

describe('retention', () => {
  const HOUR = 3_600_000;
  const NOW = Date.UTC(2026, 0, 1);
  let log: Log;
  let clock: ReturnType<typeof createManualClock>;

  /** Two old records and two new ones in partition 0, one old one in partition 1. */
  async function aged(retentionMs: number | null): Promise<string> {
    const topic = unique('topic');
    const before = createEmbeddedLog({ pool: mysql.pool, logger, clock: createManualClock(NOW - 2 * HOUR) });
    await before.ensureTopics([{ name: topic, partitions: 2, retentionMs }]);
    await before.append(topic, [...records(0, ['old', 'older']), ...records(1, ['other'])]);
    await before.close();
    clock = createManualClock(NOW);
    log = createEmbeddedLog({ pool: mysql.pool, logger, clock });
    await log.append(topic, records(0, ['new', 'newer']));
    return topic;
  }
  const sweep = async (topic: string) => {
    const topics = await createTopicDirectory(mysql.pool, mysql.pool).list();
    return removeOldRecords(
      mysql.pool,
      topics.filter(({ name }) => name === topic),
      clock.now(),
    );
  };
  async function readAll(topic: string): Promise<string[]> {
    const reader = createEmbeddedLog({ pool: mysql.pool, logger });
    const got: string[] = [];
    const tail = await reader.tail({
      topic,
      from: [0, 0],
      onRecords: async (_, some) => void got.push(...some.map(text)),
    });
    await eventually('the new ones', () => got.includes('newer'));
    await tail.close();
    await reader.close();
    return got.sort();
  }

  it('removes what is older, and readers go on at the oldest that is left', async () => {
    const topic = await aged(HOUR);
    expect(await sweep(topic)).toBe(3);
    expect(await sweep(topic)).toBe(0);
    expect(await readAll(topic)).toEqual(['new', 'newer']);
    expect(await log.ends(topic)).toEqual([4, 1]);
    const reader = createEmbeddedLog({ pool: mysql.pool, logger });
    const late = await collect(reader, { group: unique('group'), topics: [topic] });
    await eventually('the new ones', () => late.seen.length === 2);
    await reader.close();
    expect(late.seen.map(({ offset }) => offset)).toEqual([2, 3]);
    expect(await log.append(topic, records(1, ['next']))).toEqual([1]);
    await log.close();
  });

  it('runs by itself', async () => {
    const topic = await aged(HOUR);
    await clock.advance(60_000);
    await eventually('the round', async () => (await readAll(topic)).length === 2);
    await log.close();
  });

  it('keeps what a group has not committed', async () => {
    const topic = await aged(HOUR);
    const reader = createEmbeddedLog({ pool: mysql.pool, logger });
    const stuck = await collect(
      reader,
      { group: unique('group'), topics: [topic], maxRecords: 1 },
      async (batch) => {
        if (batch.records[0]?.offset === 1 || batch.partition === 1) throw new Error('stuck');
      },
    );
    await eventually('the first record', () => stuck.seen.length === 1);
    await reader.close();
    expect(await sweep(topic)).toBe(1);
    expect(await readAll(topic)).toEqual(['new', 'newer', 'older', 'other']);
    await log.close();
  });

  it('keeps everything where it is told so', async () => {
    const topic = await aged(null);
    expect(await sweep(topic)).toBe(0);
    await log.close();
  });
});

describe('any history of appends, members coming and going, failures and cut connections', () => {
  it('loses nothing and keeps the order', { timeout: 180_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(runHistory.steps, (steps) => runHistory.run(engines.mysqlUrl(), steps)),
      { numRuns: 12, endOnFailure: true },
    );
  });
});
