/** Segments: saved conditions with their members. */
import {
  createSegment,
  deleteSegment,
  updateSegment,
  type DefinitionError,
  type DefinitionInput,
} from '../evaluation/definitions.ts';
import { containsProfile, listMembers } from '../evaluation/memberships.ts';
import { readProgress } from '../evaluation/population-progress.ts';
import type { UserError } from '../ingest/accept.ts';
import { decodeNumber, encodeId } from '../runtime/global-ids.ts';
import type { Condition } from '../segments/ast.ts';
import { lint, readStored, toInput, toQuery, type Warning } from '../segments/index.ts';
import {
  countSegments,
  listSegments,
  readEvaluatedThrough,
  statusOf,
  type SegmentRow,
  type SegmentStatus,
} from '../storage/mysql/segment-reads.ts';
import { EVALUATOR_PARTITIONS } from '../storage/topics.ts';
import { NUMBER, numberOf, paginate, type Connection, type PageArgs } from './connections.ts';
import { accountOf, type Context } from './context.ts';
import { explainFor, type Explanation } from './explanations.ts';
import { membersAt, placeOf } from './history.ts';
import { selectProfile, type ProfileRow, type ProfileSelector } from './profiles.ts';
import { textOf } from './texts.ts';

export type { Warning } from '../segments/index.ts';
export type { SegmentRow, SegmentStatus } from '../storage/mysql/segment-reads.ts';

/** Null for ids that name no living segment of the account. */
export async function segment(ctx: Context, { id }: { id: string }): Promise<SegmentRow | null> {
  const number = decodeNumber(id, 'Segment', accountOf(ctx));
  return number === null ? null : livingSegment(ctx, number);
}

export async function livingSegment(ctx: Context, number: number): Promise<SegmentRow | null> {
  const row = await ctx.loaders.segment.load(number);
  return row?.deletedAt === null ? row : null;
}

export interface SegmentEdge {
  cursor: string;
  node: SegmentRow;
}

interface SegmentsArgs extends PageArgs {
  search?: string | null | undefined;
  status?: SegmentStatus | null | undefined;
}

export function segments(ctx: Context, args: SegmentsArgs): Promise<Connection<SegmentEdge>> {
  const { db } = ctx.deps.mysql;
  const filter = { search: args.search ?? null, status: args.status ?? null };
  return paginate('segments', args, {
    parts: NUMBER,
    load: (after, limit) => listSegments(db, accountOf(ctx), filter, numberOf(after), limit),
    place: (row) => [row.id],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: () => countSegments(db, accountOf(ctx), filter),
  });
}

export async function segmentStatus(ctx: Context, row: SegmentRow): Promise<SegmentStatus> {
  return statusOf(row, await ctx.loaders.populated.load(row.id));
}

/** What is done counts whole, what is being computed by what it has read; what is only queued is nothing yet. */
export async function segmentProgress(ctx: Context, row: SegmentRow): Promise<number | null> {
  const populated = await ctx.loaders.populated.load(row.id);
  if (statusOf(row, populated) !== 'COMPUTING') return null;
  const done = populated / EVALUATOR_PARTITIONS;
  const part = await readProgress(ctx.deps.clickhouse, { account: accountOf(ctx), segment: row.id });
  return done + (1 - done) * (part ?? 0);
}

export function segmentCondition(row: SegmentRow): unknown {
  return toInput(parsedCondition(row));
}

export function segmentText(ctx: Context, row: SegmentRow): Promise<string> {
  return textOf(ctx, parsedCondition(row));
}

export function segmentQuery(row: SegmentRow): string {
  return toQuery(parsedCondition(row));
}

export function segmentWarnings(row: SegmentRow): Warning[] {
  return lint(parsedCondition(row));
}

export function segmentExplain(
  ctx: Context,
  row: SegmentRow,
  { profile }: { profile: ProfileSelector },
): Promise<Explanation> {
  return explainFor(ctx, parsedCondition(row), profile);
}

function parsedCondition(row: SegmentRow): Condition {
  return readStored(row.definition);
}

export function memberCount(ctx: Context, row: SegmentRow): Promise<number> {
  return ctx.loaders.memberCount.load(row.id);
}

export async function evaluatedThrough(ctx: Context, row: SegmentRow): Promise<number> {
  return (await readEvaluatedThrough(ctx.deps.mysql.db)) ?? row.createdAt;
}

export interface MemberEdge {
  cursor: string;
  node: ProfileRow;
  enteredAt: number;
}

/** In the order in which the profiles were made. `at`: a position, at which they were members. */
export async function segmentMembers(
  ctx: Context,
  row: SegmentRow,
  args: PageArgs & { at?: string | null | undefined },
): Promise<Connection<MemberEdge>> {
  const members = args.at == null ? membersNow(ctx, row) : membersAt(ctx, row, await placeOf(ctx, args.at));
  return paginate('members', args, {
    parts: NUMBER,
    load: (after, limit) => members.list(numberOf(after), limit),
    place: ({ profile }) => [profile],
    edge: async ({ profile, enteredAt }, cursor) => {
      const node = await ctx.loaders.profile.load(profile);
      // Who was in it when it was first computed has been in it since it was made.
      return node && { cursor, node, enteredAt: enteredAt ?? row.createdAt };
    },
    totalCount: members.count,
  });
}

function membersNow(ctx: Context, row: SegmentRow) {
  return {
    list: async (after: number | null, limit: number) => {
      await ctx.loaders.stored();
      return listMembers(ctx.deps.clickhouse, accountOf(ctx), row.id, after, limit);
    },
    count: () => memberCount(ctx, row),
  };
}

/** False, too, for a profile that does not exist. */
export async function segmentContains(
  ctx: Context,
  row: SegmentRow,
  { profile }: { profile: ProfileSelector },
): Promise<boolean> {
  const number = await selectProfile(ctx, profile);
  const found = number === null ? null : await ctx.loaders.profile.load(number);
  if (found === null) return false;
  await ctx.loaders.stored();
  const containing = await containsProfile(ctx.deps.clickhouse, accountOf(ctx), [row.id], found.number);
  return containing.has(row.id);
}

export interface SegmentPayload {
  segment: SegmentRow | null;
  userErrors: (UserError | DefinitionError)[];
}

export async function segmentCreate(
  ctx: Context,
  { input }: { input: DefinitionInput & { name: string } },
): Promise<SegmentPayload> {
  const result = await createSegment(ctx.deps, accountOf(ctx), input);
  return 'userErrors' in result
    ? { segment: null, userErrors: result.userErrors }
    : changed(ctx, result.segment);
}

export async function segmentUpdate(
  ctx: Context,
  { id, input }: { id: string; input: DefinitionInput & { name?: string | null | undefined } },
): Promise<SegmentPayload> {
  const number = decodeNumber(id, 'Segment', accountOf(ctx));
  if (number === null) return { segment: null, userErrors: [noSuchSegment()] };
  const result = await updateSegment(ctx.deps, accountOf(ctx), number, input);
  return 'userErrors' in result
    ? { segment: null, userErrors: result.userErrors }
    : changed(ctx, result.segment);
}

async function changed(ctx: Context, number: number): Promise<SegmentPayload> {
  ctx.loaders.segment.clear(number);
  ctx.loaders.populated.clear(number);
  return { segment: await ctx.loaders.segment.load(number), userErrors: [] };
}

export async function segmentDelete(
  ctx: Context,
  { id }: { id: string },
): Promise<{ deletedId: string | null; userErrors: UserError[] }> {
  const account = accountOf(ctx);
  const number = decodeNumber(id, 'Segment', account);
  if (number === null) return { deletedId: null, userErrors: [noSuchSegment()] };
  const result = await deleteSegment(ctx.deps, account, number);
  if ('userErrors' in result) return { deletedId: null, userErrors: result.userErrors };
  ctx.loaders.segment.clear(number);
  return { deletedId: encodeId('Segment', account, number), userErrors: [] };
}

function noSuchSegment(): UserError {
  return { index: null, field: ['id'], code: 'NOT_FOUND', message: 'no segment has this id' };
}
