/**
 * The sizes of audiences that nobody saved, kept current: counted again when they may have changed, and not too often.
 * All who follow the same condition of an account share its counts.
 */
import pLimit from 'p-limit';
import type { Clock } from '../runtime/clock.ts';
import { metrics } from '../runtime/metrics.ts';
import type { Condition } from '../segments/ast.ts';
import { consentAttribute } from '../segments/paths.ts';
import { criteriaOf, dependenciesOf, hashOf, normalise, timeEdgesOf } from '../segments/index.ts';
import type { Dependencies } from '../segments/index.ts';
import type { Log } from '../storage/log/log.ts';
import type { ProfileChange, ProfileChangeMessage } from '../storage/profile-changes.ts';
import { EVALUATOR_GROUP, PROFILE_CHANGES } from '../storage/topics.ts';
import type { Activity } from './activity.ts';

/** An account follows too many different conditions. */
export class TooManyAudiences extends Error {}

export interface AudienceSource {
  condition: Condition;
  /** How many they are now. */
  count(): Promise<number>;
  /** Whether time alone may have changed who they are: after < instant <= through, epoch milliseconds. */
  mayHaveTurned(after: number, through: number): Promise<boolean>;
  /** When the next event comes of age that was sent ahead of its time: after `after`, epoch milliseconds, or null. */
  nextEventAhead(after: number): Promise<number | null>;
}

export interface AudienceCounts {
  /** The size now, then whenever it is another. Ends when the signal does. Throws TooManyAudiences. */
  follow(account: number, source: AudienceSource, signal: AbortSignal): AsyncGenerator<number[]>;
}

/** From the beginning of one count to the next of the same condition; no more than half of the time is counted. */
const PERIOD_MS = 1_000;
/** Of one account in one process, so that it cannot take all places. */
export const MAX_AUDIENCES = 100;
/** Counts at once in one process, over all accounts; whoever waits longest is next. */
const COUNTS_AT_ONCE = 4;

interface Followed {
  followers: number;
  /** Null before the first count. */
  size: number | null;
  /** Set once it could not go on. */
  failure: { error: unknown } | null;
  /** Resolves when size or failure are others, or when the signal aborts. */
  news(signal: AbortSignal): Promise<void>;
  stop(): void;
}

export function createAudienceCounts(deps: { activity: Activity; clock: Clock; log: Log }): AudienceCounts {
  const accounts = new Map<number, Map<string, Followed>>();
  const turn = pLimit(COUNTS_AT_ONCE);

  function join(account: number, source: AudienceSource): [Followed, leave: () => void] {
    const hash = hashOf(source.condition);
    const audiences = accounts.get(account) ?? new Map<string, Followed>();
    const known = audiences.get(hash);
    if (!known && audiences.size >= MAX_AUDIENCES) throw new TooManyAudiences();
    const forget = () => {
      if (audiences.get(hash) === followed) audiences.delete(hash);
      if (audiences.size === 0 && accounts.get(account) === audiences) accounts.delete(account);
    };
    const followed = known ?? begin(deps, turn, account, source, () => forget());
    accounts.set(account, audiences.set(hash, followed));
    followed.followers += 1;
    const leave = () => {
      followed.followers -= 1;
      if (followed.followers > 0) return;
      forget();
      followed.stop();
    };
    return [followed, leave];
  }

  return {
    async *follow(account, source, signal) {
      const [followed, leave] = join(account, source);
      metrics.subscribers.inc();
      try {
        let shown: number | null = null;
        while (!signal.aborted) {
          if (followed.failure) throw followed.failure.error;
          if (followed.size !== null && followed.size !== shown) {
            shown = followed.size;
            yield [shown];
          } else await followed.news(signal);
        }
      } finally {
        metrics.subscribers.dec();
        leave();
      }
    },
  };
}

/** Counts until it is stopped or fails, which ends it for all who follow it. */
function begin(
  deps: { activity: Activity; clock: Clock; log: Log },
  turn: <T>(work: () => Promise<T>) => Promise<T>,
  account: number,
  source: AudienceSource,
  onFailure: () => void,
): Followed {
  const { activity, clock, log } = deps;
  const dependencies = dependenciesOf(source.condition);
  const isTimed = changesWithTime(source.condition);
  const over = new AbortController();
  const waiting = new Set<() => void>();
  /** What the evaluators have yet to do with changes that have been announced: the offset of the last, by partition. */
  const unsettled = new Map<number, number>();
  let changed = false;
  let pause = new AbortController();

  const note = () => {
    changed = true;
    pause.abort();
  };
  const isQuiet = () => !changed && unsettled.size === 0 && !over.signal.aborted;
  const watching = activity.watch(account, (changes) => {
    for (const { message, partition, offset } of changes) {
      if (!mayChange(dependencies, message)) continue;
      if (settlesLater(dependencies, message)) unsettled.set(partition, offset);
      note();
    }
  });

  async function settle(): Promise<void> {
    if (unsettled.size === 0) return;
    const done = await log.committed(EVALUATOR_GROUP, PROFILE_CHANGES);
    for (const [partition, offset] of unsettled)
      if ((done[partition] ?? 0) > offset) unsettled.delete(partition);
  }

  async function run(): Promise<void> {
    while (!over.signal.aborted) {
      // What comes while we count is counted in the next round.
      changed = false;
      pause = new AbortController();
      const began = clock.now();
      await settle();
      const size = await turn(async () => (over.signal.aborted ? null : source.count()));
      if (size === null) return;
      followed.size = size;
      tell();
      const took = clock.now() - began;
      await clock.sleep(Math.max(PERIOD_MS - took, took), over.signal);
      if (isTimed) await untilTurned(began);
      else if (isQuiet()) {
        const next = dependencies.metrics.size > 0 ? await source.nextEventAhead(began) : null;
        await clock.sleep(next === null ? Infinity : next - clock.now(), pause.signal);
      }
    }
  }

  async function untilTurned(counted: number): Promise<void> {
    for (let since = counted; isQuiet();) {
      const now = clock.now();
      if (await turn(() => source.mayHaveTurned(since, now))) return;
      since = now;
      await clock.sleep(PERIOD_MS, pause.signal);
    }
  }

  function tell(): void {
    for (const wake of [...waiting]) wake();
  }

  function fail(error: unknown): void {
    followed.failure = { error };
    onFailure();
    followed.stop();
    tell();
  }

  const followed: Followed = {
    followers: 0,
    size: null,
    failure: null,
    news: (signal) =>
      new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      }),
    stop() {
      over.abort();
      pause.abort();
      watching.then(
        (unwatch) => unwatch(),
        () => {},
      );
    },
  };
  // The first count does not wait until the news are followed; what it may have missed, the next one sees.
  watching.then(note, fail);
  run().catch(fail);
  return followed;
}

/** Whether what the message says can change the size. */
export function mayChange(dependencies: Dependencies, message: ProfileChangeMessage): boolean {
  const { metrics, attributes, consents, segments, predictions } = dependencies;
  if (message.kind === 'mark') return false;
  if (message.kind === 'definition' || message.kind === 'deleted') return segments.size > 0;
  // Of these the changes do not say enough: any is reason to look.
  if (segments.size > 0 || predictions.size > 0 || message.kind === 'merge') return true;
  const watched = new Set([...attributes, ...[...consents].map(consentAttribute)]);
  return message.changes.some(
    ({ whole, gone, metric, attributes: written }: ProfileChange) =>
      whole === true ||
      gone === true ||
      (metric !== undefined && metrics.has(metric)) ||
      (written ?? []).some((path) => watched.has(path)),
  );
}

/** Whether it takes the evaluators to make it so: they copy events after merges, and keep the members of segments. */
function settlesLater(dependencies: Dependencies, message: ProfileChangeMessage): boolean {
  return message.kind === 'merge' || dependencies.segments.size > 0;
}

/** Whether time alone can change the size, apart from events that were sent ahead of theirs. */
export function changesWithTime(condition: Condition): boolean {
  return criteriaOf(normalise(condition)).some((criterion) => {
    const { crossings, midnights } = timeEdgesOf(criterion);
    return crossings.length > 0 || midnights || criterion.kind === 'segment';
  });
}
