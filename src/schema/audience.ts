import * as resolve from '../resolvers/audiences.ts';
import { audienceMembers } from '../resolvers/profiles.ts';
import { builder } from './builder.ts';
import { Condition } from './conditions.ts';
import { pageArgs } from './connections.ts';
import { ProfileConnection } from './profile.ts';

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
      resolve: (audience) => resolve.audienceText(audience),
    }),
  }),
});

builder.queryField('audience', (t) =>
  t.field({
    type: Audience,
    description: 'An audience that nobody saved: counted and listed on the spot.',
    args: { where: t.arg({ type: Condition, required: true, description: 'The condition.' }) },
    resolve: (_, args, ctx) => resolve.audience(ctx, args),
  }),
);
