import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { select, type SqlPool } from './sql.ts';

const BUSY_POLL_MS = 25;
const IDLE_POLL_MS = 100;
/** How long after the last change a topic counts as busy. */
const BUSY_FOR_MS = 1_000;
const FAILURE_PAUSE_MS = 500;

/** The ends of the partitions this process is interested in, kept fresh by one query for all of them. */
export interface Watch {
  /** Begins to follow the topic; resolves once its ends are known. Returns how to stop. */
  follow(topic: number): Promise<() => void>;
  /** The next offset of each partition of a followed topic, as known here. */
  ends(topic: number): readonly number[];
  /** News from this very process, faster than any poll. */
  advance(topic: number, partition: number, end: number): void;
  /** Resolves when the partition holds a record at `offset` or later, or when the signal aborts. */
  reached(topic: number, partition: number, offset: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export function createWatch(options: { pool: SqlPool; clock: Clock; logger: Logger }): Watch {
  const { pool, clock, logger } = options;
  const followed = new Map<number, { ends: number[]; followers: number }>();
  const waiters = new Map<string, Set<{ offset: number; wake: () => void }>>();
  const closing = new AbortController();
  let changedAt = -Infinity;
  let polling: Promise<void> | null = null;

  function advance(topic: number, partition: number, end: number): void {
    const ends = followed.get(topic)?.ends;
    if (!ends || end <= (ends[partition] ?? -1)) return;
    ends[partition] = end;
    changedAt = clock.now();
    for (const waiter of waiters.get(`${topic}:${partition}`) ?? []) if (end > waiter.offset) waiter.wake();
  }

  async function poll(topics: number[]): Promise<void> {
    const rows = await select<{ topic: number; partition: number; end: number }>(
      pool,
      `SELECT topic_id AS topic, partition_no AS \`partition\`, next_offset AS \`end\`
         FROM log_partitions WHERE topic_id IN (${topics.map(() => '?').join(',')})
        ORDER BY topic_id, partition_no`,
      topics,
    );
    for (const { topic, partition, end } of rows) advance(topic, partition, end);
  }

  async function pollLoop(): Promise<void> {
    let failed = false;
    while (followed.size > 0 && !closing.signal.aborted) {
      const busy = clock.now() - changedAt < BUSY_FOR_MS;
      await clock.sleep(failed ? FAILURE_PAUSE_MS : busy ? BUSY_POLL_MS : IDLE_POLL_MS, closing.signal);
      if (followed.size === 0 || closing.signal.aborted) break;
      try {
        await poll([...followed.keys()]);
        failed = false;
      } catch (error) {
        if (!failed) logger.warn({ err: error }, 'the log cannot be read; trying again');
        failed = true;
      }
    }
    polling = null;
  }

  return {
    async follow(topic) {
      const entry = followed.get(topic) ?? { ends: [], followers: 0 };
      followed.set(topic, entry);
      entry.followers++;
      let following = true;
      const unfollow = () => {
        if (following && --entry.followers === 0) followed.delete(topic);
        following = false;
      };
      try {
        await poll([topic]);
      } catch (error) {
        unfollow();
        throw error;
      }
      polling ??= pollLoop();
      return unfollow;
    },
    ends: (topic) => followed.get(topic)?.ends ?? [],
    advance,
    reached(topic, partition, offset, signal) {
      if (signal.aborted || (followed.get(topic)?.ends[partition] ?? 0) > offset) return Promise.resolve();
      const key = `${topic}:${partition}`;
      const set = waiters.get(key) ?? new Set();
      waiters.set(key, set);
      return new Promise((resolve) => {
        const wake = () => {
          set.delete(waiter);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        const waiter = { offset, wake };
        set.add(waiter);
        signal.addEventListener('abort', wake, { once: true });
      });
    },
    async close() {
      closing.abort();
      await polling;
    },
  };
}
