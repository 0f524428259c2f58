/** A process of its own on the log, for tests that stop or kill it. Says what happens as JSON lines on stdout. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openLog, type Place } from './open-log.ts';

export type Task =
  /** Consumes; each batch takes `holdMs` before it is done (null: for ever). */
  | { do: 'consume'; group: string; topic: string; holdMs: number | null }
  /** Appends `count` records `<name>:<i>`, spread over the partitions, `width` calls at a time. */
  | { do: 'append'; topic: string; name: string; count: number; partitions: number; width: number };

export type Said =
  | { event: 'ready' }
  | { event: 'assigned' | 'revoked' | 'done'; partition: number }
  | { event: 'batch'; partition: number; offsets: number[] }
  | { event: 'appended' };

const { place, task } = JSON.parse(process.argv[2] ?? '') as { place: Place; task: Task };
const say = (said: Said) => void process.stdout.write(`${JSON.stringify(said)}\n`);
const log = openLog(place);

if (task.do === 'append') {
  for (let i = 0; i < task.count; i += task.width) {
    const calls = Array.from({ length: Math.min(task.width, task.count - i) }, (_, k) => i + k);
    await Promise.all(
      calls.map((n) =>
        log.append(task.topic, [
          { partition: n % task.partitions, key: null, value: Buffer.from(`${task.name}:${n}`) },
        ]),
      ),
    );
  }
  say({ event: 'appended' });
  await log.close();
} else {
  await log.consume({
    group: task.group,
    topics: [task.topic],
    maxRecords: 10,
    maxBytes: 1_000_000,
    async onAssigned(_, partition) {
      say({ event: 'assigned', partition });
    },
    async onBatch({ partition, records }) {
      say({ event: 'batch', partition, offsets: records.map((record) => record.offset) });
      await (task.holdMs === null ? new Promise(() => undefined) : sleep(task.holdMs));
      say({ event: 'done', partition });
    },
    async onRevoked(_, partition) {
      say({ event: 'revoked', partition });
    },
  });
  say({ event: 'ready' });
}
