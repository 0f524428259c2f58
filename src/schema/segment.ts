import { profileSegments } from '../resolvers/profiles.ts';
import * as resolve from '../resolvers/segments.ts';
import { encodeId } from '../runtime/global-ids.ts';
import { builder, Node } from './builder.ts';
import { Condition } from './conditions.ts';
import { connectionOf, pageArgs } from './connections.ts';
import { ConditionWarning } from './condition-warning.ts';
import { EXPLAIN, Explanation } from './explanation.ts';
import { Profile, ProfileSelector } from './profile.ts';
import { USER_ERRORS, UserError } from './user-errors.ts';

const SegmentStatus = builder.enumType('SegmentStatus', {
  description: 'How far a segment is.',
  values: {
    COMPUTING: {
      description:
        'The present condition is being computed; the members are those of before, or not complete.',
    },
    LIVE: { description: 'Memberships are true, and stay so.' },
    FAILED: { description: 'The condition could not be computed; the last members stay.' },
  } as const,
});

export const Segment = builder.objectRef<resolve.SegmentRow>('Segment').implement({
  description: 'A saved condition, whose members are kept true at all times.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({ description: 'The global id.', resolve: (row) => encodeId('Segment', row.account, row.id) }),
    name: t.exposeString('name', { description: 'The name, for people.' }),
    status: t.field({
      type: SegmentStatus,
      description: 'Whether the members can be relied on.',
      resolve: (row, _, ctx) => resolve.segmentStatus(ctx, row),
    }),
    progress: t.float({
      nullable: true,
      description:
        'How far the members have been computed, from 0 to 1; null unless the status is COMPUTING.',
      resolve: (row, _, ctx) => resolve.segmentProgress(ctx, row),
    }),
    condition: t.field({
      type: 'JSON',
      description: 'The condition, in exactly the shape of ConditionInput: what came in can be sent back.',
      resolve: (row) => resolve.segmentCondition(row),
    }),
    text: t.string({
      description: 'The condition as a person would say it.',
      resolve: (row, _, ctx) => resolve.segmentText(ctx, row),
    }),
    query: t.string({
      description: 'The condition as it can be typed: what came in can be sent back.',
      resolve: (row) => resolve.segmentQuery(row),
    }),
    version: t.exposeInt('version', {
      description: 'Counts the conditions that the segment has had, from 1.',
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was made.',
      resolve: (row) => row.createdAt,
    }),
    updatedAt: t.field({
      type: 'DateTime',
      description: 'When its name or condition was last changed.',
      resolve: (row) => row.updatedAt,
    }),
    count: t.int({
      description: 'How many members it has now.',
      resolve: (row, _, ctx) => resolve.memberCount(ctx, row),
    }),
    members: t.field({
      type: SegmentMemberConnection,
      description:
        'The members, in the order in which their profiles were made. With `at`, as they were at that position; a profile that has been merged since is shown as the one it went into.',
      args: {
        ...pageArgs,
        at: t.arg({
          type: 'Position',
          description: "A position of the account's membership log. Without it: now.",
        }),
      },
      resolve: (row, args, ctx) => resolve.segmentMembers(ctx, row, args),
    }),
    contains: t.boolean({
      description: 'Whether someone is a member now. Also false when there is no such profile.',
      args: { profile: t.arg({ type: ProfileSelector, required: true, description: 'Who.' }) },
      resolve: (row, args, ctx) => resolve.segmentContains(ctx, row, args),
    }),
    explain: t.field({
      type: Explanation,
      description: `Why someone is, or is not, a member. ${EXPLAIN}`,
      args: { profile: t.arg({ type: ProfileSelector, required: true, description: 'Who.' }) },
      resolve: (row, args, ctx) => resolve.segmentExplain(ctx, row, args),
    }),
    evaluatedThrough: t.field({
      type: 'DateTime',
      description: 'Up to when the passing of time has been taken into account.',
      resolve: (row, _, ctx) => resolve.evaluatedThrough(ctx, row),
    }),
  }),
});

const SINCE =
  'Since when the profile is a member: since the segment was made, if it has been one from the beginning.';
const SegmentMemberConnection = connectionOf('SegmentMember', Profile, SINCE);
const ProfileSegmentConnection = connectionOf('ProfileSegment', Segment, SINCE);
const SegmentConnection = connectionOf('Segment', Segment);

builder.objectField(Profile, 'segments', (t) =>
  t.field({
    type: ProfileSegmentConnection,
    description: 'The segments that someone is in now, in the order in which the segments were made.',
    args: pageArgs,
    resolve: (row, args, ctx) => profileSegments(ctx, row, args),
  }),
);

builder.queryFields((t) => ({
  segment: t.field({
    type: Segment,
    nullable: true,
    description: 'One segment; null when there is none with that id.',
    args: { id: t.arg.id({ required: true, description: 'Which one.' }) },
    resolve: (_, args, ctx) => resolve.segment(ctx, args),
  }),
  segments: t.field({
    type: SegmentConnection,
    description: 'Segments, in the order in which they were made.',
    args: {
      ...pageArgs,
      search: t.arg.string({ description: 'Only those with this in their name, in upper or lower case.' }),
      status: t.arg({ type: SegmentStatus, description: 'Only those with this status.' }),
    },
    resolve: (_, args, ctx) => resolve.segments(ctx, args),
  }),
}));

const SegmentCreateInput = builder.inputType('SegmentCreateInput', {
  description: 'A new segment. Exactly one of `condition` and `query` says who is to be in it.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'A name for people, at most 255 characters.' }),
    condition: t.field({ type: Condition, description: 'Who is to be in it.' }),
    query: t.string({
      description: 'The same, typed: `did "Placed Order" at least 3 times in the last 30 days`.',
    }),
  }),
});

const SegmentUpdateInput = builder.inputType('SegmentUpdateInput', {
  description:
    'What is to change. An absent field, or null, stays as it is. At most one of `condition` and `query`.',
  fields: (t) => ({
    name: t.string({ description: 'The new name.' }),
    condition: t.field({
      type: Condition,
      description: 'The new condition. Whoever it lets in or puts out enters or exits with cause DEFINITION.',
    }),
    query: t.string({ description: 'The new condition, typed.' }),
  }),
});

const payload = (name: string, description: string) =>
  builder.objectRef<resolve.SegmentPayload>(name).implement({
    description,
    fields: (t) => ({
      segment: t.field({
        type: Segment,
        nullable: true,
        description: 'The segment as it is now; null when there are user errors.',
        resolve: (result) => result.segment,
      }),
      warnings: t.field({
        type: [ConditionWarning],
        nullable: true,
        description:
          'What is valid in the condition and probably not meant; null when there are user errors. The segment is made all the same.',
        resolve: (result) => result.segment && resolve.segmentWarnings(result.segment),
      }),
      userErrors: t.field({
        type: [UserError],
        description: USER_ERRORS,
        resolve: (result) => result.userErrors,
      }),
    }),
  });

const SegmentCreatePayload = payload('SegmentCreatePayload', 'What became of a new segment.');
const SegmentUpdatePayload = payload('SegmentUpdatePayload', 'What became of a change.');

const SegmentDeletePayload = builder
  .objectRef<Awaited<ReturnType<typeof resolve.segmentDelete>>>('SegmentDeletePayload')
  .implement({
    description: 'What became of a deletion.',
    fields: (t) => ({
      deletedId: t.exposeID('deletedId', { nullable: true, description: 'The id that is no more.' }),
      userErrors: t.field({
        type: [UserError],
        description: USER_ERRORS,
        resolve: (result) => result.userErrors,
      }),
    }),
  });

builder.mutationFields((t) => ({
  segmentCreate: t.field({
    type: SegmentCreatePayload,
    authScopes: { anyOf: ['MANAGE'] },
    description:
      'Makes a segment. It is COMPUTING until its members are found, then LIVE. The first members are one step in the membership log, not an entry each. Needs the scope MANAGE.',
    args: { input: t.arg({ type: SegmentCreateInput, required: true, description: 'What it is to be.' }) },
    resolve: (_, args, ctx) => resolve.segmentCreate(ctx, args),
  }),
  segmentUpdate: t.field({
    type: SegmentUpdatePayload,
    authScopes: { anyOf: ['MANAGE'] },
    description: 'Changes the name or the condition of a segment. Needs the scope MANAGE.',
    args: {
      id: t.arg.id({ required: true, description: 'Which segment.' }),
      input: t.arg({ type: SegmentUpdateInput, required: true, description: 'What is to change.' }),
    },
    resolve: (_, args, ctx) => resolve.segmentUpdate(ctx, args),
  }),
  segmentDelete: t.field({
    type: SegmentDeletePayload,
    authScopes: { anyOf: ['MANAGE'] },
    description:
      'Deletes a segment, unless other segments refer to it. Nobody is said to have left it. Needs the scope MANAGE.',
    args: { id: t.arg.id({ required: true, description: 'Which segment.' }) },
    resolve: (_, args, ctx) => resolve.segmentDelete(ctx, args),
  }),
}));
