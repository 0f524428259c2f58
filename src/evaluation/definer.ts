/** Brings versions of segments into force in one evaluator partition, and those along that refer to them. */
import { canonicalJson } from '../segments/canonical.ts';
import type { Logger } from '../runtime/logger.ts';
import { markInForce, readNotInForce, type StoredDefinition } from '../storage/mysql/definitions.ts';
import type { ChangeCause, ProfileChange } from '../storage/profile-changes.ts';
import { Fenced } from '../storage/mysql/evaluators.ts';
import { markForNobody } from '../storage/mysql/membership-ahead.ts';
import { evaluatorPartition } from '../storage/topics.ts';
import type { Scope } from './all-profiles.ts';
import { dependentsOf, inForceIn, segmentFrom, TooLarge, writtenOut } from './dependents.ts';
import type { ReadFamily } from './families.ts';
import { createForming, type Formation } from './forming.ts';
import { holdingAt, membersBefore, turnedMeanwhile } from './meanwhile.ts';
import { diffWithStored } from './memberships.ts';
import type { Populations, Staged } from './populations.ts';
import type { Registry, SegmentInForce } from './registry.ts';
import { stageCorrections } from './staged-members.ts';
import {
  giveUp,
  isFaultOfDefinition,
  type MembershipWriter,
  type NewEntry,
  type WriterDeps,
} from './writer.ts';

export interface Definer {
  /**
   * Brings the present version into force, unless this one or a newer one is. A new segment comes into force later, when
   * its first members have been computed. Throws Fenced.
   */
  define(account: number, segment: number, version: number): Promise<void>;
  /** To be told all changes, before they are evaluated. */
  note(account: number, changes: readonly ProfileChange[]): void;
  /** A segment that has been deleted. */
  drop(segment: number): void;
  /** Brings into force what nobody has announced. */
  catchUp(): Promise<void>;
  close(): void;
}

/** What the partition has. */
export interface DefinerParts {
  writer: MembershipWriter;
  registry: Registry;
  /** Writes entries, and remembers them. */
  write: (entries: NewEntry[]) => Promise<void>;
  scopeFor: (
    account: number,
    segments: readonly SegmentInForce[],
  ) => Promise<Pick<Scope, 'account' | 'metrics' | 'timeZone'>>;
  /** From now on it is evaluated, in place of its former version. */
  put: (segment: SegmentInForce) => Promise<void>;
  /** Whether anybody of the account is in the partition; if so, what was in force for them is in the registry. */
  isHere: (account: number) => Promise<boolean>;
  /** The account's chunks that lie in the partition. */
  chunksFor: (account: number) => Promise<number[]>;
  /** What is remembered of the members is not true any more. */
  forget: (segment: number) => void;
  /** Resolves when ClickHouse has all that was taken. */
  stored: () => Promise<void>;
  /** Does work when the partition has nothing else to do. */
  turn: (work: () => Promise<void>) => Promise<void>;
}

/** Changes that are written with a population in one go. */
const MOST_TOLD = 5_000;

export function createDefiner(
  deps: WriterDeps & { logger: Logger; populations: Populations; families: ReadFamily },
  partition: number,
  parts: DefinerParts,
): Definer {
  const { writer, registry, write, scopeFor, put, chunksFor, forget } = parts;
  /** New segments that have not begun to form. */
  const later = new Map<number, StoredDefinition>();
  const forming = createForming(deps, partition, { turn: parts.turn, finish, fail });
  const isInForce = (segment: number, version: number) => (registry.get(segment)?.version ?? 0) >= version;

  /** A definition that cannot be computed must not stop the partition. */
  async function define(account: number, segment: number, version: number): Promise<void> {
    if (isInForce(segment, version)) return;
    // Those that it refers to come first, each in its present version, all of one moment: so nothing is ever in force
    // that refers to itself, in whatever order announcements arrive.
    const family = await deps.families(account, segment);
    const own = family.at(-1);
    // Deleted meanwhile.
    if (own?.segment !== segment) return;
    if (!(await parts.isHere(account))) return inForceForNobody(family);
    for (const stored of family) {
      if (isInForce(stored.segment, stored.version)) continue;
      if (!registry.get(stored.segment) && !forming.get(stored.segment) && !forming.hasRoom(account)) {
        later.set(segment, own);
        return;
      }
      const isForming = (forming.get(stored.segment)?.stored.version ?? 0) >= stored.version;
      const reason = isForming ? null : await tried(stored, () => bringIntoForce(stored));
      if (reason !== null) {
        if (stored !== own) await giveUpBecauseOf(reason, own);
        return;
      }
      const formation = forming.get(stored.segment);
      if (!formation) continue;
      if (stored !== own) formation.waiting.set(segment, own);
      return;
    }
  }

  async function giveUpBecauseOf(reason: string, { segment, version }: StoredDefinition): Promise<void> {
    const why = `a segment that it refers to cannot be computed: ${reason}`;
    await giveUp(deps.mysql, segment, version, why);
  }

  /** Null when it was done, or else why the segment was given up. */
  async function tried(
    { segment, version }: { segment: number; version: number },
    work: () => Promise<void>,
  ): Promise<string | null> {
    try {
      await work();
      return null;
    } catch (error) {
      if (!(error instanceof TooLarge) && !isFaultOfDefinition(error)) throw error;
      deps.logger.error({ partition, segment, version, err: error }, 'a segment cannot be computed');
      return giveUp(deps.mysql, segment, version, error instanceof TooLarge ? error.message : undefined);
    }
  }

  /**
   * It is said to be in force only when all that depends on it has followed: whoever is interrupted before does all of
   * it again, and finds no difference where there is none any more.
   */
  async function bringIntoForce(stored: StoredDefinition): Promise<void> {
    const { account, segment } = stored;
    const next = segmentFrom(stored, inForceIn(registry, account));
    const at = writer.advance(0);
    const chunks = await chunksFor(account);
    if (!registry.get(segment))
      return forming.begin(stored, next, { owner: writer.owner, at, chunks }, forming.get(segment)?.waiting);
    await redefine(next, 'DEFINITION', at, chunks);
    await settle(next, at, chunks);
  }

  /** All of one snapshot: whoever is admitted later finds what belongs together. */
  async function inForceForNobody(family: readonly StoredDefinition[]): Promise<void> {
    const populatedAt = writer.advance(0);
    const rows = family.map(({ account, segment, version }) => ({ account, segment, version, populatedAt }));
    if (!(await markForNobody(deps.mysql, writer.owner, rows)))
      throw new Fenced(`evaluator partition ${partition} has a newer owner`);
  }

  async function finish(formation: Formation, staged: Staged): Promise<void> {
    const prepared = await attempt(formation, () => prepare(formation, staged));
    if (prepared === null) return;
    const { account, segment, version } = formation.next;
    // From here on, who fails is taken over, by one who finishes it.
    if (prepared.corrected) {
      const { chunks, entries } = prepared.corrected;
      const population = { segment, version, at: prepared.at, chunks, run: staged.run };
      await writer.populate(account, population, entries);
    } else {
      await writer.bringIntoForce(
        account,
        { segment, version, at: prepared.at },
        deps.populations.putInForce,
      );
    }
    forget(segment);
    forming.drop(segment);
    await put(formation.next);
    for (const one of formation.waiting.values()) await define(one.account, one.segment, one.version);
    await beginMore();
  }

  async function fail(formation: Formation, error: unknown): Promise<void> {
    await attempt(formation, () => Promise.reject(error as Error));
  }

  /** Null: it came to nothing, or has been begun anew. */
  async function attempt<Result>(
    { stored, waiting }: Formation,
    work: () => Promise<Result>,
  ): Promise<Result | null> {
    const { segment } = stored;
    let result: Result | null = null;
    try {
      const reason = await tried(stored, async () => void (result = await work()));
      if (reason === null) return result;
      forming.drop(segment);
      for (const one of waiting.values()) await giveUpBecauseOf(reason, one);
    } catch (error) {
      // It is begun again with what nobody has announced.
      forming.drop(segment);
      deps.logger.warn({ partition, segment, err: error }, 'a population has failed');
    }
    await beginMore();
    return null;
  }

  async function beginMore(): Promise<void> {
    for (const [segment, { account, version }] of later) {
      if (!forming.hasRoom(account)) continue;
      // News may have been taken ahead of their data, and only those that come from here on are noted.
      await parts.stored();
      later.delete(segment);
      await define(account, segment, version);
    }
  }

  /**
   * What has happened to people meanwhile is told behind the population, unless it is too much; what time has turned is
   * part of it. Without anything to correct, what is stored already counts. Null: it has been begun anew.
   */
  async function prepare({ stored, next, index, noted, waiting }: Formation, staged: Staged) {
    const { account, segment, version } = stored;
    await parts.stored();
    const at = writer.advance(staged.at);
    const scope = await scopeFor(account, [next]);
    const turned = await turnedMeanwhile(deps.clickhouse, scope, index, [staged.at, at], staged.crossed);
    const now = segmentFrom(stored, inForceIn(registry, account));
    const isOther = canonicalJson(now.condition) !== canonicalJson(next.condition);
    // A day has begun for everybody, a segment that it refers to has been edited, or our time is behind.
    if (noted === null || turned === null || isOther || at < staged.at) {
      const chunks = await chunksFor(account);
      forming.begin(stored, now, { owner: writer.owner, at, chunks }, waiting);
      return null;
    }
    const mine = [...turned].filter((profile) => evaluatorPartition(account, profile) === partition);
    const asked = [...new Set([...noted.keys(), ...mine])];
    if (asked.length === 0 && staged.isCopied) return { at, corrected: null };
    const chunks = await chunksFor(account);
    const run = { account, run: staged.run };
    const [holding, before] = await Promise.all([
      holdingAt(
        deps,
        scope,
        next,
        asked.map((profile) => ({ profile, instant: at })),
      ),
      membersBefore(deps, scope, next, run, noted),
    ]);
    const entries = [...noted].flatMap(([profile, { entering, exiting }]): NewEntry[] => {
      const holds = holding.has(profile);
      const reason = holds ? entering : exiting;
      if (holds === before.has(profile) || turned.has(profile) || !reason) return [];
      return [{ account, segment, version, profile, kind: holds ? 'ENTERED' : 'EXITED', ...reason }];
    });
    const told = new Set(entries.length <= MOST_TOLD ? entries.map(({ profile }) => profile) : []);
    // Whoever is told to enter or leave begins as before.
    await stageCorrections(deps.clickhouse, run, asked, (one) => (told.has(one) ? before : holding).has(one));
    return { at, corrected: { chunks, entries: told.size > 0 ? entries : [] } };
  }

  async function settle(next: SegmentInForce, at: number, chunks: number[]): Promise<void> {
    const { account, segment, version } = next;
    await put(next);
    const others = registry.account(account)?.segments.values() ?? [];
    for (const dependent of dependentsOf(others, segment)) {
      await tried(dependent, () => follow(dependent, at, chunks));
    }
    await markInForce(deps.mysql.db, [{ partition, account, segment, version, populatedAt: at }]);
  }

  async function follow(dependent: SegmentInForce, at: number, chunks: number[]): Promise<void> {
    const next = whereItFits(dependent);
    if (!next || canonicalJson(next.condition) === canonicalJson(dependent.condition)) return;
    await redefine(next, 'SEGMENT', at, chunks);
    await put(next);
  }

  /** Null: too large together with others that have not been brought here yet. What stays too large the API refuses. */
  function whereItFits(dependent: SegmentInForce): SegmentInForce | null {
    try {
      return writtenOut(dependent, inForceIn(registry, dependent.account));
    } catch (error) {
      if (error instanceof TooLarge) return null;
      throw error;
    }
  }

  async function redefine(
    next: SegmentInForce,
    cause: ChangeCause,
    at: number,
    chunks: number[],
  ): Promise<void> {
    const { account, segment, version } = next;
    const scope = { ...(await scopeFor(account, [next])), at, chunks };
    await writer.written();
    for (const { entered, exited } of await diffWithStored(deps.clickhouse, segment, next.condition, scope)) {
      const entry =
        (kind: 'ENTERED' | 'EXITED') =>
        (profile: number): NewEntry => ({ account, segment, version, profile, kind, cause, at, event: null });
      await write([...entered.map(entry('ENTERED')), ...exited.map(entry('EXITED'))]);
    }
  }

  async function catchUp(): Promise<void> {
    for (const { account, segment, version } of await readNotInForce(deps.mysql.db, partition)) {
      await define(account, segment, version);
    }
  }

  return {
    define,
    note: (account, changes) => forming.note(account, changes),
    drop(segment) {
      later.delete(segment);
      forming.drop(segment);
    },
    catchUp,
    close: () => forming.close(),
  };
}
