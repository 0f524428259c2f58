/** A segment in the past and in the future: its size over time, its members at a position, what time will do to it. */
import { forecastMembers, type Forecast } from '../evaluation/forecast.ts';
import { sizeHistory, type SizePoint } from '../evaluation/history.ts';
import { countMembersAt, listMembersAt, type LogPlace } from '../evaluation/past-members.ts';
import { durationRangeProblem, parseDuration, printDuration } from '../segments/duration.ts';
import { readStored } from '../segments/index.ts';
import { lastSequences } from '../storage/clickhouse/membership-log.ts';
import type { SegmentRow } from '../storage/mysql/segment-reads.ts';
import { decodePosition, InvalidPosition } from '../streaming/position.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';

export type { Forecast } from '../evaluation/forecast.ts';
export type { SizePoint } from '../evaluation/history.ts';

const MAX_POINTS = 1_000;
const SECOND = 1_000;

/** Up to the present: what lies ahead has no size yet. Empty when all of the range does. */
export async function segmentHistory(
  ctx: Context,
  row: SegmentRow,
  args: { from: string; to: string; every: string },
): Promise<SizePoint[]> {
  const [from, end] = [Date.parse(args.from), Date.parse(args.to)];
  if (from >= end) throw badInput('from must be before to');
  const every = lengthOf('every', args.every);
  // The one at `from`, and one at the end of each step.
  const points = 1 + Math.ceil((end - from) / every);
  if (points > MAX_POINTS) {
    const enough = Math.ceil((end - from) / (MAX_POINTS - 1) / SECOND) * SECOND;
    throw badInput(
      `That would be ${points} points; at most ${MAX_POINTS} are answered. Ask for every: "${printDuration(enough)}" or longer, or for a shorter range.`,
    );
  }
  const to = Math.min(end, ctx.deps.clock.now());
  if (to <= from) return [];
  await ctx.loaders.stored();
  return sizeHistory(ctx.deps, accountOf(ctx), row.id, { from, to, every });
}

export async function segmentForecast(
  ctx: Context,
  row: SegmentRow,
  args: { within: string },
): Promise<Forecast> {
  const condition = readStored(row.definition);
  await ctx.loaders.stored();
  return forecastMembers(ctx.deps, accountOf(ctx), condition, lengthOf('within', args.within));
}

/** Milliseconds. The scalar has made sure that it is a duration. */
function lengthOf(name: string, text: string): number {
  const duration = parseDuration(text);
  const problem = duration.ok ? durationRangeProblem(duration.ms) : duration.problem;
  if (!duration.ok || problem !== null) throw badInput(`${name} ${problem}`);
  return duration.ms;
}

/** The place of the log that a position names. Throws INVALID_POSITION for those of other accounts and of the future. */
export async function placeOf(ctx: Context, position: string): Promise<LogPlace> {
  const account = accountOf(ctx);
  const place = decoded(account, position);
  await ctx.loaders.stored();
  const ends = await lastSequences(ctx.deps.clickhouse, account);
  if ([...place].some(([partition, sequence]) => sequence > (ends.get(partition) ?? 0))) {
    throw new ApiError('INVALID_POSITION', "at lies behind the end of the account's membership log");
  }
  return place;
}

function decoded(account: number, position: string): LogPlace {
  try {
    return decodePosition(account, position);
  } catch (error) {
    if (!(error instanceof InvalidPosition)) throw error;
    throw new ApiError(
      'INVALID_POSITION',
      'at is not a position of this account; take it from position, membershipLog or a change',
    );
  }
}

/** Like the present members, as they were at the place. */
export function membersAt(ctx: Context, row: SegmentRow, place: LogPlace) {
  const { clickhouse } = ctx.deps;
  return {
    list: (after: number | null, limit: number) =>
      listMembersAt(clickhouse, row.account, row.id, place, after, limit),
    count: () => countMembersAt(clickhouse, row.account, row.id, place),
  };
}
