/** The topics of the log, and which partition of them everything belongs to. */
import { createHash } from 'node:crypto';
import type { TopicSpec } from './log/log.ts';

/** Ingest is split by kind, so that a flood of page views cannot delay orders. The number is stored: never reuse one. */
export const STREAMS = { orders: 1, browsing: 2, engagement: 3, profiles: 4, custom: 5 } as const;
export type Stream = keyof typeof STREAMS;

export const PROFILE_CHANGES = 'profile-changes';
export const MEMBERSHIP_CHANGES = 'membership-changes';
export const DEAD_LETTERS = 'dead-letters';

export const INGEST_GROUP = 'ingest';
export const EVALUATOR_GROUP = 'evaluate';

/** Fixed for the life of an installation: memberships are numbered per evaluator partition. */
export const EVALUATOR_PARTITIONS = 8;
const INGEST_PARTITIONS = 8;

/** Profile numbers of one chunk share a bitmap, an evaluator partition and its log. */
export const CHUNK_BITS = 16;

const DAY_MS = 86_400_000;

export const TOPICS: TopicSpec[] = [
  ...ingestTopics().map((name) => ({ name, partitions: INGEST_PARTITIONS, retentionMs: 7 * DAY_MS })),
  { name: PROFILE_CHANGES, partitions: EVALUATOR_PARTITIONS, retentionMs: 7 * DAY_MS },
  // The log of record is in ClickHouse; this one only carries the news to the API processes.
  { name: MEMBERSHIP_CHANGES, partitions: EVALUATOR_PARTITIONS, retentionMs: DAY_MS },
  { name: DEAD_LETTERS, partitions: 1, retentionMs: 30 * DAY_MS },
];

export function ingestTopic(stream: Stream): string {
  return `ingest.${stream}`;
}

export function ingestTopics(): string[] {
  return (Object.keys(STREAMS) as Stream[]).map(ingestTopic);
}

export function streamOfTopic(topic: string): number {
  return STREAMS[topic.slice('ingest.'.length) as Stream];
}

/**
 * Which stream a metric's events travel on. The names are the field's usual ones; a name that is not known here
 * goes with `custom`, which is just as reliable.
 */
export function streamOfMetric(metric: string): Stream {
  const name = metric.toLowerCase();
  if (/\b(order|ordered|checkout|purchase|purchased|refund|refunded|cancelled|fulfilled)\b/.test(name))
    return 'orders';
  if (/\b(viewed|active on site|page|searched|added to cart|browsed)\b/.test(name)) return 'browsing';
  if (/\b(opened|clicked|received|bounced|subscribed|unsubscribed|sms|email|push)\b/.test(name))
    return 'engagement';
  return 'custom';
}

/**
 * A small account travels in one partition, so that its batches stay together and all it sends stays in order; one with
 * more chunks is spread by identifier. Over all at once: writes of one identifier can overtake one another only where
 * its partition changes, and so that happens once in the life of an account.
 */
export function ingestPartition(account: number, identifier: string, chunks: number): number {
  const bucket = chunks > 1 ? hash(identifier) % INGEST_PARTITIONS : 0;
  return (hashOf(account) + bucket) % INGEST_PARTITIONS;
}

export function chunkOf(profile: number): number {
  return profile >>> CHUNK_BITS;
}

/** The evaluator partition of a profile: first by account, then by chunk. */
export function evaluatorPartition(account: number, profile: number): number {
  return chunkPartition(account, chunkOf(profile));
}

/** Neighbouring chunks lie in neighbouring partitions: a large account is spread evenly. */
export function chunkPartition(account: number, chunk: number): number {
  return (hashOf(account) + chunk) % EVALUATOR_PARTITIONS;
}

/** The chunks of an account with profile numbers below `nextProfile` that lie in the partition. */
export function chunksIn(partition: number, account: number, nextProfile: number): number[] {
  const chunks: number[] = [];
  for (let chunk = 0; chunk * 2 ** CHUNK_BITS < nextProfile; chunk++) {
    if (chunkPartition(account, chunk) === partition) chunks.push(chunk);
  }
  return chunks;
}

const REMEMBERED_ACCOUNTS = 100_000;
const hashes = new Map<number, number>();

/** Remembered: it is asked for with every record and every change. */
function hashOf(account: number): number {
  const known = hashes.get(account);
  if (known !== undefined) return known;
  if (hashes.size >= REMEMBERED_ACCOUNTS) hashes.clear();
  const found = hash(String(account));
  hashes.set(account, found);
  return found;
}

function hash(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}
