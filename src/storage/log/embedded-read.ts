import type { Limits } from './log.ts';
import type { Records } from './partition-loop.ts';
import { select, type SqlPool } from './sql.ts';

interface RecordRow {
  offset: number;
  key: Buffer | null;
  value: Buffer;
  appendedAt: number;
  end: number;
}

/**
 * The records from `offset` on, within the limits (one larger record comes alone); from the oldest one where
 * `offset` has been removed by retention. Empty where nothing is there yet.
 */
export async function readRecords(
  pool: SqlPool,
  topic: number,
  partition: number,
  offset: number,
  limits: Limits,
): Promise<Records> {
  const found = await readRange(pool, topic, partition, offset, limits);
  if (found.records.length > 0) return found;
  const [oldest] = await select<{ offset: number }>(
    pool,
    `SELECT record_offset AS \`offset\` FROM log_records
      WHERE topic_id = ? AND partition_no = ? AND record_offset >= ? ORDER BY record_offset LIMIT 1`,
    [topic, partition, offset],
  );
  return oldest ? readRange(pool, topic, partition, oldest.offset, limits) : found;
}

/** `first` anchors the count of bytes; both it and `p` are single rows by primary key. */
async function readRange(
  pool: SqlPool,
  topic: number,
  partition: number,
  offset: number,
  { maxRecords, maxBytes }: Limits,
): Promise<Records> {
  const rows = await select<RecordRow>(
    pool,
    `SELECT r.record_offset AS \`offset\`, r.record_key AS \`key\`, r.value AS value, r.appended_at AS appendedAt,
            p.next_offset AS \`end\`
       FROM log_partitions p
       JOIN log_records first
         ON first.topic_id = p.topic_id AND first.partition_no = p.partition_no AND first.record_offset = ?
       JOIN log_records r
         ON r.topic_id = ? AND r.partition_no = ? AND r.record_offset >= ? AND r.record_offset < ?
      WHERE p.topic_id = ? AND p.partition_no = ?
        AND (r.start_byte + r.size <= first.start_byte + ? OR r.record_offset = first.record_offset)
      ORDER BY r.record_offset`,
    [offset, topic, partition, offset, offset + maxRecords, topic, partition, maxBytes],
  );
  const records = rows.map(({ offset, key, value, appendedAt }) => ({
    offset,
    key: key === null ? null : key.toString('utf8'),
    value,
    appendedAt,
  }));
  return { records, end: rows[0]?.end ?? offset };
}
