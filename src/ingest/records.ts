/** What travels on the ingest topics: validated, complete, and free of anything that a replay could decide otherwise. */
import type { Channel, ConsentStatus } from '../segments/ast.ts';

/** Normalised identifiers, all of one person. `number` is the profile's own number, from its global id. */
export interface Identifiers {
  number?: number;
  externalId?: string;
  email?: string;
  phone?: string;
  anonymousId?: string;
}

export interface EventRecord {
  kind: 'event';
  account: number;
  /** When we accepted it, epoch milliseconds. */
  arrivedAt: number;
  uniqueId: string;
  metric: string;
  identifiers: Identifiers;
  /** When it happened, epoch milliseconds. */
  time: number;
  value: number | null;
  currency: string | null;
  properties: Record<string, unknown>;
  backfill: boolean;
}

export const TEXT_FIELDS = ['firstName', 'lastName', 'timezone', 'locale'] as const;
export type TextField = (typeof TEXT_FIELDS)[number];

/** An absent field stays as it is, null clears it. */
export interface ProfileRecord {
  kind: 'profile';
  account: number;
  arrivedAt: number;
  identifiers: Identifiers;
  fields: Partial<Record<TextField, string | null>>;
  location: Record<string, string | number | null>;
  properties: Record<string, unknown>;
  append: Record<string, unknown[]>;
  remove: Record<string, unknown[]>;
}

export interface ConsentRecord {
  kind: 'consent';
  account: number;
  arrivedAt: number;
  identifiers: Identifiers;
  channel: Channel;
  status: ConsentStatus;
  /** When it was given or withdrawn, epoch milliseconds; never after `arrivedAt`. */
  at: number;
  source: string | null;
}

export type IngestRecord = EventRecord | ProfileRecord | ConsentRecord;

const KINDS: readonly unknown[] = ['event', 'profile', 'consent'] satisfies IngestRecord['kind'][];

export function encodeRecord(record: IngestRecord): Buffer {
  return Buffer.from(JSON.stringify(record), 'utf8');
}

/** Throws when the bytes are not a record of ours: the caller dead-letters them. */
export function decodeRecord(value: Buffer): IngestRecord {
  const record = JSON.parse(value.toString('utf8')) as Partial<IngestRecord> | null;
  if (
    !record ||
    !KINDS.includes(record.kind) ||
    !Number.isSafeInteger(record.account) ||
    typeof record.identifiers !== 'object'
  ) {
    throw new Error('not an ingest record');
  }
  return record as IngestRecord;
}
