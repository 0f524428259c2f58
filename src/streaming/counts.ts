/** Sizes of segments as they move: once at the start, then whenever they have changed, a few times a second at most. */
import type { Clock } from '../runtime/clock.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { countMembers } from '../storage/clickhouse/member-counts.ts';
import { membershipsStored } from '../storage/announced.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { Hub } from './hub.ts';

export interface SegmentSize {
  segment: number;
  count: number;
  /** Epoch milliseconds. */
  at: number;
}

const PAUSE_MS = 250;

/** Ends when the signal does. Yields those that have changed together. */
export async function* segmentCounts(
  deps: { clickhouse: ClickHouse; mysql: MySql; hub: Hub; clock: Clock },
  account: number,
  segments: readonly number[],
  signal: AbortSignal,
): AsyncGenerator<SegmentSize[]> {
  const watched = new Set(segments);
  const shown = new Map<number, number>();
  const live = deps.hub.read(account);
  try {
    while (!signal.aborted) {
      // Whatever comes while we count is in the queue again: the next round sees it.
      live.reset();
      const at = deps.clock.now();
      await membershipsStored(deps.mysql, account, signal);
      const counts = await countMembers(deps.clickhouse, account, segments);
      const moved = [...counts].filter(([segment, count]) => shown.get(segment) !== count);
      for (const [segment, count] of moved) shown.set(segment, count);
      if (moved.length > 0) yield moved.map(([segment, count]) => ({ segment, count, at }));
      for (;;) {
        const entries = await live.next(signal);
        if (entries === null) return;
        if (entries === 'behind' || entries.some(({ segment }) => watched.has(segment))) break;
      }
      await deps.clock.sleep(PAUSE_MS, signal);
    }
  } finally {
    live.close();
  }
}
