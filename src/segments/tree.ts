import type { Condition, Criterion, Leaf, NormalCondition } from './ast.ts';

/** Whether the node is none of all, any and not. */
export function isLeaf(node: NormalCondition): node is Criterion;
export function isLeaf(node: Condition): node is Leaf;
export function isLeaf({ kind }: Condition): boolean {
  return kind !== 'all' && kind !== 'any' && kind !== 'not';
}
