/**
 * Segments whose first members are being computed, which holds nothing else up: who changes meanwhile is noted, and asked
 * about again at the end.
 */
import type { Logger } from '../runtime/logger.ts';
import type { StoredDefinition } from '../storage/mysql/definitions.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import type { Reason } from './diff.ts';
import type { Populations, Staged } from './populations.ts';
import { createRegistry, type AccountIndex, type SegmentInForce } from './registry.ts';

export interface Formation {
  stored: StoredDefinition;
  next: SegmentInForce;
  /** Of this segment alone. */
  index: AccountIndex;
  /** Profiles that something has happened to since, each with the last. */
  noted: Map<number, Reason>;
  /** Those that refer to it and come next. */
  waiting: Map<number, StoredDefinition>;
  stop: AbortController;
}

export interface Forming {
  /** In place of a former version. */
  begin(
    stored: StoredDefinition,
    next: SegmentInForce,
    since: { at: number; chunks: readonly number[] },
    waiting?: Formation['waiting'],
  ): void;
  get(segment: number): Formation | undefined;
  note(account: number, changes: readonly ProfileChange[]): void;
  /** Whatever is computed for it is of no use any more. */
  drop(segment: number): void;
  close(): void;
}

/** What is done with what has been computed, or with what this has failed with, in the partition's own turn. */
export interface FormingParts {
  turn: (work: () => Promise<void>) => Promise<void>;
  finish: (formation: Formation, staged: Staged) => Promise<void>;
  fail: (formation: Formation, error: unknown) => Promise<void>;
}

export function createForming(
  deps: { populations: Populations; logger: Logger },
  partition: number,
  { turn, finish, fail }: FormingParts,
): Forming {
  const formations = new Map<number, Formation>();
  const leave = deps.populations.join(partition);

  function drop(segment: number): void {
    formations.get(segment)?.stop.abort();
    formations.delete(segment);
  }

  async function carryOut(formation: Formation, since: { at: number; chunks: readonly number[] }) {
    const { account, segment, version, condition } = formation.next;
    const isCurrent = () => formations.get(segment) === formation;
    const request = { partition, account, segment, version, condition, ...since };
    try {
      const staged = await deps.populations.compute(request, formation.stop.signal);
      await turn(async () => {
        if (isCurrent()) await finish(formation, staged);
      });
    } catch (error) {
      // Otherwise dropped, or the partition is to be taken over again, and this with it.
      if (isCurrent()) await turn(async () => (isCurrent() ? fail(formation, error) : undefined));
    }
  }

  return {
    begin(stored, next, since, waiting = new Map()) {
      drop(next.segment);
      const registry = createRegistry();
      registry.put(next);
      const index = registry.account(next.account);
      if (!index) throw new Error('a segment is not in its own registry');
      const noted = new Map<number, Reason>();
      const formation = { stored, next, index, noted, waiting, stop: new AbortController() };
      formations.set(next.segment, formation);
      carryOut(formation, since).catch((error: unknown) => {
        deps.logger.warn({ partition, segment: next.segment, err: error }, 'a population was interrupted');
      });
    },
    get: (segment) => formations.get(segment),
    note(account, changes) {
      for (const { next, index, noted } of formations.values()) {
        if (next.account !== account) continue;
        for (const change of changes) {
          const { profile, cause, at, event = null } = change;
          for (const [, { direct }] of index.touchedBy(change)) {
            noted.delete(profile);
            noted.set(profile, { cause: direct ? cause : 'SEGMENT', at, event });
          }
        }
      }
    },
    drop,
    close() {
      for (const segment of [...formations.keys()]) drop(segment);
      leave();
    },
  };
}
