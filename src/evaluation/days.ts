/**
 * Days that have begun in a partition, of which not everybody has been looked at yet. A midnight can turn millions; they
 * are looked at page by page, and everything else goes on in between. Whoever something else happens to meanwhile is
 * looked at first: so what the day has turned is told as of its beginning, whenever it is told.
 */
import type { Logger } from '../runtime/logger.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import {
  movedByDay,
  turnedByDay,
  turnedOf,
  type DayChange,
  type MovedByDay,
  type Reading,
  type Turned,
} from './midnights.ts';
import type { Registry, SegmentInForce } from './registry.ts';
import { beginningsOf, type Turning } from './turnings.ts';

/** What a day may have turned, which is looked at as it was at an instant just behind its beginning. */
export interface DayTurnings {
  at: number;
  turnings: Turning[];
}

export interface Days {
  /** Whether somebody has not been looked at yet. */
  areOpen(): boolean;
  /** When the first of them has begun; Infinity: none is open. */
  since(): number;
  /** `segments`: those that look at days, and whether directly. */
  begin(
    change: DayChange,
    midnights: readonly number[],
    segments: ReadonlyMap<SegmentInForce, boolean>,
  ): void;
  /** These were not there when the day began, or are not any more: nobody asks what it has turned for them. */
  leaveOut(account: number, profiles: Iterable<number>): void;
  /** What of these profiles may be open, day by day; they are looked at now. */
  of(account: number, profiles: ReadonlySet<number>): Promise<DayTurnings[]>;
  /** The next page of any account's first day, or null: all are still being read. Throws what reading it has failed with. */
  next(): DayTurnings | null;
  /** Whether `next` has something to say. */
  isRead(): boolean;
  /** Ends what is being read. */
  close(): void;
}

/** A day that has begun in an account. */
interface Day {
  change: DayChange;
  moved: MovedByDay;
  midnights: readonly number[];
  segments: ReadonlyMap<SegmentInForce, boolean>;
  pages: AsyncGenerator<Turned>;
  /** Who has been looked at before their page came. */
  done: Set<number>;
  /** Of the page that is read next. `turned` null: there is none. */
  page: 'waits' | 'is read' | { turned: Turned | null } | { error: unknown };
}

/** At some midnights a day begins in all accounts. */
const READ_AT_ONCE = 2;
const NAMED_AT_MOST = 20;

/**
 * `askedOutright`: what any of its segments may be for profiles that are looked at before their page. Of more, ClickHouse
 * is asked first which of them there are.
 */
export function createDays(
  clickhouse: ClickHouse,
  registry: Registry,
  logger: Logger,
  askedOutright: number,
): Days {
  const open: Day[] = [];
  const stop = new AbortController();
  const reading: Reading = {
    signal: stop.signal,
    skipped(error, chunk, segments) {
      const numbers = [...segments].map(({ segment }) => segment);
      logger.error(
        { segments: numbers.slice(0, NAMED_AT_MOST), chunk, err: error },
        'whom the beginning of a day has turned could not be read; the audit repairs it',
      );
    },
  };

  /** Beside everything else. */
  function readOn(day: Day): void {
    day.page = 'is read';
    void day.pages.next().then(
      ({ done, value }) => void (day.page = { turned: done === true ? null : value }),
      (error: unknown) => void (day.page = { error }),
    );
  }

  function beginReading(): void {
    for (const day of firsts().slice(0, READ_AT_ONCE)) if (day.page === 'waits') readOn(day);
  }

  /** The days of an account come one after the other. */
  function firsts(): Day[] {
    return [...new Map([...open].reverse().map((day) => [day.change.account, day])).values()].reverse();
  }

  /** While one large account is being read, the others go on. */
  function tellable(): { day: Day; page: Exclude<Day['page'], string> } | null {
    for (const day of firsts()) if (typeof day.page === 'object') return { day, page: day.page };
    return null;
  }

  /** When a segment was edited, all of its members have been compared since. */
  function turnings({ midnights, segments }: Day, profile: number, of: Iterable<SegmentInForce>): Turning[] {
    return [...of].flatMap((segment) => {
      if (registry.get(segment.segment) !== segment) return [];
      return [{ profile, segment, instants: beginningsOf(midnights, segments.get(segment)) }];
    });
  }

  return {
    areOpen: () => open.length > 0,
    since: () => Math.min(...open.flatMap((day) => day.midnights)),
    begin(change, midnights, segments) {
      const moved = movedByDay(change, segments.keys());
      const pages = turnedByDay(clickhouse, change, moved, reading);
      open.push({ change, moved, midnights, segments, pages, done: new Set(), page: 'waits' });
      beginReading();
    },
    leaveOut(account, profiles) {
      const days = open.filter(({ change }) => change.account === account);
      for (const profile of profiles) for (const { done } of days) done.add(profile);
    },
    async of(account, profiles) {
      const found: DayTurnings[] = [];
      for (const day of open.filter(({ change }) => change.account === account)) {
        const left = [...profiles].filter((profile) => !day.done.has(profile));
        const isMuch = left.length * day.segments.size > askedOutright;
        const turned: Turned = isMuch
          ? await turnedOf(clickhouse, day.change, day.moved, left)
          : left.map((profile) => [profile, day.segments.keys()]);
        for (const profile of left) day.done.add(profile);
        const asked = turned.flatMap(([profile, segments]) => turnings(day, profile, segments));
        if (asked.length > 0) found.push({ at: day.change.after, turnings: asked });
      }
      return found;
    },
    next() {
      const next = tellable();
      if (!next) return null;
      const { day, page } = next;
      if ('error' in page) throw page.error;
      const { turned } = page;
      if (turned === null) {
        open.splice(open.indexOf(day), 1);
        beginReading();
        return { at: day.change.after, turnings: [] };
      }
      readOn(day);
      const left = turned.filter(([profile]) => !day.done.has(profile));
      return {
        at: day.change.after,
        turnings: left.flatMap(([profile, segments]) => turnings(day, profile, segments)),
      };
    },
    isRead: () => open.length === 0 || tellable() !== null,
    close: () => stop.abort(),
  };
}
