/**
 * One evaluator partition: takes everything that can change the memberships of its profiles, one thing after the other,
 * and writes the differences. Between batches it looks at what time alone has changed; because both happen in this one
 * place, an evaluation is never older than one before it.
 */
import type { Criterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { metricsOf } from '../segments/touch.ts';
import { groupBy } from '../runtime/group-by.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { readInForce } from '../storage/mysql/definitions.ts';
import { readMetricIds } from '../storage/mysql/names.ts';
import { nextProfileNumber, readMerged } from '../storage/mysql/profiles.ts';
import { dataStored, NotStored } from '../storage/announced.ts';
import { encodeChange, type ProfileChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { chunksIn, evaluatorPartition, PROFILE_CHANGES } from '../storage/topics.ts';
import { timeZoneOf } from './audience.ts';
import { createAudit, type AuditShare, type Suspects } from './audit.ts';
import type { Subject } from './changed-profiles.ts';
import { findCrossings } from './crossings.ts';
import { createDebts } from './debts.ts';
import { createDefiner } from './definer.ts';
import { inForceTogether } from './dependents.ts';
import { differences, openQuestions, questionsOf, type Difference, type Question } from './diff.ts';
import { createKnownProfiles, type KnownLimits } from './known-profiles.ts';
import { createMembershipCache } from './membership-cache.ts';
import { copyEvents } from './merge.ts';
import { midnightsIn, turnedBetween } from './midnights.ts';
import type { Populations } from './populations.ts';
import { createRegistry, type SegmentInForce } from './registry.ts';
import {
  beginningsOf,
  dateDifferences,
  holds,
  questionsOfTime,
  turningsOf,
  type Evaluate,
  type Turning,
} from './turnings.ts';
import type { Slice } from './slice.ts';
import { usesOf } from './uses.ts';
import { takeOver, type NewEntry, type WriterDeps } from './writer.ts';

export interface PartitionDeps extends WriterDeps {
  logger: Logger;
  /** Default: KNOWN_LIMITS. */
  knownLimits?: KnownLimits;
}

/** What a partition needs of the process that owns it. */
export interface Owner {
  populations: Populations;
  /** Of all its partitions one at a time is audited. Absent: this is the only one. */
  audits?: AuditShare;
  /** Does work when the partition has nothing else to do. */
  turn: (work: () => Promise<void>) => Promise<void>;
  /** Ends what waits for others. */
  signal?: AbortSignal;
}

export interface EvaluatorPartition {
  /** Messages of the partition, in order. */
  take(messages: ProfileChangeMessage[]): Promise<void>;
  /** Resolves when a look at the clock will hardly have to wait for data, or soon after. */
  ready(): Promise<void>;
  /** Brings memberships up to the present as far as time alone changes them; returns that present. Throws Fenced. */
  tick(): Promise<number>;
  /** Brings definitions into force whose announcement was lost. */
  catchUp(): Promise<void>;
  /** Resolves when ClickHouse has all that was published. To be awaited before the partition is left, behind `close`. */
  written(): Promise<void>;
  /** Ends what goes on beside. */
  close(): void;
}

type MergeMessage = Extract<ProfileChangeMessage, { kind: 'merge' }>;

/** Profiles that one look-up evaluates. */
const PROFILES_PER_ROUND = 5_000;
const SAVE_WATERMARK_MS = 1_000;
/** News are evaluated meanwhile, as far as they are known. */
const CLOCK_WAITS_MS = 250;
/** Of more profiles at once, nobody is looked at before the others. */
const MOST_APART = 300;
/** A clock that is this late is waited for. */
const CLOCK_LATE_MS = 2_000;
const NEWS_WAIT_MS = 60_000;

/** Takes the partition over and reads which segments are in force in it. */
export async function openPartition(
  deps: PartitionDeps,
  partition: number,
  { populations, audits, turn, signal }: Owner,
): Promise<EvaluatorPartition> {
  const writer = await takeOver(deps, partition);
  // A predecessor may have taken news whose data are still on their way.
  await dataStored(deps.mysql, null, signal);
  const registry = createRegistry();
  const cache = createMembershipCache(deps.clickhouse, () => writer.written());
  const known = createKnownProfiles(deps, deps.knownLimits);
  const debts = createDebts(deps.mysql);
  /** By account: ids by name of the metrics that its segments name, as far as these have had an event. */
  const metricIds = new Map<number, Map<string, number>>();
  const timeZones = new Map<number, string>();
  for (const segment of inForceTogether(await readInForce(deps.mysql.db, partition))) registry.put(segment);
  /** Accounts with profiles in this partition: the clock leaves the others alone. */
  const present = new Set<number>();
  for (const [account, index] of registry.accounts()) {
    if ((await chunksOf(account)).length > 0) present.add(account);
    await metricsFor(account, index.segments.values());
  }
  /** Accounts whose segments are others than those that `known` keeps facts for. */
  const changed = new Set([...registry.accounts()].map(([account]) => account));
  let through = writer.watermark;
  let saved = writer.watermark;

  /** Before anything is evaluated or kept; many segments may have come since the last time. */
  async function useAll(account: number): Promise<void> {
    if (!changed.delete(account)) return;
    const segments = [...(registry.account(account)?.segments.values() ?? [])];
    const uses = usesOf(segments.flatMap(({ criteria }) => criteria));
    known.use(account, uses, await nextProfileNumber(deps.mysql.db, account));
  }

  async function chunksOf(account: number): Promise<number[]> {
    return chunksIn(partition, account, await nextProfileNumber(deps.mysql.db, account));
  }

  /** Those that have had no event are asked for again each time. */
  async function metricsFor(
    account: number,
    segments: Iterable<SegmentInForce>,
  ): Promise<Map<string, number>> {
    const known = metricIds.get(account) ?? new Map<string, number>();
    metricIds.set(account, known);
    const missing = new Set<string>();
    for (const { criteria } of segments) {
      for (const name of criteria.flatMap(metricsOf)) if (!known.has(name)) missing.add(name);
    }
    for (const { name, id } of await readMetricIds(deps.mysql.db, account, [...missing])) known.set(name, id);
    return known;
  }

  /** An account has its time zone from the beginning, and keeps it. */
  async function zoneOf(account: number): Promise<string> {
    const zone = timeZones.get(account) ?? (await timeZoneOf(deps.mysql.db, account));
    timeZones.set(account, zone);
    return zone;
  }

  async function scopeFor(account: number, segments: readonly SegmentInForce[]) {
    return { account, metrics: await metricsFor(account, segments), timeZone: await zoneOf(account) };
  }

  /** ClickHouse has all that was taken. */
  async function stored(): Promise<void> {
    if (!(await debts.settled(NEWS_WAIT_MS, signal))) throw new NotStored();
  }

  const ahead = { stored, about: (account: number, profile: number) => debts.about(account, profile) };

  async function evaluate(
    account: number,
    subjects: readonly Subject[],
    segments: readonly SegmentInForce[],
  ) {
    await useAll(account);
    const criteria = new Map<string, Criterion>();
    for (const segment of segments)
      for (const criterion of segment.criteria) criteria.set(criterionKey(criterion), criterion);
    return known.evaluate(await scopeFor(account, segments), subjects, [...criteria.values()], ahead);
  }

  /** Asks, compares with what is stored, and returns the differences at one instant. */
  async function answer(account: number, questions: Question[], instant: number): Promise<Difference[]> {
    const found: Difference[] = [];
    const byProfile = groupBy(questions, ({ profile }) => profile);
    const profiles = [...byProfile.keys()];
    for (let start = 0; start < profiles.length; start += PROFILES_PER_ROUND) {
      const round = profiles.slice(start, start + PROFILES_PER_ROUND);
      const touching = round.flatMap((profile) => byProfile.get(profile) ?? []);
      const touched = new Set(touching.map(({ segment }) => segment.segment));
      await cache.load(account, [...touched], round);
      const wasMember = ({ segment, profile }: Question) => cache.has(segment.segment, profile);
      // Most events find their profile where they would bring it.
      const asked = openQuestions(touching, wasMember);
      if (asked.length === 0) continue;
      const concerned = [...new Set(asked.map(({ profile }) => profile))];
      const segments = [...new Set(asked.map(({ segment }) => segment))];
      const subjects = concerned.map((profile) => ({ profile, instant }));
      const { truths, gone } = await evaluate(account, subjects, segments);
      const isMember = ({ profile, segment }: Question) =>
        !gone(profile) && holds(segment, truths, { profile, instant });
      found.push(...differences(asked, isMember, wasMember));
    }
    return found;
  }

  async function write(entries: NewEntry[]): Promise<void> {
    audit.touch(entries);
    await writer.write(entries);
    for (const { segment, profile, kind } of entries) cache.set(segment, profile, kind === 'ENTERED');
  }

  async function takeChanges(account: number, changes: ProfileChange[]): Promise<void> {
    present.add(account);
    definer.note(account, changes);
    audit.touch(changes.map(({ profile }) => ({ account, profile })));
    await useAll(account);
    known.apply(account, changes);
    // Also where no segment is in force yet: those that are being computed are of a later instant.
    const instant = writer.advance(changes.reduce((latest, { at }) => Math.max(latest, at), 0));
    const index = registry.account(account);
    if (!index) return;
    const questions = questionsOf(index, changes);
    // Whoever is known does not wait for what has to be read about others.
    const profiles = new Set(changes.map(({ profile }) => profile));
    const held = new Set(
      profiles.size <= MOST_APART ? [...profiles].filter((profile) => known.holds(account, profile)) : [],
    );
    for (const isHeld of [true, false]) {
      const part = questions.filter(({ profile }) => held.has(profile) === isHeld);
      const found = await answer(account, part, instant);
      await write(found.map((difference) => entryOf(account, difference)));
      for (const { reason } of found) {
        if (reason.cause === 'EVENT')
          metrics.changeSeconds.observe(Math.max(0, (instant - reason.at) / 1000));
      }
    }
  }

  /** All merges of an account that wait, together: one by one they would hold up everything behind them. */
  async function takeMerges(account: number, merges: MergeMessage[]): Promise<void> {
    await stored();
    await copyEvents(deps, partition, account, merges);
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
    await takeChanges(
      account,
      merges.map(({ target, at }) => ({
        profile: target,
        cause: 'MERGE',
        at: at > 0 ? at : writer.advance(0),
        whole: true,
      })),
    );
  }

  const definer = createDefiner({ ...deps, populations }, partition, {
    writer,
    registry,
    write,
    scopeFor,
    stored,
    turn,
    async put(segment) {
      await metricsFor(segment.account, [segment]);
      registry.put(segment);
      changed.add(segment.account);
    },
    async chunksFor(account) {
      const chunks = await chunksOf(account);
      if (chunks.length > 0) present.add(account);
      return chunks;
    },
    forget: (segment) => cache.forget(segment),
  });

  const audit = createAudit(deps, partition, {
    share: audits ?? { isTaken: false },
    registry,
    isHere: (account) => present.has(account),
    chunksFor: chunksOf,
    written: () => writer.written(),
  });

  async function repair(suspects: Suspects): Promise<void> {
    const { segment, profiles } = suspects;
    // What is kept in memory may be what is wrong.
    cache.forget(segment.segment);
    known.forget(segment.account, profiles);
    const reason = { cause: 'REPAIR' as const, at: writer.advance(0), event: null };
    const questions = profiles.map((profile) => ({ profile, segment, entering: reason, exiting: reason }));
    const found = await answer(segment.account, questions, reason.at);
    await write(found.map((difference) => entryOf(segment.account, difference)));
    audit.repaired(suspects, found);
  }

  async function take(messages: ProfileChangeMessage[]): Promise<void> {
    const stop = metrics.evaluationBatchSeconds.startTimer();
    // Neighbours of a kind are taken together, up to the next of another kind, so that everything keeps its order.
    let changes = new Map<number, ProfileChange[]>();
    let merges = new Map<number, Map<number, MergeMessage>>();
    const flush = async () => {
      const [waiting, merging] = [changes, merges];
      changes = new Map();
      merges = new Map();
      for (const [account, list] of waiting) await takeChanges(account, list);
      for (const [account, bySource] of merging) await takeMerges(account, [...bySource.values()]);
    };
    for (const message of messages) {
      const { account } = message;
      if (message.kind === 'profiles') {
        if (merges.size > 0) await flush();
        if (message.debt !== undefined) debts.note(message.debt, account, message.changes);
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

  async function tick(): Promise<number> {
    // Who crosses an edge is looked for in ClickHouse. What is late there comes with one of the next ticks.
    const isLate = writer.advance(0) - through > CLOCK_LATE_MS;
    if (!(await debts.settled(isLate ? NEWS_WAIT_MS : CLOCK_WAITS_MS, signal))) return through;
    const until = writer.advance(0);
    const slices: Slice[] = [];
    for (const [account, index] of registry.accounts()) {
      if (!present.has(account)) continue;
      // An event of a metric that is not known yet has not been evaluated yet, and will be, at an instant after this one.
      const metrics = metricIds.get(account) ?? new Map<string, number>();
      const timeZone = await zoneOf(account);
      slices.push({ account, metrics, timeZone, edges: index.edges(), after: through, through: until });
    }
    const midnights = new Map(slices.map((slice) => [slice.account, midnightsOf(slice)]));
    for await (const page of findCrossings(deps.clickhouse, slices)) {
      const mine = page.filter(({ account, profile }) => evaluatorPartition(account, profile) === partition);
      for (const [account, crossed] of groupBy(mine, (one) => one.account)) {
        const index = registry.account(account);
        if (index)
          await takeTurnings(account, turningsOf(index, crossed, midnights.get(account) ?? []), until);
      }
    }
    for (const slice of slices) await takeMidnights(slice, midnights.get(slice.account) ?? []);
    through = until;
    if (through - saved >= SAVE_WATERMARK_MS) {
      await writer.saveWatermark(through);
      saved = through;
    }
    await audit.begin(until);
    return through;
  }

  /** Beginnings of days in the slice, if a segment of the account looks at days. */
  function midnightsOf({ account, after, through, timeZone }: Slice): number[] {
    const daily = [...(registry.account(account)?.withMidnights() ?? [])];
    return daily.length > 0 ? midnightsIn(after, through, timeZone) : [];
  }

  async function takeMidnights(slice: Slice, midnights: readonly number[]): Promise<void> {
    const { account, metrics, timeZone, after, through } = slice;
    if (midnights.length === 0) return;
    const scope = { account, metrics, timeZone, chunks: await chunksOf(account) };
    for (const [segment, direct] of new Map(registry.account(account)?.withMidnights())) {
      const turned = await turnedBetween(deps.clickhouse, segment.condition, scope, [after, through]);
      // Those that crossed an edge as well have been written by now.
      const instants = beginningsOf(midnights, direct);
      const turnings = turned.map((profile) => ({ profile, segment, instants }));
      await takeTurnings(account, turnings, through);
    }
  }

  async function takeTurnings(account: number, turnings: Turning[], until: number): Promise<void> {
    if (turnings.length === 0) return;
    const found = await answer(account, questionsOfTime(turnings, until), until);
    const ask: Evaluate = async (subjects, segments) => (await evaluate(account, subjects, segments)).truths;
    const dated = await dateDifferences(found, turnings, until, ask);
    await write(dated.sort((a, b) => a.reason.at - b.reason.at).map((one) => entryOf(account, one)));
  }

  async function ready(): Promise<void> {
    await debts.settled(CLOCK_WAITS_MS, signal);
  }

  async function written(): Promise<void> {
    await audit.ended();
    await writer.written();
  }

  function close(): void {
    definer.close();
    audit.close();
  }

  return { take, ready, tick, catchUp, written, close };
}

function entryOf(account: number, { profile, segment, reason, kind }: Difference): NewEntry {
  return { account, segment: segment.segment, version: segment.version, profile, kind, ...reason };
}
