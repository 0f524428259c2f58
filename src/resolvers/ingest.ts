/** Writes that go through the log, and waiting for them. */
import { acceptConsents, acceptEvents, acceptProfiles, type Accepted } from '../ingest/accept.ts';
import type { ConsentInput, EventInput, ProfileInput } from '../ingest/validate.ts';
import { InvalidReceipt, waitForReceipt, type ReceiptStage } from '../ingest/receipts.ts';
import { parseDuration } from '../segments/duration.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';

export type { Accepted, UserError } from '../ingest/accept.ts';
export type { ReceiptStage } from '../ingest/receipts.ts';

const DEFAULT_WAIT = 'PT5S';
const MAX_WAIT_MS = 60_000;

/** As the schema gives them: times as RFC 3339. */
export type EventItem = Omit<EventInput, 'time'> & { time?: string | null | undefined };

export type ConsentItem = Omit<ConsentInput, 'at'> & { at?: string | null | undefined };

export function eventsIngest(ctx: Context, { events }: { events: readonly EventItem[] }): Promise<Accepted> {
  const inputs = events.map((event): EventInput => ({
    ...event,
    time: event.time == null ? null : Date.parse(event.time),
  }));
  return acceptEvents(ctx.deps, accountOf(ctx), inputs);
}

export function profilesUpsert(
  ctx: Context,
  { profiles }: { profiles: readonly ProfileInput[] },
): Promise<Accepted> {
  return acceptProfiles(ctx.deps, accountOf(ctx), profiles);
}

export function consentUpdate(
  ctx: Context,
  { changes }: { changes: readonly ConsentItem[] },
): Promise<Accepted> {
  const inputs = changes.map((change): ConsentInput => ({
    ...change,
    at: change.at == null ? null : Date.parse(change.at),
  }));
  return acceptConsents(ctx.deps, accountOf(ctx), inputs);
}

export async function receipt(
  ctx: Context,
  { token, stage, timeout }: { token: string; stage: ReceiptStage; timeout?: string | null | undefined },
): Promise<{ reached: boolean; stage: ReceiptStage }> {
  const wait = parseDuration(timeout ?? DEFAULT_WAIT);
  if (!wait.ok) throw badInput(`timeout ${wait.problem}`);
  if (wait.ms > MAX_WAIT_MS) {
    throw badInput(`timeout may be at most PT${MAX_WAIT_MS / 1_000}S; ask again for what takes longer`);
  }
  try {
    return await waitForReceipt(ctx.deps, accountOf(ctx), token, stage, wait.ms, ctx.signal);
  } catch (error) {
    if (!(error instanceof InvalidReceipt)) throw error;
    throw new ApiError('INVALID_RECEIPT', 'token is not a receipt that this account was given');
  }
}
