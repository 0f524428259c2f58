/** What the writers of a process put down together: each under its own epoch. */
import { and, eq, gte } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openMySql } from '../../src/service.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { beginEpoch, Fenced } from '../../src/storage/mysql/evaluators.ts';
import { createPutAhead, readAhead } from '../../src/storage/mysql/membership-ahead.ts';
import { membershipAhead } from '../../src/storage/mysql/schema.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
let mysql: MySql;
beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
});
afterAll(() => mysql.close());

const takeOver = (partitions: number[]) =>
  Promise.all(
    partitions.map(async (partition) => ({
      partition,
      epoch: (await beginEpoch(mysql, partition, 0)).epoch,
    })),
  );
const rowOf = (partition: number) => ({
  account: 7,
  firstSequence: 10 + partition,
  entries: Buffer.from(`of ${partition}`),
});

it('a writer that is fenced fails alone, whoever puts entries down with it', async () => {
  const owners = await takeOver([0, 1, 2, 3]);
  await beginEpoch(mysql, 2, 0);
  const putAhead = createPutAhead(mysql);
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

it('a writer whose entries cannot be put down fails alone', async () => {
  const owners = await takeOver([4, 5, 6, 7]);
  const putAhead = createPutAhead(mysql);
  await Promise.all(owners.slice(2, 3).map((owner) => putAhead(owner, [rowOf(owner.partition)])));
  await beginEpoch(mysql, 7, 0);
  const results = await Promise.allSettled(owners.map((owner) => putAhead(owner, [rowOf(owner.partition)])));
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  expect(results[2]).not.toMatchObject({ reason: expect.any(Fenced) as Fenced });
  expect(results[3]).toMatchObject({ reason: expect.any(Fenced) as Fenced });
});

it('what is too much for one statement is put down all the same', async () => {
  const owners = await takeOver([0, 1, 2, 3]);
  const putAhead = createPutAhead(mysql);
  const many = (partition: number) =>
    Array.from({ length: 12_000 }, (_, i) => ({ ...rowOf(partition), firstSequence: 100 + i }));
  await Promise.all(owners.map((owner) => putAhead(owner, many(owner.partition))));
  const { partition: number, firstSequence } = membershipAhead;
  const put = await Promise.all(
    owners.map(({ partition }) =>
      mysql.db.$count(membershipAhead, and(eq(number, partition), gte(firstSequence, 100))),
    ),
  );
  expect(put).toEqual(owners.map(() => 12_000));
});
