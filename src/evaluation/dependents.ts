/** Segments in force that refer to one another: what they mean together, and in which order they follow a change. */
import type { Condition } from '../segments/ast.ts';
import { expand, NOBODY, type ConditionOf } from '../segments/expand.ts';
import { criteriaOf, normalise } from '../segments/normalise.ts';
import type { StoredDefinition } from '../storage/mysql/definitions.ts';
import { conditionIn, lookUp, targetsOf } from './references.ts';
import type { Registry, SegmentInForce } from './registry.ts';

/** With the segments that it refers to, a condition is larger than is allowed. */
export class TooLarge extends Error {}

/** A version of a segment as it is evaluated. Throws TooLarge. */
export function segmentFrom(stored: StoredDefinition, conditionOf: ConditionOf): SegmentInForce {
  const { account, segment, version } = stored;
  const said = conditionIn(stored);
  const references = targetsOf(account, said);
  return writtenOut({ account, segment, version, own: normalise(said), references }, conditionOf);
}

/** The same version by the present conditions of the segments that it refers to. Throws TooLarge. */
export function writtenOut(
  segment: Omit<SegmentInForce, 'condition' | 'criteria'>,
  conditionOf: ConditionOf,
): SegmentInForce {
  const { account, segment: number, version, own, references } = segment;
  const expansion = expand(own, conditionOf);
  if (!expansion.ok) throw new TooLarge(`the condition ${expansion.problem}`);
  const { condition } = expansion;
  return { account, segment: number, version, own, references, condition, criteria: criteriaOf(condition) };
}

/** The conditions of an account's segments that are in force. */
export function inForceIn(registry: Registry, account: number): ConditionOf {
  const segments = registry.account(account)?.segments ?? new Map<number, SegmentInForce>();
  return lookUp(account, { get: (segment) => segments.get(segment)?.own });
}

/** All that is in force in a partition, each by the others. */
export function inForceTogether(stored: readonly StoredDefinition[]): SegmentInForce[] {
  const conditions = new Map<number, Map<number, Condition>>();
  for (const definition of stored) {
    const { account, segment } = definition;
    const known = conditions.get(account) ?? new Map<number, Condition>();
    conditions.set(account, known.set(segment, conditionIn(definition)));
  }
  return stored.map((definition) => {
    const conditionOf = lookUp(definition.account, conditions.get(definition.account) ?? new Map());
    try {
      return segmentFrom(definition, conditionOf);
    } catch (error) {
      if (!(error instanceof TooLarge)) throw error;
      // A newer version is to come, or it has been given up: what others refer to has been changed since.
      return { ...segmentFrom(definition, () => NOBODY), condition: NOBODY, criteria: [NOBODY] };
    }
  });
}

/** Those that refer to the segment, directly or through others; each behind those of them that it refers to. */
export function dependentsOf(segments: Iterable<SegmentInForce>, segment: number): SegmentInForce[] {
  const all = [...segments];
  const entered = new Set<number>();
  const found: SegmentInForce[] = [];
  const visit = (target: number): void => {
    for (const one of all) {
      if (!one.references.has(target) || entered.has(one.segment)) continue;
      entered.add(one.segment);
      visit(one.segment);
      found.push(one);
    }
  };
  visit(segment);
  return found.reverse();
}
