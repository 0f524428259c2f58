/** What segments have in common. */
import { countIntersections } from '../evaluation/overlap.ts';
import { accountOf, type Context } from './context.ts';
import { badInput } from './errors.ts';
import { existingSegments } from './membership.ts';
import type { SegmentRow } from './segments.ts';

export interface Overlap {
  segments: number[];
  count: number;
}

const MAX_SEGMENTS = 6;

export async function segmentOverlap(
  ctx: Context,
  args: { segments: readonly string[] },
): Promise<Overlap[]> {
  const ids = new Set(args.segments);
  if (ids.size < 1 || ids.size > MAX_SEGMENTS) {
    throw badInput(`name 1 to ${MAX_SEGMENTS} segments, not ${ids.size}: combinations double with each`);
  }
  const segments = await existingSegments(ctx, [...ids]);
  await ctx.loaders.stored();
  return countIntersections(ctx.deps.clickhouse, accountOf(ctx), segments);
}

export async function overlapSegments(ctx: Context, { segments }: Overlap): Promise<SegmentRow[]> {
  const rows = await Promise.all(segments.map((segment) => ctx.loaders.segment.load(segment)));
  return rows.filter((row) => row !== null);
}
