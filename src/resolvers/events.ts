/** Events: what people did. */
import { encodeId } from '../runtime/global-ids.ts';
import {
  countEvents,
  findEvent,
  listEvents,
  type EventPlace,
  type EventRow,
} from '../storage/clickhouse/event-reads.ts';
import type { MetricRow } from '../storage/mysql/metric-reads.ts';
import { SlowConsumer } from '../streaming/event-feed.ts';
import { paginate, type Connection, type PageArgs } from './connections.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';
import { metricId } from './metrics.ts';
import { selectProfile, type ProfileRow, type ProfileSelector } from './profiles.ts';
import { subscription } from './subscriptions.ts';

export type { EventRow } from '../storage/clickhouse/event-reads.ts';

export interface EventEdge {
  cursor: string;
  node: EventRow;
}

interface EventsArgs extends PageArgs {
  metric?: string | null | undefined;
  profile?: ProfileSelector | null | undefined;
  from?: string | null | undefined;
  to?: string | null | undefined;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PLACE = [/^-?\d{1,15}$/, UUID] as const;

export async function events(ctx: Context, args: EventsArgs): Promise<Connection<EventEdge>> {
  if (args.profile == null) return eventList(ctx, args, null);
  const number = await selectProfile(ctx, args.profile);
  const row = number === null ? null : await ctx.loaders.profile.load(number);
  return row === null ? none(args) : eventList(ctx, args, row.number);
}

export function profileEvents(
  ctx: Context,
  row: ProfileRow,
  args: PageArgs & { metric?: string | null | undefined },
): Promise<Connection<EventEdge>> {
  return eventList(ctx, args, row.number);
}

async function eventList(
  ctx: Context,
  args: EventsArgs,
  profile: number | null,
): Promise<Connection<EventEdge>> {
  const { clickhouse, clock } = ctx.deps;
  const account = accountOf(ctx);
  const metric = args.metric == null ? null : await metricId(ctx, args.metric);
  if (args.metric != null && metric === null) return none(args);
  const filter = { metric, from: instant(args.from), to: instant(args.to) };
  return paginate('events', args, {
    parts: PLACE,
    load: async (cursor, limit) => {
      await ctx.loaders.stored();
      const after = cursor && { time: Number(cursor[0]), id: cursor[1] as string };
      return profile === null
        ? listEvents(clickhouse, account, filter, after, limit, clock.now())
        : ctx.loaders.eventsOfProfile({ ...filter, after, limit }).load(profile);
    },
    place: (event) => [event.time, event.id],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: async () => {
      await ctx.loaders.stored();
      return countEvents(clickhouse, account, filter, profile);
    },
  });
}

function none(args: PageArgs): Promise<Connection<EventEdge>> {
  return paginate<EventRow, EventEdge>('events', args, {
    parts: PLACE,
    load: async () => [],
    place: () => [],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: async () => 0,
  });
}

function instant(dateTime: string | null | undefined): number | null {
  return dateTime == null ? null : Date.parse(dateTime);
}

const LONGEST_METRIC = 255;

/** Throws BAD_USER_INPUT for what cannot be the name of a metric: nothing would ever be heard of it. */
export function eventFeed(
  ctx: Context,
  args: { metric?: string | null | undefined },
): AsyncIterableIterator<EventRow> {
  const metric = args.metric?.trim() ?? null;
  if (metric === '') throw badInput('metric must not be empty; leave it out to follow all events');
  if (metric !== null && metric.length > LONGEST_METRIC)
    throw badInput(`metric must have at most ${LONGEST_METRIC} characters, as every metric has`);
  const account = accountOf(ctx);
  return subscription(
    ctx,
    (signal) => ctx.deps.live.events.follow(account, metric, signal),
    (rows) => ({ profiles: rows.map(({ profile }) => profile), segments: [], events: [] }),
    (error) =>
      error instanceof SlowConsumer
        ? new ApiError(
            'SLOW_CONSUMER',
            'More events have come than were taken in time. Subscribe again; what was missed is in events.',
          )
        : error,
  );
}

/** The same for an event wherever it is met, also when a merge has copied it. */
export function eventKey(event: { metric: number; time: number; id: string }): string {
  return `${event.metric}.${event.time}.${event.id}`;
}

/** Null for what is no key of an event. */
export async function eventByKey(ctx: Context, key: string): Promise<EventRow | null> {
  const [metric, time, id, ...rest] = key.split('.');
  const fits = /^\d{1,10}$/.test(metric ?? '') && /^-?\d{1,15}$/.test(time ?? '') && UUID.test(id ?? '');
  if (!fits || rest.length > 0) return null;
  return readEvent(ctx, Number(metric), { time: Number(time), id: id as string });
}

export async function readEvent(ctx: Context, metric: number, place: EventPlace): Promise<EventRow | null> {
  await ctx.loaders.stored();
  return findEvent(ctx.deps.clickhouse, accountOf(ctx), metric, place);
}

export function eventId(ctx: Context, event: EventRow): string {
  return encodeId('Event', accountOf(ctx), eventKey(event));
}

export async function eventMetric(ctx: Context, event: EventRow): Promise<MetricRow> {
  const metric = await ctx.loaders.metric.load(event.metric);
  if (metric === null) throw new Error('the metric of a stored event does not exist');
  return metric;
}

export async function eventProfile(ctx: Context, event: EventRow): Promise<ProfileRow> {
  const row = await ctx.loaders.profile.load(event.profile);
  if (row === null) throw new Error('the profile of a stored event does not exist');
  return row;
}
