/** Entries of the membership log that have been announced and are on their way to ClickHouse. */
import { and, asc, eq, max, min, sql, TransactionRollbackError } from 'drizzle-orm';
import type { ResultSetHeader } from 'mysql2/promise';
import { gathered } from '../../runtime/gathered.ts';
import type { MySql, Queries } from './connect.ts';
import { markInForce } from './definitions.ts';
import { Fenced, readEpochs, type PartitionOwner } from './evaluators.ts';
import { membershipAhead } from './schema.ts';

interface NewRow {
  account: number;
  firstSequence: number;
  /** As they are published. */
  entries: Buffer;
}

export interface AheadRow {
  firstSequence: number;
  /** The first sequence of the one insert into ClickHouse that carries it; null: none has begun to. */
  insertFrom: number | null;
  /** As they are published. */
  entries: Buffer;
}

/** Puts entries of a writer down under its epoch, those of each account in rows of their own. Throws Fenced. */
export type PutAhead = (owner: PartitionOwner, rows: readonly NewRow[]) => Promise<void>;

/**
 * What the writers of a process put down at the same time goes in one statement, and one commit. Where that fails, each
 * goes alone: what is wrong with one of them, or too much together, is nothing to the others.
 */
export function createPutAhead(mysql: MySql): PutAhead {
  type Put = { owner: PartitionOwner; rows: readonly NewRow[] };
  /** Which of them have been put down. */
  async function insert(all: readonly Put[]): Promise<boolean[]> {
    const rows = all.flatMap(({ owner, rows }) => rows.map((row) => ({ ...row, owner })));
    if ((await insertRows(mysql.db, rows)) === rows.length) return all.map(() => true);
    // Nothing was put down of those that own their partitions no more; whoever loses it only now need not know.
    const epochs = await readEpochs(mysql.db);
    return all.map(({ owner: { partition, epoch } }) => epochs.get(partition) === epoch);
  }
  const put = gathered<Put, PromiseSettledResult<boolean>>({ atOnce: 1, most: 100 }, async (all) => {
    try {
      return (await insert(all)).map((value) => ({ status: 'fulfilled', value }));
    } catch (error) {
      if (all.length === 1) throw error;
      return Promise.allSettled(all.map(async (one) => (await insert([one])).every(Boolean)));
    }
  });
  return async (owner, rows) => {
    const [result] = await put([{ owner, rows }]);
    if (result?.status === 'rejected') throw result.reason;
    if (!result?.value) throw new Fenced(`evaluator partition ${owner.partition} has a newer owner`);
  };
}

/** Those of writers that still own their partitions; returns how many. */
async function insertRows(
  db: Queries,
  rows: readonly (NewRow & { owner: PartitionOwner })[],
): Promise<number> {
  const values = rows.map(
    ({ owner: { partition, epoch }, firstSequence, account, entries }) =>
      sql`SELECT ${partition} AS partition_no, ${epoch} AS epoch, ${firstSequence} AS first_sequence,
        ${account} AS account, ${entries} AS entries`,
  );
  const partitions = [...new Set(rows.map(({ owner }) => owner.partition))];
  const [result] = (await db.execute(sql`
    INSERT INTO membership_ahead (partition_no, first_sequence, account, entries)
    SELECT owner.partition_no, ahead.first_sequence, ahead.account, ahead.entries
    FROM evaluator_partitions AS owner
      JOIN (${sql.join(values, sql` UNION ALL `)}) AS ahead
        ON ahead.partition_no = owner.partition_no AND ahead.epoch = owner.epoch
    WHERE owner.partition_no IN ${partitions}
    LOCK IN SHARE MODE`)) as unknown as [ResultSetHeader];
  return result.affectedRows;
}

/** That a segment is in force in a partition, and the entry that says so. */
export interface InForceStep {
  owner: PartitionOwner;
  account: number;
  segment: number;
  version: number;
  populatedAt: number;
  sequence: number;
  /** As it is published. */
  entry: Buffer;
}

/** Writes steps of different partitions down, each under its writer's epoch; tells which of them have been. */
export async function putInForce(mysql: MySql, steps: readonly InForceStep[]): Promise<boolean[]> {
  const isDone = await mysql.db
    .transaction(async (tx) => {
      const rows = steps.map(({ sequence, entry, ...step }) => ({
        ...step,
        firstSequence: sequence,
        entries: entry,
      }));
      if ((await insertRows(tx, rows)) !== steps.length) tx.rollback();
      await markInForce(
        tx,
        steps.map(({ owner: { partition }, ...step }) => ({ partition, ...step })),
      );
      return true;
    })
    .catch((error: unknown) => {
      if (error instanceof TransactionRollbackError) return false;
      throw error;
    });
  if (isDone || steps.length === 1) return steps.map(() => isDone);
  const done: boolean[] = [];
  for (const step of steps) done.push(...(await putInForce(mysql, [step])));
  return done;
}

/**
 * All that no insert carries yet goes with one that begins now; `nextSequence` is behind it, `latest` the instant of its
 * last evaluation. Throws Fenced.
 */
export async function beginInsert(
  mysql: MySql,
  { partition, epoch }: PartitionOwner,
  { from, nextSequence, latest }: { from: number; nextSequence: number; latest: number },
): Promise<void> {
  const [result] = (await mysql.db.execute(sql`
    UPDATE membership_ahead AS ahead
      JOIN evaluator_partitions AS owner ON owner.partition_no = ahead.partition_no
    SET ahead.insert_from = ${from},
      owner.next_sequence = GREATEST(owner.next_sequence, ${nextSequence}),
      owner.latest = GREATEST(owner.latest, ${latest})
    WHERE owner.partition_no = ${partition} AND owner.epoch = ${epoch}
      AND ahead.first_sequence >= ${from} AND ahead.first_sequence < ${nextSequence}
      AND ahead.insert_from IS NULL`)) as unknown as [ResultSetHeader];
  if (result.affectedRows === 0) throw new Fenced(`evaluator partition ${partition} has a newer owner`);
}

/** ClickHouse has the insert that began with `from`. */
export async function endInsert(mysql: MySql, partition: number, from: number): Promise<void> {
  await mysql.db
    .delete(membershipAhead)
    .where(and(eq(membershipAhead.partition, partition), eq(membershipAhead.insertFrom, from)));
}

/** In their order. */
export function readAhead(mysql: MySql, partition: number): Promise<AheadRow[]> {
  return mysql.db
    .select({
      firstSequence: membershipAhead.firstSequence,
      insertFrom: membershipAhead.insertFrom,
      entries: membershipAhead.entries,
    })
    .from(membershipAhead)
    .where(eq(membershipAhead.partition, partition))
    .orderBy(asc(membershipAhead.firstSequence));
}

/** By partition, where the account's rows begin: the first sequences of the first row and of the last one. */
export async function placesAhead(
  mysql: MySql,
  account: number,
): Promise<Map<number, { first: number; last: number }>> {
  const sequence = membershipAhead.firstSequence;
  const rows = await mysql.db
    .select({ partition: membershipAhead.partition, first: min(sequence), last: max(sequence) })
    .from(membershipAhead)
    .where(eq(membershipAhead.account, account))
    .groupBy(membershipAhead.partition);
  return new Map(
    rows.map(({ partition, first, last }) => [partition, { first: first ?? 0, last: last ?? 0 }]),
  );
}
