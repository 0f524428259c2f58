/**
 * The messages of `profile-changes`: everything that can change a membership, in the one order in which the evaluator
 * of the partition takes it.
 */

export type ChangeCause =
  | 'EVENT'
  | 'PROFILE'
  | 'CONSENT'
  | 'TIME'
  | 'DEFINITION'
  | 'SEGMENT'
  | 'MERGE'
  | 'ERASURE'
  | 'BACKFILL'
  | 'REPAIR';

export interface EventReference {
  /** UUID. */
  id: string;
  /** Epoch milliseconds. */
  time: number;
  /** Metric id. */
  metric: number;
}

/** A value as senders give it; null: there is none any more. */
type SentValue = string | number | boolean | null | readonly SentValue[];

export interface ProfileChange {
  profile: number;
  cause: ChangeCause;
  /** When the change arrived, epoch milliseconds: the `at` of the membership changes it brings. */
  at: number;
  /** Name of the metric of which there is a new event. */
  metric?: string;
  event?: EventReference;
  /** What the event says, flattened; left out when it is long. */
  content?: { value: number | null; properties: [path: string, value: SentValue][] };
  /** Attribute paths that have a new value. */
  attributes?: string[];
  /** The values that they have now, of this revision of the profile; left out when they are long. */
  values?: [path: string, value: SentValue][];
  revision?: number;
  /** The profile is new, and has nothing but these `values` and what the news after this one add. */
  created?: boolean;
  /** Nothing may be assumed of what was true before: the profile is new, or others were merged into it. */
  whole?: boolean;
  /** The profile is no more: it was merged into another. It leaves every segment. */
  gone?: boolean;
}

export type ProfileChangeMessage =
  /** `debt`: ClickHouse has the data once this debt of ingest is settled; without one it has them already. */
  | { kind: 'profiles'; account: number; changes: ProfileChange[]; debt?: string }
  /** A version of a segment is to be brought into force. */
  | { kind: 'definition'; account: number; segment: number; version: number }
  | { kind: 'deleted'; account: number; segment: number }
  /** The source's events are to be counted for the target. Lies in the target's partition. */
  | { kind: 'merge'; account: number; source: number; target: number; at: number }
  /** Nothing but a place in the order, by which the evaluator that has put it there knows what it has taken. */
  | { kind: 'mark'; account: number; mark: string };

export function encodeChange(message: ProfileChangeMessage): Buffer {
  return Buffer.from(JSON.stringify(message), 'utf8');
}

/** Throws when the bytes are not such a message. */
export function decodeChange(value: Buffer): ProfileChangeMessage {
  const message = JSON.parse(value.toString('utf8')) as Partial<ProfileChangeMessage> | null;
  const kinds = ['profiles', 'definition', 'deleted', 'merge', 'mark'];
  if (!message?.kind || !kinds.includes(message.kind) || !Number.isSafeInteger(message.account)) {
    throw new Error('not a profile change');
  }
  return message as ProfileChangeMessage;
}
