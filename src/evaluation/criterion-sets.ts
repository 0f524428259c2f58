/**
 * Who satisfies each criterion, kept in memory while somebody counts one draft after the other: a criterion that has been
 * counted costs no scan when it is counted again. A set is never trusted as it lies there: those whom the news name, and
 * those who have crossed an edge since, are looked at again each time; and it is read anew when they are many.
 */
import pLimit from 'p-limit';
import type { Clock } from '../runtime/clock.ts';
import { metrics } from '../runtime/metrics.ts';
import { within } from '../runtime/within.ts';
import type { Criterion } from '../segments/ast.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { nextProfileNumber } from '../storage/mysql/profiles.ts';
import { CHUNK_BITS, EVALUATOR_GROUP, PROFILE_CHANGES } from '../storage/topics.ts';
import {
  createKeptSets,
  GRACE_MS,
  keyOf,
  type KeptSet,
  type KeptSets,
  type StoredNews,
} from './kept-sets.ts';
import { midnightsIn } from './midnights.ts';
import { BYTES_PER_CHUNK, type ProfileSet } from './profile-sets.ts';
import { findCrossers, lookAgain, readSets, type SetScope } from './set-reads.ts';

/** What is being stored, account by account. */
export interface News {
  /** Resolves once nothing is missed that is announced from now on, to what ends the watch. */
  watch(account: number, watcher: (news: StoredNews[]) => void): Promise<() => void>;
  /** Whether the watchers have had everything that was announced before the call: waits about so long. Never rejects. */
  catchUp(withinMs: number): Promise<boolean>;
}

export interface SetDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  news: News;
  /** Default: SET_LIMITS. */
  setLimits?: SetLimits;
}

export interface SetLimits {
  /** Of all sets in this process. */
  bytes: number;
  /** Changed profiles of one set, and of all that are counted together: of more it is quicker to read the set anew. */
  changed: number;
  /** After so long a set is read anew, whatever the news say. */
  ageMs: number;
  /** So long after its last use a set is forgotten. */
  idleMs: number;
}

export const SET_LIMITS: SetLimits = { bytes: 256_000_000, changed: 300, ageMs: 600_000, idleMs: 60_000 };

export interface CriterionSets {
  /**
   * The sets of everybody and of each criterion as they are now, in this order. They change while later calls use them.
   * Null: they cannot be kept, or not yet; count without them.
   */
  use(scope: SetScope, criteria: readonly Criterion[]): Promise<ProfileSet[] | null>;
  close(): Promise<void>;
}

interface AccountEntry {
  kept: KeptSets;
  /** Since when, epoch milliseconds; null: not yet. */
  watchedSince: number | null;
  watching: Promise<() => void>;
  usedAt: number;
  /** Sets are brought up to date one caller after the other. */
  turn: <T>(work: () => Promise<T>) => Promise<T>;
}

const SWEEP_MS = 10_000;
/** For the news of an account to be followed at its first count. */
const WATCH_WAIT_MS = 50;
const CATCH_UP_MS = 200;
/** A clock that was turned back by more is believed. */
const CLOCK_STEP_MS = 60_000;
/** What a set takes besides its bits. */
const OVERHEAD_BYTES = 4_096;

export function createCriterionSets(deps: SetDeps): CriterionSets {
  const { clock, log, mysql, clickhouse, news, setLimits: limits = SET_LIMITS } = deps;
  const accounts = new Map<number, AccountEntry>();
  const over = new AbortController();
  let swept: Promise<void> | null = null;

  function entryOf(account: number): AccountEntry {
    const known = accounts.get(account);
    if (known) return known;
    const kept = createKeptSets(() => clock.now(), limits.changed);
    const entry: AccountEntry = {
      kept,
      watchedSince: null,
      watching: news.watch(account, (heard) => kept.hear(heard)),
      usedAt: clock.now(),
      turn: pLimit(1),
    };
    entry.watching.then(
      () => (entry.watchedSince = clock.now()),
      () => forget(account, entry),
    );
    accounts.set(account, entry);
    swept ??= sweep();
    return entry;
  }

  function forget(account: number, entry: AccountEntry): void {
    if (accounts.get(account) === entry) accounts.delete(account);
    for (const set of entry.kept.all()) entry.kept.drop(set);
    entry.watching.then(
      (unwatch) => unwatch(),
      () => {},
    );
  }

  /** Ends with the last account, and begins again with the next. */
  async function sweep(): Promise<void> {
    while (accounts.size > 0 && !over.signal.aborted) {
      await clock.sleep(SWEEP_MS, over.signal);
      const before = clock.now() - limits.idleMs;
      for (const [account, entry] of accounts) {
        for (const set of entry.kept.all()) if (set.usedAt < before) entry.kept.drop(set);
        if (entry.usedAt < before) forget(account, entry);
      }
    }
    swept = null;
  }

  function makeRoom(): void {
    const sets = [...accounts.values()].flatMap(({ kept }) => [...kept.all()].map((set) => ({ kept, set })));
    let bytes = sets.reduce((sum, { set }) => sum + bytesOf(set), 0);
    if (bytes <= limits.bytes) return;
    for (const { kept, set } of sets.sort((a, b) => a.set.usedAt - b.set.usedAt)) {
      if (bytes <= limits.bytes) return;
      kept.drop(set);
      bytes -= bytesOf(set);
    }
  }

  async function isReady(entry: AccountEntry): Promise<boolean> {
    if (entry.watchedSince !== null) return true;
    await within(clock, WATCH_WAIT_MS, entry.watching);
    return entry.watchedSince !== null;
  }

  /** Reads the members of these criteria, all in one statement. */
  async function scan(entry: AccountEntry, scope: SetScope, criteria: readonly (Criterion | null)[]) {
    if (criteria.length === 0) return [];
    let done = (_: Promise<void>) => {};
    const ready = new Promise<void>((resolve) => (done = resolve));
    // From here on they hear the news.
    const sets = criteria.map((criterion) => entry.kept.add(criterion, ready));
    const at = sets[0]?.at ?? clock.now();
    const reading = readSets(clickhouse, criteria, { ...scope, at, chunks: null }).then((members) => {
      sets.forEach((set, i) => {
        set.at = at;
        set.members = members[i] ?? set.members;
      });
    });
    done(reading);
    try {
      await ready;
    } catch (error) {
      for (const set of sets) entry.kept.drop(set);
      throw error;
    }
    return sets;
  }

  function isUsable(
    { watchedSince }: AccountEntry,
    set: KeptSet | undefined,
    timeZone: string,
  ): set is KeptSet {
    if (!set?.isKept) return false;
    const now = clock.now();
    if (now - set.scannedAt > limits.ageMs || set.at - now > CLOCK_STEP_MS) return false;
    // News from just before the watch may have been of rows that came after the set was read.
    const sure = (watchedSince ?? now) + GRACE_MS;
    if (set.scannedAt < sure && now >= sure) return false;
    return !hasSeenMidnight(set, now, timeZone);
  }

  /** Brings the sets up to the present. Returns those for which that would take too long. */
  async function refresh(
    { turn }: AccountEntry,
    scope: SetScope,
    sets: readonly KeptSet[],
  ): Promise<KeptSet[]> {
    // Another caller may be reading some of them just now.
    for (const { ready } of sets) await ready;
    return turn(async () => {
      // Another caller may have brought some of them a moment further.
      const instant = sets.reduce((latest, { at }) => Math.max(latest, at), clock.now());
      const current = sets.filter((set) => set.isKept && !hasSeenMidnight(set, instant, scope.timeZone));
      const crossers = await findCrossers(clickhouse, scope, current, instant, limits.changed);
      const heard = new Map(current.map((set) => [set, new Map(set.changed)]));
      const asked = new Map<KeptSet, Set<number>>();
      const together = new Set<number>();
      for (const set of current) {
        const crossed = crossers.get(set);
        if (crossed === 'many') continue;
        const profiles = new Set([...(heard.get(set)?.keys() ?? []), ...(crossed ?? [])]);
        if (new Set([...together, ...profiles]).size > limits.changed) continue;
        for (const profile of profiles) together.add(profile);
        asked.set(set, profiles);
      }
      await lookAgain(clickhouse, scope, asked, instant);
      for (const set of asked.keys()) {
        set.at = instant;
        for (const [profile, at] of heard.get(set) ?? []) {
          if (at <= instant - GRACE_MS && set.changed.get(profile) === at) set.changed.delete(profile);
        }
      }
      return sets.filter((set) => !asked.has(set));
    });
  }

  return {
    async use(scope, criteria) {
      const entry = entryOf(scope.account);
      entry.usedAt = clock.now();
      if (!(await isReady(entry))) return null;
      const { kept } = entry;
      const wanted = [null, ...criteria];
      // First what the evaluators have done, then the news: of what they have passed on, nothing is missed.
      const committed = kept.isMerging()
        ? await within(clock, CATCH_UP_MS, log.committed(EVALUATOR_GROUP, PROFILE_CHANGES))
        : [];
      const [isCurrent, next] = await Promise.all([
        news.catchUp(CATCH_UP_MS),
        nextProfileNumber(mysql.db, scope.account),
      ]);
      const bytes = wanted.length * Math.ceil(next / 2 ** CHUNK_BITS) * BYTES_PER_CHUNK;
      if (!isCurrent || committed === null || bytes > limits.bytes / 2) return null;
      kept.settle(committed);

      const usable = wanted
        .map((criterion) => kept.get(criterion))
        .filter((set) => isUsable(entry, set, scope.timeZone));
      const known = new Set(usable.map(({ criterion }) => keyOf(criterion)));
      const missing = wanted.filter((criterion) => !known.has(keyOf(criterion)));
      const [scanned, given] = await Promise.all([
        scan(entry, scope, missing),
        refresh(entry, scope, usable),
      ]);
      const again = await scan(
        entry,
        scope,
        given.map(({ criterion }) => criterion),
      );
      const result = [...usable.filter((set) => !given.includes(set)), ...scanned, ...again];
      const read = scanned.length + again.length;
      metrics.criterionSets.inc({ outcome: 'kept' }, result.length - read);
      metrics.criterionSets.inc({ outcome: 'read' }, read);
      const now = clock.now();
      for (const set of result) set.usedAt = now;
      makeRoom();
      const byKey = new Map(result.map(({ criterion, members }) => [keyOf(criterion), members]));
      return wanted.map((criterion) => byKey.get(keyOf(criterion)) ?? new Map());
    },
    async close() {
      over.abort();
      for (const [account, entry] of accounts) forget(account, entry);
      await swept;
    },
  };
}

function bytesOf({ members, changed }: KeptSet): number {
  return OVERHEAD_BYTES + members.size * BYTES_PER_CHUNK + changed.size * 64;
}

/** Whether a day has begun on which the criterion may be true for quite different people. */
function hasSeenMidnight({ midnights, at }: KeptSet, now: number, timeZone: string): boolean {
  return midnights && midnightsIn(at, now, timeZone).length > 0;
}
