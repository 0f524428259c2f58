import type { Limits, LogRecord } from './log.ts';
import type { Records } from './partition-loop.ts';

/** What was fetched of one partition and not yet handed out. */
export interface RecordBuffer {
  push(records: LogRecord[], end: number): void;
  /** Waits for records and takes as many as the limits allow; null once the signal has aborted. */
  take(signal: AbortSignal): Promise<Records | null>;
  /** Takes as many of those that are there as these limits allow. */
  takeMore(limits: Limits): LogRecord[];
}

/** `pause` is called when a full batch is waiting, `resume` when less than half of one is. */
export function createRecordBuffer(
  limits: Limits,
  flow: { pause: () => void; resume: () => void },
): RecordBuffer {
  let waiting: LogRecord[] = [];
  let bytes = 0;
  let end = 0;
  let paused = false;
  let wake: () => void = () => {};

  function takeUpTo({ maxRecords, maxBytes }: Limits): LogRecord[] {
    let size = 0;
    let count = 0;
    for (const { value } of waiting.slice(0, maxRecords)) {
      if (count > 0 && size + value.length > maxBytes) break;
      size += value.length;
      count++;
    }
    const records = waiting.slice(0, count);
    waiting = waiting.slice(count);
    bytes -= size;
    if (paused && waiting.length * 2 < limits.maxRecords && bytes * 2 < limits.maxBytes) {
      paused = false;
      flow.resume();
    }
    return records;
  }

  return {
    push(records, newEnd) {
      waiting.push(...records);
      for (const { value } of records) bytes += value.length;
      end = Math.max(end, newEnd);
      if (!paused && (waiting.length >= limits.maxRecords || bytes >= limits.maxBytes)) {
        paused = true;
        flow.pause();
      }
      wake();
    },
    async take(signal) {
      while (waiting.length === 0) {
        if (signal.aborted) return null;
        await new Promise<void>((resolve) => {
          const done = () => {
            signal.removeEventListener('abort', done);
            resolve();
          };
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }
      return { records: takeUpTo(limits), end };
    },
    takeMore: takeUpTo,
  };
}
