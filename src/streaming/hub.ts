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

export interface LiveReader {
  /** All entries that wait, at least one; 'behind' once some had to be left out; null when reader or signal ended. */
  next(signal: AbortSignal): Promise<LogEntry[] | 'behind' | null>;
  /** Empties the queue and begins anew: what comes from now on is complete again. */
  reset(): void;
  close(): void;
}

export interface Hub {
  /** Entries of the account from now on. */
  read(account: number): LiveReader;
  close(): Promise<void>;
}

const QUEUE_LIMIT = 2_000;

/** Resolves when it reads from the end of the topic: nothing published later is missed. */
export async function startHub(deps: { log: Log; logger: Logger }): Promise<Hub> {
  const readers = new Map<number, Set<ReturnType<typeof createReader>>>();
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
      const reader = createReader(() => {
        set.delete(reader);
        if (set.size === 0 && readers.get(account) === set) readers.delete(account);
        metrics.subscribers.dec();
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

function createReader(onClose: () => void) {
  let queue: LogEntry[] = [];
  let behind = false;
  let closed = false;
  let wake: (() => void) | null = null;

  const changed = () => {
    wake?.();
    wake = null;
  };
  return {
    push(entry: LogEntry) {
      if (behind || closed) return;
      if (queue.length >= QUEUE_LIMIT) return this.fallBehind();
      queue.push(entry);
      changed();
    },
    fallBehind() {
      behind = true;
      queue = [];
      changed();
    },
    async next(signal: AbortSignal): Promise<LogEntry[] | 'behind' | null> {
      for (;;) {
        if (closed || signal.aborted) return null;
        if (behind) return 'behind';
        if (queue.length > 0) {
          const entries = queue;
          queue = [];
          return entries;
        }
        await new Promise<void>((resolve) => {
          const done = () => {
            signal.removeEventListener('abort', done);
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }
    },
    reset() {
      behind = false;
      queue = [];
    },
    close() {
      if (closed) return;
      closed = true;
      onClose();
      changed();
    },
  };
}
