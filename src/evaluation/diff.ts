/** From truths to changes. Pure. */
import { criterionKey } from '../segments/normalise.ts';
import type { Condition } from '../segments/ast.ts';
import type { ChangeCause, EventReference } from '../storage/profile-changes.ts';
import type { SegmentInForce } from './registry.ts';

/** Why a profile's membership of a segment was looked at. */
export interface Reason {
  cause: ChangeCause;
  at: number;
  event: EventReference | null;
}

/** A profile and a segment whose truth may have changed. */
export interface Question {
  profile: number;
  segment: SegmentInForce;
  reason: Reason;
}

export interface Difference extends Question {
  kind: 'ENTERED' | 'EXITED';
}

/** Boolean algebra over the truths of the criteria. */
export function isTrue(condition: Condition, truthOf: (criterion: string) => boolean): boolean {
  switch (condition.kind) {
    case 'all':
      return condition.children.every((child) => isTrue(child, truthOf));
    case 'any':
      return condition.children.some((child) => isTrue(child, truthOf));
    case 'not':
      return !isTrue(condition.child, truthOf);
    case 'event':
    case 'property':
      return truthOf(criterionKey(condition));
  }
}

/** The questions whose answer differs from what is stored. */
export function differences(
  questions: Iterable<Question>,
  isMember: (question: Question) => boolean,
  wasMember: (question: Question) => boolean,
): Difference[] {
  const found: Difference[] = [];
  for (const question of questions) {
    const was = wasMember(question);
    const is = isMember(question);
    if (is !== was) found.push({ ...question, kind: is ? 'ENTERED' : 'EXITED' });
  }
  return found;
}
