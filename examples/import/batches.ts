/**
 * Rows into requests. The cut depends on the input and the mapping alone, so that a second run cuts the same batches
 * and can skip those that the first has had acknowledged.
 */
import { createHash } from 'node:crypto';
import type { Item, Mapper } from './mapper.ts';
import type { ReadRow } from './records.ts';

/** The API takes at most this many items a call. */
const MAX_ITEMS = 1_000;
/** Characters: with at most three bytes each the request stays below the API's 5 MB. */
const MAX_CHARACTERS = 1_200_000;

export interface Reject {
  line: number;
  reason: string;
  /** What the API refused, where the mapping had made several rows into one. */
  item?: unknown;
  row?: unknown;
}

/** Consecutive items of one kind, and the rows rejected while they were collected. Without items: only rejects. */
export interface Batch {
  kind: Item['kind'];
  items: Item[];
  rejects: Reject[];
  /** Over this batch and all before it. */
  checksum: string;
}

/** Rows read so far, by what became of them. */
export interface Counts {
  rows: number;
  rejected: number;
  /** By reason. */
  skipped: Map<string, number>;
  /** Events by metric; "profile". */
  items: Map<string, number>;
}

export function newCounts(): Counts {
  return { rows: 0, rejected: 0, skipped: new Map(), items: new Map() };
}

/** Keeps `counts` current while it yields. */
export async function* batchesOf(
  rows: AsyncIterable<ReadRow[]>,
  mapper: Mapper,
  counts: Counts,
): AsyncGenerator<Batch, void, undefined> {
  const open = { event: newOpen(), profile: newOpen() };
  let rejects: Reject[] = [];
  let checksum = '';

  function close(kind: Item['kind']): Batch {
    const { items } = open[kind];
    open[kind] = newOpen();
    const hash = createHash('sha1').update(checksum).update(kind);
    for (const item of items) hash.update(item.json);
    for (const reject of rejects) hash.update(`${reject.line}`);
    checksum = hash.digest('hex');
    const batch = { kind, items, rejects, checksum };
    rejects = [];
    return batch;
  }
  function* put(item: Item): Generator<Batch> {
    if (item.json.length > MAX_CHARACTERS) {
      reject({
        line: item.line,
        reason: 'is too large for one request',
        ...(item.row ? { row: item.row } : {}),
      });
      return;
    }
    if (open[item.kind].characters + item.json.length > MAX_CHARACTERS) yield close(item.kind);
    const { items } = open[item.kind];
    items.push(item);
    open[item.kind].characters += item.json.length;
    increase(counts.items, item.label);
    if (items.length === MAX_ITEMS) yield close(item.kind);
  }
  function reject(rejected: Reject): void {
    counts.rejected++;
    rejects.push(rejected);
  }

  for await (const chunk of rows) {
    for (const read of chunk) {
      counts.rows++;
      if ('reason' in read) reject(read);
      else {
        const result = mapper.row(read.line, read.row);
        if ('skipped' in result) increase(counts.skipped, result.skipped);
        else if ('rejected' in result) reject({ line: read.line, reason: result.rejected, row: read.row });
        else for (const item of result.items) yield* put(item);
      }
      // A file of nothing but rejects must not pile up in memory.
      if (rejects.length >= MAX_ITEMS) yield close('event');
    }
  }
  for (const item of mapper.end()) yield* put(item);
  if (open.event.items.length > 0) yield close('event');
  if (open.profile.items.length > 0 || rejects.length > 0) yield close('profile');
}

function newOpen(): { items: Item[]; characters: number } {
  return { items: [], characters: 0 };
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
