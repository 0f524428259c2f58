/**
 * Events as they are stored. The news names them once ClickHouse has them; they are read once for all who follow the
 * same account, and handed on through bounded queues. Nothing can be made up for: whoever is too slow is told so.
 */
import { inPages } from '../runtime/in-pages.ts';
import { metrics } from '../runtime/metrics.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { findEventsOfProfiles, type EventRow } from '../storage/clickhouse/event-reads.ts';
import type { EventReference } from '../storage/profile-changes.ts';
import type { Activity, StoredChange } from './activity.ts';
import { createReader, type Reader } from './reader.ts';

/** More has come than the subscriber has taken in time. */
export class SlowConsumer extends Error {}

export interface EventFeed {
  /** Those of the metric, or all, from now on, each once. Ends when the signal does. Throws SlowConsumer. */
  follow(account: number, metric: string | null, signal: AbortSignal): AsyncGenerator<EventRow[]>;
}

interface Follower extends Reader<EventRow> {
  metric: string | null;
}

interface AccountFeed {
  followers: Set<Follower>;
  unwatch: Promise<() => void>;
  /** Set once it could not go on. */
  failure: { error: unknown } | null;
}

interface StoredEvent extends EventReference {
  profile: number;
  name: string;
}

/** Characters that wait for one subscriber, about 15,000 small events. Those who are equally slow share them. */
const QUEUE_LIMIT = 8_000_000;
const ROW_CHARACTERS = 500;
/** Events may have half a megabyte. */
const READ_AT_ONCE = 250;
/** So many ids are remembered, of all accounts: an interrupted worker's successor announces its last events again. */
const REMEMBERED = 100_000;

export function createEventFeed(deps: { activity: Activity; clickhouse: ClickHouse }): EventFeed {
  const feeds = new Map<number, AccountFeed>();
  const remembered = new Set<string>();

  /** Whether it has not been announced before. */
  function isNew(account: number, { id }: EventReference): boolean {
    const key = `${account}:${id}`;
    if (remembered.has(key)) return false;
    remembered.add(key);
    const [oldest] = remembered;
    if (remembered.size > REMEMBERED && oldest !== undefined) remembered.delete(oldest);
    return true;
  }

  function begin(account: number): AccountFeed {
    const followers = new Set<Follower>();
    const take = async (changes: StoredChange[]) => {
      try {
        await handOn(account, followers, newEvents(account, changes));
      } catch (error) {
        feed.failure = { error };
        for (const follower of [...followers]) follower.close();
      }
    };
    const feed: AccountFeed = { followers, unwatch: deps.activity.watch(account, take), failure: null };
    return feed;
  }

  function newEvents(account: number, changes: StoredChange[]): StoredEvent[] {
    return changes.flatMap(({ message }) => {
      if (message.kind !== 'profiles') return [];
      // A message has them person by person.
      const byArrival = message.changes.filter(({ event }) => event).sort((a, b) => a.at - b.at);
      return byArrival.flatMap(({ profile, metric, event }) =>
        event && metric !== undefined && isNew(account, event) ? [{ ...event, profile, name: metric }] : [],
      );
    });
  }

  async function handOn(account: number, followers: ReadonlySet<Follower>, events: StoredEvent[]) {
    const wants = ({ metric }: Follower, { name }: StoredEvent) => metric === null || metric === name;
    const wanted = events.filter((event) => [...followers].some((follower) => wants(follower, event)));
    for (let start = 0; start < wanted.length && followers.size > 0; start += READ_AT_ONCE) {
      const some = wanted.slice(start, start + READ_AT_ONCE);
      const rows = await findEventsOfProfiles(deps.clickhouse, account, some);
      for (const event of some) {
        const row = rows.get(event.id);
        if (row) for (const follower of followers) if (wants(follower, event)) follower.push(row);
      }
    }
  }

  async function open(account: number, metric: string | null): Promise<[AccountFeed, Follower]> {
    const feed = feeds.get(account) ?? begin(account);
    feeds.set(account, feed);
    const reader = createReader<EventRow>({
      limit: QUEUE_LIMIT,
      weightOf: ({ properties }) => ROW_CHARACTERS + properties.length,
      onClose() {
        feed.followers.delete(follower);
        if (feed.followers.size > 0) return;
        if (feeds.get(account) === feed) feeds.delete(account);
        feed.unwatch.then(
          (unwatch) => unwatch(),
          () => {},
        );
      },
    });
    const follower: Follower = { ...reader, metric };
    feed.followers.add(follower);
    try {
      await feed.unwatch;
    } catch (error) {
      follower.close();
      throw error;
    }
    return [feed, follower];
  }

  return {
    async *follow(account, metric, signal) {
      const [feed, follower] = await open(account, metric);
      metrics.subscribers.inc();
      try {
        for (;;) {
          const rows = await follower.next(signal);
          if (rows === 'behind') throw new SlowConsumer();
          if (rows === null) {
            if (feed.failure && !signal.aborted) throw feed.failure.error;
            return;
          }
          yield* inPages(rows, READ_AT_ONCE);
        }
      } finally {
        metrics.subscribers.dec();
        follower.close();
      }
    },
  };
}
