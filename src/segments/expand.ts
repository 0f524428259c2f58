/** What a condition that refers to other segments means, in full. */
import type { Condition, Leaf, NormalCondition, SampleCriterion } from './ast.ts';
import { LIMITS } from './limits.ts';
import { normalise } from './normalise.ts';
import { isLeaf } from './tree.ts';

/** The condition of a segment by its id; null for one that does not exist. */
export type ConditionOf = (id: string) => Condition | null;

/** The problem is the rest of a sentence about the condition. */
export type Expansion = { ok: true; condition: NormalCondition } | { ok: false; problem: string };

/** What one who is in no segment at all satisfies. */
export const NOBODY: SampleCriterion = { kind: 'sample', percent: 0, salt: '' };

/**
 * The normal form of the condition with each `segment` replaced by the condition of the segment that it names: true
 * for exactly the same profiles, and made of nothing but what is known of a profile itself. Refused when it would become too
 * large, as it does without end for segments that refer to one another in a circle.
 */
export function expand(condition: Condition, conditionOf: ConditionOf): Expansion {
  const problem = problemOf(extentsOver(conditionOf)(condition));
  if (problem !== null) return { ok: false, problem };
  const known = new Map<string, Condition>();
  const meaningOf = (id: string): Condition => {
    const found = known.get(id) ?? written(conditionOf(id) ?? NOBODY);
    known.set(id, found);
    return found;
  };
  const written = (node: Condition): Condition => {
    if (!isLeaf(node)) {
      return node.kind === 'not'
        ? { kind: 'not', child: written(node.child) }
        : { kind: node.kind, children: node.children.map(written) };
    }
    if (node.kind !== 'segment') return node;
    const meaning = meaningOf(node.id);
    return node.member ? meaning : { kind: 'not', child: meaning };
  };
  return { ok: true, condition: normalise(written(condition)) };
}

/** Every `segment` in the condition, with the path to its id from the condition's root. */
export function referencesIn(
  condition: Condition,
  path: readonly string[] = [],
): { id: string; path: string[] }[] {
  if (!isLeaf(condition)) {
    return condition.kind === 'not'
      ? referencesIn(condition.child, [...path, 'not'])
      : condition.children.flatMap((child, i) => referencesIn(child, [...path, condition.kind, `${i}`]));
  }
  return condition.kind === 'segment' ? [{ id: condition.id, path: [...path, 'segment', 'id'] }] : [];
}

/** How large a condition is when it is written out. */
interface Extent {
  /** Segments on the longest way from reference to reference. */
  chain: number;
  conditions: number;
  levels: number;
  /** Of all leaves as JSON. */
  characters: number;
}

const ENDLESS: Extent = { chain: Infinity, conditions: Infinity, levels: Infinity, characters: Infinity };

/** Counted without writing it out: that could take more memory than there is. */
function extentsOver(conditionOf: ConditionOf): (condition: Condition) => Extent {
  const known = new Map<string, Extent>();
  const above = new Set<string>();
  const ofSegment = (id: string): Extent => {
    if (above.has(id) || above.size > LIMITS.references) return ENDLESS;
    const before = known.get(id);
    if (before) return before;
    above.add(id);
    const extent = of(conditionOf(id) ?? NOBODY);
    above.delete(id);
    known.set(id, extent);
    return extent;
  };
  const of = (node: Condition): Extent => {
    if (!isLeaf(node)) {
      const parts = node.kind === 'not' ? [of(node.child)] : node.children.map(of);
      const { levels, ...rest } = parts.reduce(together, {
        chain: 0,
        conditions: 0,
        levels: 0,
        characters: 0,
      });
      return { ...rest, levels: levels + 1 };
    }
    if (node.kind !== 'segment') return { chain: 0, conditions: 1, levels: 1, characters: lengthOf(node) };
    const { chain, levels, ...rest } = ofSegment(node.id);
    return { ...rest, chain: chain + 1, levels: node.member ? levels : levels + 1 };
  };
  return of;
}

function together(a: Extent, b: Extent): Extent {
  return {
    chain: Math.max(a.chain, b.chain),
    conditions: a.conditions + b.conditions,
    levels: Math.max(a.levels, b.levels),
    characters: a.characters + b.characters,
  };
}

function lengthOf(leaf: Leaf): number {
  return JSON.stringify(leaf).length;
}

function problemOf({ chain, conditions, levels, characters }: Extent): string | null {
  if (chain > LIMITS.references) {
    return `refers to segments that refer to others, over more than ${LIMITS.references} of them`;
  }
  // A condition that refers to none has been held to tighter limits.
  if (chain === 0) return null;
  const most = (what: string, found: number, limit: number) =>
    found > limit ? `has more than ${limit} ${what}, with those of the segments it refers to` : null;
  return (
    most('conditions', conditions, LIMITS.expandedConditions) ??
    most('levels of nesting', levels, LIMITS.expandedDepth) ??
    most('characters', characters, LIMITS.expandedCharacters)
  );
}
