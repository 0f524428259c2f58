import type { Admin } from 'kafkajs';
import { MAX_RECORD_BYTES } from './append-queue.ts';
import type { Shared } from './kafka-client.ts';
import type { TopicSpec } from './log.ts';

/** A batch on the wire carries at most one group of the append queue, or one record of the largest size. */
const MAX_BATCH_BYTES = 2 * MAX_RECORD_BYTES;

/** Also what kafkajs has tried several times itself. */
function mayPass(error: unknown): boolean {
  const { retriable, cause } = error as { retriable?: boolean; cause?: { retriable?: boolean } };
  return retriable === true || cause?.retriable === true;
}

export interface KafkaTopics {
  ensure(specs: TopicSpec[]): Promise<void>;
  /** The number of partitions. Rejects for a topic that was never created, or that has no such partition. */
  find(name: string, partition?: number): Promise<number>;
  /** The same, asked anew. */
  refresh(name: string): Promise<number>;
}

/** `onGrown` is told when a topic has more partitions than was known here. */
export function createKafkaTopics(admin: Shared<Admin>, onGrown: () => void): KafkaTopics {
  const known = new Map<string, number>();

  /** Never asks for a topic by a name that may not exist: kafkajs would repeat that for long. */
  async function load(): Promise<void> {
    const topics = await admin.use(async (client) => {
      const names = (await client.listTopics()).filter((name) => !name.startsWith('__'));
      return names.length === 0 ? [] : (await client.fetchTopicMetadata({ topics: names })).topics;
    });
    let grown = false;
    for (const { name, partitions } of topics) {
      const before = known.get(name);
      if (before !== undefined && before < partitions.length) grown = true;
      known.set(name, partitions.length);
    }
    if (grown) onGrown();
  }

  async function create(spec: TopicSpec): Promise<void> {
    await admin.use(async (client) => {
      const { brokers } = await client.describeCluster();
      const replicas = Math.min(3, brokers.length);
      const config = {
        'retention.ms': String(spec.retentionMs ?? -1),
        'retention.bytes': '-1',
        'cleanup.policy': 'delete',
        'max.message.bytes': String(MAX_BATCH_BYTES),
        // Retention must not depend on the clocks of those who append.
        'message.timestamp.type': 'LogAppendTime',
        'min.insync.replicas': String(Math.max(1, replicas - 1)),
      };
      // False when the topic is there already: another process was faster.
      await client.createTopics({
        // kafkajs takes "not known here yet" for a failure; `settle` waits.
        waitForLeaders: false,
        topics: [
          {
            topic: spec.name,
            numPartitions: spec.partitions,
            replicationFactor: replicas,
            configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
          },
        ],
      });
    });
  }

  async function grow(spec: TopicSpec): Promise<void> {
    try {
      await admin.use((client) =>
        client.createPartitions({ topicPartitions: [{ topic: spec.name, count: spec.partitions }] }),
      );
    } catch (error) {
      // Another process was faster; whether it made enough of them is checked next.
      if ((error as { type?: string }).type !== 'INVALID_PARTITIONS') throw error;
    }
  }

  /** The cluster needs a moment before every broker knows of a new topic or partition, and leads what it is to lead. */
  async function settle(spec: TopicSpec): Promise<void> {
    for (let attempt = 0; !(await isThere(spec)); attempt++) {
      if (attempt === 50) throw new Error(`topic ${spec.name} was created but does not appear`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function isThere(spec: TopicSpec): Promise<boolean> {
    try {
      await load();
      if (known.get(spec.name) !== spec.partitions) return false;
      await admin.use((client) => client.fetchTopicOffsets(spec.name));
      return true;
    } catch (error) {
      if (mayPass(error)) return false;
      throw error;
    }
  }

  return {
    /** Retention is set at creation only: what an operator changes later is left alone. */
    async ensure(specs) {
      await load();
      for (const spec of specs) {
        const present = known.get(spec.name);
        if (present === spec.partitions) continue;
        if (present !== undefined && present > spec.partitions) {
          throw new Error(
            `topic ${spec.name} has ${present} partitions: it cannot shrink to ${spec.partitions}`,
          );
        }
        await (present === undefined ? create(spec) : grow(spec));
        await settle(spec);
      }
    },
    async find(name, partition = 0) {
      if (partition >= (known.get(name) ?? 0)) await load();
      const partitions = known.get(name);
      if (partitions === undefined) throw new Error(`topic ${name} does not exist`);
      if (!Number.isInteger(partition) || partition < 0 || partition >= partitions) {
        throw new RangeError(`topic ${name} has no partition ${partition}`);
      }
      return partitions;
    },
    async refresh(name) {
      await load();
      return this.find(name);
    },
  };
}
