/** The way in: validate, append to the log, hand out a receipt. Nothing is accepted before the log has it. */
import type { Clock } from '../runtime/clock.ts';
import { metrics } from '../runtime/metrics.ts';
import type { Log, NewRecord } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { chunkCount, existingProfiles } from '../storage/mysql/profiles.ts';
import { ingestPartition, ingestTopic, streamOfMetric, STREAMS, type Stream } from '../storage/topics.ts';
import { encodeReceipt, type ReceiptPosition } from './receipts.ts';
import { encodeRecord, type Identifiers, type IngestRecord } from './records.ts';
import {
  validateConsent,
  validateEvent,
  validateProfile,
  type ConsentInput,
  type EventInput,
  type ProfileInput,
  type UserError,
  type Validated,
} from './validate.ts';

export type { ConsentInput, EventInput, ProfileInput, UserError } from './validate.ts';

export interface IngestDeps {
  log: Log;
  mysql: MySql;
  clock: Clock;
}

export interface Accepted {
  accepted: number;
  /** Null when nothing was accepted. */
  receipt: string | null;
  userErrors: UserError[];
}

export const MAX_ITEMS = 1_000;

/** Accepts the valid ones of at most 1,000 events; each invalid one is named by its index. */
export function acceptEvents(
  deps: IngestDeps,
  account: number,
  events: readonly EventInput[],
): Promise<Accepted> {
  return accept(deps, account, 'events', events, validateEvent, (record) => streamOfMetric(record.metric));
}

/** Accepts the valid ones of at most 1,000 profile writes; each invalid one is named by its index. */
export function acceptProfiles(
  deps: IngestDeps,
  account: number,
  profiles: readonly ProfileInput[],
): Promise<Accepted> {
  return accept(deps, account, 'profiles', profiles, validateProfile, () => 'profiles');
}

/** Accepts the valid ones of at most 1,000 changes of consent; each invalid one is named by its index. */
export function acceptConsents(
  deps: IngestDeps,
  account: number,
  changes: readonly ConsentInput[],
): Promise<Accepted> {
  return accept(deps, account, 'changes', changes, validateConsent, () => 'profiles');
}

async function accept<Input, Item extends IngestRecord>(
  deps: IngestDeps,
  account: number,
  name: string,
  inputs: readonly Input[],
  validate: (account: number, input: Input, index: number, now: number) => Validated<Item>,
  streamOf: (record: Item) => Stream,
): Promise<Accepted> {
  if (inputs.length > MAX_ITEMS) {
    const message = `at most ${MAX_ITEMS} ${name} a call, these are ${inputs.length}; send them in several calls`;
    return {
      accepted: 0,
      receipt: null,
      userErrors: [{ index: null, field: [name], code: 'TOO_MANY', message }],
    };
  }
  const now = deps.clock.now();
  const userErrors: UserError[] = [];
  const valid: { record: Item; index: number }[] = [];
  inputs.forEach((input, index) => {
    const result = validate(account, input, index, now);
    if ('errors' in result) userErrors.push(...result.errors);
    else valid.push({ record: result.record, index });
  });
  const [records, chunks] = await Promise.all([
    dropUnknownIds(deps.mysql, account, valid, userErrors),
    valid.length > 0 ? chunkCount(deps.mysql.db, account) : 0,
  ]);
  const positions = await append(deps.log, account, chunks, records, streamOf);
  return {
    accepted: records.length,
    receipt: records.length > 0 ? encodeReceipt(account, positions) : null,
    userErrors: userErrors.sort((a, b) => (a.index ?? 0) - (b.index ?? 0)),
  };
}

/** An id can be well formed and still name nobody. */
async function dropUnknownIds<Item extends IngestRecord>(
  mysql: MySql,
  account: number,
  items: { record: Item; index: number }[],
  userErrors: UserError[],
): Promise<Item[]> {
  const numbers = items.flatMap(({ record }) => record.identifiers.number ?? []);
  const existing =
    numbers.length > 0 ? await existingProfiles(mysql.db, account, numbers) : new Set<number>();
  return items.flatMap(({ record, index }) => {
    if (record.identifiers.number === undefined || existing.has(record.identifiers.number)) return [record];
    const field = [record.kind === 'event' ? 'profile' : 'identifiers', 'id'];
    userErrors.push({ index, field, code: 'NOT_FOUND', message: 'no profile has this id' });
    return [];
  });
}

async function append<Item extends IngestRecord>(
  log: Log,
  account: number,
  chunks: number,
  records: Item[],
  streamOf: (record: Item) => Stream,
): Promise<ReceiptPosition[]> {
  const byStream = new Map<Stream, NewRecord[]>();
  for (const record of records) {
    const stream = streamOf(record);
    const key = identifierKey(record.identifiers);
    const list = byStream.get(stream) ?? [];
    list.push({
      partition: ingestPartition(account, key, chunks),
      key: `${account}:${key}`,
      value: encodeRecord(record),
    });
    byStream.set(stream, list);
  }
  const appended = await Promise.all(
    [...byStream].map(async ([stream, list]) => {
      const offsets = await log.append(ingestTopic(stream), list);
      metrics.accepted.inc({ stream }, list.length);
      const last = new Map<number, number>();
      list.forEach((record, i) =>
        last.set(record.partition, Math.max(last.get(record.partition) ?? 0, offsets[i] ?? 0)),
      );
      return [...last].map(([partition, offset]): ReceiptPosition => [STREAMS[stream], partition, offset]);
    }),
  );
  return appended.flat();
}

/** The strongest identifier of a write: what keeps one person's records in order. */
function identifierKey(identifiers: Identifiers): string {
  const { number, externalId, email, phone, anonymousId } = identifiers;
  return String(number ?? externalId ?? email ?? phone ?? anonymousId);
}
