import type { TopicSpec } from './log.ts';
import { change, select, transaction, type SqlPool, type SqlQueries } from './sql.ts';

export interface Topic {
  id: number;
  name: string;
  partitions: number;
  retentionMs: number | null;
}

export interface TopicDirectory {
  ensure(specs: TopicSpec[]): Promise<void>;
  /** Rejects for a topic that was never created, or that has no such partition. */
  find(name: string, partition?: number): Promise<Topic>;
  /** All topics, as the database has them now. */
  list(): Promise<Topic[]>;
}

/** Topics and their sizes, remembered in process: topics never vanish and partitions are only ever added. */
export function createTopicDirectory(pool: SqlPool, reads: SqlQueries): TopicDirectory {
  const known = new Map<string, Topic>();

  async function list(): Promise<Topic[]> {
    const rows = await select<{ id: number; name: string; retention: number | null; partitions: number }>(
      reads,
      `SELECT t.topic_id AS id, t.name AS name, t.retention_ms AS retention, COUNT(p.partition_no) AS partitions
         FROM log_topics t LEFT JOIN log_partitions p ON p.topic_id = t.topic_id
        GROUP BY t.topic_id, t.name, t.retention_ms ORDER BY t.topic_id`,
    );
    const topics = rows.map(({ id, name, retention, partitions }) => ({
      id,
      name,
      partitions,
      retentionMs: retention,
    }));
    for (const topic of topics) known.set(topic.name, topic);
    return topics;
  }

  async function ensureOne(spec: TopicSpec): Promise<void> {
    if (!Number.isInteger(spec.partitions) || spec.partitions < 1) {
      throw new RangeError(`topic ${spec.name} needs at least one partition`);
    }
    if (!known.has(spec.name)) {
      await change(pool, 'INSERT IGNORE INTO log_topics (name, retention_ms) VALUES (?, ?)', [
        spec.name,
        spec.retentionMs,
      ]);
    }
    await transaction(pool, async (tx) => {
      const [topic] = await select<{ id: number }>(
        tx,
        'SELECT topic_id AS id FROM log_topics WHERE name = ? FOR UPDATE',
        [spec.name],
      );
      if (!topic) throw new Error(`topic ${spec.name} was not created`);
      const [{ present } = { present: 0 }] = await select<{ present: number }>(
        tx,
        'SELECT COUNT(*) AS present FROM log_partitions WHERE topic_id = ?',
        [topic.id],
      );
      if (present > spec.partitions) {
        throw new Error(
          `topic ${spec.name} has ${present} partitions: it cannot shrink to ${spec.partitions}`,
        );
      }
      await change(tx, 'UPDATE log_topics SET retention_ms = ? WHERE topic_id = ?', [
        spec.retentionMs,
        topic.id,
      ]);
      for (let partition = present; partition < spec.partitions; partition++) {
        await change(tx, 'INSERT INTO log_partitions (topic_id, partition_no) VALUES (?, ?)', [
          topic.id,
          partition,
        ]);
      }
    });
  }

  return {
    async ensure(specs) {
      await list();
      for (const spec of specs) {
        const topic = known.get(spec.name);
        if (topic?.partitions !== spec.partitions || topic.retentionMs !== spec.retentionMs)
          await ensureOne(spec);
      }
      await list();
    },
    async find(name, partition = 0) {
      let topic = known.get(name);
      if (!topic || partition >= topic.partitions) {
        await list();
        topic = known.get(name);
      }
      if (!topic) throw new Error(`topic ${name} does not exist`);
      if (!Number.isInteger(partition) || partition < 0 || partition >= topic.partitions) {
        throw new RangeError(`topic ${name} has no partition ${partition}`);
      }
      return topic;
    },
    list,
  };
}
