/** How many members segments have, from the stored bitmaps. */
import { queryEach, type ClickHouse } from './connect.ts';

/** Sizes by segment; a segment without members has 0. Milliseconds, whatever the size. */
export async function countMembers(
  clickhouse: ClickHouse,
  account: number,
  segments: readonly number[],
): Promise<Map<number, number>> {
  const counts = new Map(segments.map((segment) => [segment, 0]));
  if (segments.length === 0) return counts;
  const rows = await queryEach<{ segment: number; size: string }>(
    clickhouse,
    `SELECT segment, sum(finalizeAggregation(members)) AS size
     FROM memberships FINAL
     WHERE account = {account:UInt32} AND segment IN {segments:Array(UInt32)}
     GROUP BY segment`,
    { account, segments },
  );
  for (const { segment, size } of rows) counts.set(segment, (counts.get(segment) ?? 0) + Number(size));
  return counts;
}
