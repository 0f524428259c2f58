/** Conditions as sentences in which other segments go by their names. */
import { decodeNumber } from '../runtime/global-ids.ts';
import type { Condition } from '../segments/ast.ts';
import { describe } from '../segments/index.ts';
import { criteriaOf } from '../segments/normalise.ts';
import { childrenOf } from '../segments/tree.ts';
import { accountOf, type Context } from './context.ts';

export async function textOf(ctx: Context, condition: Condition): Promise<string> {
  return describe(condition, await segmentNames(ctx, condition));
}

interface Described<Node> {
  text: string;
  children: Node[];
}

/** The same tree, a node for each of the condition, with such texts. */
export async function withTexts<Node extends Described<Node>>(
  ctx: Context,
  condition: Condition,
  root: Node,
): Promise<Node> {
  const nameOf = await segmentNames(ctx, condition);
  const visit = (node: Node, of: Condition): Node => ({
    ...node,
    text: describe(of, nameOf),
    children: node.children.map((child, i) => {
      const part = childrenOf(of)[i];
      return part ? visit(child, part) : child;
    }),
  });
  return visit(root, condition);
}

/** Ids of segments that are not there (any more) stand for themselves. */
async function segmentNames(ctx: Context, condition: Condition): Promise<(id: string) => string> {
  const ids = criteriaOf(condition).flatMap((leaf) => (leaf.kind === 'segment' ? [leaf.id] : []));
  const names = new Map<string, string>();
  await Promise.all(
    ids.map(async (id) => {
      const number = decodeNumber(id, 'Segment', accountOf(ctx));
      const row = number === null ? null : await ctx.loaders.segment.load(number);
      if (row) names.set(id, row.name);
    }),
  );
  return (id) => names.get(id) ?? id;
}
