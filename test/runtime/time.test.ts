import { expect, test } from 'vitest';
import { createManualClock, systemClock } from '../../src/runtime/clock.ts';
import { backoffMs, retry } from '../../src/runtime/retry.ts';

test('the manual clock wakes sleepers at their instants, in order, also those that sleep again', async () => {
  const clock = createManualClock(1_000);
  const woken: [string, number][] = [];
  const sleeper = async (name: string, ...pauses: number[]) => {
    for (const ms of pauses) {
      await clock.sleep(ms);
      woken.push([name, clock.now()]);
    }
  };
  const all = Promise.all([sleeper('late', 50), sleeper('twice', 20, 20), sleeper('never', 500)]);
  await clock.advance(100);
  expect(woken).toEqual([
    ['twice', 1_020],
    ['twice', 1_040],
    ['late', 1_050],
  ]);
  expect(clock.now()).toBe(1_100);
  await clock.advance(400);
  await all;
});

test.each([
  ['system', systemClock],
  ['manual', createManualClock(0)],
])('an aborted sleep on the %s clock ends at once, without an error', async (_, clock) => {
  const controller = new AbortController();
  const sleeping = clock.sleep(3_600_000, controller.signal);
  controller.abort();
  await sleeping;
  await clock.sleep(3_600_000, controller.signal);
});

const options = { clock: systemClock, baseMs: 1, maxMs: 2 };

test('retry returns the first success and gives up with the last error', async () => {
  let calls = 0;
  const flaky = async () => {
    if (++calls < 3) throw new Error(`no ${calls}`);
    return calls;
  };
  expect(await retry(flaky, { ...options, attempts: 5 })).toBe(3);
  calls = 0;
  await expect(retry(flaky, { ...options, attempts: 2 })).rejects.toThrow('no 2');
});

test('retry does not repeat what cannot succeed, nor after an abort', async () => {
  let calls = 0;
  const fail = async () => {
    calls++;
    throw new Error('no');
  };
  await expect(retry(fail, { ...options, attempts: 9, retryable: () => false })).rejects.toThrow('no');
  expect(calls).toBe(1);

  const controller = new AbortController();
  const patient = {
    ...options,
    attempts: Infinity,
    baseMs: 60_000,
    maxMs: 60_000,
    signal: controller.signal,
  };
  const waiting = retry(fail, {
    ...patient,
    onRetry: () => setTimeout(() => controller.abort(new Error('stop')), 5),
  });
  await expect(waiting).rejects.toThrow('stop');
  expect(calls).toBe(2);
});

test('pauses grow, are bounded, and never all alike', () => {
  for (let attempt = 1; attempt < 40; attempt++) {
    const full = Math.min(1_000, 10 * 2 ** (attempt - 1));
    const pause = backoffMs(attempt, 10, 1_000);
    expect(pause).toBeGreaterThanOrEqual(full / 2);
    expect(pause).toBeLessThanOrEqual(full);
  }
  expect(new Set(Array.from({ length: 20 }, () => backoffMs(20, 10, 1_000))).size).toBeGreaterThan(1);
});
