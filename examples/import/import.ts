/** The import itself: read, map, send, remember, and wait until the segments have seen everything. */
import type { Client } from '../client.ts';
import { ClientError } from '../client.ts';
import { batchesOf, newCounts, type Counts } from './batches.ts';
import { openInput, type Input } from './input.ts';
import { createMapper } from './mapper.ts';
import type { Mapping } from './mapping.ts';
import { showProgress } from './progress.ts';
import { csvRows, ndjsonRows, UnreadableInput, type ReadRow } from './records.ts';
import { createSender } from './sender.ts';
import { freshState, loadState, removeState, sourceOf } from './state.ts';

export interface ImportOptions {
  /** A path, or "-" for standard input. */
  input: string;
  mapping: Mapping;
  client: Client;
  backfill: boolean;
  /** Ignores the state of an interrupted import. */
  restart: boolean;
  /** Null: not resumable. */
  statePath: string | null;
  rejectsPath: string;
  signal: AbortSignal;
  /** Given a way to write a remark without disturbing the progress line. */
  onNote: (note: (text: string) => void) => void;
}

export interface Outcome {
  counts: Counts;
  /** Items that an earlier run had sent, and that this run sent. */
  resumedItems: number;
  sentItems: number;
  /** Over all runs of this import, as the server counts: an id that it knew already is accepted too. */
  accepted: number;
  rejects: number;
  rejectsPath: string;
  sendSeconds: number;
  /** Until the segments were evaluated. */
  totalSeconds: number;
  evaluated: boolean;
}

/** How long to wait for the evaluation after everything has been accepted. */
const EVALUATION_SECONDS = 300;

export function readRows(input: Input, mapping: Mapping): AsyncIterable<ReadRow[]> {
  return mapping.format === 'csv' ? csvRows(input.chunks, mapping.delimiter) : ndjsonRows(input.chunks);
}

export async function runImport(options: ImportOptions): Promise<Outcome> {
  const { mapping, client, backfill, statePath, rejectsPath, signal } = options;
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const source = sourceOf(mapping, client.url, backfill);
  const resumed = statePath && !options.restart ? await loadState(statePath, source) : null;
  const state = resumed ?? freshState(source);
  const skipTo = state.batches;
  const expected = state.checksum;

  const counts = newCounts();
  const input = await openInput(options.input);
  const sender = createSender({ client, state, statePath, rejectsPath });
  let batches = 0;
  let resumedItems = 0;
  let sentItems = 0;
  const progress = showProgress(() => ({
    rows: counts.rows,
    items: resumedItems + sentItems,
    bytesRead: input.bytesRead(),
    totalBytes: input.totalBytes,
    skippedItems: resumedItems,
  }));
  options.onNote(progress.note);
  if (resumed) progress.note(`Going on where the last run stopped, after ${state.accepted} accepted items.`);

  const changed = () =>
    new UnreadableInput(
      'The input is not the one that the last run was reading: it differs before the place reached. ' +
        'Give the same input, or start over with --restart (what was imported stays; known ids count once).',
    );
  try {
    for await (const batch of batchesOf(
      readRows(input, mapping),
      createMapper(mapping, { backfill }),
      counts,
    )) {
      if (signal.aborted) throw new ClientError('stopped', 'Stopped.');
      batches++;
      if (batches <= skipTo) {
        if (batches === skipTo && batch.checksum !== expected) throw changed();
        resumedItems += batch.items.length;
      } else {
        await sender.send(batch);
        sentItems += batch.items.length;
      }
    }
    if (batches < skipTo) throw changed();
    await sender.drain();
  } finally {
    progress.stop();
    await sender.close();
  }
  const sendSeconds = seconds();
  const evaluated = await waitForEvaluation(client, sender.receipts());
  if (statePath) await removeState(statePath);
  return {
    counts,
    resumedItems,
    sentItems,
    accepted: state.accepted,
    rejects: state.rejects,
    rejectsPath,
    sendSeconds,
    totalSeconds: seconds(),
    evaluated,
  };
}

const RECEIPT = `query Evaluated($token: Receipt!) {
  receipt(token: $token, stage: EVALUATED, timeout: "PT10S") { reached }
}`;

/** Whether the writes behind all receipts have reached the segments. The last first: then the others are done. */
async function waitForEvaluation(client: Client, receipts: string[]): Promise<boolean> {
  const deadline = performance.now() + EVALUATION_SECONDS * 1000;
  const left = [...receipts];
  const wait = async (): Promise<boolean> => {
    for (let token = left.pop(); token !== undefined; token = left.pop()) {
      for (;;) {
        if (performance.now() > deadline) return false;
        const { receipt } = await client.request<{ receipt: { reached: boolean } }>(RECEIPT, { token });
        if (receipt.reached) break;
      }
    }
    return true;
  };
  return (await Promise.all([wait(), wait(), wait(), wait()])).every(Boolean);
}
