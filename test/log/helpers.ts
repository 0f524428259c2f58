import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConsumerOptions, Log, LogConsumer, LogRecord } from '../../src/storage/log/log.ts';
import type { Said, Task } from './child.ts';
import type { Place } from './open-log.ts';

export const unique = (what: string) => `${what}-${randomBytes(6).toString('hex')}`;

export const text = (record: LogRecord) => record.value.toString('utf8');

/** Waits until `look` gives something other than false, null or undefined. */
export async function eventually<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await sleep(20);
  }
}

export const records = (partition: number, values: (string | Buffer)[]) =>
  values.map((value) => ({ partition, key: null, value: Buffer.from(value) }));

/** What a consumer was given, in the order it came. */
export interface Collected {
  consumer: LogConsumer;
  seen: { partition: number; offset: number; value: string }[];
  batches: { partition: number; records: LogRecord[]; lag: number }[];
  values: (partition?: number) => string[];
}

/** Consumes everything and keeps it. `before` runs first in each batch and may throw. */
export async function collect(
  log: Log,
  options: Partial<ConsumerOptions> & Pick<ConsumerOptions, 'group' | 'topics'>,
  before?: ConsumerOptions['onBatch'],
): Promise<Collected> {
  const seen: Collected['seen'] = [];
  const batches: Collected['batches'] = [];
  const consumer = await log.consume({
    maxRecords: 1_000,
    maxBytes: 8_000_000,
    ...options,
    async onBatch(batch) {
      await before?.(batch);
      batches.push({ partition: batch.partition, records: batch.records, lag: batch.lag });
      for (const record of batch.records) {
        seen.push({ partition: batch.partition, offset: record.offset, value: text(record) });
      }
    },
  });
  const values = (partition?: number) =>
    seen.filter((one) => partition === undefined || one.partition === partition).map((one) => one.value);
  return { consumer, seen, batches, values };
}

export interface Child {
  process: ChildProcess;
  said: Said[];
  /** Resolves when the process has ended. */
  ended: Promise<void>;
  /** The partitions the child holds, as far as it has said. */
  holds(): number[];
}

const running = new Set<ChildProcess>();

export function startChild(place: Place, task: Task): Child {
  const script = path.resolve('test/log/child.ts');
  const child = spawn(process.execPath, ['--import', 'tsx', script, JSON.stringify({ place, task })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  const said: Said[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said));
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      running.delete(child);
      resolve();
    }),
  );
  const holds = () => {
    const held = new Set<number>();
    for (const one of said) {
      if (one.event === 'assigned') held.add(one.partition);
      if (one.event === 'revoked') held.delete(one.partition);
    }
    return [...held].sort((a, b) => a - b);
  };
  return { process: child, said, ended, holds };
}

/** Ends the children a failed test has left behind. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}
