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

/** In how many unions ClickHouse lets parts wait for one another: who is gone and the criteria, and the criteria. */
async function narrowed(condition: object): Promise<number> {
  const parsed = parseCondition(condition);
  assert(parsed.ok);
  const { sql, parameters, settings } = selectMembers(normalise(parsed.condition), {
    ...{ account: 88, metrics: new Map([['Viewed', 1]]), timeZone: 'UTC' },
    ...{ at: Date.UTC(2026, 1, 10), chunks: null },
  });
  const plan = await query<{ explain: string }>(clickhouse, `EXPLAIN PIPELINE ${sql}`, parameters.values, {
    settings: { ...settings, max_threads: 4 },
  });
  return plan.filter(({ explain }) => explain.includes('Concat')).length;
}

test('criteria are scanned one after the other, unless one of them is a union of its own', async () => {
  await command(
    clickhouse,
    `INSERT INTO events (account, metric, profile, time, texts)
     SELECT 88, 1, number, toDateTime64('2026-01-05 00:00:00', 3, 'UTC'), map('p', toString(number))
     FROM numbers(100)`,
  );
  const viewed = (rest: object) => ({ event: { metric: 'Viewed', ...rest } });
  expect(await narrowed(viewed({ is: { atLeast: 5 } }))).toBe(1);
  const often = viewed({ is: { atLeast: 3 }, within: { last: 'P13D' } });
  const lately = viewed({ within: { last: 'P12D' } });
  expect(await narrowed(lately)).toBe(1);
  // Each type of a value is a scan.
  expect(await narrowed(viewed({ measure: { distinct: 'p' }, is: { atLeast: 5 } }))).toBe(0);
  // Some days of January, and all there is of February.
  expect(await narrowed(viewed({ within: { last: 'P14D' } }))).toBe(0);
  expect(await narrowed({ all: [often, lately] })).toBe(2);
  expect(await narrowed({ all: [viewed({ within: { last: 'P14D' } }), often] })).toBe(2);
});
