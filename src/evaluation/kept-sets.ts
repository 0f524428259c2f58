/**
 * The sets of one account that this process keeps: as they were at an instant, and whom the news have named since.
 */
import type { Criterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { metricsOf } from '../segments/touch.ts';
import type { ProfileChange, ProfileChangeMessage } from '../storage/profile-changes.ts';
import type { ProfileSet } from './profile-sets.ts';
import { lookedAt, type Edge } from './registry.ts';

/** What has been stored, and where it lies in `profile-changes`. */
export interface StoredNews {
  message: ProfileChangeMessage;
  partition: number;
  offset: number;
}

export interface KeptSet {
  /** Null: everybody who is there. */
  readonly criterion: Criterion | null;
  /** Resolves once the members are known; rejects when they could not be read. */
  ready: Promise<void>;
  members: ProfileSet;
  /** The instant as of which they are right, those who are `changed` aside. Epoch milliseconds, as all that follow. */
  at: number;
  scannedAt: number;
  usedAt: number;
  /** Whom to look at again, and when the news last named them. */
  changed: Map<number, number>;
  /** False once the news no longer reach it. */
  isKept: boolean;
  readonly metrics: readonly string[];
  readonly edges: readonly Edge[];
  readonly midnights: boolean;
}

export interface KeptSets {
  get(criterion: Criterion | null): KeptSet | undefined;
  /** One whose members are about to be read, in place of any other of the criterion. */
  add(criterion: Criterion | null, ready: Promise<void>): KeptSet;
  drop(set: KeptSet): void;
  all(): Iterable<KeptSet>;
  hear(news: readonly StoredNews[]): void;
  /** Whether events of merged profiles have yet to be copied. */
  isMerging(): boolean;
  /** By partition, the offset below which the evaluators have done everything: copied events too. */
  settle(committed: readonly number[]): void;
}

/**
 * Whoever was named so shortly before a set was read counts as changed since: the rows may have come after the news, and
 * the clocks of processes differ.
 */
export const GRACE_MS = 5_000;
/** Changes that are remembered for that. In greater floods nothing is kept. */
const MAX_RECENT = 10_000;
const MAX_MERGES = 1_000;
/** Of one account. */
const MAX_SETS = 1_000;

export function createKeptSets(now: () => number, maxChanged: number): KeptSets {
  const sets = new Map<string, KeptSet>();
  const byName = new Map<string, Set<KeptSet>>();
  let recent: { profile: number; names: string[]; at: number }[] = [];
  let merges: { target: number; partition: number; offset: number }[] = [];
  let blindUntil = -Infinity;

  function drop(set: KeptSet): void {
    if (!set.isKept) return;
    set.isKept = false;
    sets.delete(keyOf(set.criterion));
    for (const name of namesFor(set.criterion)) {
      const named = byName.get(name);
      named?.delete(set);
      if (named?.size === 0) byName.delete(name);
    }
  }

  function note(set: KeptSet, profile: number, at: number): void {
    set.changed.set(profile, at);
    // Reading them all again costs less.
    if (set.changed.size > maxChanged) drop(set);
  }

  function hearOf(profile: number, names: string[]): void {
    const at = now();
    recent.push({ profile, names, at });
    for (const set of new Set(names.flatMap((name) => [...(byName.get(name) ?? [])]))) {
      note(set, profile, at);
    }
    if (recent.length < MAX_RECENT) return;
    recent = recent.filter((one) => one.at > at - GRACE_MS);
    if (recent.length < MAX_RECENT / 2) return;
    recent = [];
    blindUntil = at + GRACE_MS;
  }

  return {
    get: (criterion) => sets.get(keyOf(criterion)),
    add(criterion, ready) {
      const key = keyOf(criterion);
      const before = sets.get(key);
      if (before) drop(before);
      const at = now();
      const looks = criterion === null ? null : lookedAt(criterion);
      const set: KeptSet = {
        criterion,
        ready,
        members: new Map(),
        at,
        scannedAt: at,
        usedAt: at,
        changed: new Map(),
        isKept: true,
        metrics: criterion === null ? [] : metricsOf(criterion),
        edges: looks?.edges ?? [],
        midnights: looks?.midnights ?? false,
      };
      sets.set(key, set);
      const names = namesFor(criterion);
      for (const name of names) byName.set(name, (byName.get(name) ?? new Set()).add(set));
      for (const one of recent) {
        if (one.at > at - GRACE_MS && one.names.some((name) => names.has(name)))
          note(set, one.profile, one.at);
      }
      const [oldest] = sets.values();
      if (sets.size > MAX_SETS && oldest) drop(oldest);
      if (at < blindUntil || merges.length > MAX_MERGES) drop(set);
      return set;
    },
    drop,
    all: () => [...sets.values()],
    hear(news) {
      for (const { message, partition, offset } of news) {
        if (message.kind === 'merge') merges.push({ target: message.target, partition, offset });
        else if (message.kind === 'profiles') {
          for (const change of message.changes) hearOf(change.profile, namesIn(change));
        }
      }
      if (merges.length <= MAX_MERGES) return;
      merges = merges.slice(-MAX_MERGES - 1);
      for (const set of [...sets.values()]) drop(set);
    },
    isMerging: () => merges.length > 0,
    settle(committed) {
      const isDone = ({ partition, offset }: (typeof merges)[number]) => (committed[partition] ?? 0) > offset;
      const done = merges.filter(isDone);
      merges = merges.filter((merge) => !isDone(merge));
      for (const { target } of done) hearOf(target, [EVERYTHING]);
    },
  };
}

const EVERYBODY_NAME = 'everybody';
/** Of each set. */
const EVERYTHING = 'everything';

export function keyOf(criterion: Criterion | null): string {
  return criterion === null ? EVERYBODY_NAME : criterionKey(criterion);
}

/** What reaches a set, as `namesIn` calls it. */
function namesFor(criterion: Criterion | null): Set<string> {
  if (criterion === null) return new Set([EVERYTHING, EVERYBODY_NAME]);
  const { metrics, attributes } = lookedAt(criterion);
  return new Set([EVERYTHING, ...[...metrics].map(metricName), ...[...attributes].map(attributeName)]);
}

function namesIn({ whole, gone, metric, attributes }: ProfileChange): string[] {
  if (whole === true) return [EVERYTHING];
  // Whoever is not there is in none of the sets that matter.
  if (gone === true) return [EVERYBODY_NAME];
  return [...(metric === undefined ? [] : [metricName(metric)]), ...(attributes ?? []).map(attributeName)];
}

const metricName = (metric: string) => `metric ${metric}`;
const attributeName = (path: string) => `attribute ${path}`;
