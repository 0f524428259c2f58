/**
 * Second half of a group of batches: the rows owed to ClickHouse and the news to the evaluators. News that say all
 * travel while the rows do, and name the debt; others come after the rows. May be run any number of times and by two
 * processes at once: events carry the debt's id as token, all else is harmless when repeated.
 */
import { randomUUID } from 'node:crypto';
import { groupBy } from '../runtime/group-by.ts';
import { inPages } from '../runtime/in-pages.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import {
  insertLines,
  insertsEnded,
  isDataError,
  query,
  type ClickHouse,
} from '../storage/clickhouse/connect.ts';
import { restoreRows } from '../storage/clickhouse/restore.ts';
import { linesByShard } from '../storage/clickhouse/shards.ts';
import type { Log, NewRecord } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { markRepeated, settleDebt } from '../storage/mysql/positions.ts';
import { readMergedOf } from '../storage/mysql/profiles.ts';
import { encodeChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { evaluatorPartition, PROFILE_CHANGES } from '../storage/topics.ts';
import { sendDeadLetter } from '../storage/dead-letters.ts';
import { accountsAhead } from './ahead.ts';
import type { Debt } from './share.ts';

/** What stored batches still owe, as it is written down. */
export interface Owed {
  id: string;
  /** The first record, by which dead letters are found. */
  place: { topic: string; partition: number; offset: number };
  /** Where the messages of these partitions ended before, per partition of profile-changes. */
  changesThrough: number[];
  debt: Debt;
}

export interface PayDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  logger: Logger;
}

/** Changes per message: an evaluator takes a message whole. */
const CHANGES_PER_MESSAGE = 1_000;

/** `isRepeated`: somebody may have begun to. */
export async function payDebt(deps: PayDeps, owed: Owed, isRepeated: boolean): Promise<void> {
  const { id, debt } = owed;
  if (isRepeated) await markRepeated(deps.mysql, id);
  const isAhead = accountsAhead(debt).length > 0;
  const [early] = await Promise.all([
    isAhead ? announce(deps.log, debt.messages, id) : [],
    insertRows(deps, owed, isRepeated),
  ]);
  const late = await Promise.all([
    isAhead ? [] : announce(deps.log, debt.messages),
    strayEvents(deps, debt).then((messages) => announce(deps.log, messages)),
  ]);
  const through = latestOf([owed.changesThrough, early, ...late]);
  if (!(await settleDebt(deps.mysql, id, through, isRepeated))) return payDebt(deps, owed, true);
  metrics.duplicates.inc(debt.duplicates);
}

async function insertRows(deps: PayDeps, owed: Owed, isRepeated: boolean): Promise<void> {
  const { debt } = owed;
  // These do no harm when they come twice. Under a token that nobody has had before they come for certain
  // (storage/clickhouse/restore.ts).
  const again = isRepeated ? `${owed.id}/${randomUUID()}` : owed.id;
  await Promise.all([
    insertEvents(deps, owed, isRepeated),
    insertInto(deps, owed, 'future_events', debt.futureEvents, again),
    insertInto(deps, owed, 'dates', debt.dates, again),
    insertInto(deps, owed, 'traits', debt.traits, again),
    insertInto(deps, owed, 'predictions', debt.predictions, again),
    insertInto(deps, owed, 'profiles', debt.profiles, again),
  ]);
}

/** Once and no more: they are counted. */
async function insertEvents(deps: PayDeps, owed: Owed, isRepeated: boolean): Promise<void> {
  const inserted = await insertInto(deps, owed, 'events', owed.debt.events, owed.id);
  if (!isRepeated || owed.debt.events.length === 0) return;
  for (const [clickhouse, lines] of inserted) {
    // What is put in here would come on top of what somebody else has under way.
    await insertsEnded(clickhouse, owed.id);
    for (const table of ['events', 'events_by_profile'] as const) {
      await restoreRows(clickhouse, table, owed.id, () => eventsMissing(clickhouse, table, lines));
    }
  }
}

/** A question for each month: all of the others is passed over. */
async function eventsMissing(
  clickhouse: ClickHouse,
  table: 'events' | 'events_by_profile',
  lines: readonly string[],
): Promise<string[]> {
  const events = lines.map((line) => ({ line, ...(JSON.parse(line) as EventPlace) }));
  const missing: string[] = [];
  for (const month of groupBy(events, ({ time }) => time.slice(0, 'YYYY-MM'.length)).values()) {
    missing.push(...(await eventsMissingOf(clickhouse, table, month)));
  }
  return missing;
}

async function eventsMissingOf(
  clickhouse: ClickHouse,
  table: 'events' | 'events_by_profile',
  events: readonly (EventPlace & { line: string })[],
): Promise<string[]> {
  const times = events.map(({ time }) => Date.parse(time));
  const rows = await query<{ id: string }>(
    clickhouse,
    `SELECT id
     FROM ${table}
     WHERE account IN {accounts:Array(UInt32)}
       AND metric IN {metrics:Array(UInt32)}
       AND profile IN {profiles:Array(UInt32)}
       AND time >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
       AND time <= fromUnixTimestamp64Milli({to:Int64}, 'UTC')
       AND id IN {ids:Array(UUID)}
       AND NOT copied`,
    {
      accounts: [...new Set(events.map(({ account }) => account))],
      metrics: [...new Set(events.map(({ metric }) => metric))],
      profiles: [...new Set(events.map(({ profile }) => profile))],
      from: Math.min(...times),
      to: Math.max(...times),
      ids: events.map(({ id }) => id),
    },
    { timeoutSeconds: 600 },
  );
  const found = new Set(rows.map(({ id }) => id));
  return events.filter(({ id }) => !found.has(id)).map(({ line }) => line);
}

/** What a line of an event says of where it lies. */
interface EventPlace {
  account: number;
  metric: number;
  profile: number;
  /** ISO 8601, of UTC. */
  time: string;
  id: string;
}

type Table = 'events' | 'future_events' | 'dates' | 'traits' | 'predictions' | 'profiles';
type Part = [clickhouse: ClickHouse, lines: string[]];

/**
 * Each shard by itself: what one cannot take must not be sent to another again under other tokens. Returns what has been
 * taken, by shard.
 */
function insertInto(
  deps: PayDeps,
  owed: Owed,
  table: Table,
  lines: string[],
  token: string,
): Promise<Part[]> {
  const parts = linesByShard(deps.clickhouse, lines);
  return Promise.all(
    [...parts].map(async ([clickhouse, part]): Promise<Part> => [
      clickhouse,
      await insert({ ...deps, clickhouse }, owed, table, part, token),
    ]),
  );
}

/** Returns the lines without those that ClickHouse cannot read, which are put aside. */
async function insert(
  deps: PayDeps,
  owed: Owed,
  table: Table,
  lines: string[],
  token: string,
): Promise<string[]> {
  try {
    await insertLines(deps.clickhouse, table, lines, token);
    return lines;
  } catch (error) {
    if (!isDataError(error)) throw error;
    const [only] = lines;
    if (lines.length > 1) {
      const middle = lines.length >> 1;
      const first = await insert(deps, owed, table, lines.slice(0, middle), `${token}/0`);
      return [...first, ...(await insert(deps, owed, table, lines.slice(middle), `${token}/1`))];
    }
    if (only !== undefined) await sendDeadLetter(deps, owed.place, error, Buffer.from(only, 'utf8'));
    return [];
  }
}

/**
 * A profile may have been merged between our transaction and our insert, and its events carried over without ours.
 * Whoever merged it had committed before carrying, so looking now, after the insert, misses none.
 */
async function strayEvents(deps: PayDeps, debt: Debt): Promise<Debt['messages']> {
  const messages: Debt['messages'] = [];
  for (const [account, merged] of await readMergedOf(deps.mysql.db, new Map(debt.withEvents))) {
    for (const [source, target] of merged) {
      const message: ProfileChangeMessage = { kind: 'merge', account, source, target, at: 0 };
      messages.push({ partition: evaluatorPartition(account, target), message });
    }
  }
  return messages;
}

/**
 * Appends the messages, `ahead` of the debt they come from or after it, and returns, per partition, the offset that
 * covers them; 0 where there are none.
 */
async function announce(log: Log, messages: Debt['messages'], ahead?: string): Promise<number[]> {
  const records: NewRecord[] = messages.flatMap(({ partition, message }) =>
    split(message).map((part) => {
      const sent = ahead !== undefined && part.kind === 'profiles' ? { ...part, debt: ahead } : part;
      return { partition, key: String(part.account), value: encodeChange(sent) };
    }),
  );
  const through: number[] = [];
  if (records.length === 0) return through;
  const offsets = await log.append(PROFILE_CHANGES, records);
  records.forEach(({ partition }, i) => {
    through[partition] = Math.max(through[partition] ?? 0, (offsets[i] ?? 0) + 1);
  });
  return Array.from(through, (offset) => offset ?? 0);
}

function split(message: ProfileChangeMessage): ProfileChangeMessage[] {
  if (message.kind !== 'profiles' || message.changes.length <= CHANGES_PER_MESSAGE) return [message];
  return [...inPages(message.changes, CHANGES_PER_MESSAGE)].map((changes) => ({ ...message, changes }));
}

/** The largest offset at each place. */
export function latestOf(offsets: readonly number[][]): number[] {
  const length = Math.max(0, ...offsets.map((one) => one.length));
  return Array.from({ length }, (_, i) => Math.max(...offsets.map((one) => one[i] ?? 0)));
}
