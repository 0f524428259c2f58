/** What one account has in a group of batches, what its evaluators will hear of it, and what all accounts then owe. */
import type { ChangeCause, ProfileChange, ProfileChangeMessage } from '../storage/profile-changes.ts';
import type { Resolution } from './identify.ts';
import type { IngestRecord } from './records.ts';

const CONTENT_CHARACTERS = 2_000;
/** Records of an account in one group: of more, evaluators ask ClickHouse anyway. */
const TOLD_RECORDS = 1_000;

export interface Placed {
  record: IngestRecord;
  /** Where it lies in the log. */
  stream: number;
  partition: number;
  offset: number;
}

export interface Share {
  account: number;
  /** In their order. */
  records: Placed[];
  /** When the last of them arrived, epoch milliseconds. */
  now: number;
  /** Who they are about. */
  resolution: Resolution;
  /** The news by profile, in the order in which they come up. */
  news: Map<number, ProfileChange[]>;
}

/** What a group of batches owes after its transaction. Written down inside of it. */
export interface Debt {
  events: string[];
  futureEvents: string[];
  dates: string[];
  traits: string[];
  predictions: string[];
  profiles: string[];
  messages: { partition: number; message: ProfileChangeMessage }[];
  /** Profiles that got events, per account: whoever was merged meanwhile has to bring them along. */
  withEvents: [account: number, profiles: number[]][];
  duplicates: number;
}

/** Somebody else wrote what this transaction was about to write: roll back and run the group again. */
export class Contention extends Error {}

export function note({ news }: Share, change: ProfileChange): void {
  const list = news.get(change.profile);
  if (list) list.push(change);
  else news.set(change.profile, [change]);
}

/** Whether it may travel with the news: what is long, or one of very many, is read where it is needed. */
export function mayTravel({ records }: Share, content: unknown): boolean {
  return records.length <= TOLD_RECORDS && JSON.stringify(content).length <= CONTENT_CHARACTERS;
}

export function causeOf(record: IngestRecord): ChangeCause {
  if (record.kind !== 'event') return record.kind === 'profile' ? 'PROFILE' : 'CONSENT';
  return record.backfill ? 'BACKFILL' : 'EVENT';
}
