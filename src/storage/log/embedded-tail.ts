import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { tailSource } from './embedded-partition.ts';
import type { RecentRecords } from './embedded-recent.ts';
import type { Topic } from './embedded-topics.ts';
import type { Watch } from './embedded-watch.ts';
import type { Limits, LogTail, TailOptions } from './log.ts';
import { runPartition } from './partition-loop.ts';
import type { SqlPool } from './sql.ts';

const LIMITS: Limits = { maxRecords: 1_000, maxBytes: 4 * 1024 * 1024 };

export async function startTail(
  environment: { pool: SqlPool; watch: Watch; recent: RecentRecords; clock: Clock; logger: Logger },
  options: TailOptions,
  topic: Topic,
): Promise<LogTail> {
  const { watch, clock, logger } = environment;
  const closing = new AbortController();
  const { signal } = closing;
  const unfollow = await watch.follow(topic.id);
  const ends = watch.ends(topic.id);
  const from = options.from === 'end' ? [...ends] : options.from;

  const readers = ends.map((_, partition) =>
    runPartition({
      source: tailSource(environment, topic.id, partition, from[partition] ?? 0, LIMITS),
      handler: { onRecords: (records) => options.onRecords(partition, records) },
      signal,
      clock,
      logger: logger.child({ topic: topic.name, partition }),
    }),
  );
  return {
    async close() {
      closing.abort();
      unfollow();
      await Promise.all(readers);
    },
  };
}
