/**
 * The live end of the membership log in one API process: reads `membership-changes` once and hands the entries to
 * whoever waits for them, through bounded queues. A reader that falls behind loses its queue, never an entry: it is
 * told so, and reads on from the log itself.
 */
import { metrics } from '../runtime/metrics.ts';
import type { Logger } from '../runtime/logger.ts';
import { decodeEntries, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import type { Log, LogRecord } from '../storage/log/log.ts';
import { MEMBERSHIP_CHANGES } from '../storage/topics.ts';
import { createReader, type Reader } from './reader.ts';

export type LiveReader = Pick<Reader<LogEntry>, 'next' | 'reset' | 'close'>;

export interface Hub {
  /** Entries of the account from now on. */
  read(account: number): LiveReader;
  close(): Promise<void>;
}

const QUEUE_LIMIT = 2_000;

/** Resolves when it reads from the end of the topic: nothing published later is missed. */
export async function startHub(deps: { log: Log; logger: Logger }): Promise<Hub> {
  const readers = new Map<number, Set<Reader<LogEntry>>>();
  const sequences = new Map<number, number>();

  function deliver(partition: number, entry: LogEntry): void {
    const last = sequences.get(partition);
    // A successor publishes again what its predecessor may not have published.
    if (last !== undefined && entry.sequence <= last) return;
    if (last !== undefined && entry.sequence > last + 1) {
      deps.logger.warn(
        { partition, last, next: entry.sequence },
        'a gap in membership-changes: readers turn to the log',
      );
      for (const set of readers.values()) for (const reader of set) reader.fallBehind();
    }
    sequences.set(partition, entry.sequence);
    for (const reader of readers.get(entry.account) ?? []) reader.push(entry);
  }

  const tail = await deps.log.tail({
    topic: MEMBERSHIP_CHANGES,
    from: 'end',
    onRecords: async (partition: number, records: LogRecord[]) => {
      for (const record of records)
        for (const entry of decodeEntries(record.value)) deliver(partition, entry);
    },
  });

  return {
    read(account) {
      const set = readers.get(account) ?? new Set();
      readers.set(account, set);
      const reader = createReader<LogEntry>({
        limit: QUEUE_LIMIT,
        weightOf: () => 1,
        onClose: () => {
          set.delete(reader);
          if (set.size === 0 && readers.get(account) === set) readers.delete(account);
          metrics.subscribers.dec();
        },
      });
      set.add(reader);
      metrics.subscribers.inc();
      return reader;
    },
    async close() {
      await tail.close();
      for (const set of [...readers.values()]) for (const reader of [...set]) reader.close();
    },
  };
}
