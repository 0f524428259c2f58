/** The past values of one profile's predictions, as far as an explanation looks at them. */
import { query, type ClickHouse } from './connect.ts';

export interface PredictionValue {
  /** Epoch milliseconds since which this is the value. */
  time: number;
  /** Null: since then there is none. */
  value: number | null;
}

/** The newest values of each path, latest first, at most so many; paths without any are absent. */
export async function readProfilePredictions(
  clickhouse: ClickHouse,
  account: number,
  profile: number,
  paths: readonly string[],
  most: number,
): Promise<Map<string, PredictionValue[]>> {
  const found = new Map<string, PredictionValue[]>();
  if (paths.length === 0) return found;
  const rows = await query<{ path: string; at: string; newest: [number | null] }>(
    clickhouse,
    `SELECT path, toUnixTimestamp64Milli(time) AS at, argMax(tuple(value), revision) AS newest
     FROM predictions_by_profile
     WHERE account = {account:UInt32} AND profile = {profile:UInt32} AND path IN {paths:Array(String)}
     GROUP BY path, time
     ORDER BY time DESC
     LIMIT {most:UInt32} BY path`,
    { account, profile, paths: [...paths], most },
  );
  for (const { path, at, newest } of rows) {
    const values = found.get(path) ?? [];
    found.set(path, values);
    values.push({ time: Number(at), value: newest[0] });
  }
  return found;
}
