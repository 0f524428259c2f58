import * as resolve from '../resolvers/membership.ts';
import { builder } from './builder.ts';
import { Event } from './event.ts';
import { Profile } from './profile.ts';
import { Segment } from './segment.ts';

const MembershipChangeKind = builder.enumType('MembershipChangeKind', {
  description: 'In which direction.',
  values: {
    ENTERED: { description: 'The profile has become a member.' },
    EXITED: { description: 'The profile is no longer a member.' },
  } as const,
});

const MembershipChangeCause = builder.enumType('MembershipChangeCause', {
  description: 'What has brought a change about.',
  values: {
    EVENT: { description: 'An event of the profile.' },
    PROFILE: { description: 'A change of the profile itself.' },
    CONSENT: { description: 'A change of consent.' },
    TIME: { description: 'Nothing but the passing of time.' },
    DEFINITION: { description: 'A changed condition of the segment.' },
    SEGMENT: { description: 'A change in another segment, which this one refers to.' },
    MERGE: { description: 'Two profiles that became one.' },
    ERASURE: { description: 'The erasure of the profile.' },
    BACKFILL: { description: 'History that was sent later: an event with `backfill: true`.' },
    REPAIR: {
      description:
        'The audit, which found the stored membership wrong and has put it right; `at` is when it did.',
    },
  } as const,
});

const MembershipChange = builder.objectRef<resolve.MembershipChange>('MembershipChange').implement({
  description: 'Someone has entered or left a segment.',
  fields: (t) => ({
    id: t.exposeID('id', {
      description: 'The same change always has the same id, however often it is delivered.',
    }),
    position: t.field({
      type: 'Position',
      description: 'Its place in the log. Send it as `after` to go on behind it.',
      resolve: (change) => change.position,
    }),
    kind: t.field({
      type: MembershipChangeKind,
      description: 'Entry or exit.',
      resolve: (change) => change.kind,
    }),
    cause: t.field({
      type: MembershipChangeCause,
      description: 'What has brought it about.',
      resolve: (change) => change.cause,
    }),
    segment: t.field({
      type: Segment,
      description: 'The segment. It may have been deleted since.',
      resolve: (change, _, ctx) => resolve.segmentOf(ctx, change),
    }),
    segmentVersion: t.int({
      description: 'The version of the segment whose condition was decisive.',
      resolve: (change) => change.version,
    }),
    profile: t.field({
      type: Profile,
      nullable: true,
      description:
        'Who it is. After a merge: the profile that is left. Null once the profile has been erased.',
      resolve: (change, _, ctx) => resolve.profileOf(ctx, change),
    }),
    profileId: t.id({
      description: 'The id of the profile that entered or left, whatever has become of it.',
      resolve: (change, _, ctx) => resolve.profileIdOf(ctx, change),
    }),
    at: t.field({
      type: 'DateTime',
      description: "When it became true: the event's arrival, or the exact instant at which time made it so.",
      resolve: (change) => change.at,
    }),
    event: t.field({
      type: Event,
      nullable: true,
      description: 'The event that brought it about, if one did.',
      resolve: (change, _, ctx) => resolve.eventOf(ctx, change),
    }),
  }),
});

const MembershipLogPage = builder.objectRef<resolve.LogPage>('MembershipLogPage').implement({
  description: 'A piece of the membership log.',
  fields: (t) => ({
    changes: t.field({
      type: [MembershipChange],
      description:
        'Oldest first. May be empty although `hasMore` is true, when the changes there are of other segments.',
      resolve: (page) => page.changes,
    }),
    position: t.field({
      type: 'Position',
      description: 'Where this piece ends: send it as `after` for the next one.',
      resolve: (page) => page.position,
    }),
    hasMore: t.exposeBoolean('hasMore', { description: 'Whether the log goes on behind it already.' }),
  }),
});

const SegmentCount = builder.objectRef<resolve.SegmentSize>('SegmentCount').implement({
  description: 'The size of a segment at a moment.',
  fields: (t) => ({
    segment: t.field({
      type: Segment,
      description: 'The segment.',
      resolve: (size, _, ctx) => resolve.segmentOf(ctx, size),
    }),
    count: t.exposeInt('count', { description: 'How many members it has.' }),
    at: t.field({ type: 'DateTime', description: 'When they were counted.', resolve: (size) => size.at }),
  }),
});

const SEGMENTS = 'Only these segments. Without it: all, also those that are made later.';

builder.queryFields((t) => ({
  position: t.field({
    type: 'Position',
    description: "Where the account's membership log ends now.",
    resolve: (_, _args, ctx) => resolve.position(ctx),
  }),
  membershipLog: t.field({
    type: MembershipLogPage,
    description:
      'The membership log itself, oldest first: what `membershipChanges` pushes, for those who would rather poll.',
    args: {
      first: t.arg.int({ required: true, description: 'At most so many changes, 1 to 100.' }),
      after: t.arg({
        type: 'Position',
        description: 'Behind which place to begin. Without it: at the beginning.',
      }),
      segments: t.arg.idList({ description: SEGMENTS }),
    },
    resolve: (_, args, ctx) => resolve.membershipLog(ctx, args),
  }),
}));

builder.subscriptionFields((t) => ({
  membershipChanges: t.field({
    type: MembershipChange,
    description:
      'Entries and exits as they happen. With `after`, first everything since that position, then live, with no gap and no repeat. A consumer that is too slow is ended with code SLOW_CONSUMER, and resumes from the last position it has seen.',
    args: {
      segments: t.arg.idList({ description: SEGMENTS }),
      kinds: t.arg({ type: [MembershipChangeKind], description: 'Only these kinds. Without it: both.' }),
      after: t.arg({
        type: 'Position',
        description: 'Behind which place to begin. Without it: with what happens from now on.',
      }),
    },
    subscribe: (_, args, ctx) => resolve.membershipChanges(ctx, args),
    resolve: (change) => change,
  }),
  segmentCounts: t.field({
    type: SegmentCount,
    description:
      'The size of each segment: once at the start, then whenever it changes (at most a few times a second).',
    args: { segments: t.arg.idList({ required: true, description: 'Which segments.' }) },
    subscribe: (_, args, ctx) => resolve.segmentCounts(ctx, args),
    resolve: (size) => size,
  }),
}));
