import { afterAll, beforeAll, expect, test } from 'vitest';
import { openClickHouse } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { useEngines } from '../support/engines.ts';
import { describeCoverage, WHOLE_LANGUAGE, type Coverage } from './coverage.ts';
import { compareScopes } from './scopes.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
});
afterAll(() => clickhouse.close());

const SEEDS = [1, 2, 3, 4, 5, 6];
const coverage: Coverage = new Map();
const total = { cases: 0, trueCases: 0 };

test.each(SEEDS)(
  'the reference and both scopes agree on random conditions, histories and instants (seed %i)',
  async (seed) => {
    const options = { profiles: 24, conditions: 52, instants: 4 };
    const result = await compareScopes(clickhouse, seed * 10, seed, options, coverage);
    total.cases += result.cases;
    total.trueCases += result.trueCases;
    expect(result.cases).toBeGreaterThan(10_000);
  },
  120_000,
);

test('the random comparison has covered the whole language, and both answers', () => {
  console.log(
    `scopes: ${total.cases} cases, ${total.trueCases} of them true; covered: ${describeCoverage(coverage)}`,
  );
  expect(WHOLE_LANGUAGE.filter((part) => !coverage.has(part))).toEqual([]);
  expect(total.trueCases / total.cases).toBeGreaterThan(0.1);
  expect(total.trueCases / total.cases).toBeLessThan(0.9);
});
