import type { Clock } from '../../src/runtime/clock.ts';

/**
 * A clock whose time moves only when told, and whose sleepers wake only then, all of them, whatever they asked for.
 * So an evaluator looks at the time exactly once per move, and one can see when it has looked: it sleeps again.
 * (`createManualClock` moves on while those it has woken are still at work, which here would blur the instants.)
 */
export interface SteppedClock extends Clock {
  set(now: number): void;
  /** Lets everybody look again without moving. */
  wake(): void;
  /** How many are asleep. */
  asleep(): number;
}

export function createSteppedClock(start: number): SteppedClock {
  let now = start;
  const sleepers = new Set<() => void>();
  const wake = () => {
    for (const sleeper of [...sleepers]) sleeper();
  };
  return {
    now: () => now,
    set(to) {
      if (to < now) throw new RangeError('time does not go back');
      now = to;
      wake();
    },
    wake,
    asleep: () => sleepers.size,
    sleep: (_ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const done = () => {
          sleepers.delete(done);
          signal?.removeEventListener('abort', done);
          resolve();
        };
        sleepers.add(done);
        signal?.addEventListener('abort', done, { once: true });
      }),
  };
}
