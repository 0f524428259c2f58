import { randomUUID } from 'node:crypto';
import type { Admin } from 'kafkajs';
import { systemClock, type Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createAppendQueue } from './append-queue.ts';
import { consumerHandler } from './consumer-handler.ts';
import { sendCalls } from './kafka-append.ts';
import { createKafka, RETRY, shareClient, type Shared } from './kafka-client.ts';
import { joinKafkaGroup } from './kafka-group.ts';
import { createKafkaTopics } from './kafka-topics.ts';
import type { Log, LogTail } from './log.ts';
import { createReaders } from './readers.ts';

const TAIL_LIMITS = { maxRecords: 1_000, maxBytes: 4 * 1024 * 1024 };

/**
 * The log in Kafka, through kafkajs. `onCrash` is called when a consumer or a tail has ended for good: the process
 * should then end too, and be started again.
 */
export function createKafkaLog(options: {
  brokers: string[];
  clientId: string;
  logger: Logger;
  onCrash: (error: Error) => void;
  clock?: Clock;
}): Log {
  const { logger, onCrash, clock = systemClock } = options;
  const kafka = createKafka(options);
  const admin = shareClient(() => kafka.admin({ retry: RETRY }));
  const producer = shareClient(() =>
    kafka.producer({
      allowAutoTopicCreation: false,
      createPartitioner:
        () =>
        ({ message }) =>
          message.partition ?? 0,
      retry: RETRY,
    }),
  );
  const topics = createKafkaTopics(admin, () => {
    admin.replace();
    producer.replace();
  });
  const queue = createAppendQueue((calls) => sendCalls(producer, calls));
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
    async ends(topic) {
      await topics.refresh(topic);
      return (await bounds(admin, topic)).map(({ high }) => high);
    },
    async committed(group, topic) {
      const partitions = await topics.find(topic);
      const committed = new Array<number>(partitions).fill(0);
      for (const [partition, offset] of await committedOffsets(admin, group, topic))
        committed[partition] = offset;
      return committed;
    },
    async consume(consumer) {
      for (const topic of consumer.topics) await topics.find(topic);
      const reader = await joinKafkaGroup({
        kafka,
        groupId: consumer.group,
        topics: consumer.topics,
        limits: consumer,
        async position(topic, partition) {
          const [committed, range] = await Promise.all([
            committedOffsets(admin, consumer.group, topic),
            bounds(admin, topic),
          ]);
          return Math.max(committed.get(partition) ?? 0, range[partition]?.low ?? 0);
        },
        commit: (client, topic, partition, position) =>
          client.commitOffsets([{ topic, partition, offset: String(position) }]),
        handler: (topic, partition, signal) => consumerHandler(consumer, topic, partition, signal),
        onCrash,
        clock,
        logger,
      });
      return readers.track(reader);
    },
    async tail(tail) {
      const { topic, from } = tail;
      await topics.refresh(topic);
      const range = await bounds(admin, topic);
      const positions = range.map(({ low, high }, i) =>
        from === 'end' ? high : Math.max(low, from[i] ?? 0),
      );
      // A group of its own that never commits: Kafka forgets it when its only member leaves or dies.
      const groupId = `${options.clientId}-tail-${randomUUID()}`;
      const reader = await joinKafkaGroup({
        kafka,
        groupId,
        topics: [topic],
        limits: TAIL_LIMITS,
        position: (_, partition) => Promise.resolve(positions[partition] ?? 0),
        commit: (_client, _topic, partition, position) => {
          positions[partition] = position;
          return Promise.resolve();
        },
        handler: (_, partition) => ({ onRecords: (records) => tail.onRecords(partition, records) }),
        onCrash,
        clock,
        logger,
      });
      const opened: LogTail = {
        async close() {
          await reader.close();
          await admin.use((client) => client.deleteGroups([groupId])).catch(() => undefined);
        },
      };
      return readers.track(opened);
    },
    async ping() {
      await admin.use((client) => client.describeCluster());
    },
    async close() {
      await readers.closeAll();
      await queue.close();
      await Promise.all([producer.close(), admin.close()]);
    },
  };
}

/** Per partition, the oldest offset and the next one. */
async function bounds(admin: Shared<Admin>, topic: string): Promise<{ low: number; high: number }[]> {
  const offsets = await admin.use((client) => client.fetchTopicOffsets(topic));
  return offsets
    .sort((a, b) => a.partition - b.partition)
    .map(({ low, high }) => ({ low: Number(low), high: Number(high) }));
}

/** Only of partitions for which the group has committed. */
async function committedOffsets(
  admin: Shared<Admin>,
  groupId: string,
  topic: string,
): Promise<Map<number, number>> {
  const [found] = await admin.use((client) => client.fetchOffsets({ groupId, topics: [topic] }));
  const committed = new Map<number, number>();
  for (const { partition, offset } of found?.partitions ?? []) {
    if (Number(offset) >= 0) committed.set(partition, Number(offset));
  }
  return committed;
}
