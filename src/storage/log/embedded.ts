import { systemClock, type Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createAppendQueue } from './append-queue.ts';
import { createEmbeddedWriter } from './embedded-append.ts';
import { startConsumer } from './embedded-consume.ts';
import { createOffsetCommits } from './embedded-offsets.ts';
import { createRecentRecords } from './embedded-recent.ts';
import { startRetention } from './embedded-retention.ts';
import { startTail } from './embedded-tail.ts';
import { createTopicDirectory } from './embedded-topics.ts';
import { createWatch } from './embedded-watch.ts';
import type { Log } from './log.ts';
import { createReaders } from './readers.ts';
import { patient, select, type SqlPool } from './sql.ts';

/**
 * The log in MySQL tables (migrations/0001_log.sql), for one machine. Each consumer takes one connection out of the
 * pool for as long as it runs. `close` closes what is still open here, but not the pool.
 */
export function createEmbeddedLog(options: { pool: SqlPool; logger: Logger; clock?: Clock }): Log {
  const { pool, logger, clock = systemClock } = options;
  const reads = patient(pool, clock);
  const topics = createTopicDirectory(pool, reads);
  const watch = createWatch({ pool, clock, logger });
  const recent = createRecentRecords();
  const writer = createEmbeddedWriter({
    pool,
    topics,
    clock,
    recent,
    onAppended: (...news) => watch.advance(...news),
  });
  const queue = createAppendQueue((calls) => writer.write(calls));
  const environment = { pool, watch, recent, commit: createOffsetCommits(pool), clock, logger };
  const stopRetention = startRetention({ pool, topics, clock, logger });
  const readers = createReaders();

  return {
    ensureTopics: (specs) => topics.ensure(specs),
    async append(topic, records) {
      // Checked here, so that one mistaken call cannot fail the others it would travel with.
      for (const partition of new Set(records.map((record) => record.partition))) {
        await topics.find(topic, partition);
      }
      return queue.append(topic, records);
    },
    async ends(name) {
      const topic = await topics.find(name);
      const rows = await select<{ end: number }>(
        reads,
        'SELECT next_offset AS `end` FROM log_partitions WHERE topic_id = ? ORDER BY partition_no',
        [topic.id],
      );
      return rows.map(({ end }) => end);
    },
    async committed(group, name) {
      const topic = await topics.find(name);
      const rows = await select<{ partition: number; position: number }>(
        reads,
        `SELECT partition_no AS \`partition\`, next_offset AS position
           FROM log_offsets WHERE group_name = ? AND topic_id = ?`,
        [group, topic.id],
      );
      const committed = new Array<number>(topic.partitions).fill(0);
      for (const { partition, position } of rows) committed[partition] = position;
      return committed;
    },
    async consume(consumer) {
      const found = await Promise.all(consumer.topics.map((name) => topics.find(name)));
      return readers.track(await startConsumer(environment, consumer, found));
    },
    async tail(tail) {
      return readers.track(await startTail(environment, tail, await topics.find(tail.topic)));
    },
    async ping() {
      await select(pool, 'SELECT 1 FROM log_topics LIMIT 1');
    },
    async close() {
      await readers.closeAll();
      await queue.close();
      await Promise.all([watch.close(), stopRetention()]);
    },
  };
}
