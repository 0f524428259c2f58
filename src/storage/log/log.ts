/**
 * The log: append-only, partitioned topics. Two implementations (Kafka, and an embedded one in MySQL) pass one
 * contract suite, so nothing above this file may know which of them it runs on.
 *
 * Delivery is at least once, in order within a partition. Offsets are dense or sparse but strictly increasing
 * integers below 2^53; the offset of the first record of a partition is 0.
 */

export interface TopicSpec {
  name: string;
  partitions: number;
  /** Records older than this may be removed. Null keeps them for ever. */
  retentionMs: number | null;
}

export interface NewRecord {
  partition: number;
  key: string | null;
  value: Buffer;
}

export interface LogRecord {
  offset: number;
  key: string | null;
  value: Buffer;
  /** When the log took it, epoch milliseconds. For information only: never a watermark. */
  appendedAt: number;
}

export interface Limits {
  maxRecords: number;
  /** Of payload; one larger record still comes, alone. */
  maxBytes: number;
}

export interface LogBatch {
  topic: string;
  partition: number;
  /** At least one record, offsets increasing. */
  records: LogRecord[];
  /**
   * What has come since, without waiting: for who has had to wait with the batch. These records are then part of it,
   * are committed with it, and come again with it.
   */
  more(limits: Limits): Promise<LogRecord[]>;
  /** How many records stood behind this batch when it was read: 0 means caught up. */
  lag: number;
  /**
   * Aborted when the partition is taken away or the consumer closes: stop soon. Who stops before everything is done
   * must reject, since what resolves is committed.
   */
  signal: AbortSignal;
}

export interface ConsumerOptions {
  group: string;
  topics: string[];
  /** At most so many records in one batch. */
  maxRecords: number;
  /** At most so many payload bytes in one batch (one larger record still comes, alone). */
  maxBytes: number;
  /**
   * The partition is ours now; called before its first batch and awaited. A failure is retried as a batch's is.
   * Nothing else in this consumer group is handed the partition until `onRevoked` has returned, the process has
   * died, or it has been silent for so long that it was taken for dead (a zombie: fence with an epoch).
   */
  onAssigned?(topic: string, partition: number): Promise<void>;
  /**
   * One batch of one partition. Partitions run concurrently, batches of one partition never do. When it resolves,
   * the offset behind the last record is committed. When it rejects, the same records come again after a growing
   * pause (100 ms to 5 s), for ever: what cannot be processed is the handler's to dead-letter.
   */
  onBatch(batch: LogBatch): Promise<void>;
  /** The partition is no longer ours; called after a running batch has ended. */
  onRevoked?(topic: string, partition: number): Promise<void>;
}

export interface LogConsumer {
  /** Partitions held at this moment, per topic. */
  assigned(): ReadonlyMap<string, readonly number[]>;
  /** Finishes running batches, commits, releases the partitions. */
  close(): Promise<void>;
}

export interface TailOptions {
  topic: string;
  /** Offset to begin with per partition, or the present end. */
  from: number[] | 'end';
  /** Every record of every partition, in order per partition; awaited, which is the back-pressure. */
  onRecords(partition: number, records: LogRecord[]): Promise<void>;
}

export interface LogTail {
  close(): Promise<void>;
}

export interface Log {
  /** Creates missing topics; more partitions than before are added, fewer are an error. Safe to run twice at once. */
  ensureTopics(topics: TopicSpec[]): Promise<void>;
  /** Durable when it resolves. Returns the offset of each record, in the order given. */
  append(topic: string, records: NewRecord[]): Promise<number[]>;
  /** The next offset of each partition: everything appended before the call is below it. */
  ends(topic: string): Promise<number[]>;
  /** The committed offset of each partition (the next one to read); 0 where the group never committed. */
  committed(group: string, topic: string): Promise<number[]>;
  /** A member of a consumer group; a group that never committed starts at the oldest record. */
  consume(options: ConsumerOptions): Promise<LogConsumer>;
  /** Reads every partition without a group: what each API process does with the membership changes. */
  tail(options: TailOptions): Promise<LogTail>;
  /** Rejects when the log cannot be reached. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
