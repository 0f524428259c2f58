/** Segments and their versions, and which version is in force in which evaluator partition. */
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { Queries } from './connect.ts';
import { accounts, segmentPartitions, segments, segmentVersions } from './schema.ts';

export interface StoredDefinition {
  account: number;
  segment: number;
  version: number;
  /** ConditionInput as JSON text. */
  definition: string;
}

export async function insertSegment(
  tx: Queries,
  account: number,
  name: string,
  definition: string,
  now: number,
): Promise<number> {
  const [result] = await tx
    .insert(segments)
    .values({ account, name, version: 1, createdAt: now, updatedAt: now });
  const segment = result.insertId;
  await tx.insert(segmentVersions).values({ segment, version: 1, definition, createdAt: now });
  return segment;
}

/** Changes name and definition; returns the new version, the old one if the definition stays, null if there is none. */
export async function changeSegment(
  tx: Queries,
  account: number,
  segment: number,
  change: { name?: string; definition?: string },
  now: number,
): Promise<{ version: number; isNew: boolean } | null> {
  const where = and(eq(segments.id, segment), eq(segments.account, account), isNull(segments.deletedAt));
  const [row] = await tx.select().from(segments).where(where).for('update');
  if (!row) return null;
  const [current] = await tx
    .select()
    .from(segmentVersions)
    .where(and(eq(segmentVersions.segment, segment), eq(segmentVersions.version, row.version)));
  const isNew = change.definition !== undefined && change.definition !== current?.definition;
  const version = isNew ? row.version + 1 : row.version;
  await tx
    .update(segments)
    .set({
      version,
      updatedAt: now,
      failure: null,
      ...(change.name === undefined ? {} : { name: change.name }),
    })
    .where(where);
  if (isNew && change.definition !== undefined) {
    await tx
      .insert(segmentVersions)
      .values({ segment, version, definition: change.definition, createdAt: now });
  }
  return { version, isNew };
}

/** False when there is no such segment (any more). */
export async function markDeleted(
  tx: Queries,
  account: number,
  segment: number,
  now: number,
): Promise<boolean> {
  const [result] = await tx
    .update(segments)
    .set({ deletedAt: now, updatedAt: now })
    .where(and(eq(segments.id, segment), eq(segments.account, account), isNull(segments.deletedAt)));
  return result.affectedRows === 1;
}

/** Accounts that have segments, and how far their profiles are numbered. */
export function readAccountsWithSegments(db: Queries): Promise<{ account: number; nextProfile: number }[]> {
  const living = sql`SELECT 1 FROM ${segments}
    WHERE ${segments.account} = ${accounts.id} AND ${segments.deletedAt} IS NULL`;
  return db
    .select({ account: accounts.id, nextProfile: accounts.nextProfile })
    .from(accounts)
    .where(sql`EXISTS (${living})`);
}

/** Their definitions that are in force in a partition: all of each account. */
export async function readInForce(
  db: Queries,
  partition: number,
  ofAccounts: readonly number[],
): Promise<StoredDefinition[]> {
  return db
    .select({
      account: segments.account,
      segment: segments.id,
      version: segmentVersions.version,
      definition: segmentVersions.definition,
    })
    .from(segmentPartitions)
    .innerJoin(segments, and(eq(segments.id, segmentPartitions.segment), isNull(segments.deletedAt)))
    .innerJoin(
      segmentVersions,
      and(
        eq(segmentVersions.segment, segmentPartitions.segment),
        eq(segmentVersions.version, segmentPartitions.version),
      ),
    )
    .where(
      and(inArray(segmentPartitions.account, [...ofAccounts]), eq(segmentPartitions.partition, partition)),
    );
}

/** Newest versions that are not in force in the partition yet, whether or not somebody has announced them. */
export async function readNotInForce(
  db: Queries,
  partition: number,
): Promise<{ account: number; segment: number; version: number }[]> {
  return db
    .select({ account: segments.account, segment: segments.id, version: segments.version })
    .from(segments)
    .leftJoin(
      segmentPartitions,
      and(eq(segmentPartitions.segment, segments.id), eq(segmentPartitions.partition, partition)),
    )
    .where(
      and(
        isNull(segments.deletedAt),
        isNull(segments.failure),
        sql`(${segmentPartitions.version} IS NULL OR ${segmentPartitions.version} < ${segments.version})`,
      ),
    )
    .orderBy(segments.id)
    .limit(1_000);
}

export async function markInForce(
  db: Queries,
  rows: readonly {
    partition: number;
    account: number;
    segment: number;
    version: number;
    populatedAt: number;
  }[],
): Promise<void> {
  const sorted = [...rows].sort((a, b) => a.segment - b.segment || a.partition - b.partition);
  await db
    .insert(segmentPartitions)
    .values(sorted)
    // Whoever is late, and not the owner any more, sets nothing back.
    .onDuplicateKeyUpdate({ set: { version: sql`GREATEST(version, VALUES(version))` } });
}

/** By evaluator partition: the instant for which the segment was populated there. Absent where it has not been yet. */
export async function readPopulatedAt(db: Queries, segment: number): Promise<Map<number, number>> {
  const rows = await db
    .select({ partition: segmentPartitions.partition, populatedAt: segmentPartitions.populatedAt })
    .from(segmentPartitions)
    .where(eq(segmentPartitions.segment, segment));
  return new Map(rows.map(({ partition, populatedAt }) => [partition, populatedAt]));
}

/** The definition cannot be computed; the reason is for its author. */
export async function markFailed(
  db: Queries,
  segment: number,
  version: number,
  reason: string,
): Promise<void> {
  await db
    .update(segments)
    .set({ failure: reason.slice(0, 1000) })
    .where(and(eq(segments.id, segment), eq(segments.version, version)));
}
