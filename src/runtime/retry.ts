import type { Clock } from './clock.ts';

export interface RetryOptions {
  clock: Clock;
  /** How often to try in all. `Infinity` needs a signal. */
  attempts: number;
  /** The pause before attempt n + 1 is random between half and all of min(maxMs, baseMs * 2^(n-1)). */
  baseMs: number;
  maxMs: number;
  signal?: AbortSignal;
  /** Errors that no repetition can help are thrown at once. Default: everything is worth another attempt. */
  retryable?: (error: unknown) => boolean;
  onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
}

/** Runs `work` until it succeeds; throws its last error when attempts, patience or the signal end. */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    options.signal?.throwIfAborted();
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt >= options.attempts || options.signal?.aborted || options.retryable?.(error) === false)
        throw error;
      const pauseMs = backoffMs(attempt, options.baseMs, options.maxMs);
      options.onRetry?.(error, attempt, pauseMs);
      await options.clock.sleep(pauseMs, options.signal);
    }
  }
}

/** Exponential, with jitter so that many waiters do not come back in one wave. `attempt` counts from 1. */
export function backoffMs(attempt: number, baseMs: number, maxMs: number): number {
  const full = Math.min(maxMs, baseMs * 2 ** (attempt - 1));
  return full / 2 + Math.random() * (full / 2);
}
