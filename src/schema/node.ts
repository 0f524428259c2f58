import * as resolve from '../resolvers/nodes.ts';
import { builder, Node } from './builder.ts';

builder.queryFields((t) => ({
  node: t.field({
    type: Node,
    nullable: true,
    description: "Anything by its global id; null when there is nothing with that id in the key's account.",
    args: { id: t.arg.id({ required: true, description: 'The global id.' }) },
    resolve: (_, args, ctx) => resolve.node(ctx, args),
  }),
  nodes: t.field({
    type: [Node],
    nullable: { list: false, items: true },
    description: 'Several at once, at most 100, in the order of the ids; null for each that is not there.',
    args: { ids: t.arg.idList({ required: true, description: 'The global ids.' }) },
    resolve: (_, args, ctx) => resolve.nodes(ctx, args),
  }),
}));
