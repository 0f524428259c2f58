/**
 * The one writer of a partition's memberships. Entries are first put down in MySQL under the writer's epoch, then
 * published, and go to ClickHouse behind that, under a token. So a successor can finish it without knowing how far it
 * came, and a predecessor that does not know of its end can only repeat it, and not end it. Whoever reads ClickHouse
 * waits for what has been published (`storage/announced.ts`).
 */
import { promisify } from 'node:util';
import { constants, deflate, inflate } from 'node:zlib';
import type { Clock } from '../runtime/clock.ts';
import { inPages } from '../runtime/in-pages.ts';
import { metrics } from '../runtime/metrics.ts';
import { insertsEnded, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { decodeEntries, encodeEntries, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { markFailed, markInForce } from '../storage/mysql/definitions.ts';
import {
  beginEpoch,
  Fenced,
  settleAt,
  writePending,
  type PartitionOwner,
} from '../storage/mysql/evaluators.ts';
import {
  createPutAhead,
  nameOlderInserts,
  readAhead,
  type InForceStep,
  type PutAhead,
} from '../storage/mysql/membership-ahead.ts';
import { MEMBERSHIP_CHANGES } from '../storage/topics.ts';
import {
  createLogInserts,
  createSendShare,
  insertAlone,
  insertEntries,
  repeatInserts,
  tokenOf,
  type SendShare,
} from './log-inserts.ts';
import { isPopulated, populate } from './memberships.ts';
import { endCopiesInto } from './population-copies.ts';
import { putUntil, restoreEntries } from './restore-entries.ts';
import { isStaged, selectStaged } from './staged-members.ts';

export interface WriterDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
}

export type NewEntry = Omit<LogEntry, 'partition' | 'sequence' | 'evaluatedAt'>;

/** The first population of a segment in this partition, done in ClickHouse itself. */
interface Population {
  segment: number;
  version: number;
  at: number;
  chunks: number[];
  /** Where the members have been staged: a successor stores the same. */
  run: string;
}

interface Pending {
  /** The step in the log; of older versions of Tidemark, whatever was being written. */
  entries: LogEntry[];
  population?: Population;
}

export interface MembershipWriter {
  readonly owner: PartitionOwner;
  /** Where the clock of a predecessor stood. */
  readonly watermark: number;
  /**
   * The present, never before anything that was evaluated in this partition, nor before `atLeast`: the clock of whoever
   * accepted a change may be ahead of ours. By how much is bounded, because everybody's time in the partition follows.
   */
  advance(atLeast: number): number;
  /** Publishes entries, in order; they go to ClickHouse behind that. Throws Fenced when a newer owner has begun. */
  write(entries: NewEntry[]): Promise<void>;
  /** Resolves when ClickHouse has all that was written. */
  written(): Promise<void>;
  /**
   * Populates a segment for the first time, with what has been staged, and brings it into force; `entries` are what has
   * become otherwise since. Throws Fenced.
   */
  populate(account: number, population: Population, entries: NewEntry[]): Promise<void>;
  /**
   * Brings a segment into force whose members are stored already. `put` writes it down, perhaps together with what
   * others write, and tells whether it has. Throws Fenced.
   */
  bringIntoForce(
    account: number,
    population: Pick<Population, 'segment' | 'version' | 'at'>,
    put: (step: InForceStep) => Promise<boolean>,
  ): Promise<void>;
  /**
   * Time alone has changed nothing more up to here, and all that was to be written has been. Throws Fenced.
   */
  saveWatermark(watermark: number): Promise<void>;
}

const ENTRIES_PER_WRITE = 5_000;
/** Entries held in memory on their way to ClickHouse. */
const ENTRIES_WAITING = 20_000;
const ENTRIES_PER_RECORD = 1_000;
/** How far the clocks of those who accept changes may be apart from ours. */
export const CLOCKS_DIFFER_BY_MS = 10_000;

const compress = promisify(deflate);
const decompress = promisify(inflate);

/** What the writers of a process do together. */
export interface WritersShare {
  putAhead: PutAhead;
  sendShare: SendShare;
}

export function createWritersShare(deps: Pick<WriterDeps, 'mysql' | 'clickhouse'>): WritersShare {
  return { putAhead: createPutAhead(deps.mysql), sendShare: createSendShare(deps) };
}

/** Takes the partition over: a new epoch, and what the last owner was writing is finished. */
export async function takeOver(
  deps: WriterDeps,
  partition: number,
  { putAhead, sendShare }: WritersShare = createWritersShare(deps),
): Promise<MembershipWriter> {
  const state = await beginEpoch(deps.mysql, partition, deps.clock.now());
  let { nextSequence } = state;
  let latest = Math.max(state.watermark, state.latest, deps.clock.now());
  let { watermark: savedWatermark } = state;
  const owner = { partition, epoch: state.epoch };
  await endCopiesInto(deps, partition);

  const numbered = (entries: readonly NewEntry[]): LogEntry[] =>
    entries.map((entry, i) => ({ ...entry, partition, sequence: nextSequence + i, evaluatedAt: latest }));

  /** `isRepeated`: somebody may have begun to. */
  const store = async ({ entries, population }: Pending, isRepeated: boolean): Promise<void> => {
    const [first] = entries;
    if (!first || !population) return;
    const { segment, chunks, run } = population;
    const { account } = first;
    const target = { account, segment, chunks };
    const members = () => selectStaged({ account, run }, chunks);
    const put = (under: string) => populate(deps.clickhouse, target, members(), under);
    const token = tokenOf(partition, first.sequence);
    await put(token);
    if (!isRepeated) return;
    await insertsEnded(deps.clickhouse, token);
    // What has been staged goes after a while.
    if (!(await isStaged(deps.clickhouse, { account, run }))) return;
    const changed = entries.map(({ profile }) => profile);
    await putUntil(
      deps.clickhouse,
      token,
      () => isPopulated(deps.clickhouse, target, members(), changed),
      put,
    );
  };

  const tell = async ({ entries, population }: Pending, isRepeated: boolean): Promise<void> => {
    const [first] = entries;
    if (!first) return;
    const token = tokenOf(partition, first.sequence);
    await insertEntries(deps, token, [{ owner, entries }]);
    if (isRepeated) await restoreEntries(deps.clickhouse, owner, [token], entries);
    await publish(deps.log, partition, entries);
    if (!population) return;
    const { segment, version, at } = population;
    // Not later: what subscribers have been told would be populated over.
    await markInForce(deps.mysql.db, [
      { partition, account: first.account, segment, version, populatedAt: at },
    ]);
  };

  if (state.pending) {
    const pending = await unpacked<Pending>(state.pending);
    // The watermark is saved now and then only: our clock may be behind what the predecessor has evaluated since.
    latest = Math.max(latest, ...pending.entries.slice(-1).map(({ evaluatedAt }) => evaluatedAt));
    let isStored = true;
    try {
      await store(pending, true);
    } catch (error) {
      // A population that cannot be computed must not keep the partition from being taken over, now and for ever.
      if (!pending.population || !isFaultOfDefinition(error)) throw error;
      await giveUp(deps.mysql, pending.population.segment, pending.population.version);
      isStored = false;
    }
    if (isStored) await tell(pending, true);
    // Done again after something else has been written, it would undo that.
    await settleAt(deps.mysql, partition, state.epoch, { watermark: savedWatermark, latest });
  }

  const { tokens, underWay, waiting } = await entriesAhead(deps.mysql, partition);
  // What has set out had been published.
  await repeatInserts(deps, owner, tokens, underWay);
  if (waiting.length > 0) {
    await publish(deps.log, partition, waiting);
    await insertAlone(deps, { owner, entries: waiting });
  }
  const last = waiting.at(-1) ?? underWay.at(-1);
  if (last) {
    nextSequence = Math.max(nextSequence, last.sequence + 1);
    latest = Math.max(latest, last.evaluatedAt);
  }
  const inserts = createLogInserts(sendShare, owner);

  return {
    owner,
    watermark: state.watermark,
    advance(atLeast) {
      inserts.check();
      const now = deps.clock.now();
      latest = Math.max(latest, now, Math.min(atLeast, now + CLOCKS_DIFFER_BY_MS));
      return latest;
    },
    async write(entries) {
      for (const part of inPages(entries, ENTRIES_PER_WRITE)) {
        const page = numbered(part);
        if (inserts.waiting() >= ENTRIES_WAITING) await inserts.written();
        inserts.check();
        await putAhead(owner, aheadOf(page));
        nextSequence += page.length;
        await publish(deps.log, partition, page);
        inserts.add(page);
        for (const { kind, cause } of page) metrics.membershipChanges.inc({ kind, cause });
      }
    },
    written: () => inserts.written(),
    async populate(account, population, entries) {
      await inserts.written();
      const pending: Pending = { entries: numbered([stepOf(account, population), ...entries]), population };
      const behind = nextSequence + pending.entries.length;
      await writePending(deps.mysql, partition, state.epoch, behind, await packed(pending));
      nextSequence = behind;
      await store(pending, false);
      await tell(pending, false);
      for (const { kind, cause } of entries) metrics.membershipChanges.inc({ kind, cause });
      // ClickHouse does not remember for ever what it has had already.
      await settleAt(deps.mysql, partition, state.epoch, { watermark: savedWatermark, latest });
    },
    async bringIntoForce(account, population, put) {
      inserts.check();
      const entries = numbered([stepOf(account, population)]);
      const { segment, version, at: populatedAt } = population;
      const place = { owner, account, segment, version, populatedAt };
      if (!(await put({ ...place, sequence: nextSequence, entry: encodeEntries(entries) }))) {
        throw new Fenced(`evaluator partition ${partition} has a newer owner`);
      }
      nextSequence += 1;
      await publish(deps.log, partition, entries);
      inserts.add(entries);
    },
    async saveWatermark(watermark) {
      await settleAt(deps.mysql, partition, state.epoch, { watermark, latest });
      savedWatermark = watermark;
    },
  };
}

function stepOf(account: number, population: Pick<Population, 'segment' | 'version' | 'at'>): NewEntry {
  const { segment, version, at } = population;
  const step = { profile: 0, kind: 'POPULATED', cause: 'DEFINITION', event: null } as const;
  return { account, segment, version, at, ...step };
}

/** A row for each run of entries of one account. */
function aheadOf(entries: readonly LogEntry[]) {
  const rows: { account: number; firstSequence: number; entries: Buffer }[] = [];
  for (let start = 0, end = 0; start < entries.length; start = end) {
    const first = entries[start];
    if (!first) break;
    while (entries[end]?.account === first.account) end += 1;
    const { account, sequence } = first;
    rows.push({ account, firstSequence: sequence, entries: encodeEntries(entries.slice(start, end)) });
  }
  return rows;
}

/** Limits of memory, time or statement size, of our own too (`throwIf`), and what ClickHouse refuses to understand. */
export function isFaultOfDefinition(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && ['62', '159', '167', '168', '241', '306', '395', '427'].includes(code);
}

const TOO_COSTLY = 'the condition needs more memory or time than there is; make it simpler';

/** Tells the author of a segment that it cannot be computed; returns what was said. */
export async function giveUp(
  mysql: MySql,
  segment: number,
  version: number,
  reason = TOO_COSTLY,
): Promise<string> {
  await markFailed(mysql.db, segment, version, reason);
  return reason;
}

/** What a predecessor has announced and not seen arrive, in its order. */
interface Ahead {
  /** Of the inserts that carry what is under way. */
  tokens: string[];
  underWay: LogEntry[];
  /** Behind them: what has not set out. */
  waiting: LogEntry[];
}

async function entriesAhead(mysql: MySql, partition: number): Promise<Ahead> {
  await nameOlderInserts(mysql, partition);
  const rows = await readAhead(mysql, partition);
  const entriesOf = (some: typeof rows) => some.flatMap(({ entries }) => decodeEntries(entries));
  return {
    tokens: [...new Set(rows.flatMap(({ token }) => token ?? []))],
    underWay: entriesOf(rows.filter(({ token }) => token !== null)),
    waiting: entriesOf(rows.filter(({ token }) => token === null)),
  };
}

async function packed(value: unknown): Promise<Buffer> {
  return compress(JSON.stringify(value), { level: constants.Z_BEST_SPEED });
}

async function unpacked<T>(bytes: Buffer): Promise<T> {
  return JSON.parse((await decompress(bytes)).toString('utf8')) as T;
}

async function publish(log: Log, partition: number, entries: LogEntry[]): Promise<void> {
  const records = [...inPages(entries, ENTRIES_PER_RECORD)].map((page) => {
    return { partition, key: null, value: encodeEntries(page) };
  });
  await log.append(MEMBERSHIP_CHANGES, records);
}
