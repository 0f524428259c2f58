import type { Limits, LogRecord } from './log.ts';

/**
 * The records that this very process has appended last, so that its own readers, who nearly always want just these,
 * need not ask the database. Bounded; whoever is behind reads there.
 */
export interface RecentRecords {
  /** In the order of their offsets, after the commit. */
  add(topic: number, partition: number, record: LogRecord): void;
  /** From `offset` on without a gap, within the limits (one larger record comes alone); null: not known here. */
  read(topic: number, partition: number, offset: number, limits: Limits): LogRecord[] | null;
}

const KEPT_BYTES = 16 * 1024 * 1024;
/** What a record costs besides its value. */
const RECORD_BYTES = 200;

export function createRecentRecords(): RecentRecords {
  const partitions = new Map<string, LogRecord[]>();
  let bytes = 0;
  const drop = (records: readonly LogRecord[]) => {
    for (const { value } of records) bytes -= value.length + RECORD_BYTES;
  };

  return {
    add(topic, partition, record) {
      const key = `${topic}:${partition}`;
      let records = partitions.get(key) ?? [];
      // Somebody else has appended in between.
      if (records.length > 0 && records.at(-1)?.offset !== record.offset - 1) {
        drop(records);
        records = [];
      }
      records.push(record);
      bytes += record.value.length + RECORD_BYTES;
      // What was appended to longest ago comes first.
      partitions.delete(key);
      partitions.set(key, records);
      for (const [oldest, theirs] of partitions) {
        if (bytes <= KEPT_BYTES) break;
        drop(theirs.splice(0, Math.ceil(theirs.length / 2)));
        if (theirs.length === 0) partitions.delete(oldest);
      }
    },
    read(topic, partition, offset, { maxRecords, maxBytes }) {
      const records = partitions.get(`${topic}:${partition}`);
      const first = records?.[0]?.offset;
      if (!records || first === undefined || offset < first) return null;
      const found: LogRecord[] = [];
      let size = 0;
      for (const record of records.slice(offset - first, offset - first + maxRecords)) {
        size += record.value.length;
        if (size > maxBytes && found.length > 0) break;
        found.push(record);
      }
      return found.length > 0 ? found : null;
    },
  };
}
