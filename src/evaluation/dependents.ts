/** Segments in force that refer to one another: what they mean together, and in which order they follow a change. */
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

/** What all partitions hold of a segment that refers to no others is one object. */
export function sharedIn(alone: Map<number, SegmentInForce>, made: SegmentInForce): SegmentInForce {
  const known = alone.get(made.segment);
  if (known?.version === made.version) return known;
  if (made.references.size === 0) alone.set(made.segment, made);
  return made;
}

/**
 * All that is in force in a partition of some accounts, each by the others of its account. `alone`: those that refer to no
 * others, which mean the same in every partition: reading the definitions of thousands once for all
 * partitions of a process is most of its start.
 */
export function inForceTogether(
  stored: readonly StoredDefinition[],
  alone: Map<number, SegmentInForce>,
): SegmentInForce[] {
  const definitions = new Map<number, Map<number, StoredDefinition>>();
  for (const definition of stored) {
    const { account, segment } = definition;
    const known = definitions.get(account) ?? new Map<number, StoredDefinition>();
    definitions.set(account, known.set(segment, definition));
  }
  return stored.map((definition) => {
    const { account, segment, version } = definition;
    const known = alone.get(segment);
    if (known?.version === version) return known;
    const conditionOf = lookUp(account, {
      get(other) {
        const target = definitions.get(account)?.get(other);
        return target && conditionIn(target);
      },
    });
    try {
      const found = segmentFrom(definition, conditionOf);
      return sharedIn(alone, found);
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
