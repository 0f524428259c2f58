/** What the beginning of a day on the account's calendar may have changed, besides what crosses an edge of its own. */
import { dayOf, startOfDay } from '../segments/calendar.ts';
import type { NormalCondition } from '../segments/ast.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS } from '../storage/topics.ts';
import { selectMembers, type Scope } from './all-profiles.ts';
import { createParameters } from './parameters.ts';

/** Beginnings of days, after < instant <= through, epoch milliseconds, ascending. */
export function midnightsIn(after: number, through: number, timeZone: string): number[] {
  const first = dayOf(after, timeZone) + 1;
  const count = dayOf(through, timeZone) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => startOfDay(first + i, timeZone));
}

/**
 * The profiles for which the condition is true at just one of two instants, by what is known of them now. Asked once a
 * day, so that two scans are cheaper than an index of whatever a midnight can touch.
 */
export async function turnedBetween(
  clickhouse: ClickHouse,
  condition: NormalCondition,
  scope: Omit<Scope, 'at'>,
  [before, after]: readonly [number, number],
): Promise<number[]> {
  const parameters = createParameters();
  const members = [before, after].map((at) => selectMembers(condition, { ...scope, at }, parameters).sql);
  const rows = await query<{ chunk: number; lows: number[] }>(
    clickhouse,
    `SELECT chunk, bitmapToArray(groupBitmapXorState(members)) AS lows
     FROM (${members.map((sql) => `SELECT chunk, members FROM (${sql})`).join(' UNION ALL ')})
     GROUP BY chunk
     HAVING notEmpty(lows)
     ORDER BY chunk`,
    parameters.values,
    { timeoutSeconds: 600 },
  );
  return rows.flatMap(({ chunk, lows }) => lows.map((low) => chunk * 2 ** CHUNK_BITS + low));
}
