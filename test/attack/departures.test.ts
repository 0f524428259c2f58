/** Stretches of time that rows are looked up by: whoever lies in one is found, at its border and before 1970 too. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { crossedBetween } from '../../src/evaluation/crossings.ts';
import { dateLine } from '../../src/ingest/rows.ts';
import { connectClickHouse, insertLines, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
});
afterAll(() => clickhouse.close());

it('a date before 1970 crosses an edge wherever it lies in the stretch', async () => {
  const after = Date.UTC(1960, 0, 1);
  // Two seconds and five milliseconds.
  const dates = [1, 999, 1_000, 1_001, 1_500, 2_000, 2_001, 2_005].map((ms) => after + ms);
  const lines = dates.map((number, profile) =>
    dateLine(1, 0, profile, 'properties.born', { kind: 'instant', number }),
  );
  await insertLines(clickhouse, 'dates', lines, 'departures');
  const offset = 80 * 365 * 86_400_000;
  const edges = [{ source: { of: 'attribute', path: 'properties.born' } as const, offset }];
  const place = { account: 1, metrics: new Map<string, number>(), timeZone: 'UTC', edges };
  const { first } = await crossedBetween(clickhouse, {
    ...place,
    after: after + offset,
    through: after + offset + 2_005,
  });
  expect([...first.values()]).toEqual(dates.map((date) => date + offset));
});
