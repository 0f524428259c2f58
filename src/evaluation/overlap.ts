/** How many members segments share, from the stored bitmaps. */
import { queryEach, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { createParameters } from './parameters.ts';

export interface Intersection {
  segments: number[];
  count: number;
}

/**
 * Every combination of the segments (each once, at least one) that has members in common, the small combinations first,
 * otherwise in the order given. One statement; combinations double with each segment.
 */
export async function countIntersections(
  clickhouse: ClickHouse,
  account: number,
  segments: readonly number[],
): Promise<Intersection[]> {
  const parameters = createParameters();
  // Bit i of a combination stands for segment i.
  const combinations = Array.from({ length: 2 ** segments.length - 1 }, (_, i) => i + 1);
  const bitmaps = combinations.map((combination) => {
    const lowest = combination & -combination;
    const others = combination ^ lowest;
    if (others > 0) return `bitmapAnd(set_${others}, set_${lowest}) AS set_${combination}`;
    const segment = parameters.add('UInt32', segments[Math.log2(lowest)] ?? 0);
    return `groupBitmapMergeStateIf(members, segment = ${segment}) AS set_${combination}`;
  });
  const sizes = combinations.map((combination) => `sum(bitmapCardinality(set_${combination}))`);
  const rows = await queryEach<{ sizes: string[] }>(
    clickhouse,
    `SELECT [${sizes.join(', ')}] AS sizes
     FROM (
       SELECT ${bitmaps.join(', ')}
       FROM (
         SELECT segment, chunk, groupBitmapXorMergeState(members) AS members
         FROM memberships
         WHERE account = ${parameters.add('UInt32', account)}
           AND segment IN ${parameters.add('Array(UInt32)', segments)}
         GROUP BY segment, chunk
       )
       GROUP BY chunk
     )`,
    parameters.values,
  );
  const found = combinations.map((combination, i) => ({
    segments: segments.filter((_, bit) => (combination >> bit) & 1),
    count: rows.reduce((sum, { sizes }) => sum + Number(sizes[i] ?? 0), 0),
  }));
  return found.filter(({ count }) => count > 0).sort((a, b) => a.segments.length - b.segments.length);
}
