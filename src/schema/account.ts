import * as resolve from '../resolvers/accounts.ts';
import { profileProperties } from '../resolvers/metrics.ts';
import { encodeId } from '../runtime/global-ids.ts';
import { builder, Node } from './builder.ts';
import { connectionOf, pageArgs } from './connections.ts';
import { PropertyName } from './metric.ts';
import { USER_ERRORS, UserError } from './user-errors.ts';

const ApiScope = builder.enumType('ApiScope', {
  description: 'What an API key may do.',
  values: {
    INGEST: { description: 'Send events and profiles, and wait for them. Nothing can be read with it.' },
    READ: { description: 'All queries and subscriptions.' },
    MANAGE: { description: 'Create, change and delete segments. Includes READ.' },
    ADMIN: { description: 'Create and revoke API keys. Includes everything else.' },
  } as const,
});

const ApiKey = builder.objectRef<resolve.KeyRow>('ApiKey').implement({
  description: 'A key to the API. Its secret is shown once, when it is made. Needs the scope ADMIN.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({ description: 'The global id.', resolve: (row) => encodeId('ApiKey', row.account, row.id) }),
    name: t.exposeString('name', { description: 'Who uses it.' }),
    scopes: t.field({
      type: [ApiScope],
      description: 'What it may do.',
      resolve: (row) => resolve.keyScopes(row),
    }),
    createdAt: t.field({
      type: 'DateTime',
      description: 'When it was made.',
      resolve: (row) => row.createdAt,
    }),
    lastUsedAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null if never.',
      resolve: (row) => row.lastUsedAt,
    }),
  }),
});

const ApiKeyConnection = connectionOf('ApiKey', ApiKey);

const Account = builder.objectRef<resolve.AccountRow>('Account').implement({
  description: 'Everything belongs to an account; every API key to exactly one.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({ description: 'The global id.', resolve: (row) => encodeId('Account', row.id, row.id) }),
    name: t.exposeString('name', { description: 'The name.' }),
    timezone: t.exposeString('timezone', {
      description: 'The time zone of calendar periods, such as "Europe/Berlin".',
    }),
    profileCount: t.int({
      description: 'How many profiles it has.',
      resolve: (_row, _, ctx) => resolve.profileCount(ctx),
    }),
    eventCount: t.float({
      description: 'How many events it has.',
      resolve: (_row, _, ctx) => resolve.eventCount(ctx),
    }),
    profileProperties: t.field({
      type: [PropertyName],
      description: 'The properties that profiles have had, by name.',
      resolve: (_row, _, ctx) => profileProperties(ctx),
    }),
    apiKeys: t.field({
      type: ApiKeyConnection,
      authScopes: { anyOf: ['ADMIN'] },
      description: 'The keys that have not been revoked. Needs the scope ADMIN.',
      args: pageArgs,
      resolve: (_row, args, ctx) => resolve.apiKeys(ctx, args),
    }),
  }),
});

builder.queryField('account', (t) =>
  t.field({
    type: Account,
    description: 'The account of the API key.',
    resolve: (_, _args, ctx) => resolve.account(ctx),
  }),
);

const ApiKeyCreatePayload = builder.objectRef<resolve.KeyCreated>('ApiKeyCreatePayload').implement({
  description: 'What became of a new key.',
  fields: (t) => ({
    apiKey: t.field({
      type: ApiKey,
      nullable: true,
      description: 'The key; null when there are user errors.',
      resolve: (result) => result.apiKey,
    }),
    secret: t.exposeString('secret', {
      nullable: true,
      description: 'What to send in the Authorization header. It is shown this once and stored nowhere.',
    }),
    userErrors: t.field({
      type: [UserError],
      description: USER_ERRORS,
      resolve: (result) => result.userErrors,
    }),
  }),
});

const ApiKeyRevokePayload = builder
  .objectRef<Awaited<ReturnType<typeof resolve.revokeApiKey>>>('ApiKeyRevokePayload')
  .implement({
    description: 'What became of a revocation.',
    fields: (t) => ({
      revokedId: t.exposeID('revokedId', {
        nullable: true,
        description: 'The id of the key that opens nothing any more.',
      }),
      userErrors: t.field({
        type: [UserError],
        description: USER_ERRORS,
        resolve: (result) => result.userErrors,
      }),
    }),
  });

builder.mutationFields((t) => ({
  apiKeyCreate: t.field({
    type: ApiKeyCreatePayload,
    authScopes: { anyOf: ['ADMIN'] },
    description: 'Makes an API key for this account. Needs the scope ADMIN.',
    args: {
      name: t.arg.string({ required: true, description: 'Who will use it.' }),
      scopes: t.arg({ type: [ApiScope], required: true, description: 'What it may do.' }),
    },
    resolve: (_, args, ctx) => resolve.createKey(ctx, args),
  }),
  apiKeyRevoke: t.field({
    type: ApiKeyRevokePayload,
    authScopes: { anyOf: ['ADMIN'] },
    description:
      'Revokes an API key. Within 5 seconds it opens nothing, and its subscriptions and sockets are ended. Needs the scope ADMIN.',
    args: { id: t.arg.id({ required: true, description: 'Which key.' }) },
    resolve: (_, args, ctx) => resolve.revokeApiKey(ctx, args),
  }),
}));
