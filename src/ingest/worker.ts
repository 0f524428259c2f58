/**
 * The ingest worker: one batch of one partition into MySQL, then what it owes into ClickHouse, then the news of it to
 * the evaluators. The offset is committed last. Whatever is interrupted is finished from what MySQL wrote down.
 */
import { promisify } from 'node:util';
import { deflate, inflate, constants } from 'node:zlib';
import pLimit from 'p-limit';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { backoffMs } from '../runtime/retry.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Log, LogBatch, LogConsumer, LogRecord } from '../storage/log/log.ts';
import { isRetryable, type MySql } from '../storage/mysql/connect.ts';
import { createNameRegistry, type NameRegistry } from '../storage/mysql/names.ts';
import { advanceIngestPosition, lockIngestPosition } from '../storage/mysql/positions.ts';
import { reserveNumbers } from '../storage/mysql/profiles.ts';
import { INGEST_GROUP, ingestTopics, streamOfTopic } from '../storage/topics.ts';
import { sendDeadLetter } from '../storage/dead-letters.ts';
import { payDebt, type OwedBatch } from './pay.ts';
import { decodeRecord } from './records.ts';
import { Contention, storeRecords, type Placed } from './store.ts';

export interface IngestWorkerDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  logger: Logger;
}

const MAX_RECORDS = 5_000;
const MAX_BYTES = 8_000_000;
const MAX_ATTEMPTS = 30;
/** A batch holds one connection and asks for a second in between: many at once would starve one another. */
const BATCHES_AT_ONCE = 6;

const compress = promisify(deflate);
const decompress = promisify(inflate);

/** Takes its share of the ingest partitions until it is closed. */
export function startIngestWorker(deps: IngestWorkerDeps): Promise<LogConsumer> {
  const names = createNameRegistry(deps.mysql);
  const limit = pLimit(BATCHES_AT_ONCE);
  return deps.log.consume({
    group: INGEST_GROUP,
    topics: ingestTopics(),
    maxRecords: MAX_RECORDS,
    maxBytes: MAX_BYTES,
    onAssigned: (topic, partition) => finishPending(deps, topic, partition),
    onBatch: (batch) => limit(() => takeBatch(deps, names, batch)),
  });
}

async function takeBatch(deps: IngestWorkerDeps, names: NameRegistry, batch: LogBatch): Promise<void> {
  const { topic, partition, records } = batch;
  const stream = topic.slice('ingest.'.length);
  metrics.consumerLag.set({ topic, partition }, batch.lag);
  const stop = metrics.ingestBatchSeconds.startTimer();
  await takeRecords(deps, names, topic, partition, records);
  stop();
  metrics.stored.inc({ stream }, records.length);
}

/** A record that makes the whole fail is found by halving, put aside with the reason, and the rest goes on. */
async function takeRecords(
  deps: IngestWorkerDeps,
  names: NameRegistry,
  topic: string,
  partition: number,
  records: LogRecord[],
): Promise<void> {
  try {
    const owed = await storeBatch(deps, names, topic, partition, records);
    if (owed) await payDebt(deps, owed);
  } catch (error) {
    if (!isFaultOfData(error)) throw error;
    const [first] = records;
    if (records.length > 1) {
      const middle = records.length >> 1;
      await takeRecords(deps, names, topic, partition, records.slice(0, middle));
      await takeRecords(deps, names, topic, partition, records.slice(middle));
    } else if (first) {
      await sendDeadLetter(deps, { topic, partition, offset: first.offset }, error, first.value);
    }
  }
}

/** Null when the records have taken effect before. */
async function storeBatch(
  deps: IngestWorkerDeps,
  names: NameRegistry,
  topic: string,
  partition: number,
  records: LogRecord[],
): Promise<OwedBatch | null> {
  const place = { stream: streamOfTopic(topic), partition };
  const reserve = (account: number, count: number) => reserveNumbers(deps.mysql, account, count);
  for (let attempt = 1; ; attempt++) {
    await finishPending(deps, topic, partition);
    try {
      return await deps.mysql.db.transaction(async (tx) => {
        const position = await lockIngestPosition(tx, topic, partition);
        if (position.pending) throw new Contention('another owner has left a debt');
        const placed = records
          .filter((record) => record.offset >= position.nextOffset)
          .map((record): Placed => ({ record: decodeRecord(record.value), offset: record.offset }));
        const last = placed.at(-1);
        if (!last) return null;
        const debt = await storeRecords({ names, reserve }, tx, place, placed);
        const owed: OwedBatch = {
          topic,
          partition,
          firstOffset: position.nextOffset,
          nextOffset: last.offset + 1,
          changesThrough: position.changesThrough,
          debt,
        };
        const pending = await compress(JSON.stringify(owed), { level: constants.Z_BEST_SPEED });
        await advanceIngestPosition(tx, topic, partition, owed.nextOffset, pending);
        return owed;
      });
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !(error instanceof Contention || isRetryable(error))) throw error;
      await deps.clock.sleep(backoffMs(attempt, 2, 200));
    }
  }
}

/** Pays what the last batch of the partition still owes, whoever stored it. */
async function finishPending(deps: IngestWorkerDeps, topic: string, partition: number): Promise<void> {
  const position = await lockIngestPosition(deps.mysql.db, topic, partition);
  if (!position.pending) return;
  const owed = JSON.parse((await decompress(position.pending)).toString('utf8')) as OwedBatch;
  await payDebt(deps, owed);
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
