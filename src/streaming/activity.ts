/**
 * What is being stored, account by account, for those in one API process who look at more than memberships.
 * `profile-changes` says it, perhaps a moment before ClickHouse has the data: watchers hear of it after that. It is read
 * only while somebody watches, and only what concerns their accounts is looked into.
 */
import type { Clock } from '../runtime/clock.ts';
import { within } from '../runtime/within.ts';
import { dataStored, debtsLeft } from '../storage/announced.ts';
import type { Log, LogRecord, LogTail } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { decodeChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { PROFILE_CHANGES } from '../storage/topics.ts';

export interface StoredChange {
  message: ProfileChangeMessage;
  /** Where it lies in `profile-changes`. */
  partition: number;
  offset: number;
}

/** Awaited, which is the back-pressure; must not fail. A message may come again: whoever wrote it was interrupted. */
export type Watcher = (changes: StoredChange[]) => Promise<void> | void;

export interface Activity {
  /** Resolves once nothing is missed that is stored from now on, to what ends the watch. */
  watch(account: number, watcher: Watcher): Promise<() => void>;
  /**
   * Whether the watchers have been handed everything that was announced before the call. Waits for it no longer than
   * that for the end of the log, and as long again for the news. Never rejects.
   */
  catchUp(withinMs: number): Promise<boolean>;
  close(): Promise<void>;
}

/** So long after the last watcher has gone nobody waits any more. */
const PATIENCE_MS = 1_000;

export function createActivity({ log, mysql, clock }: { log: Log; mysql: MySql; clock: Clock }): Activity {
  const watchers = new Map<number, Set<Watcher>>();
  let tail: Promise<LogTail> | null = null;
  const stopping = new Set<Promise<void>>();
  /** By partition, the offset below which everything has been handed to the watchers. */
  let handed: number[] = [];
  const advanced = new Set<() => void>();

  async function startTail(): Promise<LogTail> {
    const from = await log.ends(PROFILE_CHANGES);
    handed = [...from];
    return log.tail({ topic: PROFILE_CHANGES, from, onRecords });
  }

  async function onRecords(partition: number, records: LogRecord[]): Promise<void> {
    const byAccount = new Map<number, StoredChange[]>();
    for (const { key, value, offset } of records) {
      // Their key is the account: what nobody watches is not even parsed.
      if (!watchers.has(Number(key))) continue;
      const message = readable(value);
      if (message === null) continue;
      const list = byAccount.get(message.account) ?? [];
      byAccount.set(message.account, list);
      list.push({ message, partition, offset });
    }
    const debts = new Set<string>();
    for (const { message } of [...byAccount.values()].flat()) {
      if (message.kind === 'profiles' && message.debt !== undefined) debts.add(message.debt);
    }
    for (let left: readonly string[] = [...debts]; left.length > 0 && watchers.size > 0;) {
      left = await debtsLeft(mysql, left, PATIENCE_MS);
    }
    // Each is told at once, however long another takes.
    const taking = [...byAccount].flatMap(([account, changes]) =>
      [...(watchers.get(account) ?? [])].map(async (watcher) => watcher(changes)),
    );
    handed[partition] = Math.max(handed[partition] ?? 0, (records.at(-1)?.offset ?? -1) + 1);
    for (const wake of [...advanced]) wake();
    await Promise.all(taking);
  }

  function stop(): void {
    const ending = tail;
    tail = null;
    // What could not be started has nothing to be stopped; who waited for it has been told.
    const stopped = Promise.resolve(ending).then(
      (it) => it?.close(),
      () => {},
    );
    stopping.add(stopped);
    void stopped.finally(() => stopping.delete(stopped));
  }

  function unwatch(account: number, watcher: Watcher): void {
    const ofAccount = watchers.get(account);
    if (!ofAccount?.delete(watcher)) return;
    if (ofAccount.size === 0) watchers.delete(account);
    if (watchers.size === 0) stop();
  }

  return {
    async watch(account, watcher) {
      const ofAccount = watchers.get(account) ?? new Set();
      watchers.set(account, ofAccount.add(watcher));
      const starting = (tail ??= startTail());
      try {
        await starting;
      } catch (error) {
        if (tail === starting) tail = null;
        unwatch(account, watcher);
        throw error;
      }
      try {
        // Of what was told before, the watcher hears nothing.
        await dataStored(mysql, account);
      } catch (error) {
        unwatch(account, watcher);
        throw error;
      }
      return () => unwatch(account, watcher);
    },
    async catchUp(withinMs) {
      const ends = await within(clock, withinMs, log.ends(PROFILE_CHANGES));
      if (ends === null) return false;
      const isThere = () => ends.every((end, partition) => (handed[partition] ?? 0) >= end);
      if (isThere()) return true;
      const waited = new AbortController();
      const wake = () => {
        if (isThere()) waited.abort();
      };
      advanced.add(wake);
      await clock.sleep(withinMs, waited.signal);
      advanced.delete(wake);
      return isThere();
    },
    async close() {
      stop();
      await Promise.all(stopping);
    },
  };
}

/** Null for what this version cannot read: the evaluators report it. */
function readable(value: Buffer): ProfileChangeMessage | null {
  try {
    return decodeChange(value);
  } catch {
    return null;
  }
}
