import type { ConsumerOptions } from './log.ts';
import type { PartitionHandler } from './partition-loop.ts';

/** One partition's view of a consumer's callbacks. */
export function consumerHandler(
  options: ConsumerOptions,
  topic: string,
  partition: number,
  signal: AbortSignal,
): PartitionHandler {
  return {
    onAssigned: async () => options.onAssigned?.(topic, partition),
    onRecords: (records, lag, more) => options.onBatch({ topic, partition, records, more, lag, signal }),
    onRevoked: async () => options.onRevoked?.(topic, partition),
  };
}
