/**
 * The one writer of a partition's memberships. What is about to be written is first put down in MySQL under the
 * writer's epoch, then written to ClickHouse under a token, then published. So a successor can finish it without
 * knowing how far it came, and a predecessor that does not know of its end can only repeat what is already there.
 */
import { promisify } from 'node:util';
import { constants, deflate, inflate } from 'node:zlib';
import type { Clock } from '../runtime/clock.ts';
import { metrics } from '../runtime/metrics.ts';
import { insertLines, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { encodeEntries, logLine, type LogEntry } from '../storage/clickhouse/membership-log.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { NormalCondition } from '../segments/ast.ts';
import { markFailed } from '../storage/mysql/definitions.ts';
import { beginEpoch, settleAt, writePending } from '../storage/mysql/evaluators.ts';
import { MEMBERSHIP_CHANGES } from '../storage/topics.ts';
import { scopeOf } from './audience.ts';
import { populate } from './memberships.ts';

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
  /**
   * Written out: a successor does exactly the same, whatever has become of the segments that it refers to. Absent from
   * what older versions of Tidemark have put down.
   */
  condition?: NormalCondition;
  at: number;
  chunks: number[];
}

interface Pending {
  entries: LogEntry[];
  population?: Population;
}

export interface MembershipWriter {
  /** Where the clock of a predecessor stood. */
  readonly watermark: number;
  /**
   * The present, never before anything that was evaluated in this partition, nor before `atLeast`: the clock of whoever
   * accepted a change may be ahead of ours. By how much is bounded, because everybody's time in the partition follows.
   */
  advance(atLeast: number): number;
  /** Writes and publishes entries, in order. Throws Fenced when a newer owner has begun. */
  write(entries: NewEntry[]): Promise<void>;
  /** Populates a segment for the first time. Throws Fenced. */
  populate(account: number, population: Population): Promise<void>;
  /**
   * Time alone has changed nothing more up to here, and all that was to be written has been. Throws Fenced.
   * To be called now and then: ClickHouse does not remember for ever what it has had already.
   */
  saveWatermark(watermark: number): Promise<void>;
}

const ENTRIES_PER_WRITE = 20_000;
const ENTRIES_PER_RECORD = 1_000;
const CLOCKS_DIFFER_BY_MS = 10_000;

const compress = promisify(deflate);
const decompress = promisify(inflate);

/** Takes the partition over: a new epoch, and what the last owner was writing is finished. */
export async function takeOver(deps: WriterDeps, partition: number): Promise<MembershipWriter> {
  const state = await beginEpoch(deps.mysql, partition, deps.clock.now());
  let { nextSequence } = state;
  let latest = Math.max(state.watermark, deps.clock.now());

  const carryOut = async (pending: Pending): Promise<void> => {
    const first = pending.entries[0];
    if (!first) return;
    const token = `membership:${partition}:${first.sequence}`;
    if (pending.population) await carryOutPopulation(deps, first.account, pending.population, token);
    await insertLines(
      deps.clickhouse,
      'membership_log',
      pending.entries.map((entry) => logLine(entry, state.epoch)),
      token,
    );
    await publish(deps.log, partition, pending.entries);
  };

  const commit = async (entries: NewEntry[], population?: Population): Promise<void> => {
    const numbered = entries.map((entry, i) => ({
      ...entry,
      partition,
      sequence: nextSequence + i,
      evaluatedAt: latest,
    }));
    const pending: Pending = { entries: numbered, ...(population ? { population } : {}) };
    const blob = await compress(JSON.stringify(pending), { level: constants.Z_BEST_SPEED });
    await writePending(deps.mysql, partition, state.epoch, nextSequence + entries.length, blob);
    nextSequence += entries.length;
    await carryOut(pending);
    for (const { kind, cause } of entries)
      if (kind !== 'POPULATED') metrics.membershipChanges.inc({ kind, cause });
  };

  if (state.pending) {
    const pending = JSON.parse((await decompress(state.pending)).toString('utf8')) as Pending;
    // The watermark is saved now and then only: our clock may be behind what the predecessor has evaluated since.
    latest = Math.max(latest, ...pending.entries.slice(-1).map(({ evaluatedAt }) => evaluatedAt));
    try {
      await carryOut(pending);
    } catch (error) {
      // A population that cannot be computed must not keep the partition from being taken over, now and for ever.
      if (!pending.population || !isFaultOfDefinition(error)) throw error;
      await giveUp(deps.mysql, pending.population.segment, pending.population.version);
    }
  }

  return {
    watermark: state.watermark,
    advance(atLeast) {
      const now = deps.clock.now();
      latest = Math.max(latest, now, Math.min(atLeast, now + CLOCKS_DIFFER_BY_MS));
      return latest;
    },
    async write(entries) {
      for (let start = 0; start < entries.length; start += ENTRIES_PER_WRITE) {
        await commit(entries.slice(start, start + ENTRIES_PER_WRITE));
      }
    },
    async populate(account, population) {
      const { segment, version, at } = population;
      const step = {
        account,
        segment,
        version,
        profile: 0,
        kind: 'POPULATED',
        cause: 'DEFINITION',
        at,
        event: null,
      };
      await commit([step as NewEntry], population);
    },
    saveWatermark: (watermark) => settleAt(deps.mysql, partition, state.epoch, watermark),
  };
}

/** Limits of memory, time or statement size, and what ClickHouse refuses to understand. */
export function isFaultOfDefinition(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && ['62', '159', '167', '168', '241', '306', '427'].includes(code);
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

async function carryOutPopulation(
  deps: WriterDeps,
  account: number,
  population: Population,
  token: string,
): Promise<void> {
  const { segment, condition, at, chunks } = population;
  // Unless it was finished, the segment is not in force yet, and is populated anew.
  if (!condition) return;
  const scope = await scopeOf(deps.mysql.db, account, condition);
  await populate(deps.clickhouse, segment, condition, { ...scope, at, chunks }, token);
}

async function publish(log: Log, partition: number, entries: LogEntry[]): Promise<void> {
  const records = [];
  for (let start = 0; start < entries.length; start += ENTRIES_PER_RECORD) {
    const value = encodeEntries(entries.slice(start, start + ENTRIES_PER_RECORD));
    records.push({ partition, key: null, value });
  }
  await log.append(MEMBERSHIP_CHANGES, records);
}
