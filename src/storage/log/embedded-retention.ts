import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Topic, TopicDirectory } from './embedded-topics.ts';
import { change, select, type SqlPool } from './sql.ts';

const EVERY_MS = 60_000;
const BLOCK = 2_000;
/** Per partition and round: a backlog is worked off over several rounds instead of straining the database at once. */
const BLOCKS_PER_ROUND = 20;

/** Removes old records in the background until the returned function is called. Running it in several processes is harmless. */
export function startRetention(environment: {
  pool: SqlPool;
  topics: TopicDirectory;
  clock: Clock;
  logger: Logger;
}): () => Promise<void> {
  const { pool, topics, clock, logger } = environment;
  const closing = new AbortController();
  async function run(): Promise<void> {
    while (!closing.signal.aborted) {
      await clock.sleep(EVERY_MS, closing.signal);
      if (closing.signal.aborted) return;
      try {
        const removed = await removeOldRecords(pool, await topics.list(), clock.now(), closing.signal);
        if (removed > 0) logger.info({ removed }, 'old records removed from the log');
      } catch (error) {
        logger.warn({ err: error }, 'old records could not be removed from the log');
      }
    }
  }
  const running = run();
  return async () => {
    closing.abort();
    await running;
  };
}

/**
 * One round. Removes from the front of each partition what is older than its topic's retention and what every group
 * that has ever read the topic has committed. Returns the number of records.
 */
export async function removeOldRecords(
  pool: SqlPool,
  topics: Topic[],
  now: number,
  signal?: AbortSignal,
): Promise<number> {
  let removed = 0;
  for (const { id, partitions, retentionMs } of topics) {
    if (retentionMs === null) continue;
    for (let partition = 0; partition < partitions; partition++) {
      for (let block = 0; block < BLOCKS_PER_ROUND && !signal?.aborted; block++) {
        const count = await removeBlock(pool, id, partition, now - retentionMs);
        removed += count;
        if (count < BLOCK) break;
      }
    }
  }
  return removed;
}

async function removeBlock(pool: SqlPool, topic: number, partition: number, before: number): Promise<number> {
  // A group that reads the topic, but has not begun with this partition, stands at 0.
  const [{ floor } = { floor: null }] = await select<{ floor: number | null }>(
    pool,
    `SELECT MIN(COALESCE(o.next_offset, 0)) AS floor
       FROM (SELECT DISTINCT group_name FROM log_offsets WHERE topic_id = ?) g
       LEFT JOIN log_offsets o ON o.group_name = g.group_name AND o.topic_id = ? AND o.partition_no = ?`,
    [topic, topic, partition],
  );
  const oldest = await select<{ offset: number; appendedAt: number }>(
    pool,
    `SELECT record_offset AS \`offset\`, appended_at AS appendedAt FROM log_records
      WHERE topic_id = ? AND partition_no = ? ORDER BY record_offset LIMIT ?`,
    [topic, partition, BLOCK],
  );
  const kept = oldest.findIndex(
    ({ offset, appendedAt }) => appendedAt >= before || (floor !== null && offset >= floor),
  );
  const last = kept === -1 ? oldest.at(-1) : oldest[kept - 1];
  if (!last) return 0;
  return change(
    pool,
    'DELETE FROM log_records WHERE topic_id = ? AND partition_no = ? AND record_offset <= ?',
    [topic, partition, last.offset],
  );
}
