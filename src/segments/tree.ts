import type { Condition, Criterion, Leaf, NormalCondition } from './ast.ts';

/** Whether the node is none of all, any and not. */
export function isLeaf(node: NormalCondition): node is Criterion;
export function isLeaf(node: Condition): node is Leaf;
export function isLeaf({ kind }: Condition): boolean {
  return kind !== 'all' && kind !== 'any' && kind !== 'not';
}

/** Of all, any and not, in their order. */
export function childrenOf(node: Condition): Condition[] {
  if (isLeaf(node)) return [];
  return node.kind === 'not' ? [node.child] : node.children;
}
