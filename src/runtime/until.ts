import { setTimeout as pause } from 'node:timers/promises';

const POLL_MS = 4;

/**
 * Waits for others, not for a time, and so in real time whatever the injected clock says: asks every few milliseconds
 * until it is so. False after `withinMs`. Throws what `isSo` throws, and when the signal aborts.
 */
export async function until(
  isSo: () => Promise<boolean>,
  { withinMs, signal }: { withinMs: number; signal?: AbortSignal | undefined },
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() >= deadline) return false;
    await pause(POLL_MS, undefined, signal ? { signal } : {});
  }
  return true;
}
