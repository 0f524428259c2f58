/**
 * What is known of profiles, in memory: read once, and then kept true by the news, so that most changes are evaluated
 * without asking any store. The truth of a criterion is the language's own (`evaluate`). Only the owner of a partition
 * may have this, because it takes all news of a profile, in their order.
 */
import pLimit from 'p-limit';
import type { Criterion, ProfileFacts } from '../segments/ast.ts';
import { profileFacts } from '../segments/facts.ts';
import { criterionKey } from '../segments/normalise.ts';
import { evaluate } from '../segments/reference.ts';
import { readMetricIdsOf } from '../storage/mysql/metric-reads.ts';
import { goneProfiles } from '../storage/mysql/profiles.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import { CHUNK_BITS, chunkOf, EVALUATOR_PARTITIONS } from '../storage/topics.ts';
import { evaluateSubjects, type ChangedScope, type Subject, type Truths } from './changed-profiles.ts';
import { both, EVERYTHING, learn, partsFor, weightOf, type Known } from './known.ts';
import { createHistories, numbersOf, type ReadHistories, type Stores } from './read-histories.ts';
import { nothingKnown, type Parts, type Wanted } from './read-known.ts';
import { isCheap, sinceOf, type Uses } from './uses.ts';

export interface KnownProfiles {
  /**
   * What the segments in force look at; nothing else is kept. What was kept is dropped: the stores, from which a segment
   * has just been populated, may be ahead of the news.
   * `nextProfile`: profiles with smaller numbers may have been heard of before.
   */
  use(account: number, uses: Uses, nextProfile: number): void;
  /** Whether the profile is evaluated without asking any store, as far as it was asked about before. */
  holds(account: number, profile: number): boolean;
  /** Takes the news. Whatever they leave open is forgotten, and read again when it is needed. */
  apply(account: number, changes: readonly ProfileChange[]): void;
  /** From now on these are read again when they are needed. */
  forget(account: number, profiles: readonly number[]): void;
  /**
   * Truths of criteria for subjects, and which of these are no more, for many accounts at once. Of each account's own
   * `use`. `ahead`: what was applied may not have come to ClickHouse yet.
   */
  evaluate(asked: readonly Asked[], ahead: NewsAhead): Promise<Answers[]>;
  /** Profiles that are best evaluated together, of so many criteria. */
  perRound(criteria: number): number;
}

/** Of one account, at most one of each at a time. */
export interface Asked {
  scope: ChangedScope;
  subjects: readonly Subject[];
  criteria: readonly Criterion[];
  /** How many truths will be looked at: not every criterion is of interest for every subject. */
  questions: number;
}

export interface Answers {
  truths: Truths;
  gone: (profile: number) => boolean;
}

export interface NewsAhead {
  /** Resolves when ClickHouse has all that was applied. */
  stored(): Promise<void>;
  /** News of the profile that it may lack now, in their order. They say all: none is `whole` but of a creation. */
  about(account: number, profile: number): readonly ProfileChange[];
}

export interface KnownLimits {
  /** More profiles at once are cheaper in ClickHouse: they are many and will hardly come again soon. */
  profilesAtOnce: number;
  /** To read the histories of more than these costs more than to ask ClickHouse what it makes of them. */
  readAtOnce: number;
  /**
   * More criteria are wide: ClickHouse would read the profiles once for each so many of them, and try all of them with
   * everybody. To read histories and ask each profile what concerns it costs less then, for so many profiles at once.
   */
  wide: { criteria: number; profilesAtOnce: number };
  /** Truths: what is decided in one go, while everything else in the process waits. */
  questionsAtOnce: number;
  /** Whoever has done more is evaluated in ClickHouse. */
  eventsPerProfile: number;
  /** Events and attributes in memory; one that is long counts for several. */
  facts: number;
}

/** Some 150 MB in all the partitions that one process can own. Most people have done less than 300 things. */
export const KNOWN_LIMITS: KnownLimits = {
  profilesAtOnce: 300,
  readAtOnce: 200,
  wide: { criteria: 500, profilesAtOnce: 500 },
  questionsAtOnce: 20_000,
  eventsPerProfile: 300,
  facts: 400_000 / EVALUATOR_PARTITIONS,
};

/** Evaluations at instants so long before the first one do not make anybody be read again. */
const EARLIER_MS = 60_000;
/**
 * Of criteria that are not wide, truths of one round, which are held in memory, and profiles: the more, the more of them
 * lie in the same granules of ClickHouse.
 */
const TRUTHS_PER_ROUND = 10_000_000;
const PROFILES_PER_ROUND = 50_000;
/** Accounts that are asked about in ClickHouse at the same time. */
const ACCOUNTS_AT_ONCE = 4;

/** `histories`: shared with other partitions. */
export function createKnownProfiles(
  stores: Stores,
  limits: KnownLimits = KNOWN_LIMITS,
  histories: ReadHistories = createHistories(stores, limits.eventsPerProfile),
): KnownProfiles {
  const { clickhouse, mysql } = stores;
  const usesOf = new Map<number, Uses>();
  const firstNew = new Map<number, number>();
  /** Who has been heard of since then, a bit each: news of a creation may come again, long after it. */
  const heardOf = new Map<string, Uint8Array>();
  // A Map keeps the order of insertion: the first key is the one that was used longest ago.
  const profiles = new Map<string, Known>();
  let weight = 0;
  const keyOf = (account: number, profile: number) => `${account}:${profile}`;

  function forget(key: string): void {
    const known = profiles.get(key);
    weight -= known?.weight ?? 0;
    profiles.delete(key);
  }

  /** Also what has changed since it was kept. */
  function keep(key: string, known: Known): void {
    forget(key);
    known.weight = weightOf(known);
    profiles.set(key, known);
    weight += known.weight;
    for (const oldest of profiles.keys()) {
      if (weight <= limits.facts || oldest === key) break;
      forget(oldest);
    }
  }

  function find(account: number, profile: number): Known | undefined {
    const key = keyOf(account, profile);
    const known = profiles.get(key);
    if (!known) return undefined;
    if (known.uses !== usesOf.get(account)) {
      forget(key);
      return undefined;
    }
    return known;
  }

  /** Whether these are the first news of a profile. To be asked about all news. */
  function isFirst(account: number, profile: number): boolean {
    const first = firstNew.get(account);
    if (first === undefined || profile < first) return false;
    const key = keyOf(account, chunkOf(profile));
    const bits = heardOf.get(key) ?? new Uint8Array(2 ** CHUNK_BITS / 8);
    heardOf.set(key, bits);
    const low = profile % 2 ** CHUNK_BITS;
    const [byte, bit] = [bits[low >> 3] ?? 0, 1 << (low & 7)];
    bits[low >> 3] = byte | bit;
    return (byte & bit) === 0;
  }

  /**
   * By place, those that are held, and the missing ones of an account read if they are few; without those that have too
   * many events. Of each at least the parts that the criteria of its round look at.
   */
  async function load(
    rounds: readonly {
      scope: ChangedScope;
      wanted: readonly number[];
      earliest: number;
      parts: Parts;
      isWide: boolean;
    }[],
    ahead: NewsAhead,
  ): Promise<Map<string, Known>> {
    const found = new Map<string, Known>();
    const missing: (Omit<Wanted, 'account' | 'metrics'> & { scope: ChangedScope; from: number })[] = [];
    for (const { scope, wanted, earliest, parts, isWide } of rounds) {
      const { account } = scope;
      const uses = usesOf.get(account);
      if (!uses) continue;
      const unknown: { profile: number; parts: Parts }[] = [];
      for (const profile of wanted) {
        const known = find(account, profile);
        const isMissing =
          !known ||
          (parts.events && (!known.parts.events || known.from > earliest)) ||
          (parts.traits && !known.parts.traits);
        // What is held is read again with it: parts as of different moments would be a state that there never was.
        if (isMissing) unknown.push({ profile, parts: both(parts, known?.parts) });
        else {
          const key = keyOf(account, profile);
          profiles.delete(key);
          profiles.set(key, known);
          found.set(key, known);
        }
      }
      if (unknown.length === 0) continue;
      if (unknown.length > (isWide ? limits.wide.profilesAtOnce : limits.readAtOnce)) {
        // ClickHouse, which is asked now, may be ahead of what is held of them.
        for (const { profile } of unknown) forget(keyOf(account, profile));
        continue;
      }
      const from = earliest - EARLIER_MS;
      const since = sinceOf(uses, from, scope.timeZone);
      for (const one of unknown) missing.push({ ...one, scope, uses, from, since });
    }
    if (missing.length > 0) {
      // Before the reading: what ClickHouse has received when it ends, it may not have had when it began.
      const lacking = missing.map(({ scope, profile }) => ahead.about(scope.account, profile));
      const ids = await metricIds(missing);
      const read = await histories(
        missing.map(({ scope: { account }, uses, profile, since, parts }) => {
          return {
            account,
            profile,
            uses,
            metrics: ids.get(account) ?? new Map<string, number>(),
            since,
            parts,
          };
        }),
      );
      missing.forEach(({ scope: { account }, uses, profile, parts, from }, i) => {
        const facts = read[i];
        if (!facts) return;
        const key = keyOf(account, profile);
        const known: Known = { ...facts, uses, parts, from, weight: 0 };
        const news = lacking[i] ?? [];
        if (!news.every((change) => learn(known, change, limits.eventsPerProfile))) return forget(key);
        keep(key, known);
        found.set(key, known);
      });
    }
    for (const [key, { events }] of found) if (events === null) found.delete(key);
    return found;
  }

  /** By account, also of metrics that no criterion of this round looks at. */
  async function metricIds(
    wanted: readonly { scope: ChangedScope; uses: Uses }[],
  ): Promise<Map<number, Map<string, number>>> {
    const unknown: { account: number; name: string }[] = [];
    const ids = new Map<number, Map<string, number>>();
    for (const { scope, uses } of wanted) {
      if (ids.has(scope.account)) continue;
      ids.set(scope.account, new Map(scope.metrics));
      for (const name of uses.metrics.keys()) {
        if (!scope.metrics.has(name)) unknown.push({ account: scope.account, name });
      }
    }
    for (const { account, name, id } of await readMetricIdsOf(mysql.db, unknown))
      ids.get(account)?.set(name, id);
    return ids;
  }

  /** What ClickHouse makes of those who are not held, and of what is not decided here. */
  async function ask({
    scope,
    subjects,
    cheap,
    costly,
    others,
  }: Pick<Asked, 'scope' | 'subjects'> &
    Record<'cheap' | 'costly', Criterion[]> & { others: readonly Subject[] }) {
    const [ofOthers, ofAll] = await Promise.all([
      others.length === 0 ? null : evaluateSubjects(clickhouse, scope, others, cheap),
      costly.length === 0 ? null : evaluateSubjects(clickhouse, scope, subjects, costly),
    ]);
    return { ofOthers, ofAll };
  }

  return {
    use(account, uses, nextProfile) {
      if (!firstNew.has(account)) firstNew.set(account, nextProfile);
      usesOf.set(account, uses);
    },
    holds: (account, profile) => (find(account, profile)?.events ?? null) !== null,
    apply(account, changes) {
      for (const change of changes) {
        const key = keyOf(account, change.profile);
        const uses = usesOf.get(account);
        const isNew = isFirst(account, change.profile) && change.created === true && uses !== undefined;
        const known = isNew
          ? { ...nothingKnown(), uses, gone: false, parts: EVERYTHING, from: -Infinity, weight: 0 }
          : find(account, change.profile);
        if (!known) continue;
        const isKnown = (isNew || change.whole !== true) && learn(known, change, limits.eventsPerProfile);
        if (isKnown) keep(key, known);
        else forget(key);
      }
    },
    forget(account, others) {
      for (const profile of others) forget(keyOf(account, profile));
    },
    perRound: (criteria) =>
      criteria > limits.wide.criteria
        ? limits.wide.profilesAtOnce
        : Math.min(PROFILES_PER_ROUND, Math.floor(TRUTHS_PER_ROUND / Math.max(1, criteria))),
    async evaluate(asked, ahead) {
      const rounds = asked.map(({ scope, subjects, criteria, questions }) => {
        const [cheap, costly] = [criteria.filter(isCheap), criteria.filter((one) => !isCheap(one))];
        const wanted = [...new Set(subjects.map(({ profile }) => profile))];
        const isWide = cheap.length > limits.wide.criteria;
        const most = isWide ? limits.wide.profilesAtOnce : limits.profilesAtOnce;
        const isMuch = wanted.length > most || questions > limits.questionsAtOnce;
        const earliest = subjects.reduce((first, { instant }) => Math.min(first, instant), Infinity);
        return { scope, subjects, cheap, costly, wanted, isMuch, isWide, earliest, parts: partsFor(cheap) };
      });
      const known = await load(
        rounds.filter(({ isMuch }) => !isMuch),
        ahead,
      );
      const open = rounds.map((round) => {
        const { account } = round.scope;
        // ClickHouse may be ahead of the news: who is evaluated there once is read again, or would seem to turn back.
        if (round.isMuch) for (const profile of round.wanted) forget(keyOf(account, profile));
        const others = round.subjects.filter(({ profile }) => !known.has(keyOf(account, profile)));
        return { ...round, others };
      });
      const isAsked = open.some(({ others, costly }) => others.length > 0 || costly.length > 0);
      if (isAsked) await ahead.stored();
      const few = pLimit(ACCOUNTS_AT_ONCE);
      const [gone, ...answers] = await Promise.all([
        goneProfiles(
          mysql.db,
          numbersOf(
            open.flatMap(({ scope: { account }, others }) =>
              others.map(({ profile }) => ({ account, profile })),
            ),
          ),
        ),
        ...open.map((round) => few(() => ask(round))),
      ]);
      return open.map(({ scope, cheap, wanted }, i): Answers => {
        const { account, timeZone } = scope;
        const { ofOthers = null, ofAll = null } = answers[i] ?? {};
        const decided = new Map(cheap.map((criterion) => [criterionKey(criterion), criterion]));
        const facts = new Map<number, ProfileFacts>();
        for (const profile of wanted) {
          const held = known.get(keyOf(account, profile));
          if (!held) continue;
          const { attributes, consents, events } = held;
          facts.set(profile, profileFacts({ number: profile, attributes, consents, events: events ?? [] }));
        }
        return {
          gone: (profile) =>
            known.get(keyOf(account, profile))?.gone ?? gone.get(account)?.has(profile) === true,
          truths(subject, key) {
            const criterion = decided.get(key);
            if (!criterion) {
              if (!ofAll) throw new Error('a criterion was not evaluated');
              return ofAll(subject, key);
            }
            const held = facts.get(subject.profile);
            if (held) return evaluate(criterion, held, subject.instant, { timeZone });
            return ofOthers?.(subject, key) ?? false;
          },
        };
      });
    },
  };
}
