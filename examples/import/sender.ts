/**
 * Sends batches, a few at a time, and records what the server has acknowledged. Progress counts from the first batch
 * without a gap: what was acknowledged out of order before an interruption is sent again, and known again by its ids.
 */
import { open, type FileHandle } from 'node:fs/promises';
import type { Client } from '../client.ts';
import type { Batch, Reject } from './batches.ts';
import { saveState, type State } from './state.ts';

/** Requests in flight. */
const CONCURRENCY = 4;
/** Milliseconds between two writes of the state file. */
const SAVE_EVERY = 250;
/** Receipts kept in the state file: of each lane's last requests and some more. */
const KEPT_RECEIPTS = 16;

const EVENTS = `mutation Import($items: [EventInput!]!) {
  result: eventsIngest(events: $items) { accepted receipt userErrors { index field code message } }
}`;
const PROFILES = `mutation Import($items: [ProfileInput!]!) {
  result: profilesUpsert(profiles: $items) { accepted receipt userErrors { index field code message } }
}`;

interface Answer {
  result: {
    accepted: number;
    receipt: string | null;
    userErrors: { index: number | null; field: string[] | null; code: string; message: string }[];
  };
}

/** What the server thinks of a whole request: nothing of it can be imported, and repeating does not help. */
export class RequestRefused extends Error {}

export interface Sender {
  /** Waits for a free place, then sends in the background. Throws what an earlier batch failed with. */
  send: (batch: Batch) => Promise<void>;
  /** Waits until nothing is in flight; throws the first failure. */
  drain: () => Promise<void>;
  /** Writes the state file and closes the rejects file, after whatever end. */
  close: () => Promise<void>;
  /** Every receipt of this run, and those kept from the run before. */
  receipts: () => string[];
}

export interface SenderOptions {
  client: Client;
  /** Changed as batches are acknowledged. */
  state: State;
  /** Null: not resumable. */
  statePath: string | null;
  rejectsPath: string;
}

export function createSender({ client, state, statePath, rejectsPath }: SenderOptions): Sender {
  const inFlight = new Set<Promise<void>>();
  const acknowledged = new Map<number, { batch: Batch; answer: Answer['result'] | null }>();
  const receipts = [...state.receipts];
  let next = state.batches;
  let lastProfiles: Promise<void> = Promise.resolve();
  let recording: Promise<void> = Promise.resolve();
  let failure: Error | null = null;
  let rejectsFile: FileHandle | null = null;
  let savedAt = 0;

  async function deliver(number: number, batch: Batch): Promise<void> {
    const answer = batch.items.length > 0 ? await request(client, batch) : null;
    acknowledged.set(number, { batch, answer });
    // One at a time, in order: the state and the rejects file describe the same moment.
    recording = recording.then(record);
    await recording;
  }

  async function record(): Promise<void> {
    const before = state.batches;
    for (let done = acknowledged.get(state.batches); done; done = acknowledged.get(state.batches)) {
      acknowledged.delete(state.batches);
      const refused = done.answer ? refusedItems(done.batch, done.answer) : [];
      await writeRejects([...done.batch.rejects, ...refused]);
      state.batches++;
      state.checksum = done.batch.checksum;
      state.accepted += done.answer?.accepted ?? 0;
      state.refused += refused.length;
      if (done.answer?.receipt) {
        receipts.push(done.answer.receipt);
        state.receipts = receipts.slice(-KEPT_RECEIPTS);
      }
    }
    if (statePath && state.batches > before && performance.now() - savedAt > SAVE_EVERY) {
      await saveState(statePath, state);
      savedAt = performance.now();
    }
  }

  async function writeRejects(rejects: Reject[]): Promise<void> {
    if (rejects.length === 0) return;
    if (!rejectsFile) {
      rejectsFile = await open(rejectsPath, state.rejectsBytes > 0 ? 'r+' : 'w');
      // What a run wrote after its last saved state is written again now.
      await rejectsFile.truncate(state.rejectsBytes);
    }
    const text = Buffer.from(rejects.map((reject) => `${JSON.stringify(reject)}\n`).join(''));
    await rejectsFile.write(text, 0, text.length, state.rejectsBytes);
    state.rejects += rejects.length;
    state.rejectsBytes += text.length;
  }

  async function send(batch: Batch): Promise<void> {
    while (inFlight.size >= CONCURRENCY) await Promise.race(inFlight);
    if (failure) throw failure;
    const number = next++;
    const delivery =
      batch.kind === 'event'
        ? deliver(number, batch)
        : // Two rows may write the same profile: the later one must arrive later.
          (lastProfiles = lastProfiles.then(() => deliver(number, batch)));
    const settled = delivery
      .catch((error: unknown) => {
        failure ??= error instanceof Error ? error : new Error(String(error));
      })
      .finally(() => inFlight.delete(settled));
    inFlight.add(settled);
  }

  async function drain(): Promise<void> {
    while (inFlight.size > 0) await Promise.all(inFlight);
    if (failure) throw failure;
  }

  async function close(): Promise<void> {
    while (inFlight.size > 0) await Promise.all(inFlight);
    if (statePath) await saveState(statePath, state);
    await rejectsFile?.close();
  }

  return { send, drain, close, receipts: () => receipts };
}

/** The items are JSON already: the body is put together as text. */
async function request(client: Client, batch: Batch): Promise<Answer['result']> {
  const query = batch.kind === 'event' ? EVENTS : PROFILES;
  const items = batch.items.map((item) => item.json).join(',');
  const { result } = await client.post<Answer>(
    `{"query":${JSON.stringify(query)},"variables":{"items":[${items}]}}`,
  );
  const whole = result.userErrors.find((error) => error.index === null);
  if (whole)
    throw new RequestRefused(`The server refuses the whole request: ${whole.code}: ${whole.message}`);
  return result;
}

/** One reject per refused item, with all of its reasons. */
function refusedItems(batch: Batch, { userErrors }: Answer['result']): Reject[] {
  const reasons = new Map<number, string[]>();
  for (const { index, field, code, message } of userErrors) {
    const reason = `${code}${field?.length ? ` ${field.join('.')}` : ''}: ${message}`;
    const known = reasons.get(index!);
    if (known) known.push(reason);
    else reasons.set(index!, [reason]);
  }
  return [...reasons].map(([index, texts]) => {
    const item = batch.items[index]!;
    return {
      line: item.line,
      reason: texts.join('; '),
      item: JSON.parse(item.json) as unknown,
      ...(item.row ? { row: item.row } : {}),
    };
  });
}
