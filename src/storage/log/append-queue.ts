import type { NewRecord } from './log.ts';

/** Fits, written in hexadecimal, into the smallest default `max_allowed_packet` (16 MiB), and into our Kafka topics. */
export const MAX_RECORD_BYTES = 6 * 1024 * 1024;

const GROUP_BYTES = 4 * 1024 * 1024;
const GROUP_RECORDS = 5_000;
const PENDING_BYTES = 64 * 1024 * 1024;

/** More is waiting to be written than memory should hold. Nothing was appended; try again later. */
export class LogOverloadedError extends Error {
  constructor() {
    super('the log is overloaded: too much is waiting to be written');
    this.name = 'LogOverloadedError';
  }
}

export interface AppendCall {
  topic: string;
  records: NewRecord[];
}

export interface AppendQueue {
  append(topic: string, records: NewRecord[]): Promise<number[]>;
  /** Refuses new calls and waits for those under way. */
  close(): Promise<void>;
}

/**
 * One write is in flight at a time; calls that arrive meanwhile go together in the next, since each write costs a
 * flush to disk however little it carries. Being alone in flight also keeps the order of calls.
 * `write` returns the offsets of each call.
 */
export function createAppendQueue(write: (calls: AppendCall[]) => Promise<number[][]>): AppendQueue {
  type Waiting = AppendCall & {
    bytes: number;
    resolve: (offsets: number[]) => void;
    reject: (error: unknown) => void;
  };
  const waiting: Waiting[] = [];
  let pendingBytes = 0;
  let closed = false;
  let running: Promise<void> | null = null;

  function nextGroup(): Waiting[] {
    let [bytes, records, count] = [0, 0, 0];
    for (const call of waiting) {
      bytes += call.bytes;
      records += call.records.length;
      if (count > 0 && (bytes > GROUP_BYTES || records > GROUP_RECORDS)) break;
      count++;
    }
    return waiting.splice(0, count);
  }

  async function run(): Promise<void> {
    // Calls that are made together, one for each topic, are all there then.
    await Promise.resolve();
    while (waiting.length > 0) {
      const group = nextGroup();
      try {
        const offsets = await write(group);
        group.forEach((call, i) => call.resolve(offsets[i] ?? []));
      } catch (error) {
        for (const call of group) call.reject(error);
      }
      for (const call of group) pendingBytes -= call.bytes;
    }
    running = null;
  }

  return {
    append(topic, records) {
      if (closed) return Promise.reject(new Error('the log is closed'));
      if (records.length === 0) return Promise.resolve([]);
      let bytes = 0;
      for (const { value } of records) {
        if (value.length > MAX_RECORD_BYTES) {
          return Promise.reject(
            new RangeError(`a record of ${value.length} bytes exceeds ${MAX_RECORD_BYTES}`),
          );
        }
        bytes += value.length;
      }
      if (pendingBytes > 0 && pendingBytes + bytes > PENDING_BYTES) {
        return Promise.reject(new LogOverloadedError());
      }
      pendingBytes += bytes;
      return new Promise((resolve, reject) => {
        waiting.push({ topic, records, bytes, resolve, reject });
        running ??= run();
      });
    },
    async close() {
      closed = true;
      await running;
    },
  };
}
