/** From truths to changes. Pure. */
import { criterionKey } from '../segments/normalise.ts';
import { isLeaf } from '../segments/tree.ts';
import type { NormalCondition } from '../segments/ast.ts';
import type { ChangeCause, EventReference, ProfileChange } from '../storage/profile-changes.ts';
import type { AccountIndex, SegmentInForce } from './registry.ts';

/** Why a profile's membership of a segment was looked at. */
export interface Reason {
  cause: ChangeCause;
  at: number;
  event: EventReference | null;
}

/**
 * A profile and a segment whose truth may have changed: why it may have become true, and why false; null where nothing
 * has happened that could do that.
 */
export interface Question {
  profile: number;
  segment: SegmentInForce;
  entering: Reason | null;
  exiting: Reason | null;
}

export interface Difference {
  profile: number;
  segment: SegmentInForce;
  kind: 'ENTERED' | 'EXITED';
  reason: Reason;
}

/** A question per profile and segment that a change can touch, with the last such change each way as its reason. */
export function questionsOf(index: AccountIndex, changes: readonly ProfileChange[]): Question[] {
  const questions = new Map<string, Question>();
  for (const change of changes) {
    const { profile } = change;
    const event = change.event ?? null;
    for (const [segment, { canBecomeTrue, canBecomeFalse, direct }] of index.touchedBy(change)) {
      const reason: Reason = { cause: direct ? change.cause : 'SEGMENT', at: change.at, event };
      const key = `${segment.segment}:${profile}`;
      const before = questions.get(key);
      questions.set(key, {
        profile,
        segment,
        entering: canBecomeTrue ? reason : (before?.entering ?? null),
        exiting: canBecomeFalse ? reason : (before?.exiting ?? null),
      });
    }
  }
  return [...questions.values()];
}

/** Boolean algebra over the truths of the criteria. */
export function isTrue(condition: NormalCondition, truthOf: (criterion: string) => boolean): boolean {
  if (isLeaf(condition)) return truthOf(criterionKey(condition));
  switch (condition.kind) {
    case 'all':
      return condition.children.every((child) => isTrue(child, truthOf));
    case 'any':
      return condition.children.some((child) => isTrue(child, truthOf));
    case 'not':
      return !isTrue(condition.child, truthOf);
  }
}

/** Why the stored membership may be false by now; null: nothing can have made it so. */
function reasonOf({ entering, exiting }: Question, wasMember: boolean): Reason | null {
  return wasMember ? exiting : entering;
}

/** The questions that have to be asked, in view of what is stored. */
export function openQuestions(questions: Question[], wasMember: (question: Question) => boolean): Question[] {
  return questions.filter((question) => reasonOf(question, wasMember(question)) !== null);
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
    const reason = reasonOf(question, was);
    if (is === was || reason === null) continue;
    const { profile, segment } = question;
    found.push({ profile, segment, kind: is ? 'ENTERED' : 'EXITED', reason });
  }
  return found;
}
