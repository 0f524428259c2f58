import * as resolve from '../resolvers/events.ts';
import { properties } from '../resolvers/profiles.ts';
import { builder, Node } from './builder.ts';
import { connectionOf, pageArgs } from './connections.ts';
import { Metric } from './metric.ts';
import { Profile, ProfileSelector } from './profile.ts';

export const Event = builder.objectRef<resolve.EventRow>('Event').implement({
  description: 'Something that someone did at some time.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({ description: 'The global id.', resolve: (row, _, ctx) => resolve.eventId(ctx, row) }),
    uniqueId: t.exposeString('uniqueId', {
      description: "The sender's own id, or the one that was given to the event for want of it.",
    }),
    metric: t.field({
      type: Metric,
      description: 'What kind of event it is.',
      resolve: (row, _, ctx) => resolve.eventMetric(ctx, row),
    }),
    profile: t.field({
      type: Profile,
      description: 'Who did it. After a merge: the profile that is left.',
      resolve: (row, _, ctx) => resolve.eventProfile(ctx, row),
    }),
    time: t.field({ type: 'DateTime', description: 'When it happened.', resolve: (row) => row.time }),
    value: t.exposeFloat('value', { nullable: true, description: 'What it was worth, if anything.' }),
    currency: t.string({
      nullable: true,
      description: 'The currency of the value (ISO 4217).',
      resolve: (row) => row.currency || null,
    }),
    properties: t.field({
      type: 'JSON',
      description: 'Everything else that was sent with it.',
      resolve: (row) => properties(row),
    }),
  }),
});

const EventConnection = connectionOf('Event', Event);

builder.objectField(Profile, 'events', (t) =>
  t.field({
    type: EventConnection,
    description: 'What someone did, the most recent first.',
    args: { ...pageArgs, metric: t.arg.string({ description: 'Only events of the metric with this name.' }) },
    resolve: (row, args, ctx) => resolve.profileEvents(ctx, row, args),
  }),
);

builder.queryField('events', (t) =>
  t.field({
    type: EventConnection,
    description: 'Events, the most recent first.',
    args: {
      ...pageArgs,
      metric: t.arg.string({ description: 'Only events of the metric with this name.' }),
      profile: t.arg({ type: ProfileSelector, description: 'Only events of this profile.' }),
      from: t.arg({ type: 'DateTime', description: 'Only events at this instant or later.' }),
      to: t.arg({ type: 'DateTime', description: 'Only events before this instant.' }),
    },
    resolve: (_, args, ctx) => resolve.events(ctx, args),
  }),
);

builder.subscriptionField('eventFeed', (t) =>
  t.field({
    type: Event,
    description:
      'Events as they are stored, for a live activity feed: each once, from now on, in the order in which they are stored. A consumer that is too slow is ended with code SLOW_CONSUMER; what it has missed, `events` has.',
    args: {
      metric: t.arg.string({ description: 'Only events of the metric with this name, known or not yet.' }),
    },
    subscribe: (_, args, ctx) => resolve.eventFeed(ctx, args),
    resolve: (event) => event,
  }),
);
