/** A population that fails between any two of its steps is finished once, and undoes nothing that was told since. */
import { randomUUID } from 'node:crypto';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { storedMemberships } from '../../src/evaluation/memberships.ts';
import { stageCorrections } from '../../src/evaluation/staged-members.ts';
import { takeOver } from '../../src/evaluation/writer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { markInForce } from '../../src/storage/mysql/definitions.ts';
import { segmentPartitions } from '../../src/storage/mysql/schema.ts';
import { useEngines } from '../support/engines.ts';
import { loseRows } from '../support/lose-rows.ts';
import { closeStores, openStores } from '../support/stores.ts';

const engines = useEngines();
const ACCOUNT = 7;
let mysql: MySql;
let clickhouse: ClickHouse;
let log: Log;

beforeAll(async () => {
  ({ mysql, clickhouse, log } = await openStores(engines, engines.urls().cluster));
});
afterAll(() => closeStores({ mysql, clickhouse, log }));

const deps = () => ({ log, mysql, clickhouse, clock: systemClock });
const publishing = (append: Log['append']) => ({ ...deps(), log: { ...log, append } });
const members = async (segment: number) => [
  ...((await storedMemberships(clickhouse, ACCOUNT, [segment], [1, 2, 3])).get(segment) ?? []),
];

function populationOf(segment: number, at: number) {
  return { segment, version: 1, at, chunks: [0], run: randomUUID() };
}

function entered(segment: number, at: number) {
  return {
    account: ACCOUNT,
    segment,
    version: 1,
    profile: 1,
    kind: 'ENTERED',
    cause: 'EVENT',
    at,
    event: null,
  } as const;
}

it.each([
  ['nobody', 11, []],
  ['somebody', 12, [2]],
])(
  'what is told behind a population of %s stays when it is finished by others',
  async (_, segment, first) => {
    const failing = publishing(() => Promise.reject(new Error('no log')));
    const writer = await takeOver(failing, segment - 8);
    const population = populationOf(segment, writer.advance(0));
    await stageCorrections(clickhouse, { account: ACCOUNT, run: population.run }, first, () => true);
    const told = [entered(segment, population.at)];
    await expect(writer.populate(ACCOUNT, population, told)).rejects.toThrow('no log');
    for (let time = 0; time < 2; time++) {
      await takeOver(deps(), segment - 8);
      expect(await members(segment)).toEqual([1, ...first]);
    }
  },
);

it('first members that the server has lost are stored again, and who has changed since stays as told', async () => {
  const segment = 15;
  const writer = await takeOver(
    publishing(() => Promise.reject(new Error('no log'))),
    3,
  );
  const population = { ...populationOf(segment, writer.advance(0)), chunks: [0, 1] };
  await stageCorrections(clickhouse, { account: ACCOUNT, run: population.run }, [2, 3, 65_600], () => true);
  const told = [entered(segment, population.at)];
  await expect(writer.populate(ACCOUNT, population, told)).rejects.toThrow('no log');
  await loseRows(clickhouse, 'memberships', `segment = ${segment} AND chunk = 0`);
  expect(await members(segment)).toEqual([]);
  for (let time = 0; time < 2; time++) {
    await takeOver(deps(), 3);
    expect(await members(segment)).toEqual([1, 2, 3]);
  }
});

it('what is written behind a take-over is not populated over by the next one', async () => {
  const segment = 13;
  const writer = await takeOver(
    publishing(() => Promise.reject(new Error('no log'))),
    1,
  );
  const population = populationOf(segment, writer.advance(0));
  await expect(writer.populate(ACCOUNT, population, [])).rejects.toThrow('no log');
  const next = await takeOver(deps(), 1);
  await next.write([entered(segment, population.at)]);
  await next.written();
  await takeOver(deps(), 1);
  expect(await members(segment)).toEqual([1]);
});

it('whoever is late does not set a newer version back', async () => {
  const segment = 14;
  let publish: () => void = () => {};
  const held = new Promise<void>((resolve) => (publish = resolve));
  let begun: () => void = () => {};
  const publishes = new Promise<void>((resolve) => (begun = resolve));
  const slow = publishing(async (topic, records) => {
    begun();
    await held;
    return log.append(topic, records);
  });
  const old = await takeOver(slow, 2);
  const populating = old.populate(ACCOUNT, populationOf(segment, old.advance(0)), []);
  await publishes;
  await takeOver(deps(), 2);
  await markInForce(mysql.db, [
    { partition: 2, account: ACCOUNT, segment, version: 2, populatedAt: Date.now() },
  ]);
  publish();
  await expect(populating).rejects.toThrow('newer owner');
  const rows = await mysql.db.select().from(segmentPartitions).where(eq(segmentPartitions.segment, segment));
  expect(rows.map(({ version }) => version)).toEqual([2]);
});
