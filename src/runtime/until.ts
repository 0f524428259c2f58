import { setTimeout as pause } from 'node:timers/promises';

const FIRST_PAUSE_MS = 4;
const LONGEST_PAUSE_MS = 100;

/**
 * Waits for others, not for a time, and so in real time whatever the injected clock says: asks again after a few
 * milliseconds, and then less and less often, until it is so. False after `withinMs`. Throws what `isSo` throws, and when the signal aborts.
 */
export async function until(
  isSo: () => Promise<boolean>,
  { withinMs, signal }: { withinMs: number; signal?: AbortSignal | undefined },
): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  for (let pauseMs = FIRST_PAUSE_MS; !(await isSo()); pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 1.2)) {
    if (performance.now() >= deadline) return false;
    await pause(pauseMs, undefined, signal ? { signal } : {});
  }
  return true;
}
