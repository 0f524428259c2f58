/** Memberships that time alone may have changed, and the instants at which that can have been. */
import { groupBy } from '../runtime/group-by.ts';
import { inPages } from '../runtime/in-pages.ts';
import type { Truths, Subject } from './changed-profiles.ts';
import type { CrossingProfile } from './crossings.ts';
import { isTrue, type Difference, type Question } from './diff.ts';
import type { AccountIndex, SegmentInForce } from './registry.ts';

export interface Turning {
  profile: number;
  segment: SegmentInForce;
  /** Epoch milliseconds, in any order; with each, whether it reaches the segment not only through others. */
  instants: ReadonlyMap<number, boolean>;
}

/** Of each account the truths of its segments' criteria for its subjects. */
export type Evaluate = (asked: ReadonlyMap<number, AskedOf>) => Promise<ReadonlyMap<number, Truths>>;

export interface AskedOf {
  subjects: readonly Subject[];
  segments: readonly SegmentInForce[];
  /** How many truths will be looked at. */
  questions: number;
}

/** Subjects differ in their instants here, which costs more of a query. */
const DIFFERENCES_PER_ROUND = 500;

/** What the crossings can have turned; `midnights` fall into the same stretch of time. */
export function turningsOf(
  index: AccountIndex,
  page: readonly CrossingProfile[],
  midnights: readonly number[],
): Turning[] {
  const withMidnights = new Map(midnights.length > 0 ? index.withMidnights() : []);
  return page.flatMap(({ profile, crossings }) => {
    const bySegment = new Map<SegmentInForce, Map<number, boolean>>();
    for (const { edge, instant } of crossings) {
      const { source, offset } = edge;
      const hasCome = source.of === 'event' && offset === 0;
      for (const [segment, direct] of hasCome ? index.withMetric(source.metric) : index.withEdge(edge)) {
        const daily = withMidnights.get(segment);
        const instants = bySegment.get(segment) ?? beginningsOf(daily === undefined ? [] : midnights, daily);
        bySegment.set(segment, instants.set(instant, direct || instants.get(instant) === true));
      }
    }
    return [...bySegment].map(([segment, instants]) => ({ profile, segment, instants }));
  });
}

/** Beginnings of days as instants of a turning. */
export function beginningsOf(midnights: readonly number[], direct = false): Map<number, boolean> {
  return new Map(midnights.map((midnight) => [midnight, direct]));
}

export function questionsOfTime(turnings: readonly Turning[], until: number): Question[] {
  const reason = { cause: 'TIME' as const, at: until, event: null };
  return turnings.map(({ profile, segment }) => ({ profile, segment, entering: reason, exiting: reason }));
}

/**
 * When exactly it became true: the instant after which the answer has been what it is now. With one instant there is
 * nothing to ask.
 */
export async function dateDifferences(
  found: readonly Difference[],
  turnings: readonly Turning[],
  until: number,
  evaluate: Evaluate,
): Promise<Difference[]> {
  const instants = new Map(
    turnings.map(({ segment, profile, instants: of }) => [`${segment.segment}:${profile}`, of]),
  );
  const candidatesOf = ({ segment, profile }: Difference) =>
    [...(instants.get(`${segment.segment}:${profile}`)?.keys() ?? [until])].sort((a, b) => a - b);
  const dated = (difference: Difference, at: number): Difference => {
    const { segment, profile } = difference;
    const direct = instants.get(`${segment.segment}:${profile}`)?.get(at) ?? true;
    return { ...difference, reason: { ...difference.reason, cause: direct ? 'TIME' : 'SEGMENT', at } };
  };
  const ask = (differences: readonly Difference[]): AskedOf => {
    const subjects = new Map<string, Subject>();
    for (const difference of differences) {
      for (const instant of candidatesOf(difference)) {
        subjects.set(`${difference.profile}@${instant}`, { profile: difference.profile, instant });
      }
    }
    return {
      subjects: [...subjects.values()],
      segments: [...groupBy(differences, ({ segment }) => segment).keys()],
      questions: differences.reduce(
        (sum, one) => sum + candidatesOf(one).length * one.segment.criteria.length,
        0,
      ),
    };
  };
  const ambiguous = found.filter((difference) => candidatesOf(difference).length > 1);
  const truths = new Map<Difference, Truths>();
  for (const round of inPages(ambiguous, DIFFERENCES_PER_ROUND)) {
    const answers = await evaluate(
      new Map(
        [...groupBy(round, ({ segment }) => segment.account)].map(([account, of]) => [account, ask(of)]),
      ),
    );
    for (const difference of round) {
      const answer = answers.get(difference.segment.account);
      if (answer) truths.set(difference, answer);
    }
  }
  return found.map((difference) => {
    const candidates = candidatesOf(difference);
    const answers = truths.get(difference);
    const [first = until] = candidates;
    if (!answers) return dated(difference, first);
    const { segment, profile, kind } = difference;
    let at = candidates.at(-1) ?? until;
    for (const instant of [...candidates].reverse()) {
      if (holds(segment, answers, { profile, instant }) !== (kind === 'ENTERED')) break;
      at = instant;
    }
    return dated(difference, at);
  });
}

export function holds({ condition }: SegmentInForce, truths: Truths, subject: Subject): boolean {
  return isTrue(condition, (criterion) => truths(subject, criterion));
}
