/** Time, as everything but this file sees it. Instants are milliseconds since 1970 (UTC), spans are milliseconds. */
export interface Clock {
  now: () => number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects: a loop looks at its signal itself. */
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const LONGEST_TIMER = 2_147_483_647;

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, Math.min(Math.max(ms, 0), LONGEST_TIMER));
      signal?.addEventListener('abort', done, { once: true });
    }),
};

/** A clock that stands still until it is told to move. For tests. */
export interface ManualClock extends Clock {
  /** Moves to `now() + ms`, waking sleepers at their instants, in order; what they start gets its turn in between. */
  advance(ms: number): Promise<void>;
}

export function createManualClock(start: number): ManualClock {
  let now = start;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted || ms <= 0) return resolve();
        const wake = () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        const sleeper = { at: now + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener('abort', wake, { once: true });
      }),
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        const next = [...sleepers].sort((a, b) => a.at - b.at)[0];
        if (next === undefined || next.at > end) break;
        now = next.at;
        next.wake();
        await new Promise((resolve) => setImmediate(resolve));
      }
      now = end;
    },
  };
}
