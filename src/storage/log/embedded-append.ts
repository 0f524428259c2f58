import type { Clock } from '../../runtime/clock.ts';
import { retry } from '../../runtime/retry.ts';
import type { AppendCall } from './append-queue.ts';
import type { RecentRecords } from './embedded-recent.ts';
import type { TopicDirectory } from './embedded-topics.ts';
import { change, isTransient, select, transaction, type SqlPool, type SqlQueries } from './sql.ts';

/** Payload per INSERT. It travels in hexadecimal, and one record of the largest size must still fit beside it. */
const STATEMENT_BYTES = 1024 * 1024;
const STATEMENT_ROWS = 1_000;

export interface EmbeddedWriter {
  /** One transaction for all calls. */
  write(calls: AppendCall[]): Promise<number[][]>;
}

interface PartitionRow {
  topic: number;
  partition: number;
  nextOffset: number;
  nextByte: number;
}

export function createEmbeddedWriter(options: {
  pool: SqlPool;
  topics: TopicDirectory;
  clock: Clock;
  recent: RecentRecords;
  /** Told after the commit: the partition now ends at `end`. */
  onAppended: (topic: number, partition: number, end: number) => void;
}): EmbeddedWriter {
  const { pool, topics, clock, recent, onAppended } = options;

  return {
    async write(calls) {
      const ids = await Promise.all(calls.map(async (call) => (await topics.find(call.topic)).id));
      const now = clock.now();
      const { offsets, ends } = await retry(() => transaction(pool, (tx) => insert(tx, calls, ids, now)), {
        clock,
        attempts: 8,
        baseMs: 50,
        maxMs: 2_000,
        retryable: isTransient,
      });
      calls.forEach(({ records }, i) =>
        records.forEach(({ partition, key, value }, j) => {
          recent.add(ids[i] ?? 0, partition, { offset: offsets[i]?.[j] ?? 0, key, value, appendedAt: now });
        }),
      );
      for (const end of ends) onAppended(end.topic, end.partition, end.nextOffset);
      return offsets;
    },
  };
}

async function insert(
  tx: SqlQueries,
  calls: AppendCall[],
  ids: number[],
  now: number,
): Promise<{ offsets: number[][]; ends: PartitionRow[] }> {
  const ends = await lockPartitions(tx, calls, ids);
  const rows: unknown[][] = [];
  const offsets = calls.map(({ records }, i) =>
    records.map(({ partition, key, value }) => {
      const end = ends.get(`${ids[i]}:${partition}`);
      if (!end) throw new RangeError(`topic ${calls[i]?.topic} has no partition ${partition}`);
      const offset = end.nextOffset++;
      const keyBytes = key === null ? null : Buffer.from(key, 'utf8');
      rows.push([end.topic, partition, offset, end.nextByte, value.length, now, keyBytes, value]);
      end.nextByte += value.length;
      return offset;
    }),
  );
  const changed = [...ends.values()];
  for (const chunk of chunks(rows)) {
    await change(
      tx,
      `INSERT INTO log_records
         (topic_id, partition_no, record_offset, start_byte, size, appended_at, record_key, value)
       VALUES ${chunk.map(() => '(?,?,?,?,?,?,?,?)').join(',')}`,
      chunk.flat(),
    );
  }
  await change(
    tx,
    `INSERT INTO log_partitions (topic_id, partition_no, next_offset, next_byte)
     VALUES ${changed.map(() => '(?,?,?,?)').join(',')}
     ON DUPLICATE KEY UPDATE next_offset = VALUES(next_offset), next_byte = VALUES(next_byte)`,
    changed.flatMap((end) => [end.topic, end.partition, end.nextOffset, end.nextByte]),
  );
  return { offsets, ends: changed };
}

/** In the order of the primary key, as every writer does: no deadlocks. */
async function lockPartitions(
  tx: SqlQueries,
  calls: AppendCall[],
  ids: number[],
): Promise<Map<string, PartitionRow>> {
  const wanted = new Map<string, [number, number]>();
  calls.forEach(({ records }, i) => {
    const topic = ids[i] ?? 0;
    for (const { partition } of records) wanted.set(`${topic}:${partition}`, [topic, partition]);
  });
  const rows = await select<PartitionRow>(
    tx,
    `SELECT topic_id AS topic, partition_no AS \`partition\`, next_offset AS nextOffset, next_byte AS nextByte
       FROM log_partitions FORCE INDEX (PRIMARY)
      WHERE ${[...wanted].map(() => '(topic_id = ? AND partition_no = ?)').join(' OR ')}
      ORDER BY topic_id, partition_no FOR UPDATE`,
    [...wanted.values()].flat(),
  );
  return new Map(rows.map((row) => [`${row.topic}:${row.partition}`, row]));
}

function* chunks(rows: unknown[][]): Generator<unknown[][]> {
  let chunk: unknown[][] = [];
  let bytes = 0;
  for (const row of rows) {
    const size = (row[7] as Buffer).length;
    if (chunk.length > 0 && (chunk.length >= STATEMENT_ROWS || bytes + size > STATEMENT_BYTES)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(row);
    bytes += size;
  }
  if (chunk.length > 0) yield chunk;
}
