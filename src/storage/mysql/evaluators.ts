/** The evaluator partitions: who writes them (by epoch), how far they are, what they are about to write. */
import { and, eq, sql } from 'drizzle-orm';
import type { MySql, Queries } from './connect.ts';
import { evaluatorPartitions } from './schema.ts';

export interface PartitionOwner {
  partition: number;
  epoch: number;
}

export interface EvaluatorState {
  epoch: number;
  /** Everything that time alone has changed up to here has been written, epoch milliseconds. */
  watermark: number;
  nextSequence: number;
  /** No evaluation whose entries have set out for ClickHouse was later, epoch milliseconds. */
  latest: number;
  /** Deflated JSON of the last changes, which may or may not have reached ClickHouse and the log; null: they have. */
  pending: Buffer | null;
}

/** A newer owner of the partition has begun. */
export class Fenced extends Error {}

/** Begins a new epoch: whoever owned the partition before can write nothing any more. `now` begins a new partition. */
export async function beginEpoch(mysql: MySql, partition: number, now: number): Promise<EvaluatorState> {
  return mysql.db.transaction(async (tx) => {
    await tx
      .insert(evaluatorPartitions)
      .values({ partition, epoch: 1, watermark: now, nextSequence: 1 })
      .onDuplicateKeyUpdate({ set: { epoch: sql`epoch + 1` } });
    const rows = await tx
      .select()
      .from(evaluatorPartitions)
      .where(eq(evaluatorPartitions.partition, partition));
    const [row] = rows;
    if (!row) throw new Error(`evaluator partition ${partition} has vanished`);
    return row;
  });
}

/** Who owns the partitions now, by partition. */
export async function readEpochs(db: Queries): Promise<Map<number, number>> {
  const { partition, epoch } = evaluatorPartitions;
  const rows = await db.select({ partition, epoch }).from(evaluatorPartitions);
  return new Map(rows.map((row) => [row.partition, row.epoch]));
}

/** Writes down what is about to be written to ClickHouse. Throws Fenced. */
export async function writePending(
  mysql: MySql,
  partition: number,
  epoch: number,
  nextSequence: number,
  pending: Buffer,
): Promise<void> {
  await guarded(mysql, partition, epoch, { nextSequence, pending });
}

/** Everything up to the watermark has been written, and nothing is pending. Throws Fenced. */
export async function settleAt(
  mysql: MySql,
  partition: number,
  epoch: number,
  { watermark, latest }: { watermark: number; latest: number },
): Promise<void> {
  await guarded(mysql, partition, epoch, { watermark, latest, pending: null });
}

async function guarded(
  mysql: MySql,
  partition: number,
  epoch: number,
  set: Partial<typeof evaluatorPartitions.$inferInsert>,
): Promise<void> {
  const [result] = await mysql.db
    .update(evaluatorPartitions)
    .set(set)
    .where(and(eq(evaluatorPartitions.partition, partition), eq(evaluatorPartitions.epoch, epoch)));
  if (result.affectedRows !== 1) throw new Fenced(`evaluator partition ${partition} has a newer owner`);
}
