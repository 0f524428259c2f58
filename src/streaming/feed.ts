/**
 * The membership feed: everything since a position from the log, then live, with no gap and no repeat. Whoever begins to
 * listen, then waits until ClickHouse has what was published before, and then reads the log misses nothing; the sequence
 * tells what he has had already.
 */
import type { Clock } from '../runtime/clock.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { lastSequences, readLog, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import { membershipsStored } from '../storage/announced.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { ChangeCause, EventReference } from '../storage/profile-changes.ts';
import type { Hub } from './hub.ts';
import { decodePosition, encodePosition } from './position.ts';

export { InvalidPosition } from './position.ts';

/** Of whoever reads the log. */
export interface LogDeps {
  clickhouse: ClickHouse;
  mysql: MySql;
}

export interface FeedDeps extends LogDeps {
  hub: Hub;
  clock: Clock;
}

export interface MembershipChange {
  /** The same change has the same id, however often and by whichever way it is delivered. */
  id: string;
  /** The place behind this change: hand it back as `after`. */
  position: string;
  kind: 'ENTERED' | 'EXITED';
  cause: ChangeCause;
  segment: number;
  version: number;
  profile: number;
  /** Epoch milliseconds. */
  at: number;
  event: EventReference | null;
}

export interface FeedFilter {
  segments: readonly number[] | null;
  kinds: readonly MembershipChange['kind'][] | null;
  /** Null: from now on. */
  after: string | null;
}

const PAGE = 1_000;

/** Where the account's membership log ends now. */
export async function currentPosition(deps: LogDeps, account: number): Promise<string> {
  await membershipsStored(deps.mysql, account);
  return encodePosition(account, await lastSequences(deps.clickhouse, account));
}

/** A page of the log, oldest first. Throws InvalidPosition. */
export async function readLogPage(
  deps: LogDeps,
  account: number,
  page: { first: number; after: string | null; segments: readonly number[] | null },
): Promise<{ changes: MembershipChange[]; position: string; hasMore: boolean }> {
  const sequences = page.after === null ? new Map<number, number>() : decodePosition(account, page.after);
  const changes: MembershipChange[] = [];
  await membershipsStored(deps.mysql, account);
  for (;;) {
    const wanted = page.first - changes.length + 1;
    const entries = await readLog(deps.clickhouse, account, sequences, wanted, page.segments);
    for (const entry of entries) {
      const change = changeOf(entry, sequences);
      if (change && changes.length === page.first)
        return { changes, position: encodePosition(account, sequences), hasMore: true };
      // Past what is no entry or exit as well: a page full of populations would be read for ever.
      advance(sequences, entry);
      if (change) changes.push({ ...change, position: encodePosition(account, sequences) });
    }
    if (entries.length < wanted)
      return { changes, position: encodePosition(account, sequences), hasMore: false };
  }
}

/** Ends when the signal does. Yields what is there together, at least one change. Throws InvalidPosition. */
export async function* membershipChanges(
  deps: FeedDeps,
  account: number,
  filter: FeedFilter,
  signal: AbortSignal,
): AsyncGenerator<MembershipChange[]> {
  const wanted = wantedBy(filter);
  const live = deps.hub.read(account);
  try {
    if (filter.after === null) await membershipsStored(deps.mysql, account, signal);
    const sequences =
      filter.after === null
        ? await lastSequences(deps.clickhouse, account)
        : decodePosition(account, filter.after);
    const select = (entries: LogEntry[]) => newChanges(account, entries, sequences, wanted);
    let replaying = filter.after !== null;
    while (!signal.aborted) {
      if (replaying) {
        live.reset();
        await membershipsStored(deps.mysql, account, signal);
        for (let full = true; full && !signal.aborted;) {
          const page = await readLog(deps.clickhouse, account, sequences, PAGE, filter.segments);
          full = page.length === PAGE;
          const changes = select(page);
          if (changes.length > 0) yield changes;
        }
      }
      const entries = await live.next(signal);
      if (entries === null) return;
      replaying = entries === 'behind';
      const changes = entries === 'behind' ? [] : select(entries);
      if (changes.length > 0) yield changes;
    }
  } finally {
    live.close();
  }
}

/** Those of the entries that are new at this place and wanted; the place moves past all of them. */
function newChanges(
  account: number,
  entries: LogEntry[],
  sequences: Map<number, number>,
  wanted: (entry: LogEntry) => boolean,
): MembershipChange[] {
  return entries.flatMap((entry) => {
    const change = changeOf(entry, sequences);
    advance(sequences, entry);
    return change && wanted(entry) ? [{ ...change, position: encodePosition(account, sequences) }] : [];
  });
}

function wantedBy(filter: FeedFilter): (entry: LogEntry) => boolean {
  const segments = filter.segments ? new Set(filter.segments) : null;
  return (entry) =>
    (segments?.has(entry.segment) ?? true) && (filter.kinds?.some((kind) => kind === entry.kind) ?? true);
}

function advance(sequences: Map<number, number>, entry: LogEntry): void {
  sequences.set(entry.partition, Math.max(sequences.get(entry.partition) ?? 0, entry.sequence));
}

/** Null for what is no entry or exit, and for what lies before the place. */
function changeOf(
  entry: LogEntry,
  sequences: ReadonlyMap<number, number>,
): Omit<MembershipChange, 'position'> | null {
  if (entry.kind === 'POPULATED' || entry.sequence <= (sequences.get(entry.partition) ?? 0)) return null;
  const { kind, cause, segment, version, profile, at, event } = entry;
  const id = Buffer.from(`${entry.partition}:${entry.sequence}`, 'utf8').toString('base64url');
  return { id, kind, cause, segment, version, profile, at, event };
}
