import fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import type { Log, LogConsumer } from '../../src/storage/log/log.ts';
import { sql } from '../support/engines.ts';
import { eventually, records, text, unique } from './helpers.ts';
import { openLog } from './open-log.ts';

const PARTITIONS = 3;

type Step =
  | { do: 'append'; partition: number; count: number; through: number }
  | { do: 'join' }
  | { do: 'leave'; member: number }
  | { do: 'fail'; times: number }
  | { do: 'cut' }
  | { do: 'wait'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      partition: fc.nat(PARTITIONS - 1),
      count: fc.integer({ min: 1, max: 40 }),
      through: fc.nat(1),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'join' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), member: fc.nat(3) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('fail' as const), times: fc.integer({ min: 1, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'cut' as const }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(300) }) },
);

/** A random history of one consumer group on the embedded log, and what must hold after it. */
export const runHistory = {
  steps: fc.array(step, { minLength: 5, maxLength: 30 }),

  async run(url: string, steps: Step[]): Promise<void> {
    const place = { kind: 'embedded', url } as const;
    const topic = unique('topic');
    const group = unique('group');
    const writers = [openLog(place), openLog(place)];
    const members: { log: Log; consumer: LogConsumer }[] = [];
    const seen: { partition: number; offset: number; value: string }[] = [];
    const sent = range(PARTITIONS).map(() => new Set<string>());
    let failures = 0;
    let serial = 0;

    const join = async () => {
      const log = openLog(place);
      const consumer = await log.consume({
        group,
        topics: [topic],
        maxRecords: 7,
        maxBytes: 10_000,
        async onBatch(batch) {
          await sleep(1);
          if (failures > 0) {
            failures--;
            throw new Error('told to fail');
          }
          for (const record of batch.records) {
            seen.push({ partition: batch.partition, offset: record.offset, value: text(record) });
          }
        },
      });
      members.push({ log, consumer });
    };
    /** As a sender does: what was rejected may have been written or not, and is sent again. */
    const append = async (partition: number, count: number, through: number) => {
      const values = range(count).map(() => String(serial++));
      for (const value of values) sent[partition]?.add(value);
      while (
        !(await writers[through]?.append(topic, records(partition, values)).then(
          () => true,
          () => false,
        ))
      ) {
        await sleep(50);
      }
    };

    await writers[0]?.ensureTopics([{ name: topic, partitions: PARTITIONS, retentionMs: null }]);
    const appending: Promise<void>[] = [];
    try {
      for (const one of steps) {
        if (one.do === 'append') appending.push(append(one.partition, one.count, one.through));
        else if (one.do === 'join' && members.length < 4) await attempt(join);
        else if (one.do === 'leave') await members.splice(one.member, 1)[0]?.log.close();
        else if (one.do === 'fail') failures += one.times;
        else if (one.do === 'cut') await cutSessions(url);
        else if (one.do === 'wait') await sleep(one.ms);
      }
      await Promise.all(appending);
      failures = 0;
      if (members.length === 0) await attempt(join);
      const ends = await writers[0]?.ends(topic);
      await eventually(
        'everything committed',
        async () => JSON.stringify(await writers[0]?.committed(group, topic)) === JSON.stringify(ends),
        30_000,
      );
      for (const partition of range(PARTITIONS)) {
        const mine = seen.filter((entry) => entry.partition === partition);
        // Seen for the first time, offsets come without a gap; seen again, they are the same records.
        const first = new Map<number, string>();
        for (const { offset, value } of mine) {
          if (!first.has(offset)) expect(offset).toBe(first.size);
          expect(first.get(offset) ?? value).toBe(value);
          first.set(offset, value);
        }
        expect(first.size).toBe(ends?.[partition]);
        expect(new Set(first.values())).toEqual(sent[partition]);
      }
    } finally {
      await Promise.all([...members.map(({ log }) => log.close()), ...writers.map((log) => log.close())]);
    }
  },
};

/** Joining may meet a connection that is being cut. */
async function attempt(work: () => Promise<void>): Promise<void> {
  await eventually('a success', () =>
    work().then(
      () => true,
      () => false,
    ),
  );
}

export async function cutSessions(url: string): Promise<void> {
  const sessions = (await sql(
    url,
    'SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()',
  )) as { id: number }[];
  for (const { id } of sessions) await sql(url, `KILL ${id}`).catch(() => undefined);
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
