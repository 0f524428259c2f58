import {
  PartitionAssigners,
  type Broker,
  type Consumer,
  type ConsumerHeartbeatEvent,
  type EachBatchPayload,
  type Kafka,
  type KafkaMessage,
  type PartitionAssigner,
} from 'kafkajs';
import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { createRecordBuffer } from './kafka-buffer.ts';
import { RETRY } from './kafka-client.ts';
import type { Limits, LogRecord } from './log.ts';
import { runPartition, type PartitionHandler } from './partition-loop.ts';

/** A dead member's partitions go to others after so long. */
const SESSION_MS = 10_000;
/** How soon a rebalance is noticed. */
const HEARTBEAT_MS = 1_000;
/** How long a fetch waits for something to come. A partition that is resumed waits for the fetch under way. */
const FETCH_WAIT_MS = 100;
const FETCH_BYTES_PER_PARTITION = 1024 * 1024;
/** Each after about 10 s of retries; a success clears the count. */
const MAX_RESTARTS = 12;

export interface GroupReader {
  assigned(): ReadonlyMap<string, readonly number[]>;
  close(): Promise<void>;
}

export interface GroupOptions {
  kafka: Kafka;
  groupId: string;
  topics: string[];
  limits: Limits;
  /** Where to begin, asked each time a partition is assigned. */
  position(topic: string, partition: number): Promise<number>;
  /** Called after each batch. */
  commit(consumer: Consumer, topic: string, partition: number, position: number): Promise<void>;
  handler(topic: string, partition: number, signal: AbortSignal): PartitionHandler;
  /** The reader has ended for good. */
  onCrash(error: Error): void;
  clock: Clock;
  logger: Logger;
}

interface Held {
  topic: string;
  partition: number;
  stop: AbortController;
  push(records: LogRecord[], end: number): void;
  done: Promise<void>;
}

/**
 * A member of a Kafka consumer group. kafkajs fetches and keeps the membership; each partition has a loop and a
 * bounded buffer of its own, so that a partition that is slow, or that repeats a batch for ever, holds up neither the
 * others nor the heartbeats. Resolves when the member has joined.
 */
export async function joinKafkaGroup(options: GroupOptions): Promise<GroupReader> {
  const { kafka, groupId, topics, limits, clock } = options;
  const logger = options.logger.child({ group: groupId });
  const held = new Map<string, Held>();
  let closing = false;
  let restarts = 0;
  let session: Session | null = null;

  const consumer = kafka.consumer({
    groupId,
    sessionTimeout: SESSION_MS,
    heartbeatInterval: HEARTBEAT_MS,
    minBytes: 1,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    maxBytesPerPartition: Math.min(FETCH_BYTES_PER_PARTITION, limits.maxBytes),
    allowAutoTopicCreation: false,
    partitionAssigners: [whenReleased(revokeAll, () => session)],
    retry: {
      ...RETRY,
      restartOnFailure: () => Promise.resolve(!closing && ++restarts <= MAX_RESTARTS),
    },
  });

  /** All partitions are given back before the group is joined anew. Returns when everything has ended. */
  async function revokeAll(): Promise<void> {
    const ending = [...held.values()];
    for (const { stop, topic, partition } of ending) {
      stop.abort();
      quietly(() => consumer.pause([{ topic, partitions: [partition] }]));
    }
    await Promise.all(ending.map(({ done }) => done));
    for (const entry of ending) {
      const key = `${entry.topic}/${entry.partition}`;
      if (held.get(key) === entry) held.delete(key);
    }
  }

  function takeOn(topic: string, partition: number): void {
    const stop = new AbortController();
    const here = [{ topic, partitions: [partition] }];
    // Nothing is fetched before it is known where to begin.
    consumer.pause(here);
    const buffer = createRecordBuffer(limits, {
      pause: () => quietly(() => consumer.pause(here)),
      resume: () => quietly(() => consumer.resume(here)),
    });
    const done = runPartition({
      source: {
        async open() {
          const position = await options.position(topic, partition);
          if (!stop.signal.aborted) {
            consumer.seek({ topic, partition, offset: String(position) });
            consumer.resume(here);
          }
          return position;
        },
        next: (_, signal) => buffer.take(signal),
        more: (_, limits) => Promise.resolve(buffer.takeMore(limits)),
        async commit(position) {
          await options.commit(consumer, topic, partition, position);
          return true;
        },
      },
      handler: options.handler(topic, partition, stop.signal),
      signal: stop.signal,
      clock,
      logger: logger.child({ topic, partition }),
    });
    held.set(`${topic}/${partition}`, {
      topic,
      partition,
      stop,
      push: (...news) => buffer.push(...news),
      done,
    });
  }

  async function eachBatch(payload: EachBatchPayload): Promise<void> {
    const { batch } = payload;
    const entry = held.get(`${batch.topic}/${batch.partition}`);
    const last = batch.messages.at(-1);
    if (!entry || !last || entry.stop.signal.aborted || !payload.isRunning() || payload.isStale()) return;
    entry.push(batch.messages.map(toRecord), Number(batch.highWatermark));
    // Only where to fetch next: what was worked off is committed by the partition's loop.
    payload.resolveOffset(last.offset);
  }

  consumer.on(consumer.events.HEARTBEAT, ({ payload }) => {
    session = payload;
  });
  const joined = new Promise<void>((resolve, reject) => {
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      restarts = 0;
      session = null;
      if (closing) return;
      for (const [topic, partitions] of Object.entries(payload.memberAssignment)) {
        for (const partition of partitions) takeOn(topic, partition);
      }
      resolve();
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      logger.warn({ err: payload.error, restart: payload.restart }, 'the Kafka consumer has crashed');
      void revokeAll();
      if (payload.restart || closing) return;
      reject(payload.error);
      options.onCrash(payload.error);
    });
  });

  async function quit(): Promise<void> {
    closing = true;
    // Heartbeats go on while the last batches end.
    await revokeAll();
    await consumer.disconnect();
  }

  try {
    await consumer.connect();
    await consumer.subscribe({ topics, fromBeginning: true });
    await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch });
    await joined;
  } catch (error) {
    await quit();
    throw error;
  }
  return {
    assigned() {
      const map = new Map(topics.map((topic): [string, number[]] => [topic, []]));
      for (const { topic, partition, stop } of held.values()) {
        if (!stop.signal.aborted) map.get(topic)?.push(partition);
      }
      for (const partitions of map.values()) partitions.sort((a, b) => a - b);
      return map;
    },
    close: quit,
  };
}

type Session = ConsumerHeartbeatEvent['payload'];

/**
 * kafkajs announces a rebalance but does not wait before it joins again, and joining is what lets another member
 * have our partitions. The one thing it awaits in between is the search for the group's coordinator. What it does
 * not do meanwhile is to show life, so that a batch longer than the session would cost us the membership.
 */
function whenReleased(release: () => Promise<void>, session: () => Session | null): PartitionAssigner {
  return (config) => {
    const { cluster } = config;
    const find = cluster.findGroupCoordinator.bind(cluster);
    cluster.findGroupCoordinator = async (group) => {
      const coordinator = (await find(group)) as Broker & { heartbeat(session: Session): Promise<unknown> };
      const beat = setInterval(() => {
        const current = session();
        // Answered with an error that says "rebalancing"; it counts as a sign of life all the same.
        if (current) coordinator.heartbeat(current).catch(() => undefined);
      }, HEARTBEAT_MS);
      try {
        await release();
      } finally {
        clearInterval(beat);
      }
      return coordinator;
    };
    return PartitionAssigners.roundRobin(config);
  };
}

function toRecord(message: KafkaMessage): LogRecord {
  return {
    offset: Number(message.offset),
    key: message.key === null ? null : message.key.toString('utf8'),
    value: message.value ?? Buffer.alloc(0),
    appendedAt: Number(message.timestamp),
  };
}

/** Between a crash and a restart kafkajs refuses these calls; both states are set anew with the next assignment. */
function quietly(call: () => void): void {
  try {
    call();
  } catch {
    return;
  }
}
