import type { Clock } from './clock.ts';

/** What the work comes to; null when it fails, or takes longer than `ms`: it goes on, but nobody waits for it. */
export async function within<T>(clock: Clock, ms: number, work: Promise<T>): Promise<T | null> {
  const waited = new AbortController();
  const result = await Promise.race([
    work.catch(() => null),
    clock.sleep(ms, waited.signal).then(() => null),
  ]);
  waited.abort();
  return result;
}
