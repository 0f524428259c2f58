/** Why a condition is true for someone, or not. */
import type { Condition, Context, ProfileFacts } from './ast.ts';
import { findingOf, type Finding } from './findings.ts';
import { describe } from './text.ts';
import { timelines } from './timeline.ts';
import { childrenOf, isLeaf } from './tree.ts';

export interface Explanation {
  /** The node, as a sentence. */
  text: string;
  satisfied: boolean;
  /** What was found for a leaf; null for all, any and not. */
  finding: Finding | null;
  /** The next instant, epoch milliseconds, at which time alone makes the opposite true; null: none. */
  flipsAt: number | null;
  /** Of all, any and not, in their order. */
  children: Explanation[];
}

/** Explains every node of the condition for the profile at the instant. */
export function explain(
  condition: Condition,
  facts: ProfileFacts,
  at: number,
  context: Context,
): Explanation {
  const timelineOf = timelines(condition, facts, at, context);
  const visit = (node: Condition): Explanation => {
    const { initially, flips } = timelineOf(node);
    return {
      text: describe(node),
      satisfied: initially,
      finding: isLeaf(node) ? findingOf(node, facts, { at, timeZone: context.timeZone }) : null,
      flipsAt: flips[0] ?? null,
      children: childrenOf(node).map(visit),
    };
  };
  return visit(condition);
}
