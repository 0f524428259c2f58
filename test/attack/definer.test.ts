/** What is computed sees all that was taken before news are noted, also when it begins late. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createDefiner, type DefinerParts } from '../../src/evaluation/definer.ts';
import { createReadFamily } from '../../src/evaluation/families.ts';
import type { Populations } from '../../src/evaluation/populations.ts';
import { createRegistry } from '../../src/evaluation/registry.ts';
import { takeOver, type MembershipWriter } from '../../src/evaluation/writer.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { insertSegment, readInForce } from '../../src/storage/mysql/definitions.ts';
import { writeReferences } from '../../src/storage/mysql/references.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const ACCOUNT = 11;
let mysql: MySql;
let clickhouse: ClickHouse;

beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
  clickhouse = await openClickHouse(engines.clickhouseUrl());
});
afterAll(async () => {
  await clickhouse.close();
  await mysql.close();
});

const partsOf = (writer: MembershipWriter): DefinerParts => ({
  writer,
  registry: createRegistry(),
  write: () => Promise.resolve(),
  scopeFor: () => Promise.resolve({ account: ACCOUNT, metrics: new Map(), timeZone: 'UTC' }),
  put: () => Promise.resolve(),
  isHere: () => Promise.resolve(true),
  chunksFor: () => Promise.resolve([0]),
  forget: () => undefined,
  stored: () => Promise.resolve(),
  turn: (work) => work(),
});

it('a segment that begins to form because another has failed waits for data of news that were taken meanwhile', async () => {
  const logger = createLogger('silent');
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const writer = await takeOver(deps, 0);
  const happened: string[] = [];
  const failing = new Map<number, (error: Error) => void>();
  const populations: Populations = {
    join: () => () => undefined,
    compute({ segment }) {
      happened.push(`computes ${segment}`);
      return new Promise((_, reject) => failing.set(segment, reject));
    },
    putInForce: () => Promise.resolve(false),
  };
  let ended: () => void = () => undefined;
  const end = new Promise<void>((resolve) => (ended = resolve));
  const parts: DefinerParts = {
    ...partsOf(writer),
    stored: () => Promise.resolve(void happened.push('stored')),
    turn: (work) => work().finally(ended),
  };
  const definer = createDefiner({ ...deps, populations, families: createReadFamily(mysql) }, 0, parts);
  const definition = '{"event":{"metric":"Placed Order"}}';
  const made: number[] = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const segment = await insertSegment(mysql.db, ACCOUNT, name, definition, 0);
    made.push(segment);
    await definer.define(ACCOUNT, segment, 1);
  }
  const [first = 0] = made;
  expect(happened).toEqual(made.slice(0, 4).map((segment) => `computes ${segment}`));
  happened.length = 0;
  failing.get(first)?.(new Error('no answer'));
  await end;
  expect(happened).toEqual(['stored', `computes ${made[4]}`]);
  definer.close();
  await log.close();
});

it('where nobody of the account is, a segment is in force with those that it refers to, and nothing of it is held', async () => {
  const logger = createLogger('silent');
  const log = createEmbeddedLog({ pool: mysql.pool, logger });
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const partition = 3;
  const populations: Populations = {
    join: () => () => undefined,
    compute: () => Promise.reject(new Error('there is nobody to compute it for')),
    putInForce: () => Promise.resolve(false),
  };
  const put: number[] = [];
  const parts = {
    ...partsOf(await takeOver(deps, partition)),
    isHere: () => Promise.resolve(false),
    put: ({ segment }: { segment: number }) => Promise.resolve(void put.push(segment)),
  };
  const definer = createDefiner(
    { ...deps, populations, families: createReadFamily(mysql) },
    partition,
    parts,
  );
  const definition = '{"event":{"metric":"Placed Order"}}';
  const [meant, referring] = [
    await insertSegment(mysql.db, ACCOUNT, 'meant', definition, 0),
    await insertSegment(mysql.db, ACCOUNT, 'referring', definition, 0),
  ];
  await writeReferences(mysql.db, ACCOUNT, referring, [meant]);
  await definer.define(ACCOUNT, referring, 1);
  const inForce = await readInForce(mysql.db, partition, [ACCOUNT]);
  expect(inForce.map(({ segment }) => segment).sort()).toEqual([meant, referring].sort());
  expect(put).toEqual([]);
  expect(await readInForce(mysql.db, partition, [ACCOUNT + 1])).toEqual([]);
  definer.close();
  await log.close();
});
