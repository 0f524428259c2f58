/** Metrics, and the names of properties as they have appeared. */
import { PROPERTY_KINDS, readMetricIds, type PropertyKind } from '../storage/mysql/names.ts';
import {
  countMetrics,
  listMetrics,
  type MetricRow,
  type PropertyNameRow,
} from '../storage/mysql/metric-reads.ts';
import { NUMBER, numberOf, paginate, type Connection, type PageArgs } from './connections.ts';
import { accountOf, type Context } from './context.ts';

export type { MetricRow, PropertyNameRow } from '../storage/mysql/metric-reads.ts';
export type { PropertyKind } from '../storage/mysql/names.ts';

export interface MetricEdge {
  cursor: string;
  node: MetricRow;
}

export function metrics(ctx: Context, args: PageArgs): Promise<Connection<MetricEdge>> {
  const { db } = ctx.deps.mysql;
  return paginate('metrics', args, {
    parts: NUMBER,
    load: (after, limit) => listMetrics(db, accountOf(ctx), numberOf(after), limit),
    place: (metric) => [metric.id],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: () => countMetrics(db, accountOf(ctx)),
  });
}

/** The id of the metric with this name, or null. */
export async function metricId(ctx: Context, name: string): Promise<number | null> {
  const rows = await readMetricIds(ctx.deps.mysql.db, accountOf(ctx), [name.trim()]);
  return rows[0]?.id ?? null;
}

export async function metricEventCount(ctx: Context, metric: MetricRow): Promise<number> {
  return (await ctx.loaders.metricStats.load(metric.id))?.events ?? 0;
}

/** A metric is registered a moment before its first event can be counted. */
export async function metricLastSeenAt(ctx: Context, metric: MetricRow): Promise<number> {
  return (await ctx.loaders.metricStats.load(metric.id))?.lastSeenAt ?? metric.firstSeenAt;
}

export function metricProperties(ctx: Context, metric: MetricRow): Promise<PropertyNameRow[]> {
  return ctx.loaders.propertyNames.load(metric.id);
}

export function profileProperties(ctx: Context): Promise<PropertyNameRow[]> {
  return ctx.loaders.propertyNames.load(0);
}

export function propertyKinds(row: PropertyNameRow): PropertyKind[] {
  return (Object.keys(PROPERTY_KINDS) as PropertyKind[]).filter((kind) => row.kinds & PROPERTY_KINDS[kind]);
}
