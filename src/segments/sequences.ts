/** When a sequence of events is there. Part of the reference evaluator. */
import type { EventFacts, SequenceCriterion, SequenceStep } from './ast.ts';
import type { When } from './filters.ts';
import { happened, matches } from './measures.ts';

/** A step that must happen, and those that must not between the event before it and its own. */
interface Link {
  step: SequenceStep;
  unless: SequenceStep[];
}

/**
 * Goes from step to step, with all the times at which the steps so far can have been made: from one first event at a
 * time where the length counts, from all of them at once where it does not.
 */
export function sequenceHolds(
  { steps, completeWithinMs, within }: SequenceCriterion,
  all: readonly EventFacts[],
  when: When,
): boolean {
  const events = all.filter((event) => happened(event, within, when)).sort((a, b) => a.time - b.time);
  const timesOf = (some: readonly SequenceStep[]) =>
    events.filter((event) => some.some((step) => matches(event, step, when))).map(({ time }) => time);
  const { links, after } = linksOf(steps);
  const [first, ...rest] = links.map(({ step, unless }) => ({
    times: timesOf([step]),
    forbidden: timesOf(unless),
  }));
  const forbiddenAfter = timesOf(after);
  const starts = first?.times.filter((time) => !isBroken(first.forbidden, -Infinity, time)) ?? [];
  const endsFrom = (from: readonly number[]) =>
    rest.reduce((before, { times, forbidden }) => following(before, times, forbidden), from);

  if (completeWithinMs === null) {
    const last = endsFrom(starts).at(-1);
    return last !== undefined && !isBroken(forbiddenAfter, last, Infinity);
  }
  return starts.some((start) => {
    const deadline = start + completeWithinMs;
    if (after.length > 0 && when.at < deadline) return false;
    const last = endsFrom([start]).findLast((end) => end <= deadline);
    return last !== undefined && !isBroken(forbiddenAfter, last, deadline + 1);
  });
}

/**
 * Of ascending times, those that come after one of `before` with nothing forbidden strictly between: which is so exactly
 * if there is nothing after the latest of them.
 */
function following(
  before: readonly number[],
  times: readonly number[],
  forbidden: readonly number[],
): number[] {
  const latestBefore = latestIn(before);
  const latestForbidden = latestIn(forbidden);
  return times.filter((time) => {
    const from = latestBefore(time);
    return from > -Infinity && latestForbidden(time) <= from;
  });
}

/** Gives the latest of ascending times before another; to be asked in ascending order. */
function latestIn(times: readonly number[]): (time: number) => number {
  let next = 0;
  return (time) => {
    while ((times[next] ?? Infinity) < time) next += 1;
    return times[next - 1] ?? -Infinity;
  };
}

/** Whether one of the times lies strictly between. */
function isBroken(forbidden: readonly number[], from: number, to: number): boolean {
  return forbidden.some((time) => from < time && time < to);
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
