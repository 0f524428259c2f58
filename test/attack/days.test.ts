/** Days that begin in many accounts at once. */
import assert from 'node:assert/strict';
import path from 'node:path';
import type { QueryParams } from '@clickhouse/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDays } from '../../src/evaluation/days.ts';
import { createRegistry, type SegmentInForce } from '../../src/evaluation/registry.ts';
import { until } from '../../src/runtime/until.ts';
import { criteriaOf, normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { connectClickHouse, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const MIDNIGHT = Date.UTC(2026, 5, 1);
const ACCOUNTS = 20;
let clickhouse: ClickHouse;

beforeAll(async () => {
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
});
afterAll(() => clickhouse.close());

function daily(account: number): SegmentInForce {
  const parsed = parseCondition({ event: { metric: 'Seen', within: { calendar: 'TODAY' } } });
  assert(parsed.ok);
  const condition = normalise(parsed.condition);
  const [own, criteria] = [condition, criteriaOf(condition)];
  return { account, segment: account, version: 1, own, references: new Set(), condition, criteria };
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
  const days = createDays({ ...clickhouse, client }, registry);
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
