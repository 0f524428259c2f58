/**
 * The way of announced entries into ClickHouse, in the background: what comes while an insert is under way goes
 * together in the next one. MySQL holds the entries until they have arrived, and which of them go together before they
 * set out, so that whoever takes over can repeat an insert under its token.
 */
import { insertLines, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { logLine, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { beginInsert, endInsert } from '../storage/mysql/membership-ahead.ts';

export interface LogInserts {
  /** Entries that MySQL holds and that have been announced, in the order of their sequences. */
  add(entries: LogEntry[]): void;
  /** Rows that have not arrived. */
  waiting(): number;
  /** Resolves when ClickHouse has all that was added before. Throws what an insert has failed with: then all is over. */
  written(): Promise<void>;
  /** Throws if an insert has failed. */
  check(): void;
}

export function createLogInserts(
  deps: { mysql: MySql; clickhouse: ClickHouse },
  owner: { partition: number; epoch: number },
): LogInserts {
  let ahead: LogEntry[] = [];
  let underWay = 0;
  let [added, arrived] = [0, 0];
  let running: Promise<void> | null = null;
  /** Ends with the insert that is under way. */
  let insert: Promise<void> = Promise.resolve();
  let failure: { error: unknown } | null = null;

  async function run(): Promise<void> {
    try {
      while (ahead.length > 0) {
        const entries = ahead;
        ahead = [];
        underWay = entries.length;
        insert = beginAndWrite(deps, owner, entries).then(() => {
          underWay = 0;
          arrived += entries.length;
        });
        await insert;
      }
    } catch (error) {
      failure = { error };
    }
    running = null;
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
      if (!failure) running ??= run();
    },
    waiting: () => ahead.length + underWay,
    async written() {
      const through = added;
      // What is added meanwhile is not waited for.
      while (arrived < through && running) await insert.catch(() => undefined);
      check();
    },
    check,
  };
}

/** A new insert of all that has not set out yet. */
export async function beginAndWrite(
  deps: { mysql: MySql; clickhouse: ClickHouse },
  owner: { partition: number; epoch: number },
  entries: readonly LogEntry[],
): Promise<void> {
  const [first, last] = [entries[0], entries.at(-1)];
  if (!first || !last) return;
  const end = { nextSequence: last.sequence + 1, latest: last.evaluatedAt };
  await beginInsert(deps.mysql, owner, { from: first.sequence, ...end });
  await writeEntries(deps, owner, first.sequence, entries);
}

/** One insert, which may be repeated; then MySQL lets go of the entries. */
export async function writeEntries(
  deps: { mysql: MySql; clickhouse: ClickHouse },
  { partition, epoch }: { partition: number; epoch: number },
  from: number,
  entries: readonly LogEntry[],
): Promise<void> {
  await insertLines(
    deps.clickhouse,
    'membership_log',
    entries.map((entry) => logLine(entry, epoch)),
    `membership:${partition}:${from}`,
  );
  await endInsert(deps.mysql, partition, from);
}
