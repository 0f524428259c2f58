/** Profiles: who someone is. */
import { listAudience } from '../evaluation/audience.ts';
import { segmentsOfProfile } from '../evaluation/memberships.ts';
import { consentsOf } from '../ingest/consents.ts';
import { KINDS } from '../ingest/identify.ts';
import { decodeNumber } from '../runtime/global-ids.ts';
import type { Channel, ConsentFacts } from '../segments/ast.ts';
import { findProfile, listProfiles, type ProfileRow } from '../storage/mysql/profile-reads.ts';
import { livingSegmentIds, type SegmentRow } from '../storage/mysql/segment-reads.ts';
import { audienceOf, audienceCount, type Audience } from './audiences.ts';
import { NUMBER, numberOf, paginate, type Connection, type PageArgs } from './connections.ts';
import { profileCount } from './accounts.ts';
import { accountOf, type Context } from './context.ts';

export type { ProfileRow } from '../storage/mysql/profile-reads.ts';

/** Exactly one of them, as the schema sees to. */
export interface ProfileSelector {
  id?: string | null | undefined;
  externalId?: string | null | undefined;
  email?: string | null | undefined;
  phone?: string | null | undefined;
  anonymousId?: string | null | undefined;
}

/** The number of the profile that the selector names, or null. Identifiers are read as they are when written. */
export async function selectProfile(ctx: Context, by: ProfileSelector): Promise<number | null> {
  const account = accountOf(ctx);
  if (by.id != null) return decodeNumber(by.id, 'Profile', account);
  const [kind, value] =
    by.externalId != null
      ? [KINDS.externalId, by.externalId.trim()]
      : by.email != null
        ? [KINDS.email, by.email.trim().toLowerCase()]
        : by.phone != null
          ? [KINDS.phone, by.phone.replace(/[\s().-]/g, '')]
          : [KINDS.anonymousId, (by.anonymousId ?? '').trim()];
  return findProfile(ctx.deps.mysql.db, account, kind, value);
}

export async function profile(ctx: Context, { by }: { by: ProfileSelector }): Promise<ProfileRow | null> {
  const number = await selectProfile(ctx, by);
  return number === null ? null : ctx.loaders.profile.load(number);
}

export interface ProfileEdge {
  cursor: string;
  node: ProfileRow;
}

export async function profiles(
  ctx: Context,
  args: PageArgs & { where?: unknown },
): Promise<Connection<ProfileEdge>> {
  if (args.where == null) return allProfiles(ctx, args);
  return audienceMembers(ctx, await audienceOf(ctx, args.where), args);
}

function allProfiles(ctx: Context, args: PageArgs): Promise<Connection<ProfileEdge>> {
  return paginate('profiles', args, {
    parts: NUMBER,
    load: (after, limit) => listProfiles(ctx.deps.mysql.db, accountOf(ctx), numberOf(after), limit),
    place: (row) => [row.number],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: () => profileCount(ctx),
  });
}

export function audienceMembers(
  ctx: Context,
  audience: Audience,
  args: PageArgs,
): Promise<Connection<ProfileEdge>> {
  return paginate('profiles', args, {
    parts: NUMBER,
    load: async (after, limit) => {
      await ctx.loaders.stored();
      return listAudience(ctx.deps, accountOf(ctx), audience.condition, numberOf(after), limit);
    },
    place: (number) => [number],
    edge: async (number, cursor) => {
      const node = await ctx.loaders.profile.load(number);
      return node && { cursor, node };
    },
    totalCount: () => audienceCount(ctx, audience),
  });
}

export function anonymousIds(ctx: Context, row: ProfileRow): Promise<string[]> {
  return ctx.loaders.anonymousIds.load(row.number);
}

export function lastEventAt(ctx: Context, row: ProfileRow): Promise<number | null> {
  return ctx.loaders.lastEventAt.load(row.number);
}

export interface Location {
  city?: string | null;
  region?: string | null;
  country?: string | null;
  postalCode?: string | null;
  latitude?: number | null;
  longitude?: number | null;
}

/** Null when nothing is known of it. */
export function location(row: ProfileRow): Location | null {
  const known = JSON.parse(row.location) as Location;
  return Object.keys(known).length > 0 ? known : null;
}

export function properties(row: { properties: string }): Record<string, unknown> {
  return JSON.parse(row.properties) as Record<string, unknown>;
}

export interface ProfileConsent extends ConsentFacts {
  channel: Channel;
}

/** In the order of the channels' names. */
export function consents(row: ProfileRow): ProfileConsent[] {
  const found = [...consentsOf(row)].map(([channel, consent]) => ({ channel, ...consent }));
  return found.sort((a, b) => (a.channel < b.channel ? -1 : 1));
}

export interface ProfileSegmentEdge {
  cursor: string;
  node: SegmentRow;
  enteredAt: number;
}

/** The segments that someone is in, in the order in which the segments were made. */
export async function profileSegments(
  ctx: Context,
  row: ProfileRow,
  args: PageArgs,
): Promise<Connection<ProfileSegmentEdge>> {
  const account = accountOf(ctx);
  const memberships = async () => {
    await ctx.loaders.stored();
    const living = await livingSegmentIds(ctx.deps.mysql.db, account);
    const found = await segmentsOfProfile(ctx.deps.clickhouse, account, row.number, living);
    return found.sort((a, b) => a.segment - b.segment);
  };
  return paginate('profileSegments', args, {
    parts: NUMBER,
    load: async (after, limit) => {
      const found = await memberships();
      return found.filter(({ segment }) => segment > (numberOf(after) ?? 0)).slice(0, limit);
    },
    place: ({ segment }) => [segment],
    edge: async ({ segment, enteredAt }, cursor) => {
      const node = await ctx.loaders.segment.load(segment);
      return node && { cursor, node, enteredAt: enteredAt ?? node.createdAt };
    },
    totalCount: async () => (await memberships()).length,
  });
}
