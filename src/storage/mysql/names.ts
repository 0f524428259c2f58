/** Names as they appear: metrics and the properties of events and profiles. Registered once, cached for good. */
import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import type { MySql, Queries } from './connect.ts';
import { readMetricIdsOf } from './metric-reads.ts';
import { compareBytes, insertsOf } from './pages.ts';
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
  /** Epoch milliseconds. */
  at: number;
}

export interface NameRegistry {
  /** By account, ids of metrics by name; those that were never seen are registered as seen `at`. */
  metricIds(
    wanted: ReadonlyMap<number, { names: Iterable<string>; at: number }>,
  ): Promise<Map<number, Map<string, number>>>;
  registerProperties(seen: readonly SeenName[]): Promise<void>;
}

/** One per process. The caches only ever hold what MySQL has, and are emptied when full. */
export function createNameRegistry(mysql: MySql): NameRegistry {
  const ids = new Map<string, number>();
  const kinds = new Map<string, number>();
  const counts = new Map<string, number>();

  return {
    async metricIds(wanted) {
      const found = new Map<number, Map<string, number>>();
      const missing: { account: number; name: string; firstSeenAt: number }[] = [];
      for (const [account, { names, at }] of wanted) {
        const known = new Map<string, number>();
        found.set(account, known);
        for (const name of new Set(names)) {
          const id = ids.get(`${account}:${name}`);
          if (id === undefined) missing.push({ account, name, firstSeenAt: at });
          else known.set(name, id);
        }
      }
      if (missing.length === 0) return found;
      let rows = await readMetricIdsOf(mysql.db, missing);
      if (rows.length < missing.length) {
        const present = new Set(rows.map(({ account, name }) => `${account}:${name}`));
        const absent = missing
          .filter(({ account, name }) => !present.has(`${account}:${name}`))
          .sort((a, b) => a.account - b.account || compareBytes(a.name, b.name));
        for (const page of insertsOf(absent)) await mysql.db.insert(metrics).ignore().values(page);
        rows = await readMetricIdsOf(mysql.db, missing);
      }
      if (ids.size > CACHED_NAMES) ids.clear();
      for (const { account, name, id } of rows) {
        ids.set(`${account}:${name}`, id);
        found.get(account)?.set(name, id);
      }
      return found;
    },

    async registerProperties(seen) {
      const fresh = new Map<string, typeof propertyNames.$inferInsert>();
      if (kinds.size > CACHED_NAMES) {
        kinds.clear();
        counts.clear();
      }
      for (const { account, metric, path, kind, at } of seen) {
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
        fresh.set(key, { account, metric, path, kinds: after, firstSeenAt: at });
      }
      const rows = [...fresh.values()].sort(
        (a, b) => a.account - b.account || a.metric - b.metric || compareBytes(a.path, b.path),
      );
      for (const page of insertsOf(rows)) {
        await mysql.db
          .insert(propertyNames)
          .values(page)
          .onDuplicateKeyUpdate({ set: { kinds: sql`${propertyNames.kinds} | VALUES(kinds)` } });
      }
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
