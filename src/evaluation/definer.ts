/** Brings versions of segments into force in one evaluator partition, and those along that refer to them. */
import { canonicalJson } from '../segments/canonical.ts';
import type { Logger } from '../runtime/logger.ts';
import { markInForce, readNotInForce, type StoredDefinition } from '../storage/mysql/definitions.ts';
import { readFamily } from '../storage/mysql/references.ts';
import type { ChangeCause } from '../storage/profile-changes.ts';
import type { Scope } from './all-profiles.ts';
import { dependentsOf, inForceIn, segmentFrom, TooLarge, writtenOut } from './dependents.ts';
import { diffWithStored } from './memberships.ts';
import type { Registry, SegmentInForce } from './registry.ts';
import {
  giveUp,
  isFaultOfDefinition,
  type MembershipWriter,
  type NewEntry,
  type WriterDeps,
} from './writer.ts';

export interface Definer {
  /** Brings the present version into force, unless this one or a newer one is. Throws Fenced. */
  define(account: number, segment: number, version: number): Promise<void>;
  /** Brings into force what nobody has announced. */
  catchUp(): Promise<void>;
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
  /** The account's chunks that lie in the partition. */
  chunksFor: (account: number) => Promise<number[]>;
  /** What is remembered of the members is not true any more. */
  forget: (segment: number) => void;
}

export function createDefiner(
  deps: WriterDeps & { logger: Logger },
  partition: number,
  { writer, registry, write, scopeFor, put, chunksFor, forget }: DefinerParts,
): Definer {
  const isInForce = (segment: number, version: number) => (registry.get(segment)?.version ?? 0) >= version;

  /** A definition that cannot be computed must not stop the partition. */
  async function define(account: number, segment: number, version: number): Promise<void> {
    if (isInForce(segment, version)) return;
    // Those that it refers to come first, each in its present version, all of one moment: so nothing is ever in force
    // that refers to itself, in whatever order announcements arrive.
    const family = await readFamily(deps.mysql, account, [segment]);
    const own = family.at(-1);
    // Deleted meanwhile.
    if (own?.segment !== segment) return;
    for (const stored of family) {
      if (isInForce(stored.segment, stored.version)) continue;
      const reason = await tried(stored, () => bringIntoForce(stored));
      if (reason === null) continue;
      if (stored !== own) {
        await giveUp(
          deps.mysql,
          segment,
          own.version,
          `a segment that it refers to cannot be computed: ${reason}`,
        );
      }
      return;
    }
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
    const { account, segment, version } = stored;
    const next = segmentFrom(stored, inForceIn(registry, account));
    const at = writer.advance(0);
    const chunks = await chunksFor(account);
    if (registry.get(segment)) await redefine(next, 'DEFINITION', at, chunks);
    else if (chunks.length > 0) {
      await writer.populate(account, { segment, version, condition: next.condition, at, chunks });
      forget(segment);
    }
    await put(next);
    const others = registry.account(account)?.segments.values() ?? [];
    for (const dependent of dependentsOf(others, segment)) {
      await tried(dependent, () => follow(dependent, at, chunks));
    }
    await markInForce(deps.mysql.db, partition, account, segment, version, at);
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
    if (chunks.length === 0) return;
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

  return { define, catchUp };
}
