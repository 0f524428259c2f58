/**
 * The ingest worker: groups of batches into MySQL, then what they owe into ClickHouse, then the news of it to the
 * evaluators. Offsets are committed last. Whatever is interrupted is finished from what MySQL wrote down.
 */
import { randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { deflate, inflate, constants } from 'node:zlib';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { backoffMs } from '../runtime/retry.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Limits, Log, LogConsumer, LogRecord } from '../storage/log/log.ts';
import { isRetryable, type MySql } from '../storage/mysql/connect.ts';
import { createNameRegistry, type NameRegistry } from '../storage/mysql/names.ts';
import {
  lockIngestPositions,
  readDebts,
  writeDebt,
  type IngestPosition,
  type Place,
} from '../storage/mysql/positions.ts';
import { reserveNumbers } from '../storage/mysql/profiles.ts';
import { INGEST_GROUP, ingestTopics, streamOfTopic } from '../storage/topics.ts';
import { sendDeadLetter } from '../storage/dead-letters.ts';
import { accountsAhead } from './ahead.ts';
import { inGroups } from './groups.ts';
import { latestOf, payDebt, type Owed } from './pay.ts';
import { decodeRecord } from './records.ts';
import type { Reserve } from './resolve.ts';
import { Contention, type Placed } from './share.ts';
import { storeRecords } from './store.ts';

export interface IngestWorkerDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  logger: Logger;
}

/** Records of one partition. */
interface Batch extends Place {
  records: LogRecord[];
}

interface GrowingBatch extends Batch {
  /** Adds what has come while the batch was waiting. */
  more(limits: Limits): Promise<LogRecord[]>;
}

const MAX_RECORDS = 5_000;
const MAX_BYTES = 8_000_000;
const MAX_ATTEMPTS = 30;
/** A partition needs about so long to commit one batch and read the next. */
const LINGER_MS = 8;

const compress = promisify(deflate);
const decompress = promisify(inflate);

/** Takes its share of the ingest partitions until it is closed. */
export function startIngestWorker(deps: IngestWorkerDeps): Promise<LogConsumer> {
  const names = createNameRegistry(deps.mysql);
  const linger = () => deps.clock.sleep(LINGER_MS);
  const take = inGroups<GrowingBatch>({ fullAt: 1, sizeOf: shareOfGroup, linger }, async (group, stored) => {
    const stop = metrics.ingestBatchSeconds.startTimer();
    await takeBatches(deps, names, await grown(group), stored);
    stop();
  });
  return deps.log.consume({
    group: INGEST_GROUP,
    topics: ingestTopics(),
    maxRecords: MAX_RECORDS,
    maxBytes: MAX_BYTES,
    onAssigned: (topic, partition) => payDebts(deps, [{ topic, partition }]),
    async onBatch(batch) {
      const { topic, partition, records, lag } = batch;
      metrics.consumerLag.set({ topic, partition }, lag);
      await take({ topic, partition, records, more: (limits) => batch.more(limits) });
      metrics.stored.inc({ stream: topic.slice('ingest.'.length) }, records.length);
    },
  });
}

/** The batches with what has come since they were read, as far as the group has room. */
async function grown(group: GrowingBatch[]): Promise<Batch[]> {
  const room = (1 - group.reduce((sum, batch) => sum + shareOfGroup(batch), 0)) / group.length;
  const limits = { maxRecords: Math.floor(room * MAX_RECORDS), maxBytes: Math.floor(room * MAX_BYTES) };
  if (limits.maxRecords < 1) return group;
  return Promise.all(
    group.map(async (batch) => ({ ...batch, records: [...batch.records, ...(await batch.more(limits))] })),
  );
}

/** How much of a whole group the batch is. */
function shareOfGroup({ records }: Batch): number {
  const bytes = records.reduce((sum, { value }) => sum + value.length, 0);
  return Math.max(records.length / MAX_RECORDS, bytes / MAX_BYTES);
}

/** A record that makes the whole fail is found by halving, put aside with the reason, and the rest goes on. */
async function takeBatches(
  deps: IngestWorkerDeps,
  names: NameRegistry,
  batches: Batch[],
  stored: () => void,
): Promise<void> {
  try {
    const owed = await storeBatches(deps, names, batches);
    stored();
    if (owed) await payDebt(deps, owed, false);
  } catch (error) {
    if (!isFaultOfData(error)) throw error;
    for (const part of halves(batches)) await takeBatches(deps, names, part, stored);
    const [batch] = batches;
    const [record] = batch?.records ?? [];
    if (batch && record && batches.length === 1 && batch.records.length === 1) {
      const place = { topic: batch.topic, partition: batch.partition, offset: record.offset };
      await sendDeadLetter(deps, place, error, record.value);
    }
  }
}

/** Nothing when there is but one record. */
function halves(batches: Batch[]): Batch[][] {
  const [only] = batches;
  if (batches.length > 1 || !only) return batches.map((batch) => [batch]);
  const middle = only.records.length >> 1;
  if (middle === 0) return [];
  return [only.records.slice(0, middle), only.records.slice(middle)].map((records) => [{ ...only, records }]);
}

/** Null when all the records have taken effect before. */
async function storeBatches(
  deps: IngestWorkerDeps,
  names: NameRegistry,
  batches: Batch[],
): Promise<Owed | null> {
  const reserve: Reserve = (counts) => reserveNumbers(deps.mysql, counts);
  for (let attempt = 1; ; attempt++) {
    try {
      return await deps.mysql.db.transaction(async (tx) => {
        const positions = await lockIngestPositions(tx, batches);
        if (positions.some(({ debt }) => debt !== null))
          throw new Contention('another owner has left a debt');
        const placed = positions.flatMap(({ topic, partition, nextOffset }) => {
          const batch = batches.find((one) => one.topic === topic && one.partition === partition);
          const fresh = batch?.records.filter(({ offset }) => offset >= nextOffset) ?? [];
          return fresh.map(({ value, offset }): Placed => ({
            record: decodeRecord(value),
            stream: streamOfTopic(topic),
            partition,
            offset,
          }));
        });
        const [first] = batches;
        if (placed.length === 0 || !first) return null;
        const debt = await storeRecords({ names, reserve }, tx, placed);
        const id = randomBytes(16).toString('hex');
        const changesThrough = latestOf(positions.map((position) => position.changesThrough));
        const place = {
          topic: first.topic,
          partition: first.partition,
          offset: first.records[0]?.offset ?? 0,
        };
        const owed: Owed = { id, place, changesThrough, debt };
        const blob = await compress(JSON.stringify(owed), { level: constants.Z_BEST_SPEED });
        await writeDebt(
          tx,
          id,
          blob,
          accountsAhead(debt),
          positions.map((position) => advance(position, placed)),
        );
        return owed;
      });
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !(error instanceof Contention || isRetryable(error))) throw error;
      await deps.clock.sleep(backoffMs(attempt, 2, 200));
      await payDebts(deps, batches);
    }
  }
}

/** The partition behind those of the records that are its own. */
function advance({ topic, partition, nextOffset }: IngestPosition, placed: Placed[]) {
  const stream = streamOfTopic(topic);
  const last = placed.findLast((record) => record.stream === stream && record.partition === partition);
  return { topic, partition, nextOffset: last ? last.offset + 1 : nextOffset };
}

/** Pays what the last batches of these partitions still owe, whoever stored them. */
async function payDebts(deps: IngestWorkerDeps, places: Place[]): Promise<void> {
  for (const { owed } of await readDebts(deps.mysql.db, places)) {
    await payDebt(deps, JSON.parse((await decompress(owed)).toString('utf8')) as Owed, true);
  }
}

/** What will fail again however often it is tried, as opposed to a dependency that is away. */
function isFaultOfData(error: unknown): boolean {
  if (error instanceof Contention || isRetryable(error)) return false;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { sqlState, code } = cause as { sqlState?: string; code?: string };
    // 22: data exceptions (too long, out of range, wrong type), 23: constraints.
    if (sqlState !== undefined) return sqlState.startsWith('22') || sqlState.startsWith('23');
    if (code !== undefined) return false;
    if (cause instanceof SyntaxError || cause instanceof TypeError || cause instanceof RangeError)
      return true;
  }
  return error instanceof Error && error.message === 'not an ingest record';
}
