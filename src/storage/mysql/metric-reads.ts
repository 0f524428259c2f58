/** Reading metrics and the names of properties. */
import { and, asc, count, eq, gt, inArray, sql } from 'drizzle-orm';
import type { RowDataPacket } from 'mysql2/promise';
import type { Queries } from './connect.ts';
import { pagesOf } from './pages.ts';
import { metrics, propertyNames } from './schema.ts';
import { wanted } from './wanted.ts';

export interface MetricRow {
  id: number;
  account: number;
  name: string;
  firstSeenAt: number;
}

export async function readMetrics(
  db: Queries,
  account: number,
  ids: readonly number[],
): Promise<Map<number, MetricRow>> {
  const rows = await db
    .select()
    .from(metrics)
    .where(and(eq(metrics.account, account), inArray(metrics.id, [...ids])));
  return new Map(rows.map((row) => [row.id, row]));
}

/** Ids of those of the metrics, of any accounts, that have had an event. */
export async function readMetricIdsOf(
  db: Queries,
  names: readonly { account: number; name: string }[],
): Promise<{ account: number; name: string; id: number }[]> {
  const found: { account: number; name: string; id: number }[] = [];
  for (const page of pagesOf(names)) {
    const [rows] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN metrics.account, metrics.name, metrics.id
      FROM ${wanted({ account: 'number', name: 'text' }, page)}
      JOIN metrics
        ON metrics.account = wanted.account
        AND metrics.name = wanted.name`)) as unknown as [RowDataPacket[]];
    for (const row of rows) {
      found.push({ account: Number(row['account']), name: String(row['name']), id: Number(row['id']) });
    }
  }
  return found;
}

/** In the order in which they were first seen. */
export function listMetrics(
  db: Queries,
  account: number,
  after: number | null,
  limit: number,
): Promise<MetricRow[]> {
  return db
    .select()
    .from(metrics)
    .where(and(eq(metrics.account, account), gt(metrics.id, after ?? 0)))
    .orderBy(asc(metrics.id))
    .limit(limit);
}

export async function countMetrics(db: Queries, account: number): Promise<number> {
  const rows = await db.select({ count: count() }).from(metrics).where(eq(metrics.account, account));
  return rows[0]?.count ?? 0;
}

export interface PropertyNameRow {
  /** 0: of profiles. */
  metric: number;
  path: string;
  /** A bit set of PROPERTY_KINDS. */
  kinds: number;
}

/** Of these metrics (0: of profiles), by name. */
export function readPropertyNames(
  db: Queries,
  account: number,
  ofMetrics: readonly number[],
): Promise<PropertyNameRow[]> {
  return db
    .select({ metric: propertyNames.metric, path: propertyNames.path, kinds: propertyNames.kinds })
    .from(propertyNames)
    .where(and(eq(propertyNames.account, account), inArray(propertyNames.metric, [...ofMetrics])))
    .orderBy(asc(propertyNames.metric), asc(propertyNames.path));
}
