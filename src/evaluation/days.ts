/**
 * Days that have begun in a partition, of which not everybody has been looked at yet. A midnight can turn millions; they
 * are looked at page by page, and everything else goes on in between. Whoever something else happens to meanwhile is
 * looked at first: so what the day has turned is told as of its beginning, whenever it is told.
 */
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { turnedByDay, type DayChange, type Turned } from './midnights.ts';
import type { Registry, SegmentInForce } from './registry.ts';
import { beginningsOf, type Turning } from './turnings.ts';

export interface Days {
  /** Whether somebody has not been looked at yet. */
  areOpen(): boolean;
  /** When the first of them has begun; Infinity: none is open. */
  since(): number;
  /** Beginnings of days of the account that are open. */
  openIn(account: number): readonly number[];
  /** `segments`: those that look at days, and whether directly. */
  begin(
    change: DayChange,
    midnights: readonly number[],
    segments: ReadonlyMap<SegmentInForce, boolean>,
  ): void;
  /** What of these profiles may be open; they are looked at now. */
  of(account: number, profiles: Iterable<number>): Turning[];
  /** The next page, or null: it is still being read. Throws what reading it has failed with. */
  next(): Turning[] | null;
  /** Whether `next` has something to say. */
  isRead(): boolean;
}

interface Day {
  account: number;
  midnights: readonly number[];
  segments: ReadonlyMap<SegmentInForce, boolean>;
  pages: AsyncGenerator<Turned>;
  /** Who has been looked at before their page came. */
  done: Set<number>;
  /** Undefined: is being read. */
  result: { turned: Turned | null } | { error: unknown } | undefined;
}

export function createDays(clickhouse: ClickHouse, registry: Registry): Days {
  const open: Day[] = [];

  /** Beside everything else. */
  function readOn(day: Day): void {
    day.result = undefined;
    void day.pages.next().then(
      ({ done, value }) => void (day.result = { turned: done === true ? null : value }),
      (error: unknown) => void (day.result = { error }),
    );
  }

  const openIn = (account: number) => open.flatMap((day) => (day.account === account ? day.midnights : []));

  /** When a segment was edited, all of its members have been compared since. */
  function turnings({ account, segments }: Day, profile: number, of: Iterable<SegmentInForce>): Turning[] {
    return [...of].flatMap((segment) => {
      if (registry.get(segment.segment) !== segment) return [];
      // Also of another day that has begun before this one was done.
      return [{ profile, segment, instants: beginningsOf(openIn(account), segments.get(segment)) }];
    });
  }

  return {
    areOpen: () => open.length > 0,
    since: () => Math.min(...open.flatMap((day) => day.midnights)),
    openIn,
    begin(change, midnights, segments) {
      const { account } = change;
      const pages = turnedByDay(clickhouse, change, segments.keys());
      const day: Day = { account, midnights, segments, pages, done: new Set(), result: undefined };
      readOn(day);
      open.push(day);
    },
    of: (account, profiles) => {
      const days = open.filter((day) => day.account === account);
      if (days.length === 0) return [];
      return [...profiles].flatMap((profile) =>
        days.flatMap((day) => {
          if (day.done.has(profile)) return [];
          day.done.add(profile);
          return turnings(day, profile, day.segments.keys());
        }),
      );
    },
    next() {
      const [day] = open;
      if (!day?.result) return null;
      if ('error' in day.result) throw day.result.error;
      const { turned } = day.result;
      if (turned === null) {
        open.shift();
        return [];
      }
      readOn(day);
      return turned.flatMap(([profile, segments]) =>
        day.done.has(profile) ? [] : turnings(day, profile, segments),
      );
    },
    isRead: () => open[0]?.result !== undefined || open.length === 0,
  };
}
