/** Entries of the membership log that have been announced and are on their way to ClickHouse. */
import { and, asc, eq, max, min, sql, type SQL } from 'drizzle-orm';
import type { ResultSetHeader } from 'mysql2/promise';
import { gathered } from '../../runtime/gathered.ts';
import { allOrNothing, type MySql, type Queries } from './connect.ts';
import { markInForce } from './definitions.ts';
import { Fenced, readEpochs, type PartitionOwner } from './evaluators.ts';
import { membershipAhead, membershipInserts } from './schema.ts';

interface NewRow {
  account: number;
  firstSequence: number;
  /** As they are published. */
  entries: Buffer;
}

export interface AheadRow {
  /** As they are published. */
  entries: Buffer;
  /** Of the one insert into ClickHouse that carries it; null: none has begun to. */
  token: string | null;
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

/**
 * Partitions with what rows say of their owners (partition_no, epoch and more), as far as they still are these. Partitions
 * come first, so that whoever locks them does it in their order.
 */
function owned(rows: SQL[]): SQL {
  return sql`evaluator_partitions AS owner
      STRAIGHT_JOIN (${sql.join(rows, sql` UNION ALL `)}) AS theirs
        ON theirs.partition_no = owner.partition_no AND theirs.epoch = owner.epoch`;
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
    SELECT owner.partition_no, theirs.first_sequence, theirs.account, theirs.entries
    FROM ${owned(values)}
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
  const isDone = await allOrNothing(mysql, async (tx) => {
    const rows = steps.map(({ sequence, entry, ...step }) => ({
      ...step,
      firstSequence: sequence,
      entries: entry,
    }));
    if ((await insertRows(tx, rows)) !== steps.length) return false;
    await markInForce(
      tx,
      steps.map(({ owner: { partition }, ...step }) => ({ partition, ...step })),
    );
    return true;
  });
  if (isDone || steps.length === 1) return steps.map(() => isDone);
  const done: boolean[] = [];
  for (const step of steps) done.push(...(await putInForce(mysql, [step])));
  return done;
}

/** Segments are in force in a partition that nobody of the account is in. False: it has a newer owner. */
export function markForNobody(
  mysql: MySql,
  { partition, epoch }: PartitionOwner,
  rows: readonly { account: number; segment: number; version: number; populatedAt: number }[],
): Promise<boolean> {
  return allOrNothing(mysql, async (tx) => {
    const [owners] = (await tx.execute(sql`
      SELECT epoch
      FROM evaluator_partitions
      WHERE partition_no = ${partition} AND epoch = ${epoch}
      LOCK IN SHARE MODE`)) as unknown as [unknown[]];
    if (owners.length === 0) return false;
    await markInForce(
      tx,
      rows.map((row) => ({ partition, ...row })),
    );
    return true;
  });
}

/** What an insert carries of one writer: all that no insert has carried yet. */
export interface InsertShare {
  owner: PartitionOwner;
  /** Its first sequence. */
  from: number;
  /** Behind its last one. */
  nextSequence: number;
  /** The instant of its last evaluation, epoch milliseconds. */
  latest: number;
}

/** Writes down what an insert carries that begins now. False: one of the writers owns its partition no more. */
export async function beginInsert(
  mysql: MySql,
  token: string,
  shares: readonly InsertShare[],
): Promise<boolean> {
  const values = shares.map(
    ({ owner: { partition, epoch }, from, nextSequence, latest }) =>
      sql`SELECT ${partition} AS partition_no, ${epoch} AS epoch, ${from} AS insert_from,
        ${nextSequence} AS next_sequence, ${latest} AS latest`,
  );
  const partitions = shares.map(({ owner }) => owner.partition);
  return allOrNothing(mysql, async (tx) => {
    await tx.execute(sql`
        UPDATE ${owned(values)}
          STRAIGHT_JOIN membership_ahead AS ahead
            ON ahead.partition_no = owner.partition_no
              AND ahead.first_sequence >= theirs.insert_from AND ahead.first_sequence < theirs.next_sequence
        SET ahead.insert_from = theirs.insert_from,
          owner.next_sequence = GREATEST(owner.next_sequence, theirs.next_sequence),
          owner.latest = GREATEST(owner.latest, theirs.latest)
        WHERE owner.partition_no IN ${partitions} AND ahead.insert_from IS NULL`);
    const [result] = (await tx.execute(sql`
        INSERT INTO membership_inserts (token, partition_no, insert_from)
        SELECT ${token}, owner.partition_no, theirs.insert_from
        FROM ${owned(values)}
        WHERE owner.partition_no IN ${partitions}`)) as unknown as [ResultSetHeader];
    return result.affectedRows === shares.length;
  });
}

/**
 * ClickHouse has what the insert carries. False, and nothing is ended: one of the partitions has a newer owner, who may have
 * sent it before, so that it may have been passed over, and looks itself.
 */
export async function endInsert(
  mysql: MySql,
  token: string,
  owners: readonly PartitionOwner[],
): Promise<boolean> {
  const values = owners.map(
    ({ partition, epoch }) => sql`SELECT ${partition} AS partition_no, ${epoch} AS epoch`,
  );
  return allOrNothing(mysql, async (tx) => {
    const [still] = (await tx.execute(sql`
      SELECT owner.partition_no
      FROM ${owned(values)}
      WHERE owner.partition_no IN ${owners.map(({ partition }) => partition)}
      LOCK IN SHARE MODE`)) as unknown as [unknown[]];
    if (still.length < owners.length) return false;
    await deleteCarried(tx, sql`carried.token = ${token}`);
    return true;
  });
}

/** ClickHouse has what the inserts carry of the partition. */
export async function endShares(mysql: MySql, partition: number, tokens: readonly string[]): Promise<void> {
  if (tokens.length === 0) return;
  await deleteCarried(mysql.db, sql`carried.partition_no = ${partition} AND carried.token IN ${tokens}`);
}

async function deleteCarried(db: Queries, where: SQL): Promise<void> {
  await db.execute(sql`
    DELETE ahead, carried
    FROM membership_inserts AS carried
      LEFT JOIN membership_ahead AS ahead
        ON ahead.partition_no = carried.partition_no AND ahead.insert_from = carried.insert_from
    WHERE ${where}`);
}

const carried = and(
  eq(membershipInserts.partition, membershipAhead.partition),
  eq(membershipInserts.insertFrom, membershipAhead.insertFrom),
);

/** Inserts of an older version of Tidemark carried one partition, and did not write their token down: it is done here. */
export async function nameOlderInserts(mysql: MySql, partition: number): Promise<void> {
  await mysql.db.execute(sql`
    INSERT IGNORE INTO membership_inserts (token, partition_no, insert_from)
    SELECT DISTINCT CONCAT('membership:', ahead.partition_no, ':', ahead.insert_from), ahead.partition_no,
      ahead.insert_from
    FROM membership_ahead AS ahead
      LEFT JOIN membership_inserts AS carried
        ON carried.partition_no = ahead.partition_no AND carried.insert_from = ahead.insert_from
    WHERE ahead.partition_no = ${partition} AND ahead.insert_from IS NOT NULL AND carried.token IS NULL`);
}

/** In their order. */
export function readAhead(mysql: MySql, partition: number): Promise<AheadRow[]> {
  return mysql.db
    .select({ entries: membershipAhead.entries, token: membershipInserts.token })
    .from(membershipAhead)
    .leftJoin(membershipInserts, carried)
    .where(eq(membershipAhead.partition, partition))
    .orderBy(asc(membershipAhead.firstSequence));
}

/**
 * All that an insert carries, whosever it is, without what has been ended: whoever ended it had seen all of the insert
 * arrive, so that under its token nothing is taken any more.
 */
export async function readInsert(mysql: MySql, token: string): Promise<Buffer[]> {
  const rows = await mysql.db
    .select({ entries: membershipAhead.entries })
    .from(membershipInserts)
    .innerJoin(membershipAhead, carried)
    .where(eq(membershipInserts.token, token))
    .orderBy(asc(membershipAhead.partition), asc(membershipAhead.firstSequence));
  return rows.map(({ entries }) => entries);
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
