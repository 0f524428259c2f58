/** What the writers of a process put down together: each under its own epoch. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openMySql } from '../../src/service.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { beginEpoch, Fenced } from '../../src/storage/mysql/evaluators.ts';
import { createPutAhead, readAhead } from '../../src/storage/mysql/membership-ahead.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let mysql: MySql;
beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
});
afterAll(() => mysql.close());

it('a writer that is fenced fails alone, whoever puts entries down with it', async () => {
  const owners = await Promise.all(
    [0, 1, 2, 3].map(async (partition) => ({
      partition,
      epoch: (await beginEpoch(mysql, partition, 0)).epoch,
    })),
  );
  await beginEpoch(mysql, 2, 0);
  const putAhead = createPutAhead(mysql);
  const rowOf = (partition: number) => ({
    account: 7,
    firstSequence: 10 + partition,
    entries: Buffer.from(`of ${partition}`),
  });
  // The first one goes alone, the others together behind it.
  const results = await Promise.allSettled(owners.map((owner) => putAhead(owner, [rowOf(owner.partition)])));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(results[2]).toMatchObject({ reason: expect.any(Fenced) as Fenced });
  const put = await Promise.all(owners.map(({ partition }) => readAhead(mysql, partition)));
  expect(put.map((rows) => rows.map(({ entries }) => entries.toString()))).toEqual([
    ['of 0'],
    ['of 1'],
    [],
    ['of 3'],
  ]);
});
