import type { Connection as Page } from '../resolvers/connections.ts';
import type { ObjectRef } from '@pothos/core';
import { builder } from './builder.ts';

type Types = typeof builder extends PothosSchemaTypes.SchemaBuilder<infer T> ? T : never;

const MAX_INT = 2 ** 31 - 1;

interface PageShape {
  edges: { cursor: string }[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
}

const PageInfo = builder.objectRef<PageShape>('PageInfo').implement({
  description: 'Where a page stands in its list, as Relay defines it.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', { description: 'Whether more follows behind this page.' }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether this page was asked for with `after`.',
    }),
    startCursor: t.string({
      nullable: true,
      description: 'The cursor of the first edge; null on an empty page.',
      resolve: (page) => page.edges[0]?.cursor ?? null,
    }),
    endCursor: t.string({
      nullable: true,
      description:
        'The cursor of the last edge: send it as `after` for the next page. Null on an empty page.',
      resolve: (page) => page.edges.at(-1)?.cursor ?? null,
    }),
  }),
});

/** `…Edge` and `…Connection` of a node type. `enteredAt`: edges that also say since when. */
export function connectionOf<Node extends object>(
  name: string,
  node: ObjectRef<Types, Node>,
  enteredAt?: string,
): ObjectRef<Types, Page<{ cursor: string; node: Node; enteredAt?: number }>> {
  const Edge = builder.objectRef<{ cursor: string; node: Node; enteredAt?: number }>(`${name}Edge`);
  Edge.implement({
    description: `One item of ${name}Connection.`,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: 'The place of this item, for `after`. Opaque.' }),
      node: t.field({ type: node, description: 'The item itself.', resolve: (edge) => edge.node as never }),
      ...(enteredAt === undefined
        ? {}
        : {
            enteredAt: t.field({
              type: 'DateTime',
              description: enteredAt,
              resolve: (edge) => edge.enteredAt ?? 0,
            }),
          }),
    }),
  });
  const Connection = builder.objectRef<Page<{ cursor: string; node: Node; enteredAt?: number }>>(
    `${name}Connection`,
  );
  Connection.implement({
    description: 'A page of a list.',
    fields: (t) => ({
      edges: t.field({
        type: [Edge],
        description: 'The items with their cursors.',
        resolve: (page) => page.edges,
      }),
      nodes: t.field({
        type: [node],
        description: 'The items alone.',
        resolve: (page) => page.edges.map((edge) => edge.node) as never,
      }),
      pageInfo: t.field({
        type: PageInfo,
        description: 'Whether and where it goes on.',
        resolve: (page) => page,
      }),
      totalCount: t.int({
        description:
          'How many items the whole list has (2147483647 for even more). Counted only when it is asked for.',
        resolve: async (page) => Math.min(await page.totalCount(), MAX_INT),
      }),
    }),
  });
  return Connection;
}

/** `first` and `after`, with which every list is paged. */
export const pageArgs = builder.args((t) => ({
  first: t.int({ required: true, description: 'How many items to answer, 1 to 100.' }),
  after: t.string({ description: 'The cursor behind which to begin. Without it: at the beginning.' }),
}));
