/** The membership log: read in pages, or followed as it grows. */
import { decodeNumber, encodeId } from '../runtime/global-ids.ts';
import { segmentCounts as followCounts, type SegmentSize } from '../streaming/counts.ts';
import {
  currentPosition,
  InvalidPosition,
  membershipChanges as follow,
  readLogPage,
  type MembershipChange,
} from '../streaming/feed.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';
import type { EventRow } from './events.ts';
import type { ChangeEvent, Expected } from './loaders.ts';
import type { ProfileRow } from './profiles.ts';
import type { SegmentRow } from './segments.ts';
import { subscription } from './subscriptions.ts';

export type { SegmentSize } from '../streaming/counts.ts';
export type { MembershipChange } from '../streaming/feed.ts';

const MAX_PAGE = 100;
const MAX_SEGMENTS = 1_000;

export function position(ctx: Context): Promise<string> {
  return currentPosition(ctx.deps, accountOf(ctx));
}

export interface LogPage {
  changes: MembershipChange[];
  position: string;
  hasMore: boolean;
}

export async function membershipLog(
  ctx: Context,
  args: { first: number; after?: string | null | undefined; segments?: readonly string[] | null | undefined },
): Promise<LogPage> {
  if (args.first < 1 || args.first > MAX_PAGE)
    throw badInput(`first must be from 1 to ${MAX_PAGE}, not ${args.first}`);
  const segments = args.segments == null ? null : await existingSegments(ctx, args.segments);
  try {
    return await readLogPage(ctx.deps, accountOf(ctx), {
      first: args.first,
      after: args.after ?? null,
      segments,
    });
  } catch (error) {
    throw explained(error);
  }
}

export interface ChangesArgs {
  segments?: readonly string[] | null | undefined;
  kinds?: readonly MembershipChange['kind'][] | null | undefined;
  after?: string | null | undefined;
}

export async function membershipChanges(
  ctx: Context,
  args: ChangesArgs,
): Promise<AsyncIterableIterator<MembershipChange>> {
  const segments = args.segments == null ? null : await existingSegments(ctx, args.segments);
  const wanted = { segments, kinds: args.kinds ?? null, after: args.after ?? null };
  const account = accountOf(ctx);
  return subscription(ctx, (signal) => follow(ctx.deps, account, wanted, signal), expectedOf, explained);
}

export async function segmentCounts(
  ctx: Context,
  args: { segments: readonly string[] },
): Promise<AsyncIterableIterator<SegmentSize>> {
  const segments = await existingSegments(ctx, args.segments);
  const account = accountOf(ctx);
  const expect = (sizes: SegmentSize[]) => ({
    profiles: [],
    segments: sizes.map(({ segment }) => segment),
    events: [],
  });
  return subscription(ctx, (signal) => followCounts(ctx.deps, account, segments, signal), expect, explained);
}

/** The numbers behind the ids. Unknown and foreign ids are refused alike: nothing would ever be heard of them. */
export async function existingSegments(ctx: Context, ids: readonly string[]): Promise<number[]> {
  if (ids.length > MAX_SEGMENTS)
    throw new ApiError('TOO_MANY', `at most ${MAX_SEGMENTS} segments can be named`);
  const numbers = ids.map((id) => decodeNumber(id, 'Segment', accountOf(ctx)));
  const rows = await Promise.all(
    numbers.map(async (number) => (number === null ? null : ctx.loaders.segment.load(number))),
  );
  const unknown = rows.findIndex((row) => row?.deletedAt !== null);
  if (unknown >= 0) throw new ApiError('NOT_FOUND', `no segment has the id ${ids[unknown]}`);
  return [...new Set(numbers as number[])];
}

function explained(error: unknown): unknown {
  if (!(error instanceof InvalidPosition)) return error;
  return new ApiError(
    'INVALID_POSITION',
    'after is not a position of this account; take it from position, membershipLog or a change',
  );
}

function expectedOf(changes: MembershipChange[]): Expected {
  return {
    profiles: changes.map(({ profile }) => profile),
    segments: changes.map(({ segment }) => segment),
    events: changes.flatMap(eventPlace),
  };
}

function eventPlace({ profile, event }: MembershipChange): ChangeEvent[] {
  return event === null ? [] : [{ profile, ...event }];
}

export async function segmentOf(ctx: Context, { segment }: { segment: number }): Promise<SegmentRow> {
  const row = await ctx.loaders.segment.load(segment);
  if (row === null) throw new Error('the segment of a membership change does not exist');
  return row;
}

export function profileOf(ctx: Context, change: MembershipChange): Promise<ProfileRow | null> {
  return ctx.loaders.profile.load(change.profile);
}

export function profileIdOf(ctx: Context, change: MembershipChange): string {
  return encodeId('Profile', accountOf(ctx), change.profile);
}

export async function eventOf(ctx: Context, change: MembershipChange): Promise<EventRow | null> {
  const [place] = eventPlace(change);
  return place ? ctx.loaders.changeEvent.load(place) : null;
}
