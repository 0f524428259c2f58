import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeClockData, type ClockAccount } from '../../bench/scale/clock-data.ts';
import { measureClock } from '../../bench/scale/clock.ts';
import { measureCounts } from '../../bench/scale/counts.ts';
import { measureCreate } from '../../bench/scale/create.ts';
import {
  HISTORY_DAYS,
  makeScaleData,
  PEER,
  QUIET_MS,
  SHOP,
  type ScaleAccount,
} from '../../bench/scale/data.ts';
import { measureEvaluation } from '../../bench/scale/evaluate.ts';
import { measureCreations, measureNews } from '../../bench/scale/peer.ts';
import { rigOf, type Rig } from '../../bench/scale/rig.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { newSecret } from '../../src/storage/mysql/accounts.ts';
import { useEngines } from '../support/engines.ts';
import { SERVICE_KEY, startWholeService } from '../support/service.ts';

beforeEach(() => void vi.spyOn(console, 'log').mockReturnValue());
afterEach(() => void vi.restoreAllMocks());

/** A whole service over an account of 3,000 profiles and 30,000 events. */
function useRig(plan: typeof SHOP): { rig: () => Rig; owner: () => ScaleAccount } {
  const engines = useEngines();
  let rig: Rig;
  let owner: ScaleAccount;
  const stops: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    const [mysqlUrl, clickhouseUrl] = [engines.mysqlUrl(), engines.clickhouseUrl()];
    const service = await startWholeService({ MYSQL_URL: mysqlUrl, CLICKHOUSE_URL: clickhouseUrl });
    stops.push(() => service.stop());
    const mysql = await openMySql(mysqlUrl);
    stops.push(() => mysql.close());
    const clickhouse = await openClickHouse(clickhouseUrl);
    stops.push(() => clickhouse.close());
    rig = await rigOf({ url: service.url, apiKey: SERVICE_KEY, pid: null }, mysql, clickhouse);
    owner = await makeScaleData(rig, rig.account, { profiles: 3_000, events: 30_000, ...plan }, null);
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });
  return { rig: () => rig, owner: () => owner };
}

describe('benchmarks over a shop', () => {
  const { rig, owner } = useRig(SHOP);

  test('have about as many events as they were told, in both orders, each once, and skewed', async () => {
    const read = async (table: string) => {
      const [row] = await query<Record<string, string>>(
        rig().clickhouse,
        `SELECT count() AS rows, uniqExact(id) AS ids, uniqExact(profile) AS people, max(busiest) AS most
         FROM (SELECT id, profile, count() OVER (PARTITION BY profile) AS busiest FROM ${table})`,
      );
      return row;
    };
    const rows = await read('events');
    expect(await read('events_by_profile')).toEqual(rows);
    expect(rows?.ids).toBe(rows?.rows);
    expect(Number(rows?.rows)).toBe(owner().events);
    expect(owner().events).toBeGreaterThan(27_000);
    expect(owner().events).toBeLessThan(33_000);
    expect(Number(rows?.most)).toBeGreaterThan(100);
    expect(Number(rows?.people)).toBeLessThan(3_000);
  });

  test('have nobody who crosses the edge of a window of whole days for two hours', async () => {
    const [row] = await query<{ youngest: string; oldest: string; days: string }>(
      rig().clickhouse,
      `SELECT min(age % 86400000) AS youngest, max(age % 86400000) AS oldest, max(intDiv(age, 86400000)) + 1 AS days
       FROM (SELECT {now:Int64} - toUnixTimestamp64Milli(time) AS age FROM events)`,
      { now: owner().now },
    );
    expect(Number(row?.youngest)).toBeGreaterThanOrEqual(0);
    expect(Number(row?.oldest)).toBeLessThanOrEqual(86_400_000 - QUIET_MS);
    expect(Number(row?.days)).toBe(HISTORY_DAYS);
  });

  test('create: the members are those of plain SQL', async () => {
    const { faults, ...figures } = await measureCreate(rig(), owner(), 1);
    expect(faults).toEqual([]);
    for (const { seconds, scanSeconds, members } of Object.values(figures)) {
      expect(seconds).toBeGreaterThan(0);
      expect(scanSeconds).toBeGreaterThan(0);
      expect(members).toBeGreaterThan(0);
      expect(members).toBeLessThan(3_000);
    }
  });

  test('counts: size, overlap and draft are those of plain SQL', async () => {
    const { faults, ...figures } = await measureCounts(rig(), owner(), 4);
    expect(faults).toEqual([]);
    for (const { p95 } of Object.values(figures)) expect(p95).toBeGreaterThan(0);
    expect(Object.values(figures).map(({ count }) => count)).toEqual([20, 4, 4]);
  });

  test('evaluate: 500 criteria, and the truths of plain SQL', async () => {
    const plan = { batches: [1, 100], runs: 1, singles: 5 };
    const figures = await measureEvaluation(rig(), owner(), 3_000, plan);
    expect(figures.faults).toEqual([]);
    expect(figures.criteria).toBe(500);
    expect(figures.batches.map(({ profiles }) => profiles)).toEqual([1, 100]);
    expect(figures.evaluationsPerSecond).toBeGreaterThan(0);
    expect(figures.singleChangeCriteria).toBe(60);
    expect(figures.singleChangeMs?.count).toBe(5);
  });
});

describe('the benchmark on the tasks of the closest system', () => {
  const { rig, owner } = useRig(PEER);

  test('creates four segments, and every event of a stranger brings a change', async () => {
    const { faults, segments, ...figures } = await measureCreations(rig(), owner(), 1);
    expect(faults).toEqual([]);
    for (const key of ['a', 'b', 'c', 'd'] as const) {
      expect(figures.create[key]).toBeGreaterThan(0);
      expect(figures.plainSql[key]).toBeGreaterThan(0);
      expect(figures.members[key]).toBeGreaterThan(0);
    }
    const news = await measureNews(rig(), owner(), segments, { single: 3, cold: 1, rounds: 2, bulk: 20 });
    expect(news.faults).toEqual([]);
    expect(news.oneEventMs.p50).toBeGreaterThan(0);
    expect(news.thousandEventsColdMs.count).toBe(1);
    expect(news.thousandEventsMs.count).toBe(2);
    expect(news.thousandEventsMs.p50).toBeGreaterThan(0);
  });
});

describe('the benchmark of the clock', () => {
  const engines = useEngines();
  const stops: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  test('every change of some seconds before and after midnight is the one that the reference expects', async () => {
    const [mysqlUrl, clickhouseUrl] = [engines.mysqlUrl(), engines.clickhouseUrl()];
    const mysql = await openMySql(mysqlUrl);
    stops.push(() => mysql.close());
    const clickhouse = await openClickHouse(clickhouseUrl);
    stops.push(() => clickhouse.close());
    const day = 86_400_000;
    const plan = { profiles: 2_000, events: 20_000, segments: 200, metrics: 5, historyMs: day };
    const now = Math.ceil(Date.now() / day) * day - 10_000;
    const apiKey = newSecret();
    const owner: ClockAccount = await makeClockData({ mysql, clickhouse }, plan, now, apiKey, null);
    const ahead = now - Date.now();
    const machine = Date.now;
    vi.spyOn(Date, 'now').mockImplementation(() => machine() + ahead);
    const service = await startWholeService({ MYSQL_URL: mysqlUrl, CLICKHOUSE_URL: clickhouseUrl });
    stops.push(() => service.stop());
    const target = { url: service.url, apiKey, pid: null };
    const figures = await measureClock(target, clickhouse, owner, {
      aheadMs: 0,
      countedMs: 6_000,
      afterMidnightMs: 3_000,
    });
    expect(figures.faults).toEqual([]);
    expect(figures.expected).toBeGreaterThan(100);
    expect(figures.changes).toBeGreaterThan(10);
    expect(figures.midnightChanges).toBeGreaterThan(10);
    expect(figures.tickMs.count).toBeGreaterThan(8);
    expect(figures.tickMs.p99).toBeGreaterThan(0);
    expect(figures.lateMs?.count).toBe(figures.changes);
  }, 120_000);
});
