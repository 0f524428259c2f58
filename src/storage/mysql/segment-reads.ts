/** Reading segments, their present definition, and how far their memberships are. */
import { and, asc, count, eq, gt, inArray, isNotNull, isNull, like, min, sql, type SQL } from 'drizzle-orm';
import { EVALUATOR_PARTITIONS } from '../topics.ts';
import type { Queries } from './connect.ts';
import { evaluatorPartitions, segments, segmentVersions } from './schema.ts';

export type SegmentStatus = 'COMPUTING' | 'LIVE' | 'FAILED';

export interface SegmentRow {
  id: number;
  account: number;
  name: string;
  version: number;
  failure: string | null;
  createdAt: number;
  updatedAt: number;
  deletedAt: number | null;
  /** The condition as ConditionInput JSON. */
  definition: string;
}

const COLUMNS = {
  id: segments.id,
  account: segments.account,
  name: segments.name,
  version: segments.version,
  failure: segments.failure,
  createdAt: segments.createdAt,
  updatedAt: segments.updatedAt,
  deletedAt: segments.deletedAt,
  definition: segmentVersions.definition,
};

const PRESENT_VERSION = and(
  eq(segmentVersions.segment, segments.id),
  eq(segmentVersions.version, segments.version),
);

/**
 * How many evaluator partitions have brought the segment to its present version. The columns are written out: of a
 * column in what is selected from one table, Drizzle leaves out the table, and `version = version` is true of any.
 */
const POPULATED = sql<number>`(SELECT COUNT(*) FROM segment_partitions WHERE segment_partitions.segment = segments.id AND segment_partitions.version = segments.version)`;

/** Deleted ones too: the membership log goes on naming them. */
export async function readSegments(
  db: Queries,
  account: number,
  ids: readonly number[],
): Promise<Map<number, SegmentRow>> {
  const rows = await db
    .select(COLUMNS)
    .from(segments)
    .innerJoin(segmentVersions, PRESENT_VERSION)
    .where(and(eq(segments.account, account), inArray(segments.id, [...ids])));
  return new Map(rows.map((row) => [row.id, row]));
}

export interface SegmentFilter {
  /** Part of the name, in any case. */
  search: string | null;
  status: SegmentStatus | null;
}

/** Living segments in the order in which they were made. */
export function listSegments(
  db: Queries,
  account: number,
  filter: SegmentFilter,
  after: number | null,
  limit: number,
): Promise<SegmentRow[]> {
  return db
    .select(COLUMNS)
    .from(segments)
    .innerJoin(segmentVersions, PRESENT_VERSION)
    .where(and(matching(account, filter), gt(segments.id, after ?? 0)))
    .orderBy(asc(segments.id))
    .limit(limit);
}

export async function countSegments(db: Queries, account: number, filter: SegmentFilter): Promise<number> {
  const rows = await db.select({ count: count() }).from(segments).where(matching(account, filter));
  return rows[0]?.count ?? 0;
}

export async function livingSegmentIds(db: Queries, account: number): Promise<number[]> {
  const rows = await db
    .select({ id: segments.id })
    .from(segments)
    .where(and(eq(segments.account, account), isNull(segments.deletedAt)))
    .orderBy(asc(segments.id));
  return rows.map((row) => row.id);
}

/** Of these segments, or of all of the account, those that are being computed. */
export async function readComputing(
  db: Queries,
  account: number,
  ids: readonly number[] | null,
): Promise<number[]> {
  if (ids?.length === 0) return [];
  const rows = await db
    .select({ id: segments.id })
    .from(segments)
    .where(
      and(
        matching(account, { search: null, status: 'COMPUTING' }),
        ids === null ? undefined : inArray(segments.id, [...ids]),
      ),
    );
  return rows.map((row) => row.id);
}

/** Partitions at the segment's present version, per segment; segments without any are absent. */
export async function readPopulated(
  db: Queries,
  account: number,
  ids: readonly number[],
): Promise<Map<number, number>> {
  const rows = await db
    .select({ id: segments.id, populated: POPULATED })
    .from(segments)
    .where(and(eq(segments.account, account), inArray(segments.id, [...ids])));
  return new Map(rows.map((row) => [row.id, Number(row.populated)]));
}

export function statusOf(segment: SegmentRow, populated: number): SegmentStatus {
  if (segment.failure !== null) return 'FAILED';
  return populated >= EVALUATOR_PARTITIONS ? 'LIVE' : 'COMPUTING';
}

/** Up to when every evaluator has taken time into account; null before the first of them has run. */
export async function readEvaluatedThrough(db: Queries): Promise<number | null> {
  const rows = await db
    .select({ count: count(), watermark: min(evaluatorPartitions.watermark) })
    .from(evaluatorPartitions);
  const row = rows[0];
  return row && row.count >= EVALUATOR_PARTITIONS && row.watermark !== null ? Number(row.watermark) : null;
}

function matching(account: number, { search, status }: SegmentFilter): SQL | undefined {
  return and(
    eq(segments.account, account),
    isNull(segments.deletedAt),
    search === null
      ? undefined
      : like(
          sql`LOWER(${segments.name})`,
          `%${search.toLowerCase().replace(/[\\%_]/g, (special) => `\\${special}`)}%`,
        ),
    status === null ? undefined : withStatus(status),
  );
}

function withStatus(status: SegmentStatus): SQL | undefined {
  switch (status) {
    case 'FAILED':
      return isNotNull(segments.failure);
    case 'LIVE':
      return and(isNull(segments.failure), sql`${POPULATED} >= ${EVALUATOR_PARTITIONS}`);
    case 'COMPUTING':
      return and(isNull(segments.failure), sql`${POPULATED} < ${EVALUATOR_PARTITIONS}`);
  }
}
