/**
 * One evaluator partition: takes everything that can change the memberships of its profiles, one thing after the other,
 * and writes the differences. Between batches its clock looks at what time alone has changed; because both happen in this
 * one place, an evaluation is never older than one before it.
 */
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { readAccountStates } from '../storage/mysql/accounts.ts';
import {
  readAccountsWithSegments,
  readInForce,
  type StoredDefinition,
} from '../storage/mysql/definitions.ts';
import { pagesOf } from '../storage/mysql/pages.ts';
import { nextProfileNumber, readMerged } from '../storage/mysql/profiles.ts';
import { dataStored, NotStored } from '../storage/announced.ts';
import { encodeChange, type ProfileChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { chunksIn, evaluatorPartition, PROFILE_CHANGES } from '../storage/topics.ts';
import { createAnswerer } from './answers.ts';
import { createAudit, type AuditShare, type Suspects } from './audit.ts';
import { createPartitionClock, type DayPages } from './clock.ts';
import { createDebts } from './debts.ts';
import { createDefiner } from './definer.ts';
import { inForceTogether, sharedIn } from './dependents.ts';
import { questionsOf, type Difference, type Question } from './diff.ts';
import { FORESIGHT_LIMITS, type ForesightLimits } from './foreseen.ts';
import { createKnownProfiles, KNOWN_LIMITS, type KnownLimits } from './known-profiles.ts';
import { createLooks, type Looks } from './looks.ts';
import { createMembershipCache, createReadMembers, type ReadMembers } from './membership-cache.ts';
import { copyEvents } from './merge.ts';
import { createReadFamily, type ReadFamily } from './families.ts';
import { createPopulations, type Populations } from './populations.ts';
import { createHistories, type ReadHistories } from './read-histories.ts';
import { createRegistry, type SegmentInForce } from './registry.ts';
import { createScopes } from './scopes.ts';
import { usesOf } from './uses.ts';
import { createWritersShare, takeOver, type NewEntry, type WriterDeps, type WritersShare } from './writer.ts';

export interface PartitionDeps extends WriterDeps {
  logger: Logger;
  /** Default: KNOWN_LIMITS. */
  knownLimits?: KnownLimits;
  /** Default: FORESIGHT_LIMITS. */
  foresight?: ForesightLimits;
}

/** What a partition needs of the process that owns it. */
export interface Owner extends Shared {
  /** Does work when the partition has nothing else to do. */
  turn: (work: () => Promise<void>) => Promise<void>;
  /** Ends what waits for others. */
  signal: AbortSignal;
}

/** What all partitions of a process share. */
export interface Shared {
  /** Segments in force that refer to no others: as they are to be evaluated, by their numbers. */
  alone: Map<number, SegmentInForce>;
  populations: Populations;
  families: ReadFamily;
  /** One partition at a time is audited. */
  audits: AuditShare;
  histories: ReadHistories;
  members: ReadMembers;
  looks: Looks;
  dayPages: DayPages;
  writers: WritersShare;
}

export function createShared(deps: PartitionDeps): Shared {
  return {
    alone: new Map(),
    populations: createPopulations(deps),
    families: createReadFamily(deps.mysql),
    audits: { isTaken: false },
    histories: createHistories(deps, (deps.knownLimits ?? KNOWN_LIMITS).eventsPerProfile),
    members: createReadMembers(deps.clickhouse),
    looks: createLooks(deps.clickhouse),
    dayPages: { underWay: 0 },
    writers: createWritersShare(deps),
  };
}

export interface EvaluatorPartition {
  /** Messages of the partition, in order. */
  take(messages: ProfileChangeMessage[]): Promise<void>;
  /** Resolves when a look at the clock will hardly have to wait for data, or soon after. */
  ready(): Promise<void>;
  /** Brings memberships up to the present as far as time alone changes them; returns that present. Throws Fenced. */
  tick(): Promise<number>;
  /** A tick has left something to the next one. */
  hasMore(): boolean;
  /** Brings definitions into force whose announcement was lost. */
  catchUp(): Promise<void>;
  /** Resolves when ClickHouse has all that was published. To be awaited before the partition is left, behind `close`. */
  written(): Promise<void>;
  /** Ends what goes on beside. */
  close(): void;
}

/** News that may be ahead of ClickHouse. */
interface Owed {
  debt: string;
  account: number;
  changes: readonly ProfileChange[];
}

type MergeMessage = Extract<ProfileChangeMessage, { kind: 'merge' }>;

/** Of more profiles at once, nobody is looked at before the others. */
const MOST_APART = 300;
const NEWS_WAIT_MS = 60_000;

/** Takes the partition over and reads which segments of those who are in it are in force. */
export async function openPartition(
  deps: PartitionDeps,
  partition: number,
  { populations, families, audits, histories, members, looks, dayPages, alone, writers, turn, signal }: Owner,
): Promise<EvaluatorPartition> {
  const writer = await takeOver(deps, partition, writers);
  // A predecessor may have taken news whose data are still on their way.
  await dataStored(deps.mysql, null, signal);
  const registry = createRegistry();
  const cache = createMembershipCache(members, () => writer.written());
  const known = createKnownProfiles(deps, deps.knownLimits, histories);
  const debts = createDebts(deps.mysql);
  const scopes = createScopes(deps.mysql);
  /**
   * Accounts of whom somebody is in this partition, and has been heard of since it was opened, or had segments then. Of
   * others no segment is held.
   */
  const here = new Set<number>();
  /** Accounts whose segments are others than those that `known` keeps facts for. */
  const changed = new Set<number>();

  /** Profiles of these accounts are in the partition: what is in force for them is read, if that has not been done. */
  async function admit(accounts: Iterable<number>): Promise<void> {
    const others = [...accounts].filter((account) => !here.has(account));
    if (others.length === 0) return;
    const stored: StoredDefinition[] = [];
    for (const page of pagesOf(others))
      for (const one of await readInForce(deps.mysql.db, partition, page)) stored.push(one);
    const segments = inForceTogether(stored, alone);
    await scopes.load(segments);
    for (const segment of segments) {
      registry.put(segment);
      changed.add(segment.account);
    }
    for (const account of others) here.add(account);
  }

  const owners = await readAccountsWithSegments(deps.mysql.db);
  await admit(
    owners.flatMap(({ account, nextProfile }) =>
      chunksIn(partition, account, nextProfile).length > 0 ? [account] : [],
    ),
  );

  /** Before anything is evaluated or kept; many segments may have come since the last time. */
  async function useAll(wanted: Iterable<number>): Promise<void> {
    const others = [...wanted].filter((account) => changed.delete(account));
    const states = await readAccountStates(deps.mysql.db, others);
    for (const account of others) {
      const segments = [...(registry.account(account)?.segments.values() ?? [])];
      const uses = usesOf(segments.flatMap(({ criteria }) => criteria));
      known.use(account, uses, states.get(account)?.nextProfile ?? 0);
    }
  }

  async function chunksOf(account: number): Promise<number[]> {
    return chunksIn(partition, account, await nextProfileNumber(deps.mysql.db, account));
  }

  /** ClickHouse has all that was taken. */
  async function stored(): Promise<void> {
    if (!(await debts.settled(NEWS_WAIT_MS, signal))) throw new NotStored();
  }

  const ahead = { stored, about: (account: number, profile: number) => debts.about(account, profile) };
  const answerer = createAnswerer({ known, cache, scopes, ahead, useAll });

  async function write(entries: NewEntry[]): Promise<void> {
    audit.touch(entries);
    await writer.write(entries);
    for (const { segment, profile, kind } of entries) cache.set(segment, profile, kind === 'ENTERED');
  }

  /** Of all accounts that something has happened in, together. */
  async function takeChanges(
    byAccount: ReadonlyMap<number, readonly ProfileChange[]>,
    owed: readonly Owed[] = [],
  ): Promise<void> {
    await admit(byAccount.keys());
    await useAll(byAccount.keys());
    await clock.precede(byAccount);
    // Not before: what is read for that is to be as it was then, as far as ClickHouse has not received it yet.
    for (const { debt, account, changes } of owed) debts.note(debt, account, changes);
    // Also where no segment is in force yet: those that are being computed are of a later instant.
    const instant = writer.advance(0);
    for (const [account, changes] of byAccount) {
      definer.note(account, changes);
      clock.note(account, changes, instant);
      audit.touch(changes.map(({ profile }) => ({ account, profile })));
      known.apply(account, changes);
    }
    const [first, then]: [Question[], Question[]] = [[], []];
    for (const [account, changes] of byAccount) {
      const index = registry.account(account);
      if (!index) continue;
      // Whoever is known, if only in part, does not wait for what has to be read about others.
      const profiles = new Set(changes.map(({ profile }) => profile));
      const mayBeFirst = profiles.size <= MOST_APART;
      for (const question of questionsOf(index, changes)) {
        (mayBeFirst && known.holds(account, question.profile) ? first : then).push(question);
      }
    }
    for (const part of [first, then]) {
      const found = await answerer.differences(part, instant);
      await write(found.map(entryOf));
      for (const { reason } of found) {
        if (reason.cause === 'EVENT')
          metrics.changeSeconds.observe(Math.max(0, (instant - reason.at) / 1000));
      }
    }
  }

  /** All merges of an account that wait, together: one by one they would hold up everything behind them. */
  async function takeMerges(account: number, merges: MergeMessage[]): Promise<void> {
    await stored();
    const before = merges.map(({ target, at }): ProfileChange => ({ profile: target, cause: 'MERGE', at }));
    await clock.precede(new Map([[account, before]]));
    await copyEvents(deps.clickhouse, partition, account, merges);
    // A target may have gone into another meanwhile, and its events been carried on without these. Whoever merged it
    // had committed before carrying, so looking now, after the copy, misses none.
    const further = await readMerged(
      deps.mysql.db,
      account,
      merges.map(({ target }) => target),
    );
    const onward = merges.flatMap((merge) => {
      const target = further.get(merge.target);
      return target === undefined ? [] : [{ ...merge, target }];
    });
    if (onward.length > 0) {
      const records = onward.map((message) => ({
        partition: evaluatorPartition(account, message.target),
        key: String(account),
        value: encodeChange(message),
      }));
      await deps.log.append(PROFILE_CHANGES, records);
    }
    const changes = merges.map(({ target, at }): ProfileChange => ({
      profile: target,
      cause: 'MERGE',
      at: at > 0 ? at : writer.advance(0),
      whole: true,
    }));
    await takeChanges(new Map([[account, changes]]));
  }

  const definer = createDefiner({ ...deps, populations, families }, partition, {
    writer,
    registry,
    write,
    async scopeFor(account, segments) {
      await scopes.load(segments);
      return scopes.of(account);
    },
    stored,
    turn,
    async put(made) {
      await scopes.load([made]);
      const segment = sharedIn(alone, made);
      registry.put(segment);
      changed.add(segment.account);
    },
    chunksFor: chunksOf,
    async isHere(account) {
      if (here.has(account)) return true;
      if ((await chunksOf(account)).length === 0) return false;
      await admit([account]);
      return true;
    },
    forget: (segment) => cache.forget(segment),
  });

  const audit = createAudit(deps, partition, {
    share: audits,
    registry,
    chunksFor: chunksOf,
    written: () => writer.written(),
  });

  async function repair(suspects: Suspects): Promise<void> {
    const { segment, profiles } = suspects;
    await clock.settle(new Map([[segment.account, new Set(profiles)]]));
    // What is kept in memory may be what is wrong.
    cache.forget(segment.segment);
    known.forget(segment.account, profiles);
    const reason = { cause: 'REPAIR' as const, at: writer.advance(0), event: null };
    const questions = profiles.map((profile) => ({ profile, segment, entering: reason, exiting: reason }));
    const found = await answerer.differences(questions, reason.at);
    await write(found.map(entryOf));
    clock.evaluated(segment.account, profiles, reason.at);
    audit.repaired(suspects, found);
  }

  async function take(messages: ProfileChangeMessage[]): Promise<void> {
    const stop = metrics.evaluationBatchSeconds.startTimer();
    // Neighbours of a kind are taken together, up to the next of another kind, so that everything keeps its order.
    let changes = new Map<number, ProfileChange[]>();
    let owed: Owed[] = [];
    let merges = new Map<number, Map<number, MergeMessage>>();
    const flush = async () => {
      const [waiting, owing, merging] = [changes, owed, merges];
      changes = new Map();
      owed = [];
      merges = new Map();
      if (waiting.size > 0) await takeChanges(waiting, owing);
      for (const [account, bySource] of merging) await takeMerges(account, [...bySource.values()]);
    };
    for (const message of messages) {
      const { account } = message;
      if (message.kind === 'profiles') {
        if (merges.size > 0) await flush();
        if (message.debt !== undefined) owed.push({ ...message, debt: message.debt });
        const list = changes.get(account) ?? [];
        changes.set(account, list);
        for (const change of message.changes) list.push(change);
      } else if (message.kind === 'merge') {
        const before = merges.get(account)?.get(message.source);
        if (before && before.target !== message.target) await flush();
        const bySource = merges.get(account) ?? new Map<number, MergeMessage>();
        merges.set(account, bySource.set(message.source, message));
      } else {
        await flush();
        if (message.kind === 'definition') {
          await stored();
          await definer.define(account, message.segment, message.version);
        } else if (message.kind === 'mark') {
          const suspects = audit.suspectsBehind(message.mark);
          if (suspects) await repair(suspects);
        } else {
          alone.delete(message.segment);
          definer.drop(message.segment);
          registry.remove(message.segment);
          cache.forget(message.segment);
        }
      }
    }
    await flush();
    stop();
  }

  async function catchUp(): Promise<void> {
    await stored();
    await definer.catchUp();
  }

  const clock = createPartitionClock(deps.clickhouse, partition, {
    logger: deps.logger,
    writer,
    registry,
    scopes,
    answerer,
    debts,
    looks,
    dayPages,
    foresight: deps.foresight ?? FORESIGHT_LIMITS,
    signal,
    chunksOf,
    write: (differences) => write(differences.map(entryOf)),
  });

  async function tick(): Promise<number> {
    const through = await clock.tick();
    if (through !== null && !clock.hasMore()) await audit.begin(through);
    return clock.through();
  }

  async function written(): Promise<void> {
    await audit.ended();
    await writer.written();
  }

  function close(): void {
    clock.close();
    definer.close();
    audit.close();
  }

  return { take, ready: () => clock.ready(), tick, hasMore: () => clock.hasMore(), catchUp, written, close };
}

function entryOf({ profile, segment, reason, kind }: Difference): NewEntry {
  const { account, version } = segment;
  return { account, segment: segment.segment, version, profile, kind, ...reason };
}
