/** The evaluate role: opens the partitions it is handed, feeds them, and keeps their clocks going. */
import { metrics } from '../runtime/metrics.ts';
import type { LogBatch, LogConsumer } from '../storage/log/log.ts';
import { shardOf, shardsOf } from '../storage/clickhouse/shards.ts';
import { sendDeadLetter } from '../storage/dead-letters.ts';
import { decodeChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { EVALUATOR_GROUP, PROFILE_CHANGES } from '../storage/topics.ts';
import { createShared, openPartition, type EvaluatorPartition, type PartitionDeps } from './partition.ts';

const TICK_MS = 500;
const CATCH_UP_MS = 15_000;
const MAX_RECORDS = 200;
const MAX_BYTES = 4_000_000;

interface OpenPartition {
  partition: EvaluatorPartition;
  /** A write was interrupted: take the partition over again, which finishes it, before anything else. */
  broken: boolean;
  /** The end of whatever the partition is doing: batches and ticks never overlap. */
  busy: Promise<unknown>;
  stop: AbortController;
  clock: Promise<void>;
}

/** Takes its share of the evaluator partitions until it is closed. */
export async function startEvaluator(deps: PartitionDeps): Promise<LogConsumer> {
  const open = new Map<number, OpenPartition>();
  // What one server is asked goes together; of a cluster each shard is one.
  const shards = new Map(
    shardsOf(deps.clickhouse).map((clickhouse) => {
      const its = { ...deps, clickhouse };
      return [clickhouse, { deps: its, shared: createShared(its) }];
    }),
  );

  /** Runs work when the partition is free; the order of calls is the order of work. */
  function exclusively(
    number: number,
    entry: OpenPartition,
    work: (partition: EvaluatorPartition) => Promise<void>,
  ): Promise<void> {
    const run = entry.busy.then(async () => {
      // Somebody else may own it by now.
      if (entry.stop.signal.aborted) throw new Error(`partition ${number} is not owned any more`);
      if (entry.broken) {
        entry.partition.close();
        entry.partition = await takeOver(number, entry.stop.signal, () => entry);
      }
      entry.broken = true;
      await work(entry.partition);
      entry.broken = false;
    });
    entry.busy = run.catch(() => undefined);
    return run;
  }

  async function keepTime(number: number, entry: OpenPartition): Promise<void> {
    let caughtUp = deps.clock.now();
    let failures = 0;
    while (!entry.stop.signal.aborted) {
      try {
        // Not while batches are held up.
        await entry.partition.ready();
        await exclusively(number, entry, async (partition) => {
          if (entry.stop.signal.aborted) return;
          const stop = metrics.clockLookSeconds.startTimer();
          const through = await partition.tick();
          stop();
          metrics.clockLagSeconds.set({ partition: number }, (deps.clock.now() - through) / 1000);
          if (deps.clock.now() - caughtUp >= CATCH_UP_MS) {
            await partition.catchUp();
            caughtUp = deps.clock.now();
          }
        });
        failures = 0;
        if (entry.partition.hasMore()) continue;
      } catch (error) {
        if (entry.stop.signal.aborted) return;
        failures += 1;
        deps.logger.warn(
          { partition: number, failures, err: error },
          'the clock of a partition failed; it tries again',
        );
      }
      await deps.clock.sleep(
        failures > 0 ? Math.min(5_000, TICK_MS * 2 ** failures) : TICK_MS,
        entry.stop.signal,
      );
    }
  }

  /** Whatever its last owner was bringing into force comes before anything else: the members may be of it already. */
  async function takeOver(
    number: number,
    signal: AbortSignal,
    entryOf: () => OpenPartition | Promise<OpenPartition>,
  ): Promise<EvaluatorPartition> {
    const turn = async (work: () => Promise<void>) => exclusively(number, await entryOf(), work);
    const shard = shards.get(shardOf(deps.clickhouse, number));
    if (!shard) throw new Error('the shard of a partition is not of the cluster');
    const partition = await openPartition(shard.deps, number, { ...shard.shared, turn, signal });
    try {
      await partition.catchUp();
    } catch (error) {
      partition.close();
      throw error;
    }
    return partition;
  }

  async function assign(_topic: string, number: number): Promise<void> {
    const stop = new AbortController();
    let opened: (entry: OpenPartition) => void = () => {};
    const opening = new Promise<OpenPartition>((resolve) => (opened = resolve));
    const partition = await takeOver(number, stop.signal, () => opening);
    const entry: OpenPartition = {
      partition,
      broken: false,
      busy: Promise.resolve(),
      stop,
      clock: Promise.resolve(),
    };
    open.set(number, entry);
    opened(entry);
    entry.clock = keepTime(number, entry);
  }

  async function revoke(_topic: string, number: number): Promise<void> {
    const entry = open.get(number);
    if (!entry) return;
    entry.stop.abort();
    entry.partition.close();
    await entry.clock;
    await entry.busy;
    // It may have been taken over again meanwhile.
    entry.partition.close();
    // Otherwise the next owner does it.
    await entry.partition.written().catch((error: unknown) => {
      deps.logger.warn({ partition: number, err: error }, 'entries have not reached ClickHouse');
    });
    open.delete(number);
  }

  async function takeBatch(batch: LogBatch): Promise<void> {
    const entry = open.get(batch.partition);
    if (!entry) throw new Error(`partition ${batch.partition} was not opened`);
    metrics.consumerLag.set({ topic: batch.topic, partition: batch.partition }, batch.lag);
    const messages: ProfileChangeMessage[] = [];
    for (const record of batch.records) {
      try {
        messages.push(decodeChange(record.value));
      } catch (error) {
        const place = { topic: batch.topic, partition: batch.partition, offset: record.offset };
        await sendDeadLetter(deps, place, error, record.value);
      }
    }
    await exclusively(batch.partition, entry, (partition) => partition.take(messages));
  }

  return deps.log.consume({
    group: EVALUATOR_GROUP,
    topics: [PROFILE_CHANGES],
    maxRecords: MAX_RECORDS,
    maxBytes: MAX_BYTES,
    onAssigned: assign,
    onBatch: takeBatch,
    onRevoked: revoke,
  });
}
