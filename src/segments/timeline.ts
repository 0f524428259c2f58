/** The truth of a condition over time, if nothing but time happens. */
import type { Condition, Context, Leaf, ProfileFacts } from './ast.ts';
import { criteriaOf } from './normalise.ts';
import { evaluate } from './reference.ts';
import { isLeaf } from './tree.ts';
import { turningPoints, yearlyPoints, type TurningPoints } from './turning-points.ts';

/** Truth at an instant, and the instants after it, ascending, at which it turns into its opposite. */
export interface Timeline {
  initially: boolean;
  flips: number[];
}

export type TimelineOf = (node: Condition) => Timeline;

/** Once only yearly events are left, truth repeats itself as leap years do: eight years show every one of their kinds. */
const AFTER_ALL_MS = 10 * 366 * 86_400_000;

/**
 * Timelines of the condition's nodes from an instant on. They reach so far that what has not flipped then never will
 * for the first time.
 */
export function timelines(
  condition: Condition,
  facts: ProfileFacts,
  at: number,
  context: Context,
): TimelineOf {
  const points = new Map<Leaf, TurningPoints>();
  const known = new Map<Condition, Timeline>();
  for (const leaf of criteriaOf(condition)) points.set(leaf, turningPoints(leaf, facts, context.timeZone));
  const latest = [...points.values()].flatMap((each) => each.once).reduce((a, b) => Math.max(a, b), at);

  const leafTimeline = (leaf: Leaf): Timeline => {
    const found = turningPoints(leaf, facts, context.timeZone);
    const yearly = found.yearly.flatMap((each) =>
      yearlyPoints(each, at, latest + AFTER_ALL_MS, context.timeZone),
    );
    const instants = [...new Set([...found.once, ...yearly])].filter((instant) => instant > at);
    instants.sort((a, b) => a - b);
    const relevant = { ...facts, events: facts.events.filter(({ metric }) => isAbout(leaf, metric)) };
    const initially = evaluate(leaf, relevant, at, context);
    let truth = initially;
    const flips = instants.filter((instant) => {
      const before = truth;
      truth = evaluate(leaf, relevant, instant, context);
      return truth !== before;
    });
    return { initially, flips };
  };
  const timelineOf = (node: Condition): Timeline => {
    const remembered = known.get(node);
    if (remembered) return remembered;
    const timeline = compute(node);
    known.set(node, timeline);
    return timeline;
  };
  const compute = (node: Condition): Timeline => {
    if (isLeaf(node)) return leafTimeline(node);
    switch (node.kind) {
      case 'all':
        return combined(node.children.map(timelineOf), (trues, count) => trues === count);
      case 'any':
        return combined(node.children.map(timelineOf), (trues) => trues > 0);
      case 'not': {
        const { initially, flips } = timelineOf(node.child);
        return { initially: !initially, flips };
      }
    }
  };
  return timelineOf;
}

function isAbout(leaf: Leaf, metric: string): boolean {
  if (leaf.kind === 'event') return leaf.metric === metric;
  return leaf.kind === 'sequence' && leaf.steps.some((step) => step.metric === metric);
}

function combined(children: readonly Timeline[], holds: (trues: number, count: number) => boolean): Timeline {
  const changes = new Map<number, number>();
  for (const { initially, flips } of children) {
    for (const [i, at] of flips.entries()) {
      const becomesTrue = (i % 2 === 0) !== initially;
      changes.set(at, (changes.get(at) ?? 0) + (becomesTrue ? 1 : -1));
    }
  }
  let trues = children.filter(({ initially }) => initially).length;
  const initially = holds(trues, children.length);
  let truth = initially;
  const flips: number[] = [];
  for (const [at, change] of [...changes].sort(([a], [b]) => a - b)) {
    trues += change;
    if (holds(trues, children.length) === truth) continue;
    truth = !truth;
    flips.push(at);
  }
  return { initially, flips };
}
