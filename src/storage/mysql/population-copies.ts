/** First members on their way into ClickHouse: what a successor has to know of them. */
import { and, eq, inArray, or, sql } from 'drizzle-orm';
import type { ResultSetHeader } from 'mysql2/promise';
import { allOrNothing, type MySql } from './connect.ts';
import type { PartitionOwner } from './evaluators.ts';
import { evaluatorPartitions, populationCopies } from './schema.ts';

export interface PopulationCopy {
  account: number;
  segment: number;
  /** A UUID. */
  run: string;
}

/** Before it sets out, under the epochs of all its partitions. False, and nothing is written, if one has a newer owner. */
export async function beginCopy(
  mysql: MySql,
  owners: readonly PartitionOwner[],
  { account, segment, run }: PopulationCopy,
): Promise<boolean> {
  return allOrNothing(mysql, async (tx) => {
    const [result] = (await tx.execute(sql`
        INSERT INTO population_copies (partition_no, run, account, segment)
        SELECT partition_no, ${run}, ${account}, ${segment}
        FROM evaluator_partitions
        WHERE ${areHeldBy(owners)}
        LOCK IN SHARE MODE`)) as unknown as [ResultSetHeader];
    return result.affectedRows === owners.length;
  });
}

/** Whether none of the partitions has had a newer owner until now. */
export async function areOwners(mysql: MySql, owners: readonly PartitionOwner[]): Promise<boolean> {
  const rows = await mysql.db
    .select({ partition: evaluatorPartitions.partition })
    .from(evaluatorPartitions)
    .where(areHeldBy(owners));
  return rows.length === owners.length;
}

function areHeldBy(owners: readonly PartitionOwner[]) {
  const { partition: number, epoch: held } = evaluatorPartitions;
  return or(...owners.map(({ partition, epoch }) => and(eq(number, partition), eq(held, epoch))));
}

/** Copies into these partitions that may be under way; of one segment, or of all. */
export function readCopies(
  mysql: MySql,
  partitions: readonly number[],
  segment?: number,
): Promise<(PopulationCopy & { partition: number })[]> {
  return mysql.db
    .select()
    .from(populationCopies)
    .where(
      and(
        inArray(populationCopies.partition, [...partitions]),
        segment === undefined ? undefined : eq(populationCopies.segment, segment),
      ),
    );
}

/** They have arrived, or never will. */
export async function endCopies(
  mysql: MySql,
  partitions: readonly number[],
  runs: readonly string[],
): Promise<void> {
  if (runs.length === 0) return;
  await mysql.db
    .delete(populationCopies)
    .where(
      and(inArray(populationCopies.partition, [...partitions]), inArray(populationCopies.run, [...runs])),
    );
}
