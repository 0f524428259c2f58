import * as resolve from '../resolvers/audiences.ts';
import { explainFor } from '../resolvers/explanations.ts';
import { audienceMembers } from '../resolvers/profiles.ts';
import { builder } from './builder.ts';
import { Condition } from './conditions.ts';
import { ConditionWarning } from './condition-warning.ts';
import { pageArgs } from './connections.ts';
import { EXPLAIN, Explanation } from './explanation.ts';
import { ProfileConnection, ProfileSelector } from './profile.ts';

const AudienceNode = builder.objectRef<resolve.NodeCount>('AudienceNode');
AudienceNode.implement({
  description: 'A part of a condition with the number of those who satisfy it.',
  fields: (t) => ({
    text: t.exposeString('text', { description: 'The part as a person would say it.' }),
    count: t.exposeInt('count', { description: 'How many of all profiles satisfy it.' }),
    children: t.field({
      type: [AudienceNode],
      description: 'The parts of `all`, `any` and `not`, in their order.',
      resolve: (node) => node.children,
    }),
  }),
});

const Audience = builder.objectRef<resolve.Audience>('Audience').implement({
  description: 'Everyone who satisfies a condition at this moment.',
  fields: (t) => ({
    count: t.int({
      description: 'How many they are.',
      resolve: (audience, _, ctx) => resolve.audienceCount(ctx, audience),
    }),
    members: t.field({
      type: ProfileConnection,
      description: 'Who they are, in the order in which their profiles were made.',
      args: pageArgs,
      resolve: (audience, args, ctx) => audienceMembers(ctx, audience, args),
    }),
    text: t.string({
      description: 'The condition as a person would say it.',
      resolve: (audience, _, ctx) => resolve.audienceText(ctx, audience),
    }),
    query: t.string({
      description: 'The condition as it can be typed.',
      resolve: (audience) => resolve.audienceQuery(audience),
    }),
    warnings: t.field({
      type: [ConditionWarning],
      nullable: true,
      description: 'What is valid in the condition and probably not meant.',
      resolve: (audience) => resolve.audienceWarnings(audience),
    }),
    breakdown: t.field({
      type: AudienceNode,
      description: 'The tree of the condition with the size of every node, all of one moment.',
      resolve: (audience, _, ctx) => resolve.audienceBreakdown(ctx, audience),
    }),
    explain: t.field({
      type: Explanation,
      description: `Why someone is, or is not, in it. ${EXPLAIN}`,
      args: { profile: t.arg({ type: ProfileSelector, required: true, description: 'Who.' }) },
      resolve: (audience, args, ctx) => explainFor(ctx, audience.condition, args.profile),
    }),
  }),
});

const WHICH = {
  where: 'The condition. Exactly one of `where` and `query`.',
  query: 'The condition, typed.',
};

builder.queryField('audience', (t) =>
  t.field({
    type: Audience,
    description: 'An audience that nobody saved: counted, broken down and listed on the spot.',
    args: {
      where: t.arg({ type: Condition, description: WHICH.where }),
      query: t.arg.string({ description: WHICH.query }),
    },
    resolve: (_, args, ctx) => resolve.audience(ctx, args),
  }),
);

builder.subscriptionField('audienceCount', (t) =>
  t.field({
    type: 'Int',
    description:
      'The size of a draft audience, kept current while its author edits it: once at the start, then whenever it has changed, by data or by time alone, at most once a second.',
    args: {
      where: t.arg({ type: Condition, description: WHICH.where }),
      query: t.arg.string({ description: WHICH.query }),
    },
    subscribe: (_, args, ctx) => resolve.audienceCounts(ctx, args),
    resolve: (count) => count,
  }),
);
