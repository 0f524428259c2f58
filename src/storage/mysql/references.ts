/** Which segments refer to which, by their present versions. */
import { and, eq, inArray, isNull } from 'drizzle-orm';
import type { MySql, Queries } from './connect.ts';
import type { StoredDefinition } from './definitions.ts';
import { accounts, segmentReferences, segments, segmentVersions } from './schema.ts';

/** By segment, those that it refers to. */
export type References = ReadonlyMap<number, ReadonlySet<number>>;

export interface NamedDefinition extends StoredDefinition {
  name: string;
}

/**
 * Until the end of the transaction nobody else can change what refers to what in the account: two changes that are
 * sound each by itself may not be so together.
 */
export async function lockReferences(tx: Queries, account: number): Promise<void> {
  await tx.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, account)).for('update');
}

export async function readReferences(db: Queries, account: number): Promise<References> {
  const rows = await db.select().from(segmentReferences).where(eq(segmentReferences.account, account));
  const references = new Map<number, Set<number>>();
  for (const { segment, target } of rows) {
    references.set(segment, (references.get(segment) ?? new Set()).add(target));
  }
  return references;
}

/** Those of a segment, in place of the ones that it had. */
export async function writeReferences(
  tx: Queries,
  account: number,
  segment: number,
  targets: Iterable<number>,
): Promise<void> {
  await tx
    .delete(segmentReferences)
    .where(and(eq(segmentReferences.account, account), eq(segmentReferences.segment, segment)));
  const rows = [...new Set(targets)].map((target) => ({ account, segment, target }));
  if (rows.length > 0) await tx.insert(segmentReferences).values(rows);
}

/** The segments, and all that they refer to, directly or through others; each behind those that it refers to. */
export function withReferred(references: References, from: Iterable<number>): number[] {
  const found = new Set<number>();
  const entered = new Set<number>();
  const visit = (segment: number): void => {
    if (entered.has(segment)) return;
    entered.add(segment);
    for (const target of references.get(segment) ?? []) visit(target);
    found.add(segment);
  };
  for (const segment of from) visit(segment);
  return [...found];
}

/** All that refer to the segment, directly or through others; each behind those of them that it refers to. */
export function referring(references: References, segment: number): number[] {
  const reversed = new Map<number, Set<number>>();
  for (const [from, targets] of references) {
    for (const target of targets) reversed.set(target, (reversed.get(target) ?? new Set()).add(from));
  }
  return withReferred(reversed, [segment]).reverse().slice(1);
}

/** The present versions of those of the segments that live in the account. */
export async function readDefinitions(
  db: Queries,
  account: number,
  ids: readonly number[],
): Promise<Map<number, NamedDefinition>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .select({
      account: segments.account,
      segment: segments.id,
      name: segments.name,
      version: segmentVersions.version,
      definition: segmentVersions.definition,
    })
    .from(segments)
    .innerJoin(
      segmentVersions,
      and(eq(segmentVersions.segment, segments.id), eq(segmentVersions.version, segments.version)),
    )
    .where(and(eq(segments.account, account), inArray(segments.id, [...ids]), isNull(segments.deletedAt)));
  return new Map(rows.map((row) => [row.segment, row]));
}

/** The present versions of the segments and of all that they refer to, all of one moment, each behind those. */
export async function readFamily(
  mysql: Pick<MySql, 'db'>,
  account: number,
  ids: readonly number[],
): Promise<NamedDefinition[]> {
  if (ids.length === 0) return [];
  const snapshot = { isolationLevel: 'repeatable read' } as const;
  return mysql.db.transaction(async (tx) => {
    const order = withReferred(await readReferences(tx, account), ids);
    const definitions = await readDefinitions(tx, account, order);
    return order.flatMap((id) => definitions.get(id) ?? []);
  }, snapshot);
}
