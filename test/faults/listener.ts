import { setTimeout as sleep } from 'node:timers/promises';
import {
  currentPosition,
  membershipChanges,
  type FeedDeps,
  type FeedFilter,
  type MembershipChange,
} from '../../src/streaming/feed.ts';
import { systemClock } from '../../src/runtime/clock.ts';

/** Listens from now on; goes on behind the last change when the connection breaks, as a client would. */
export function listen(
  deps: Omit<FeedDeps, 'clock'>,
  account: number,
): { end(): Promise<MembershipChange[]> } {
  const received: MembershipChange[] = [];
  const controller = new AbortController();
  const { signal } = controller;
  async function run(): Promise<void> {
    let after: string | null = null;
    while (!signal.aborted) {
      try {
        after ??= await currentPosition(deps, account);
        const filter: FeedFilter = { segments: null, kinds: null, after };
        const feed = membershipChanges({ ...deps, clock: systemClock }, account, filter, signal);
        for await (const changes of feed) {
          received.push(...changes);
          after = changes.at(-1)?.position ?? after;
        }
      } catch {
        await sleep(100);
      }
    }
  }
  const ended = run();
  return {
    async end() {
      await sleep(500);
      controller.abort();
      await ended;
      return received;
    },
  };
}
