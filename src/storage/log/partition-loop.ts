import type { Clock } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import { retry } from '../../runtime/retry.ts';
import type { Limits, LogRecord } from './log.ts';

export interface Records {
  /** At least one, offsets increasing. */
  records: LogRecord[];
  /** The next offset of the partition when this was read. */
  end: number;
}

/** Where one partition's records come from and where its progress is kept. */
export interface PartitionSource {
  /** The offset to begin with. Called first, once it succeeds. */
  open(): Promise<number>;
  /** Waits for records at `position` or later; null once the signal has aborted. */
  next(position: number, signal: AbortSignal): Promise<Records | null>;
  /** The records at `position` or later that are there already, perhaps none. */
  more(position: number, limits: Limits): Promise<LogRecord[]>;
  /** False when the partition belongs to somebody else by now. */
  commit(position: number): Promise<boolean>;
}

export interface PartitionHandler {
  onAssigned?(): Promise<void>;
  /** `more` adds to the batch what has come since. */
  onRecords(records: LogRecord[], lag: number, more: (limits: Limits) => Promise<LogRecord[]>): Promise<void>;
  onRevoked?(): Promise<void>;
}

/**
 * Hands a partition's records to its handler, one batch after the other, until the signal aborts or somebody else
 * owns the partition. What fails is repeated with pauses growing from 100 ms to 5 s. Returns when the running batch
 * has ended and `onRevoked` has returned; never rejects.
 */
export async function runPartition(options: {
  source: PartitionSource;
  handler: PartitionHandler;
  signal: AbortSignal;
  clock: Clock;
  logger: Logger;
}): Promise<void> {
  const { source, handler, signal, clock, logger } = options;
  let assigned = false;

  /** Throws only once the signal has aborted. */
  function insist<T>(what: string, work: () => Promise<T>): Promise<T> {
    return retry(work, {
      clock,
      signal,
      attempts: Infinity,
      baseMs: 200,
      maxMs: 5_000,
      onRetry: (error, attempt) => logger.warn({ err: error, attempt }, `${what} failed; trying again`),
    });
  }

  try {
    let position = await insist('taking the partition', () => source.open());
    await insist('onAssigned', async () => {
      assigned = true;
      await handler.onAssigned?.();
    });
    for (;;) {
      const batch = await insist('reading', () => source.next(position, signal));
      if (!batch || signal.aborted) break;
      const taken = [...batch.records];
      const behind = () => (taken.at(-1)?.offset ?? position - 1) + 1;
      const more = async (limits: Limits): Promise<LogRecord[]> => {
        const found = await source.more(behind(), limits);
        taken.push(...found);
        return found;
      };
      const lag = Math.max(0, batch.end - behind());
      await insist('the batch', () => handler.onRecords([...taken], lag, more));
      position = behind();
      // What has been done is committed, even if we were told to stop meanwhile: it is ours as long as we hold on.
      const committed = await source
        .commit(position)
        .catch(() => insist('the commit', () => source.commit(position)));
      if (!committed) {
        logger.warn('another member has taken the partition over');
        break;
      }
    }
  } catch (error) {
    if (!signal.aborted) logger.error({ err: error }, 'the partition is given up');
  }
  if (!assigned) return;
  try {
    await handler.onRevoked?.();
  } catch (error) {
    logger.warn({ err: error }, 'onRevoked failed');
  }
}
