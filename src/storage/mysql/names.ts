/** Names as they appear: metrics and the properties of events and profiles. Registered once, cached for good. */
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { MySql, Queries } from './connect.ts';
import { metrics, propertyNames } from './schema.ts';

export const PROPERTY_KINDS = { text: 1, number: 2, boolean: 4, list: 8 } as const;
export type PropertyKind = keyof typeof PROPERTY_KINDS;

/** Beyond so many names per metric (or for profiles) nobody browses them: they work, but are not listed. */
const NAMES_PER_OWNER = 2_000;
const CACHED_NAMES = 200_000;

export interface SeenName {
  account: number;
  /** 0: a property of profiles. */
  metric: number;
  path: string;
  kind: PropertyKind;
}

export interface NameRegistry {
  /** Ids of metrics by name; those that were never seen are registered. */
  metricIds(account: number, names: Iterable<string>, now: number): Promise<Map<string, number>>;
  registerProperties(seen: readonly SeenName[], now: number): Promise<void>;
}

/** One per process. The caches only ever hold what MySQL has, and are emptied when full. */
export function createNameRegistry(mysql: MySql): NameRegistry {
  const ids = new Map<string, number>();
  const kinds = new Map<string, number>();
  const counts = new Map<string, number>();

  return {
    async metricIds(account, names, now) {
      const found = new Map<string, number>();
      const missing = new Set<string>();
      for (const name of names) {
        const id = ids.get(`${account}:${name}`);
        if (id === undefined) missing.add(name);
        else found.set(name, id);
      }
      if (missing.size === 0) return found;
      let rows = await readMetricIds(mysql.db, account, [...missing]);
      if (rows.length < missing.size) {
        const present = new Set(rows.map((row) => row.name));
        const absent = [...missing].filter((name) => !present.has(name)).sort();
        await mysql.db
          .insert(metrics)
          .ignore()
          .values(absent.map((name) => ({ account, name, firstSeenAt: now })));
        rows = await readMetricIds(mysql.db, account, [...missing]);
      }
      if (ids.size > CACHED_NAMES) ids.clear();
      for (const { name, id } of rows) {
        ids.set(`${account}:${name}`, id);
        found.set(name, id);
      }
      return found;
    },

    async registerProperties(seen, now) {
      const fresh = new Map<string, typeof propertyNames.$inferInsert>();
      if (kinds.size > CACHED_NAMES) {
        kinds.clear();
        counts.clear();
      }
      for (const { account, metric, path, kind } of seen) {
        const key = `${account}:${metric}:${path}`;
        const before = fresh.get(key)?.kinds ?? kinds.get(key) ?? 0;
        const after = before | PROPERTY_KINDS[kind];
        if (after === before || path.length > 255) continue;
        const owner = `${account}:${metric}`;
        if (!kinds.has(key) && !fresh.has(key)) {
          const count = counts.get(owner) ?? 0;
          if (count >= NAMES_PER_OWNER) continue;
          counts.set(owner, count + 1);
        }
        fresh.set(key, { account, metric, path, kinds: after, firstSeenAt: now });
      }
      if (fresh.size === 0) return;
      const rows = [...fresh.values()].sort(
        (a, b) =>
          a.account - b.account ||
          a.metric - b.metric ||
          Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
      );
      await mysql.db
        .insert(propertyNames)
        .values(rows)
        .onDuplicateKeyUpdate({ set: { kinds: sql`${propertyNames.kinds} | VALUES(kinds)` } });
      for (const [key, row] of fresh) kinds.set(key, row.kinds);
    },
  };
}

/** Ids of those metrics that exist. */
export async function readMetricIds(
  db: Queries,
  account: number,
  names: string[],
): Promise<{ name: string; id: number }[]> {
  if (names.length === 0) return [];
  return db
    .select({ name: metrics.name, id: metrics.id })
    .from(metrics)
    .where(and(eq(metrics.account, account), inArray(metrics.name, names)))
    .orderBy(asc(metrics.id));
}
