/** How ClickHouse carries out what scans all profiles. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectMembers } from '../../src/evaluation/all-profiles.ts';
import { normalise, parseCondition } from '../../src/segments/index.ts';
import { openClickHouse } from '../../src/service.ts';
import { command, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
});
afterAll(() => clickhouse.close());

test('criteria are scanned one after the other, unless one of them counts different values: each type is a scan', async () => {
  await command(
    clickhouse,
    `INSERT INTO events (account, metric, profile, time, texts)
     SELECT 88, 1, number, toDateTime64('2026-01-05 00:00:00', 3, 'UTC'), map('p', toString(number))
     FROM numbers(100)`,
  );
  const narrowed = async (measure: object) => {
    const parsed = parseCondition({ event: { metric: 'Viewed', measure, is: { atLeast: 5 } } });
    assert(parsed.ok);
    const { sql, parameters, settings } = selectMembers(normalise(parsed.condition), {
      ...{ account: 88, metrics: new Map([['Viewed', 1]]), timeZone: 'UTC' },
      ...{ at: Date.UTC(2026, 1, 10), chunks: null },
    });
    const plan = await query<{ explain: string }>(clickhouse, `EXPLAIN PIPELINE ${sql}`, parameters.values, {
      settings: { ...settings, max_threads: 4 },
    });
    return plan.filter(({ explain }) => explain.includes('Concat')).length;
  };
  expect(await narrowed({ count: true })).toBe(1);
  expect(await narrowed({ distinct: 'p' })).toBe(0);
});
