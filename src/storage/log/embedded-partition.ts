import type { CommitOffset } from './embedded-offsets.ts';
import { readRecords } from './embedded-read.ts';
import type { RecentRecords } from './embedded-recent.ts';
import type { Watch } from './embedded-watch.ts';
import type { Limits, LogRecord } from './log.ts';
import type { PartitionSource, Records } from './partition-loop.ts';
import { change, select, type SqlPool } from './sql.ts';

interface Environment {
  pool: SqlPool;
  watch: Watch;
  recent: RecentRecords;
}

/** A partition as a member of a group reads it, while the member holds the partition's lock. */
export function groupSource(
  environment: Environment & { commit: CommitOffset },
  group: string,
  owner: string,
  topic: number,
  partition: number,
  limits: Limits,
): PartitionSource {
  const { pool } = environment;
  return {
    /** Writes the owner down: from here on no earlier owner can commit. */
    async open() {
      await change(
        pool,
        `INSERT INTO log_offsets (group_name, topic_id, partition_no, owner) VALUES (?, ?, ?, ?)
         ON DUPLICATE KEY UPDATE owner = VALUES(owner)`,
        [group, topic, partition, owner],
      );
      const [row] = await select<{ position: number }>(
        pool,
        `SELECT next_offset AS position FROM log_offsets
          WHERE group_name = ? AND topic_id = ? AND partition_no = ?`,
        [group, topic, partition],
      );
      return row?.position ?? 0;
    },
    next: (position, signal) => nextRecords(environment, topic, partition, position, limits, signal),
    more: (position, limits) => moreRecords(environment, topic, partition, position, limits),
    commit: (position) => environment.commit({ group, topic, partition, owner, position }),
  };
}

/** A partition as it is read without a group, from a given offset. */
export function tailSource(
  environment: Environment,
  topic: number,
  partition: number,
  from: number,
  limits: Limits,
): PartitionSource {
  return {
    open: () => Promise.resolve(from),
    next: (position, signal) => nextRecords(environment, topic, partition, position, limits, signal),
    more: (position, limits) => moreRecords(environment, topic, partition, position, limits),
    commit: () => Promise.resolve(true),
  };
}

async function nextRecords(
  { pool, watch, recent }: Environment,
  topic: number,
  partition: number,
  position: number,
  limits: Limits,
  signal: AbortSignal,
): Promise<Records | null> {
  for (;;) {
    await watch.reached(topic, partition, position, signal);
    if (signal.aborted) return null;
    const end = watch.ends(topic)[partition] ?? position;
    const records = recent.read(topic, partition, position, limits);
    if (records) return { records, end };
    const found = await readRecords(pool, topic, partition, position, limits);
    if (found.records.length > 0) return found;
    // Retention has removed all that were there before we looked.
    position = end;
  }
}

/** Nothing is asked where this process knows of nothing new. */
async function moreRecords(
  { pool, watch, recent }: Environment,
  topic: number,
  partition: number,
  position: number,
  limits: Limits,
): Promise<LogRecord[]> {
  if ((watch.ends(topic)[partition] ?? 0) <= position) return [];
  return (
    recent.read(topic, partition, position, limits) ??
    (await readRecords(pool, topic, partition, position, limits)).records
  );
}
