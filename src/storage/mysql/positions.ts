/** How far each partition of an ingest topic has been taken, and what its last batch still owes to ClickHouse. */
import { and, eq } from 'drizzle-orm';
import type { Queries } from './connect.ts';
import { ingestPositions } from './schema.ts';

export interface IngestPosition {
  partition: number;
  /** Records below it have taken their effect in MySQL. */
  nextOffset: number;
  /** Deflated JSON of what is owed, or null: all paid. */
  pending: Buffer | null;
  /** Per partition of profile-changes, the offset below which everything lies that this partition has caused. */
  changesThrough: number[];
}

export async function readIngestPositions(
  db: Queries,
  topic: string,
): Promise<Omit<IngestPosition, 'pending'>[]> {
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

/** The row of one partition, locked: a second process that believes it owns the partition waits here. */
export async function lockIngestPosition(
  db: Queries,
  topic: string,
  partition: number,
): Promise<IngestPosition> {
  const where = and(eq(ingestPositions.topic, topic), eq(ingestPositions.partition, partition));
  const rows = await db.select().from(ingestPositions).where(where).for('update');
  const row = rows[0];
  if (!row) {
    await db.insert(ingestPositions).ignore().values({ topic, partition, nextOffset: 0 });
    return lockIngestPosition(db, topic, partition);
  }
  return {
    partition,
    nextOffset: row.nextOffset,
    pending: row.pending,
    changesThrough: parseOffsets(row.changesThrough),
  };
}

export async function advanceIngestPosition(
  db: Queries,
  topic: string,
  partition: number,
  nextOffset: number,
  pending: Buffer,
): Promise<void> {
  await db
    .update(ingestPositions)
    .set({ nextOffset, pending })
    .where(and(eq(ingestPositions.topic, topic), eq(ingestPositions.partition, partition)));
}

/** All that the batch before `nextOffset` owed has been paid. A newer batch's debt is left alone. */
export async function settleIngestPosition(
  db: Queries,
  topic: string,
  partition: number,
  nextOffset: number,
  changesThrough: number[],
): Promise<void> {
  await db
    .update(ingestPositions)
    .set({ pending: null, changesThrough: JSON.stringify(changesThrough) })
    .where(
      and(
        eq(ingestPositions.topic, topic),
        eq(ingestPositions.partition, partition),
        eq(ingestPositions.nextOffset, nextOffset),
      ),
    );
}

function parseOffsets(text: string | null): number[] {
  return text === null ? [] : (JSON.parse(text) as number[]);
}
