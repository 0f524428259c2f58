/** Reading metrics and the names of properties. */
import { and, asc, count, eq, gt, inArray, or } from 'drizzle-orm';
import type { Queries } from './connect.ts';
import { metrics, propertyNames } from './schema.ts';

const ACCOUNTS_PER_STATEMENT = 200;

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

/** Of the names, by account, those that have had an event. */
export async function readMetricIdsOf(
  db: Queries,
  names: ReadonlyMap<number, Iterable<string>>,
): Promise<{ account: number; name: string; id: number }[]> {
  const asked = [...names]
    .map(([account, of]) => ({ account, of: [...of] }))
    .filter(({ of }) => of.length > 0);
  const found: { account: number; name: string; id: number }[] = [];
  for (let start = 0; start < asked.length; start += ACCOUNTS_PER_STATEMENT) {
    const ofAccounts = asked
      .slice(start, start + ACCOUNTS_PER_STATEMENT)
      .map(({ account, of }) => and(eq(metrics.account, account), inArray(metrics.name, of)));
    const rows = await db
      .select({ account: metrics.account, name: metrics.name, id: metrics.id })
      .from(metrics)
      .where(or(...ofAccounts));
    found.push(...rows);
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
