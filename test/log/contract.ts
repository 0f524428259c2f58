import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Log, LogRecord, NewRecord } from '../../src/storage/log/log.ts';
import { collect, endChildren, eventually, records, startChild, text, unique } from './helpers.ts';
import { openLog, type Place } from './open-log.ts';

export interface Implementation {
  /** Known once the tests run. */
  place(): Place;
  /** Another member has the partitions of a killed or stopped process after so long. */
  takeOverMs: number;
  /** Cuts all connections under way, or restarts the server. Resolves when it can be used again. */
  disturb(): Promise<void>;
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** What every implementation of the log must do. */
export function logContract(implementation: Implementation): void {
  let log: Log;
  const opened: Log[] = [];
  /** As another process would. */
  const another = () => {
    const one = openLog(implementation.place());
    opened.push(one);
    return one;
  };
  const createTopic = async (partitions: number) => {
    const name = unique('topic');
    await log.ensureTopics([{ name, partitions, retentionMs: null }]);
    return name;
  };

  beforeAll(() => {
    log = openLog(implementation.place());
  });
  afterEach(async () => {
    endChildren();
    await Promise.all(opened.splice(0).map((one) => one.close()));
  });
  afterAll(() => log.close());

  describe('topics', () => {
    it('are created once, by however many at once, and grow', async () => {
      const name = unique('topic');
      const two = { name, partitions: 2, retentionMs: 3_600_000 };
      await Promise.all([log.ensureTopics([two]), another().ensureTopics([two])]);
      expect(await log.ends(name)).toEqual([0, 0]);
      await log.append(name, records(1, ['kept']));
      await log.ensureTopics([{ ...two, partitions: 3 }]);
      expect(await log.ends(name)).toEqual([0, 1, 0]);
      await log.append(name, records(2, ['in the new one']));
      expect(await log.ends(name)).toEqual([0, 1, 1]);
    });

    it('do not shrink', async () => {
      const name = await createTopic(3);
      await expect(log.ensureTopics([{ name, partitions: 2, retentionMs: null }])).rejects.toThrow(
        /partitions/,
      );
      expect(await log.ends(name)).toEqual([0, 0, 0]);
    });

    it('must exist before they are used', async () => {
      const name = await createTopic(2);
      await expect(log.append('never-made', records(0, ['x']))).rejects.toThrow();
      await expect(log.append(name, records(2, ['x']))).rejects.toThrow();
      await expect(log.append(name, [...records(0, ['x']), ...records(-1, ['x'])])).rejects.toThrow();
      await expect(log.ends('never-made')).rejects.toThrow();
      expect(await log.ends(name)).toEqual([0, 0]);
    });
  });

  describe('append', () => {
    it('returns the offset of each record, in the order given', async () => {
      const topic = await createTopic(3);
      const mixed: NewRecord[] = [2, 0, 2, 0, 2].map((partition) => ({
        partition,
        key: null,
        value: Buffer.from('v'),
      }));
      expect(await log.append(topic, mixed)).toEqual([0, 0, 1, 1, 2]);
      expect(await log.append(topic, records(2, ['v']))).toEqual([3]);
      expect(await log.append(topic, [])).toEqual([]);
      expect(await log.ends(topic)).toEqual([2, 0, 4]);
    });

    it('keeps the order of calls that were not awaited', async () => {
      const topic = await createTopic(1);
      const offsets = await Promise.all(range(200).map((i) => log.append(topic, records(0, [String(i)]))));
      expect(offsets.flat()).toEqual(range(200));
      const { consumer, values } = await collect(log, { group: unique('group'), topics: [topic] });
      await eventually('all records', () => values().length === 200);
      await consumer.close();
      expect(values()).toEqual(range(200).map(String));
    });

    it('keeps bytes as they are: binary, empty, a megabyte, keys', async () => {
      const topic = await createTopic(1);
      const values = [
        Buffer.from(range(256)),
        Buffer.alloc(0),
        Buffer.alloc(1024 * 1024, 'tide'),
        Buffer.from("'; -- \\ 🌊 \0", 'utf8'),
      ];
      const keys = [null, '', 'ключ-🔑', "k'\\\0"];
      await log.append(
        topic,
        values.map((value, i) => ({ partition: 0, key: keys[i] ?? null, value })),
      );
      const got: LogRecord[] = [];
      const tail = await log.tail({ topic, from: [0], onRecords: async (_, some) => void got.push(...some) });
      await eventually('all records', () => got.length === values.length);
      await tail.close();
      expect(got.map((record) => record.key)).toEqual(keys);
      got.forEach((record, i) => expect(record.value.equals(values[i] ?? Buffer.alloc(1))).toBe(true));
      expect(Math.abs((got[0]?.appendedAt ?? 0) - Date.now())).toBeLessThan(60_000);
    });

    it('takes one call that is larger than any single write', async () => {
      const topic = await createTopic(2);
      const value = Buffer.alloc(40_000, 'x');
      const many = range(600).map((i) => ({ partition: i % 2, key: String(i), value }));
      const offsets = await log.append(topic, many);
      expect(offsets).toEqual(range(600).map((i) => Math.floor(i / 2)));
      expect(await log.ends(topic)).toEqual([300, 300]);
    });

    it('loses nothing among processes, and no reader skips', async () => {
      const topic = await createTopic(3);
      const { consumer, seen } = await collect(another(), { group: unique('group'), topics: [topic] });
      const tailed: string[] = [];
      const tail = await log.tail({
        topic,
        from: [0, 0, 0],
        onRecords: async (_, some) => void tailed.push(...some.map(text)),
      });
      const children = ['a', 'b'].map((name) =>
        startChild(implementation.place(), {
          do: 'append',
          topic,
          name,
          count: 600,
          partitions: 3,
          width: 20,
        }),
      );
      const here = [another(), another()].map(async (one, k) => {
        for (const i of range(300)) await one.append(topic, records(i % 3, [`pool${k}:${i}`]));
      });
      await Promise.all([...here, ...children.map((child) => child.ended)]);
      expect(children.flatMap((child) => child.said)).toEqual([{ event: 'appended' }, { event: 'appended' }]);
      const expected = [
        ...range(600).flatMap((i) => [`a:${i}`, `b:${i}`]),
        ...range(300).flatMap((i) => [`pool0:${i}`, `pool1:${i}`]),
      ].sort();
      await eventually('all records', () => seen.length >= 1_800 && tailed.length >= 1_800);
      await Promise.all([consumer.close(), tail.close()]);
      expect(seen.map((one) => one.value).sort()).toEqual(expected);
      expect(tailed.sort()).toEqual(expected);
      for (const partition of range(3)) {
        const mine = seen.filter((one) => one.partition === partition);
        expect(mine.map((one) => one.offset)).toEqual(range(600));
        const pool0 = mine
          .filter((one) => one.value.startsWith('pool0:'))
          .map((one) => Number(one.value.slice(6)));
        expect(pool0).toEqual([...pool0].sort((a, b) => a - b));
      }
    });
  });

  describe('a consumer group', () => {
    it('starts at the oldest record, commits, and goes on where it was', async () => {
      const topic = await createTopic(2);
      const group = unique('group');
      expect(await log.committed(group, topic)).toEqual([0, 0]);
      await log.append(topic, [...records(0, ['a', 'b']), ...records(1, ['c'])]);
      const first = await collect(log, { group, topics: [topic] });
      await eventually('all records', () => first.seen.length === 3);
      await first.consumer.close();
      expect(await log.committed(group, topic)).toEqual([2, 1]);

      await log.append(topic, records(0, ['d']));
      const second = await collect(another(), { group, topics: [topic] });
      await eventually('the new record', () => second.seen.length > 0);
      await second.consumer.close();
      expect(second.seen).toEqual([{ partition: 0, offset: 2, value: 'd' }]);
      const other = await collect(log, { group: unique('group'), topics: [topic] });
      await eventually('everything again', () => other.seen.length === 4);
      await other.consumer.close();
      expect(other.values(0)).toEqual(['a', 'b', 'd']);
    });

    it('reads several topics', async () => {
      const topics = [await createTopic(2), await createTopic(1)];
      const got: string[] = [];
      const consumer = await log.consume({
        group: unique('group'),
        topics,
        maxRecords: 10,
        maxBytes: 10_000,
        onBatch: async (batch) => void got.push(...batch.records.map((r) => `${batch.topic}:${text(r)}`)),
      });
      for (const topic of topics) await log.append(topic, records(0, ['x']));
      await eventually('both', () => got.length === 2);
      expect(consumer.assigned()).toEqual(
        new Map([
          [topics[0], [0, 1]],
          [topics[1], [0]],
        ]),
      );
      await consumer.close();
      expect(got.sort()).toEqual(topics.map((topic) => `${topic}:x`).sort());
    });

    it('gives a batch that failed again, the same, until it succeeds', async () => {
      const topic = await createTopic(2);
      const group = unique('group');
      await log.append(topic, [...records(0, ['a', 'b', 'c']), ...records(1, ['other'])]);
      const attempts: string[][] = [];
      const failing = await collect(log, { group, topics: [topic] }, async ({ partition, records }) => {
        if (partition === 1) return;
        attempts.push(records.map(text));
        if (attempts.length < 3) throw new Error('not yet');
      });
      await log.append(topic, records(0, ['d']));
      await eventually('all records', () => failing.seen.length === 5);
      await failing.consumer.close();
      expect(attempts.length).toBeGreaterThanOrEqual(3);
      expect(attempts[1]).toEqual(attempts[0]);
      expect(attempts[2]).toEqual(attempts[0]);
      expect(failing.values(0)).toEqual(['a', 'b', 'c', 'd']);
      expect(await log.committed(group, topic)).toEqual([4, 1]);
    });

    it('does not commit what failed: the next consumer gets it', async () => {
      const topic = await createTopic(1);
      const group = unique('group');
      await log.append(topic, records(0, ['a', 'b']));
      let tried = false;
      const first = await collect(log, { group, topics: [topic] }, async () => {
        tried = true;
        throw new Error('never');
      });
      await eventually('a try', () => tried);
      await first.consumer.close();
      expect(await log.committed(group, topic)).toEqual([0]);
      const second = await collect(another(), { group, topics: [topic] });
      await eventually('both records', () => second.seen.length === 2);
      await second.consumer.close();
      expect(second.values()).toEqual(['a', 'b']);
    });

    it('retries onAssigned, and hands out no batch before it', async () => {
      const topic = await createTopic(1);
      await log.append(topic, records(0, ['a']));
      const events: string[] = [];
      const consumer = await log.consume({
        group: unique('group'),
        topics: [topic],
        maxRecords: 10,
        maxBytes: 1_000,
        async onAssigned() {
          events.push('assigned');
          if (events.length === 1) throw new Error('once');
        },
        onBatch: async () => void events.push('batch'),
        onRevoked: async () => void events.push('revoked'),
      });
      await eventually('a batch', () => events.includes('batch'));
      await consumer.close();
      expect(events).toEqual(['assigned', 'assigned', 'batch', 'revoked']);
    });

    it('keeps to maxRecords, and says what stands behind', async () => {
      const topic = await createTopic(1);
      await log.append(topic, records(0, range(25).map(String)));
      const { consumer, batches, values } = await collect(log, {
        group: unique('group'),
        topics: [topic],
        maxRecords: 10,
      });
      await eventually('all records', () => values().length === 25);
      await consumer.close();
      expect(values()).toEqual(range(25).map(String));
      expect(batches.map((batch) => batch.records.length)).toEqual([10, 10, 5]);
      expect(batches.map((batch) => batch.lag)).toEqual([15, 5, 0]);
    });

    it('adds to a batch what has come since, commits it too, and gives it again when the batch fails', async () => {
      const topic = await createTopic(1);
      const group = unique('group');
      await log.append(topic, records(0, ['a']));
      const tries: string[][] = [];
      const growing = await collect(log, { group, topics: [topic] }, async (batch) => {
        const all = [...batch.records];
        if (tries.length === 0) {
          expect(await batch.more({ maxRecords: 10, maxBytes: 1_000 })).toEqual([]);
          await log.append(topic, records(0, ['b', 'c', 'd']));
          while (all.length < 3) {
            await sleep(5);
            all.push(...(await batch.more({ maxRecords: 3 - all.length, maxBytes: 1_000 })));
          }
        }
        tries.push(all.map(text));
        if (tries.length === 1) throw new Error('on purpose');
      });
      await eventually('everything', () => growing.values().length >= 4);
      expect(tries.slice(0, 2)).toEqual([
        ['a', 'b', 'c'],
        ['a', 'b', 'c'],
      ]);
      expect(growing.values()).toEqual(['a', 'b', 'c', 'd']);
      await growing.consumer.close();
      expect(await log.committed(group, topic)).toEqual([4]);
    });

    it('keeps to maxBytes, except for one larger record', async () => {
      const topic = await createTopic(1);
      const sizes = [400, 400, 400, 5_000, 100, 900, 1];
      for (const size of sizes) await log.append(topic, records(0, [Buffer.alloc(size)]));
      const { consumer, batches, seen } = await collect(log, {
        group: unique('group'),
        topics: [topic],
        maxBytes: 1_000,
      });
      await eventually('all records', () => seen.length === sizes.length);
      await consumer.close();
      const got = batches.map((batch) => batch.records.map((record) => record.value.length));
      expect(got.flat()).toEqual(sizes);
      for (const batch of got) {
        if (batch.length > 1) expect(batch.reduce((sum, size) => sum + size)).toBeLessThanOrEqual(1_000);
      }
      expect(got).toContainEqual([5_000]);
    });

    it('reads no further than a slow handler allows', async () => {
      const topic = await createTopic(2);
      const value = Buffer.alloc(50_000, 'x');
      for (const partition of [0, 1]) {
        for (let i = 0; i < 10; i++) {
          await log.append(
            topic,
            range(80).map(() => ({ partition, key: null, value })),
          );
        }
      }
      setFlagsFromString('--expose-gc');
      const gc = runInNewContext('gc') as () => void;
      gc();
      const before = process.memoryUsage().arrayBuffers;
      let release = () => {};
      const released = new Promise<void>((resolve) => (release = resolve));
      const busy = new Set<number>();
      const { consumer, seen } = await collect(
        log,
        { group: unique('group'), topics: [topic], maxBytes: 500_000 },
        async ({ partition }) => {
          busy.add(partition);
          await released;
        },
      );
      await eventually('both partitions busy', () => busy.size === 2);
      await sleep(1_500);
      gc();
      const grown = process.memoryUsage().arrayBuffers - before;
      expect(seen).toHaveLength(0);
      // 80 MB are waiting in the log.
      release();
      expect(grown).toBeLessThan(32_000_000);
      await eventually('all records', () => seen.length === 1_600, 40_000);
      await consumer.close();
    });

    it('works partitions at the same time, and batches of one partition never', async () => {
      const topic = await createTopic(3);
      const running = new Map<number, number>();
      let most = 0;
      const { consumer, seen } = await collect(
        log,
        { group: unique('group'), topics: [topic], maxRecords: 1 },
        async ({ partition }) => {
          const now = (running.get(partition) ?? 0) + 1;
          running.set(partition, now);
          expect(now).toBe(1);
          most = Math.max(
            most,
            [...running.values()].reduce((sum, n) => sum + n),
          );
          await sleep(50);
          running.set(partition, 0);
        },
      );
      await log.append(
        topic,
        range(30).map((i) => ({ partition: i % 3, key: null, value: Buffer.from('x') })),
      );
      await eventually('all records', () => seen.length === 30);
      await consumer.close();
      expect(most).toBe(3);
    });

    it('finishes and commits the running batch on close', async () => {
      const topic = await createTopic(1);
      const group = unique('group');
      await log.append(topic, records(0, ['a']));
      let aborted = false;
      let started = false;
      const { consumer, seen } = await collect(log, { group, topics: [topic] }, async ({ signal }) => {
        started = true;
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted = true;
        await sleep(300);
      });
      await eventually('the batch', () => started);
      await consumer.close();
      expect(aborted).toBe(true);
      expect(seen).toHaveLength(1);
      expect(await log.committed(group, topic)).toEqual([1]);
    });
  });

  describe('members of a group', () => {
    it('share the partitions, and no partition has two at once', async () => {
      const topic = await createTopic(4);
      const group = unique('group');
      const owners = new Map<number, string>();
      const faults: string[] = [];
      const seen: string[] = [];
      const member = (name: string, one: Log) =>
        one.consume({
          group,
          topics: [topic],
          maxRecords: 5,
          maxBytes: 1_000_000,
          async onAssigned(_, partition) {
            const owner = owners.get(partition);
            if (owner) faults.push(`${partition} given to ${name} while ${owner} has it`);
            owners.set(partition, name);
            await sleep(20);
          },
          async onBatch({ partition, records }) {
            if (owners.get(partition) !== name)
              faults.push(`${name} works on ${partition} without owning it`);
            await sleep(10);
            seen.push(...records.map(text));
          },
          async onRevoked(_, partition) {
            await sleep(20);
            if (owners.get(partition) !== name) faults.push(`${name} gives back ${partition} of another`);
            owners.delete(partition);
          },
        });
      let stop = false;
      let sent = 0;
      const sending = (async () => {
        while (!stop) {
          await log.append(topic, records(sent % 4, [String(sent)]));
          sent++;
          await sleep(2);
        }
      })();
      const held = (consumer: { assigned(): ReadonlyMap<string, readonly number[]> }) =>
        consumer.assigned().get(topic)?.length ?? 0;

      const a = await member('a', log);
      await eventually('a has all', () => held(a) === 4 && owners.size === 4);
      const b = await member('b', another());
      await eventually('half each', () => held(a) === 2 && held(b) === 2 && owners.size === 4, 30_000);
      const c = await member('c', another());
      const all = [a, b, c];
      await eventually(
        'one or two each',
        () =>
          all.every((one) => [1, 2].includes(held(one))) &&
          held(a) + held(b) + held(c) === 4 &&
          owners.size === 4,
        30_000,
      );
      await a.close();
      await eventually('two each', () => held(b) === 2 && held(c) === 2 && owners.size === 4, 30_000);
      stop = true;
      await sending;
      await eventually('everything seen', () => new Set(seen).size === sent);
      await Promise.all([b.close(), c.close()]);
      expect(faults).toEqual([]);
      // Nothing was lost, and, since everybody left in an orderly way, nothing came twice.
      expect(seen.length).toBe(sent);
      expect(owners.size).toBe(0);
    });

    it('do not lose a partition to a newcomer while a batch runs, however long it takes', async () => {
      const topic = await createTopic(1);
      const group = unique('group');
      await log.append(topic, records(0, ['a', 'b']));
      const events: string[] = [];
      const join = (name: string, one: Log, holdMs: number) =>
        one.consume({
          group,
          topics: [topic],
          maxRecords: 1,
          maxBytes: 1_000,
          onAssigned: async () => void events.push(`${name} has it`),
          async onBatch({ records }) {
            events.push(`${name} begins ${records.map(text).join()}`);
            await sleep(holdMs);
            events.push(`${name} ends ${records.map(text).join()}`);
          },
          onRevoked: async () => void events.push(`${name} gives it back`),
        });
      const a = await join('first', another(), 13_000);
      await eventually('the long batch', () => events.includes('first begins a'));
      await sleep(1_500);
      const joining = join('second', another(), 0);
      const closing = sleep(2_000).then(() => a.close());
      await closing;
      const b = await joining;
      await eventually(
        'the second record',
        () => events.includes('second ends b'),
        implementation.takeOverMs,
      );
      await b.close();
      expect(events.slice(0, 4)).toEqual([
        'first has it',
        'first begins a',
        'first ends a',
        'first gives it back',
      ]);
      // The group may meet once more while the first one leaves; the record is read once all the same.
      const second = events.slice(4).join(', ');
      expect(second).toMatch(
        /^(second has it, second gives it back, )*second has it, second begins b, second ends b, second gives it back$/,
      );
      expect(await log.committed(group, topic)).toEqual([2]);
    });

    it('take over from a process that was killed in the middle of a batch', async () => {
      const topic = await createTopic(2);
      const group = unique('group');
      await log.append(topic, [...records(0, ['a', 'b']), ...records(1, ['c'])]);
      const child = startChild(implementation.place(), { do: 'consume', group, topic, holdMs: null });
      await eventually('two batches', () => child.said.filter((one) => one.event === 'batch').length === 2);
      child.process.kill('SIGKILL');
      await child.ended;
      const begin = performance.now();
      const { consumer, values } = await collect(log, { group, topics: [topic] });
      await eventually('the records again', () => values().length === 3, implementation.takeOverMs);
      console.log(`taken over after ${Math.round(performance.now() - begin)} ms`);
      await consumer.close();
      expect(values(0)).toEqual(['a', 'b']);
      expect(values(1)).toEqual(['c']);
    });

    it('take over from a process that is stopped, which cannot commit when it comes back', async () => {
      const topic = await createTopic(1);
      const group = unique('group');
      await log.append(topic, records(0, range(30).map(String)));
      const child = startChild(implementation.place(), { do: 'consume', group, topic, holdMs: 500 });
      await eventually('a batch', () => child.said.some((one) => one.event === 'batch'));
      child.process.kill('SIGSTOP');
      const { consumer, values } = await collect(another(), { group, topics: [topic] });
      await eventually('all records', () => values().length === 30, implementation.takeOverMs + 15_000);
      await log.append(topic, records(0, ['last']));
      await eventually('the last one', () => values().length === 31);
      await eventually('the commit', async () => (await log.committed(group, topic))[0] === 31);
      child.process.kill('SIGCONT');
      await eventually('the zombie has ended its batch', () =>
        child.said.some((one) => one.event === 'done'),
      );
      await sleep(1_000);
      expect((await log.committed(group, topic))[0]).toBe(31);
      child.process.kill('SIGKILL');
      await child.ended;
      await consumer.close();
      expect(values()).toEqual([...range(30).map(String), 'last']);
    });
  });

  describe('a tail', () => {
    it('begins at the end, or at given offsets, in order and without a gap', async () => {
      const topic = await createTopic(2);
      await log.append(topic, [...records(0, ['a', 'b', 'c']), ...records(1, ['d', 'e'])]);
      const fresh: string[][] = [[], []];
      const old: string[][] = [[], []];
      const offsets: number[] = [];
      const ofEnd = await another().tail({
        topic,
        from: 'end',
        onRecords: async (partition, some) => void fresh[partition]?.push(...some.map(text)),
      });
      const ofOffsets = await log.tail({
        topic,
        from: [1, 2],
        onRecords: async (partition, some) => {
          old[partition]?.push(...some.map(text));
          if (partition === 0) offsets.push(...some.map((record) => record.offset));
        },
      });
      await Promise.all(range(100).map((i) => log.append(topic, records(i % 2, [String(i)]))));
      await eventually('all', () => fresh.flat().length === 100 && old.flat().length === 102);
      await Promise.all([ofEnd.close(), ofOffsets.close()]);
      const numbers = (rest: number) =>
        range(100)
          .filter((i) => i % 2 === rest)
          .map(String);
      expect(fresh).toEqual([numbers(0), numbers(1)]);
      expect(old).toEqual([['b', 'c', ...numbers(0)], numbers(1)]);
      expect(offsets).toEqual(range(52).map((i) => i + 1));
    });

    it('waits for its reader, repeats what failed, and stops when closed', async () => {
      const topic = await createTopic(1);
      let calls = 0;
      let running = 0;
      const got: string[] = [];
      const tail = await log.tail({
        topic,
        from: 'end',
        async onRecords(_, some) {
          expect(++running).toBe(1);
          await sleep(30);
          running--;
          if (++calls === 2) throw new Error('once');
          got.push(...some.map(text));
        },
      });
      for (const i of range(20)) await log.append(topic, records(0, [String(i)]));
      await eventually('all', () => got.length >= 20);
      await tail.close();
      expect(got).toEqual(range(20).map(String));
      await log.append(topic, records(0, ['after']));
      await sleep(300);
      expect(got).toHaveLength(20);
    });
  });

  it('goes on after the connections were cut', async () => {
    const topic = await createTopic(2);
    const group = unique('group');
    const { consumer, seen } = await collect(another(), { group, topics: [topic], maxRecords: 20 });
    const tailed = new Set<string>();
    const tail = await another().tail({
      topic,
      from: 'end',
      onRecords: async (_, some) => some.forEach((record) => tailed.add(text(record))),
    });
    const writer = another();
    let stop = false;
    let sent = 0;
    const appending = (async () => {
      while (!stop) {
        // A call whose outcome is unknown rejects; its sender repeats it.
        await writer.append(topic, records(sent % 2, [String(sent)])).then(
          () => sent++,
          () => sleep(100),
        );
      }
    })();
    await eventually('some records', () => seen.length > 50);
    await implementation.disturb();
    const atCut = sent;
    await eventually('more records', () => sent > atCut + 50, 40_000);
    stop = true;
    await appending;
    const all = range(sent).map(String);
    await eventually('all consumed', () => new Set(seen.map((one) => one.value)).size === sent, 40_000);
    await eventually('all tailed', () => tailed.size === sent, 40_000);
    await Promise.all([consumer.close(), tail.close()]);
    expect([...tailed].sort()).toEqual([...all].sort());
    // The first time each record was seen, it came in order.
    for (const partition of [0, 1]) {
      const first = [
        ...new Set(seen.filter((one) => one.partition === partition).map((one) => Number(one.value))),
      ];
      expect(first).toEqual(all.map(Number).filter((i) => i % 2 === partition));
    }
    const ends = await log.ends(topic);
    expect(await log.committed(group, topic)).toEqual(ends);
  });

  it('measures: append and append to consume', async () => {
    const topic = await createTopic(1);
    const arrived = new Map<string, number>();
    const { consumer } = await collect(log, { group: unique('group'), topics: [topic] }, async (batch) => {
      for (const record of batch.records) arrived.set(text(record), performance.now());
    });
    await log.append(topic, records(0, ['warm']));
    await eventually('warm', () => arrived.size === 1);
    const appended: number[] = [];
    const through: number[] = [];
    for (const i of range(100)) {
      await sleep(5);
      const start = performance.now();
      await log.append(topic, records(0, [`one:${i}`]));
      appended.push(performance.now() - start);
      through.push((await eventually('arrival', () => arrived.get(`one:${i}`))) - start);
    }
    const hundreds: number[] = [];
    for (const i of range(50)) {
      const start = performance.now();
      await log.append(
        topic,
        records(
          0,
          range(100).map((k) => `many:${i}:${k}`),
        ),
      );
      hundreds.push(performance.now() - start);
    }
    await consumer.close();
    const at = (numbers: number[], share: number) =>
      Number([...numbers].sort((a, b) => a - b)[Math.floor(numbers.length * share)]?.toFixed(1));
    console.log({
      append1: { p50: at(appended, 0.5), p99: at(appended, 0.99) },
      append100: { p50: at(hundreds, 0.5), p99: at(hundreds, 0.99) },
      appendToConsume: { p50: at(through, 0.5), p99: at(through, 0.99) },
    });
    expect(at(through, 0.5)).toBeLessThan(100);
  });
}
