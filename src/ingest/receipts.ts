/**
 * Receipts: the places in the log that a write has taken. Waiting for one is comparing places: stored, when both
 * stores hold everything up to it; evaluated, when the evaluators have gone past what it caused, and the segments that
 * were being computed then have their members.
 */
import type { Clock } from '../runtime/clock.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { readIngestPositions } from '../storage/mysql/positions.ts';
import { readComputing } from '../storage/mysql/segment-reads.ts';
import {
  EVALUATOR_GROUP,
  INGEST_GROUP,
  ingestTopic,
  PROFILE_CHANGES,
  STREAMS,
  type Stream,
} from '../storage/topics.ts';

/** Stream number, partition, offset of the last record. */
export type ReceiptPosition = [stream: number, partition: number, offset: number];
export type ReceiptStage = 'ACCEPTED' | 'STORED' | 'EVALUATED';

/** The token is not a receipt of this account. */
export class InvalidReceipt extends Error {}

const POLL_MS = 20;

export function encodeReceipt(account: number, positions: ReceiptPosition[]): string {
  return Buffer.from(JSON.stringify({ a: account, p: positions }), 'utf8').toString('base64url');
}

function decodeReceipt(account: number, token: string): ReceiptPosition[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
  } catch {
    throw new InvalidReceipt('not a receipt');
  }
  const { a, p } = (parsed ?? {}) as { a?: unknown; p?: unknown };
  const isPosition = (entry: unknown): entry is ReceiptPosition =>
    Array.isArray(entry) &&
    entry.length === 3 &&
    entry.every((part) => Number.isSafeInteger(part) && part >= 0);
  if (a !== account || !Array.isArray(p) || p.length > 64 || !p.every(isPosition)) {
    throw new InvalidReceipt('not a receipt of this account');
  }
  return p;
}

/**
 * Waits until the write behind the token has reached the stage, or `timeoutMs` have passed. Answers the stage that it
 * has certainly reached. Throws InvalidReceipt.
 */
export async function waitForReceipt(
  deps: { log: Log; mysql: MySql; clock: Clock },
  account: number,
  token: string,
  stage: ReceiptStage,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<{ reached: boolean; stage: ReceiptStage }> {
  const positions = decodeReceipt(account, token);
  if (stage === 'ACCEPTED') return { reached: true, stage };
  const deadline = deps.clock.now() + timeoutMs;
  let through: number[] | null = null;
  // Whoever creates a segment and then writes expects it to be in the segment.
  let computing = stage === 'EVALUATED' ? await readComputing(deps.mysql.db, account, null) : [];
  for (;;) {
    through ??= await storedThrough(deps, positions);
    if (through && stage === 'STORED') return { reached: true, stage };
    if (through && (await isEvaluated(deps.log, through))) {
      computing = await readComputing(deps.mysql.db, account, computing);
      if (computing.length === 0) return { reached: true, stage };
    }
    if (deps.clock.now() >= deadline || signal?.aborted) {
      return { reached: false, stage: through ? 'STORED' : 'ACCEPTED' };
    }
    await deps.clock.sleep(POLL_MS, signal);
  }
}

/** Null while something is not stored yet; then the offsets of profile-changes that cover all it caused. */
async function storedThrough(
  deps: { log: Log; mysql: MySql },
  positions: ReceiptPosition[],
): Promise<number[] | null> {
  const through: number[] = [];
  const streams = new Map<string, ReceiptPosition[]>();
  for (const position of positions) {
    const name = (Object.keys(STREAMS) as Stream[]).find((stream) => STREAMS[stream] === position[0]);
    if (!name) throw new InvalidReceipt('not a receipt of this account');
    const topic = ingestTopic(name);
    streams.set(topic, [...(streams.get(topic) ?? []), position]);
  }
  for (const [topic, wanted] of streams) {
    const committed = await deps.log.committed(INGEST_GROUP, topic);
    if (wanted.some(([, partition, offset]) => (committed[partition] ?? 0) <= offset)) return null;
    for (const row of await readIngestPositions(deps.mysql.db, topic)) {
      if (!wanted.some(([, partition]) => partition === row.partition)) continue;
      row.changesThrough.forEach((offset, partition) => {
        through[partition] = Math.max(through[partition] ?? 0, offset);
      });
    }
  }
  return through;
}

async function isEvaluated(log: Log, through: number[]): Promise<boolean> {
  const committed = await log.committed(EVALUATOR_GROUP, PROFILE_CHANGES);
  return through.every((offset, partition) => (committed[partition] ?? 0) >= offset);
}
