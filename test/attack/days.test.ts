/** Days that begin in many accounts at once. */
import assert from 'node:assert/strict';
import path from 'node:path';
import type { QueryParams } from '@clickhouse/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDays } from '../../src/evaluation/days.ts';
import { createRegistry, type SegmentInForce } from '../../src/evaluation/registry.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { until } from '../../src/runtime/until.ts';
import { criteriaOf, normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import type { EventRecord } from '../../src/ingest/records.ts';
import { eventKey, eventLine, uuidOf } from '../../src/ingest/rows.ts';
import { connectClickHouse, insertLines, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const MIDNIGHT = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;
const ACCOUNTS = 20;
const logger = createLogger('silent');
let clickhouse: ClickHouse;

beforeAll(async () => {
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
});
afterAll(() => clickhouse.close());

const seen = (metric: string) => ({ event: { metric, within: { calendar: 'TODAY' } } });

function daily(account: number, number = account, input: object = seen('Seen')): SegmentInForce {
  const parsed = parseCondition(input);
  assert(parsed.ok);
  const condition = normalise(parsed.condition);
  const [own, criteria] = [condition, criteriaOf(condition)];
  return { account, segment: number, version: 1, own, references: new Set(), condition, criteria };
}

it('a few are read at a time, and all of them in the end', async () => {
  let [reading, most, read] = [0, 0, 0];
  const client = Object.create(clickhouse.client, {
    query: {
      value: async (request: QueryParams) => {
        reading += 1;
        read += 1;
        most = Math.max(most, reading);
        return clickhouse.client.query(request).finally(() => (reading -= 1));
      },
    },
  }) as ClickHouse['client'];
  const registry = createRegistry();
  const days = createDays({ ...clickhouse, client }, registry, logger, 0);
  for (let account = 1; account <= ACCOUNTS; account++) {
    const segment = daily(account);
    registry.put(segment);
    const place = { account, metrics: new Map([['Seen', account]]), timeZone: 'UTC', chunks: [0] };
    const change = { ...place, before: MIDNIGHT - 1, after: MIDNIGHT };
    days.begin(change, [MIDNIGHT], new Map([[segment, true]]));
  }
  while (days.areOpen()) {
    await until(() => Promise.resolve(days.isRead()), { withinMs: 10_000 });
    days.next();
  }
  expect(most).toBeLessThanOrEqual(2);
  expect(read).toBe(ACCOUNTS);
});

it('whoever something else happens to is asked about what the day has moved for them, or about all if that is little', async () => {
  const account = 100;
  const birthday = {
    property: { path: 'properties.born', filter: { date: { anniversary: { today: true } } } },
  };
  const segments = [daily(account, 1), daily(account, 2, seen('Other')), daily(account, 3, birthday)];
  const lines = [
    [7, 1],
    [7, MIDNIGHT - DAY - 1],
    [8, MIDNIGHT - 1],
  ].map(([profile = 0, time = 0]) => {
    const id = uuidOf(eventKey(`${profile} ${time}`));
    const event = {
      account,
      uniqueId: id,
      value: null,
      currency: null,
      properties: {},
      time,
      arrivedAt: time,
    };
    return eventLine(event as unknown as EventRecord, { event: id, metric: 1, profile }, new Map());
  });
  await insertLines(clickhouse, 'events', lines, 'moved');
  const registry = createRegistry();
  for (const segment of segments) registry.put(segment);
  const place = { account, metrics: new Map([['Seen', 1]]), timeZone: 'UTC', chunks: [0] };
  const askedAbout = async (askedOutright: number) => {
    const days = createDays(clickhouse, registry, logger, askedOutright);
    days.begin(
      { ...place, before: MIDNIGHT - 1, after: MIDNIGHT },
      [MIDNIGHT],
      new Map(segments.map((segment) => [segment, true])),
    );
    const [day, ...others] = await days.of(account, new Set([7, 8]));
    expect(others).toEqual([]);
    expect(await days.of(account, new Set([7, 8]))).toEqual([]);
    return day?.turnings.map(({ profile, segment }) => `${profile}: ${segment.segment}`);
  };
  expect(await askedAbout(5)).toEqual(['7: 3', '8: 3', '8: 1']);
  expect(await askedAbout(6)).toEqual(['7: 1', '7: 2', '7: 3', '8: 1', '8: 2', '8: 3']);
});

/** Days of accounts in the order of the numbers, and what is read of them. */
function openDays(query: (request: QueryParams) => Promise<unknown>, said: string[] = []) {
  const client = Object.create(clickhouse.client, { query: { value: query } }) as ClickHouse['client'];
  const registry = createRegistry();
  const out = { write: (line: string) => said.push(line) };
  const days = createDays({ ...clickhouse, client }, registry, createLogger('warn', out), 0);
  const begin = (segment: SegmentInForce, chunks: number[]) => {
    registry.put(segment);
    const { account } = segment;
    const place = { account, metrics: new Map([['Seen', account]]), timeZone: 'UTC', chunks };
    days.begin({ ...place, before: MIDNIGHT - 1, after: MIDNIGHT }, [MIDNIGHT], new Map([[segment, true]]));
  };
  return { days, begin };
}

it('a day that takes long to read keeps no other account waiting', async () => {
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const { days, begin } = openDays(async (request) => {
    if (Object.values(request.query_params ?? {}).includes(201)) await held;
    return clickhouse.client.query(request);
  });
  for (let account = 201; account <= 205; account++) begin(daily(account), [0]);
  // Four of them have nothing to tell: each is over with its first page.
  for (let over = 0; over < 4; over++) {
    expect(await until(() => Promise.resolve(days.isRead()), { withinMs: 10_000 })).toBe(true);
    days.next();
  }
  expect(days.areOpen()).toBe(true);
  expect(days.isRead()).toBe(false);
  release();
  expect(await until(() => Promise.resolve(days.isRead()), { withinMs: 10_000 })).toBe(true);
  days.next();
  expect(days.areOpen()).toBe(false);
});

it('what is too much for one statement is read in halves, and what cannot be read at all does not keep the day open', async () => {
  const said: string[] = [];
  const all = [1, 2, 3, 4];
  const read: unknown[] = [];
  const { days, begin } = openDays(async (request) => {
    const [, name = ''] = /intDiv\(profile, 65536\) IN \{(\w+):/.exec(request.query) ?? [];
    const chunks = (request.query_params?.[name] ?? []) as number[];
    read.push(chunks);
    if (chunks.includes(3)) throw Object.assign(new Error('too much'), { code: '241' });
    return clickhouse.client.query(request);
  }, said);
  begin(daily(301), all);
  while (days.areOpen()) {
    expect(await until(() => Promise.resolve(days.isRead()), { withinMs: 10_000 })).toBe(true);
    days.next();
  }
  expect(read).toEqual([all, [1, 2], [3, 4], [3], [4]]);
  expect(said).toHaveLength(1);
  expect(said[0]).toContain('the audit repairs it');
});

it('any other failure of a reading is thrown', async () => {
  const { days, begin } = openDays(() => Promise.reject(new Error('connection refused')));
  begin(daily(401), [0]);
  expect(await until(() => Promise.resolve(days.isRead()), { withinMs: 10_000 })).toBe(true);
  expect(() => days.next()).toThrow('connection refused');
});
