/** The schema builder, the scalars, and what all types share. Shapes only: what fields do is in src/resolvers. */
import SchemaBuilder from '@pothos/core';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import type { ApiScope } from '../resolvers/auth.ts';
import { requireScope, type Context } from '../resolvers/context.ts';

export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  /** The scopes of which a key must have one. */
  AuthScopes: { anyOf: readonly ApiScope[] };
  Scalars: {
    ID: { Input: string; Output: string };
    DateTime: { Input: string; Output: number };
    Duration: { Input: string; Output: string };
    JSON: { Input: unknown; Output: unknown };
    Position: { Input: string; Output: string };
    Receipt: { Input: string; Output: string };
  };
}>({
  plugins: [ScopeAuthPlugin],
  defaultFieldNullability: false,
  scopeAuth: {
    authorizeOnSubscribe: true,
    authScopes: (ctx) => ({ anyOf: (scopes) => requireScope(ctx, scopes) }),
  },
});

builder.queryType({
  description: 'Reading. Needs a key with the scope READ (MANAGE and ADMIN include it).',
  authScopes: { anyOf: ['READ'] },
});
builder.mutationType({
  description:
    'Writing. Faults in what was sent are answered in `userErrors`; a list mutation takes the valid items and names each invalid one.',
});
builder.subscriptionType({
  description:
    'Following. Over WebSocket (graphql-transport-ws) or server-sent events. Needs a key with the scope READ.',
  authScopes: { anyOf: ['READ'] },
});

export const Node = builder.interfaceRef<object>('Node').implement({
  description: 'Anything with a global id, which `node` can find again.',
  fields: (t) => ({
    id: t.id({ description: 'Opaque, unique over all types, stable.', resolve: missing }),
  }),
});

/** Every type that is a Node says itself what its id is. */
function missing(): never {
  throw new Error('a type does not resolve its id');
}
