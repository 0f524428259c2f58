/**
 * What news decide by themselves: whoever has just viewed something has viewed something in the last month, whatever
 * else there may be of him. Nobody has to be read for that.
 */
import type {
  Context,
  Criterion,
  EventFacts,
  NormalCondition,
  ProfileFacts,
  Value,
} from '../segments/ast.ts';
import { profileFacts } from '../segments/facts.ts';
import { evaluate } from '../segments/reference.ts';
import { isLeaf } from '../segments/tree.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import { isCheap } from './uses.ts';

/** By profile, the events that the news tell: some of those that it has. */
export function factsTold(changes: readonly ProfileChange[]): Map<number, ProfileFacts> {
  const events = new Map<number, Map<string, EventFacts>>();
  for (const { profile, metric, event, content } of changes) {
    const of = events.get(profile) ?? new Map<string, EventFacts>();
    events.set(profile, of);
    if (metric === undefined || !event || !content) continue;
    const properties = new Map(content.properties as [string, Value][]);
    of.set(event.id, { metric, time: event.time, value: content.value, properties });
  }
  return new Map(
    [...events].map(([profile, of]) => [
      profile,
      profileFacts({ number: profile, events: [...of.values()] }),
    ]),
  );
}

/** Whether the condition holds at the instant, whatever other events and attributes there are; null: that depends. */
export function evidentTruth(
  condition: NormalCondition,
  told: ProfileFacts,
  at: number,
  context: Context,
): boolean | null {
  if (isLeaf(condition)) return truthOfLeaf(condition, told, at, context);
  if (condition.kind === 'not') {
    const truth = evidentTruth(condition.child, told, at, context);
    return truth === null ? null : !truth;
  }
  const decisive = condition.kind === 'any';
  let isOpen = false;
  for (const child of condition.children) {
    const truth = evidentTruth(child, told, at, context);
    if (truth === decisive) return decisive;
    if (truth === null) isOpen = true;
  }
  return isOpen ? null : !decisive;
}

function truthOfLeaf(criterion: Criterion, told: ProfileFacts, at: number, context: Context): boolean | null {
  if (criterion.kind === 'sample') return evaluate(criterion, told, at, context);
  const isTrue = staysTrue(criterion) && isCheap(criterion) && evaluate(criterion, told, at, context);
  return isTrue ? true : null;
}

/** Whether no further event can make it false. */
function staysTrue(criterion: Criterion): boolean {
  if (criterion.kind === 'sequence') return criterion.steps.every(({ negate }) => !negate);
  if (criterion.kind !== 'event') return false;
  const { measure, is } = criterion;
  const isGrowing = measure.kind === 'count' || measure.kind === 'days' || measure.kind === 'distinct';
  return isGrowing && (is.op === 'atLeast' || is.op === 'moreThan');
}
