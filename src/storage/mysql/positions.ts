/** How far each partition of an ingest topic has been taken, and what its last batch still owes to ClickHouse. */
import { and, eq, inArray, isNotNull, sql } from 'drizzle-orm';
import type { RowDataPacket } from 'mysql2/promise';
import { allOrNothing, type MySql, type Queries } from './connect.ts';
import { ingestDebts, ingestPositions, ingestRepeats } from './schema.ts';

/** A partition of an ingest topic. */
export interface Place {
  topic: string;
  partition: number;
}

export interface IngestPosition extends Place {
  /** Records below it have taken their effect in MySQL. */
  nextOffset: number;
  /** The id of what the last batch still owes, or null: all paid. */
  debt: string | null;
  /** Per partition of profile-changes, the offset below which everything lies that this partition has caused. */
  changesThrough: number[];
}

/** One statement carries at most so much of a debt: a server may refuse packets beyond 16 MB. */
const BYTES_PER_PART = 4_000_000;

export async function readIngestPositions(
  db: Queries,
  topic: string,
): Promise<Omit<IngestPosition, 'debt' | 'topic'>[]> {
  const rows = await db
    .select({
      partition: ingestPositions.partition,
      nextOffset: ingestPositions.nextOffset,
      changesThrough: ingestPositions.changesThrough,
    })
    .from(ingestPositions)
    .where(eq(ingestPositions.topic, topic));
  return rows.map((row) => ({ ...row, changesThrough: parseOffsets(row.changesThrough) }));
}

/**
 * The rows of these partitions, in the order of their key, locked: a second process that believes it owns one of them
 * waits here.
 */
export async function lockIngestPositions(db: Queries, places: readonly Place[]): Promise<IngestPosition[]> {
  const [rows] = (await db.execute(sql`
    SELECT topic, partition_no, next_offset, debt, changes_through
    FROM ingest_positions FORCE INDEX (PRIMARY)
    WHERE ${anyOf(places)}
    ORDER BY topic, partition_no FOR UPDATE`)) as unknown as [RowDataPacket[]];
  if (rows.length < places.length) {
    const missing = places.map(({ topic, partition }) => ({ topic, partition, nextOffset: 0 }));
    await db.insert(ingestPositions).ignore().values(missing);
    return lockIngestPositions(db, places);
  }
  return rows.map((row) => ({
    topic: String(row['topic']),
    partition: Number(row['partition_no']),
    nextOffset: Number(row['next_offset']),
    debt: row['debt'] as string | null,
    changesThrough: parseOffsets(row['changes_through'] as string | null),
  }));
}

/**
 * Writes down what batches owe, to be paid after the transaction: the positions of all of them lead to it. `ahead`: the
 * accounts whose news travel before it is paid.
 */
export async function writeDebt(
  db: Queries,
  id: string,
  owed: Buffer,
  ahead: readonly number[],
  positions: readonly (Place & { nextOffset: number })[],
): Promise<void> {
  for (let part = 0; part * BYTES_PER_PART < owed.length; part++) {
    const bytes = owed.subarray(part * BYTES_PER_PART, (part + 1) * BYTES_PER_PART);
    const accounts = part === 0 && ahead.length > 0 ? JSON.stringify(ahead) : null;
    await db.insert(ingestDebts).values({ id, part, owed: bytes, ahead: accounts });
  }
  await db
    .insert(ingestPositions)
    .values(positions.map(({ topic, partition, nextOffset }) => ({ topic, partition, nextOffset, debt: id })))
    .onDuplicateKeyUpdate({ set: { nextOffset: sql`VALUES(next_offset)`, debt: id } });
}

/** The debts of these partitions. */
export async function readDebts(
  db: Queries,
  places: readonly Place[],
): Promise<{ id: string; owed: Buffer }[]> {
  const [rows] = (await db.execute(sql`
    SELECT id, part, owed
    FROM ingest_debts
    WHERE id IN (SELECT debt FROM ingest_positions WHERE debt IS NOT NULL AND (${anyOf(places)}))
    ORDER BY id, part`)) as unknown as [RowDataPacket[]];
  const parts = new Map<string, Buffer[]>();
  for (const row of rows) {
    const id = String(row['id']);
    parts.set(id, [...(parts.get(id) ?? []), row['owed'] as Buffer]);
  }
  return [...parts].map(([id, owed]) => ({ id, owed: Buffer.concat(owed) }));
}

/** To be called before any of it is paid again. */
export async function markRepeated(mysql: MySql, id: string): Promise<void> {
  await mysql.db.transaction(async (tx) => {
    const debt = await lockDebt(tx, id);
    if (debt?.isRepeated === false) await tx.insert(ingestRepeats).values({ debt: id });
  });
}

async function lockDebt(db: Queries, id: string): Promise<{ isRepeated: boolean } | null> {
  const [row] = await db
    .select({ repeat: ingestRepeats.debt })
    .from(ingestDebts)
    .leftJoin(ingestRepeats, eq(ingestRepeats.debt, id))
    .where(and(eq(ingestDebts.id, id), eq(ingestDebts.part, 0)))
    .for('update');
  return row ? { isRepeated: row.repeat !== null } : null;
}

/**
 * The debt has been paid. Whatever its partitions have come to owe since is left alone. False: it was paid for the first
 * time, and somebody has begun to pay it again meanwhile, so that what was inserted may have been passed over.
 */
export async function settleDebt(
  mysql: MySql,
  id: string,
  changesThrough: number[],
  isRepeated: boolean,
): Promise<boolean> {
  return allOrNothing(mysql, async (tx) => {
    const debt = await lockDebt(tx, id);
    if (!debt) return true;
    if (debt.isRepeated && !isRepeated) return false;
    await tx
      .update(ingestPositions)
      .set({ debt: null, changesThrough: JSON.stringify(changesThrough) })
      .where(eq(ingestPositions.debt, id));
    await tx.delete(ingestDebts).where(eq(ingestDebts.id, id));
    if (isRepeated) await tx.delete(ingestRepeats).where(eq(ingestRepeats.debt, id));
    return true;
  });
}

/** Debts with news, of the account or of any, that may travel, or have travelled, before they are paid. */
export async function debtsAhead(mysql: MySql, account: number | null): Promise<string[]> {
  // At most one a partition of ingest.
  const rows = await mysql.db
    .select({ id: ingestDebts.id, ahead: ingestDebts.ahead })
    .from(ingestDebts)
    .where(isNotNull(ingestDebts.ahead));
  const isAbout = (ahead: string | null) =>
    account === null || (JSON.parse(ahead ?? '[]') as number[]).includes(account);
  return rows.filter(({ ahead }) => isAbout(ahead)).map(({ id }) => id);
}

/** All debts. */
export async function allDebts(mysql: MySql): Promise<string[]> {
  const rows = await mysql.db.selectDistinct({ id: ingestDebts.id }).from(ingestDebts);
  return rows.map(({ id }) => id);
}

/** Those of the debts that have not been paid. */
export async function unpaidOf(mysql: MySql, debts: readonly string[]): Promise<string[]> {
  if (debts.length === 0) return [];
  const rows = await mysql.db
    .selectDistinct({ id: ingestDebts.id })
    .from(ingestDebts)
    .where(inArray(ingestDebts.id, [...debts]));
  return rows.map(({ id }) => id);
}

function anyOf(places: readonly Place[]) {
  const each = places.map(({ topic, partition }) => sql`(topic = ${topic} AND partition_no = ${partition})`);
  return sql.join(each, sql` OR `);
}

function parseOffsets(text: string | null): number[] {
  return text === null ? [] : (JSON.parse(text) as number[]);
}
