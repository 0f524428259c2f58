/**
 * The way of announced entries into ClickHouse, in the background: what comes while an insert is under way goes
 * together in the next one, that of all partitions of a process. MySQL holds the entries until they have arrived, and
 * which of them go together before they set out, so that whoever takes one of the partitions over can repeat the insert
 * under its token, with what it carries of the others.
 */
import { gathered } from '../runtime/gathered.ts';
import { insertLines, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { decodeEntries, logLines, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { Fenced, type PartitionOwner } from '../storage/mysql/evaluators.ts';
import { beginInsert, endInsert, endShares, readInsert } from '../storage/mysql/membership-ahead.ts';
import { restoreEntries } from './restore-entries.ts';

interface Deps {
  mysql: MySql;
  clickhouse: ClickHouse;
}

/** Those of one writer. */
export interface LogInserts {
  /** Entries that MySQL holds and that have been announced, in the order of their sequences. */
  add(entries: readonly LogEntry[]): void;
  /** Rows that have not arrived. */
  waiting(): number;
  /** Resolves when ClickHouse has all that was added before. Throws what an insert has failed with: then all is over. */
  written(): Promise<void>;
  /** Throws if an insert has failed. */
  check(): void;
}

/** What a writer has for the next insert. */
interface Share {
  owner: PartitionOwner;
  /** Not empty. */
  entries: readonly LogEntry[];
}

/** A writer's place in the next insert. */
interface Waiting {
  owner: PartitionOwner;
  /** What goes with it: asked when it begins. */
  take: () => readonly LogEntry[];
  /** It has not arrived. Told before any other insert begins. */
  failed: (error: unknown) => void;
}

/** Resolves when the insert has ended. */
export type SendShare = (waiting: Waiting) => Promise<void>;

/** For all writers of a process; the server is of all their partitions. */
export function createSendShare(deps: Deps): SendShare {
  const send = gathered<Waiting, void>({ atOnce: 1, most: 100 }, async (waiting) => {
    const shares = waiting
      .map((one) => ({ ...one, entries: one.take() }))
      .filter(({ entries }) => entries.length > 0);
    try {
      if (!(await insertTogether(deps, shares))) {
        await Promise.all(shares.map((share) => insertAlone(deps, share).catch(share.failed)));
      }
    } catch (error) {
      for (const { failed } of shares) failed(error);
    }
    return waiting.map(() => undefined);
  });
  return async (waiting) => void (await send([waiting]));
}

export function createLogInserts(send: SendShare, owner: PartitionOwner): LogInserts {
  let ahead: LogEntry[] = [];
  let [added, arrived] = [0, 0];
  /** Some of what is ahead has a place in the next insert, and the rest will go with it. */
  let isQueued = false;
  /** Ends with the last insert that anything goes with. */
  let last: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | null = null;

  /** Also while an insert is under way: otherwise who was in that one would miss the next. */
  async function queue(): Promise<void> {
    let taken = 0;
    await send({
      owner,
      take() {
        isQueued = false;
        // What is behind something that has not arrived must not arrive before it.
        if (failure) return [];
        const entries = ahead;
        ahead = [];
        taken = entries.length;
        return entries;
      },
      failed: (error) => void (failure = { error }),
    });
    if (!failure) arrived += taken;
  }

  function check(): void {
    // Not the error itself: it must not be taken for one of what is done next.
    if (failure) throw new Error('entries have not reached ClickHouse', { cause: failure.error });
  }

  return {
    add(entries) {
      if (entries.length === 0) return;
      for (const entry of entries) ahead.push(entry);
      added += entries.length;
      if (isQueued || failure) return;
      isQueued = true;
      last = queue();
    },
    waiting: () => added - arrived,
    async written() {
      // What is added meanwhile is not waited for.
      await last;
      check();
    },
    check,
  };
}

/** A new insert of what has not set out yet. False, and nothing has, if one of the writers has been fenced. */
async function insertTogether(deps: Deps, shares: readonly Share[]): Promise<boolean> {
  const begun = shares.map(({ owner, entries }) => ({ owner, ...spanOf(entries) }));
  const [first] = begun;
  if (!first) return true;
  const token = tokenOf(first.owner.partition, first.from);
  if (!(await beginInsert(deps.mysql, token, begun))) return false;
  await insertEntries(deps, token, shares);
  const owners = shares.map(({ owner }) => owner);
  if (!(await endInsert(deps.mysql, token, owners))) throw new Error('an insert went on without its owners');
  return true;
}

/** A new insert of what one writer has. Throws Fenced. */
export async function insertAlone(deps: Deps, share: Share): Promise<void> {
  if (!(await insertTogether(deps, [share])))
    throw new Fenced(`evaluator partition ${share.owner.partition} has a newer owner`);
}

/**
 * Repeats inserts that may have been cut off, or be under way still; what they carry of the owner's partition, `entries`
 * in their order, has arrived then. What they carry of others goes with it, and is left for those to look after.
 */
export async function repeatInserts(
  deps: Deps,
  owner: PartitionOwner,
  tokens: readonly string[],
  entries: readonly LogEntry[],
): Promise<void> {
  for (const token of tokens) {
    const carried = (await readInsert(deps.mysql, token)).flatMap(decodeEntries);
    await insertEntries(deps, token, [{ owner, entries: carried }]);
  }
  await restoreEntries(deps.clickhouse, owner, tokens, entries);
  await endShares(deps.mysql, owner.partition, tokens);
}

/** May be repeated. */
export async function insertEntries(
  { clickhouse }: Pick<Deps, 'clickhouse'>,
  token: string,
  shares: readonly Share[],
): Promise<void> {
  const lines = shares.flatMap(({ owner, entries }) => logLines(entries, owner.epoch));
  await insertLines(clickhouse, 'membership_log', lines, token);
}

/** Nothing else has it: the sequences of a partition are used once. */
export function tokenOf(partition: number, firstSequence: number): string {
  return `membership:${partition}:${firstSequence}`;
}

function spanOf(entries: readonly LogEntry[]): { from: number; nextSequence: number; latest: number } {
  const [first, last] = [entries[0], entries.at(-1)];
  return {
    from: first?.sequence ?? 0,
    nextSequence: (last?.sequence ?? 0) + 1,
    latest: last?.evaluatedAt ?? 0,
  };
}
