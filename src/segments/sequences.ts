/** When a sequence of events is there. Part of the reference evaluator: slow and obvious. */
import type { EventFacts, SequenceCriterion, SequenceStep } from './ast.ts';
import type { When } from './filters.ts';
import { happened, matches } from './measures.ts';

/** A step that must happen, and those that must not between the event before it and its own. */
interface Link {
  step: SequenceStep;
  unless: SequenceStep[];
}

/** Tries every choice of events. */
export function sequenceHolds(
  { steps, completeWithinMs, within }: SequenceCriterion,
  all: readonly EventFacts[],
  when: When,
): boolean {
  const events = all.filter((event) => happened(event, within, when));
  const { links, after } = linksOf(steps);
  /** Whether an event of one of the steps lies strictly between. */
  const isBroken = (unless: readonly SequenceStep[], from: number, to: number) =>
    events.some(
      (event) => from < event.time && event.time < to && unless.some((step) => matches(event, step, when)),
    );

  const completes = (first: number, last: number): boolean => {
    if (completeWithinMs === null) return !isBroken(after, last, Infinity);
    const deadline = first + completeWithinMs;
    if (last > deadline) return false;
    return after.length === 0 || (when.at >= deadline && !isBroken(after, last, deadline + 1));
  };
  const canFollow = (position: number, first: number | null, before: number): boolean => {
    const link = links[position];
    if (!link) return first !== null && completes(first, before);
    return events.some(
      (event) =>
        event.time > before &&
        matches(event, link.step, when) &&
        !isBroken(link.unless, before, event.time) &&
        canFollow(position + 1, first ?? event.time, event.time),
    );
  };
  return canFollow(0, null, -Infinity);
}

/** The negated steps, each with the step that follows it; those that nothing follows are in `after`. */
export function linksOf(steps: readonly SequenceStep[]): { links: Link[]; after: SequenceStep[] } {
  const links: Link[] = [];
  let unless: SequenceStep[] = [];
  for (const step of steps) {
    if (step.negate) unless.push(step);
    else {
      links.push({ step, unless });
      unless = [];
    }
  }
  return { links, after: unless };
}
