/**
 * Segments whose first members are being computed, which holds nothing else up: who changes meanwhile is noted, and asked
 * about again at the end.
 */
import type { Logger } from '../runtime/logger.ts';
import type { StoredDefinition } from '../storage/mysql/definitions.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import { questionsOf, type Question } from './diff.ts';
import type { PopulationRequest, Populations, Staged } from './populations.ts';
import { createRegistry, type AccountIndex, type SegmentInForce } from './registry.ts';

/** What has happened to a profile, and what is known of it from before. */
export interface Noted extends Pick<Question, 'entering' | 'exiting'> {
  /** Before this nothing had happened that is noted; epoch milliseconds. */
  since: number;
  /** It has come into being since. */
  isNew: boolean;
  /** Nothing but events: what was before them can be asked. */
  onlyEvents: boolean;
}

export interface Formation {
  stored: StoredDefinition;
  next: SegmentInForce;
  /** Of this segment alone. */
  index: AccountIndex;
  /** Profiles that something has happened to since; null: too many. */
  noted: Map<number, Noted> | null;
  /** Those that refer to it and come next. */
  waiting: Map<number, StoredDefinition>;
  stop: AbortController;
}

/** What a partition begins with. */
export type Since = Pick<PopulationRequest, 'owner' | 'at' | 'chunks'>;

export interface Forming {
  /** In place of a former version. */
  begin(stored: StoredDefinition, next: SegmentInForce, since: Since, waiting?: Formation['waiting']): void;
  get(segment: number): Formation | undefined;
  /** Whether one more may begin. */
  hasRoom(account: number): boolean;
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

/** In a partition at once; of one account, so that it leaves room for others. */
const MOST_FORMING = 100;
const MOST_OF_ACCOUNT = 4;
/** With the two above it bounds the memory. So many changes while a statement runs are an import. */
const MOST_NOTED = 20_000;

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

  async function carryOut(formation: Formation, since: Since) {
    const { account, segment, version, condition } = formation.next;
    const isCurrent = () => formations.get(segment) === formation;
    const edges = formation.index.edges();
    const request = { account, segment, version, condition, edges, ...since };
    try {
      const staged = await deps.populations.compute(request, formation.stop.signal);
      if (!isCurrent()) return;
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
      const noted = new Map<number, Noted>();
      const formation = { stored, next, index, noted, waiting, stop: new AbortController() };
      formations.set(next.segment, formation);
      carryOut(formation, since).catch((error: unknown) => {
        deps.logger.warn({ partition, segment: next.segment, err: error }, 'a population was interrupted');
      });
    },
    get: (segment) => formations.get(segment),
    hasRoom: (account) =>
      formations.size < MOST_FORMING &&
      [...formations.values()].filter(({ next }) => next.account === account).length < MOST_OF_ACCOUNT,
    note(account, changes) {
      for (const formation of formations.values()) {
        if (formation.next.account !== account || !formation.noted) continue;
        for (const change of changes) {
          for (const { profile, entering, exiting } of questionsOf(formation.index, [change])) {
            const before = formation.noted.get(profile);
            const isEvent = change.metric !== undefined && !change.attributes?.length && !change.whole;
            formation.noted.set(profile, {
              entering: entering ?? before?.entering ?? null,
              exiting: exiting ?? before?.exiting ?? null,
              since: Math.min(before?.since ?? Infinity, change.at),
              isNew: before?.isNew === true || change.created === true,
              onlyEvents: before?.onlyEvents !== false && isEvent,
            });
          }
        }
        if (formation.noted.size > MOST_NOTED) formation.noted = null;
      }
    },
    drop,
    close() {
      for (const segment of [...formations.keys()]) drop(segment);
      leave();
    },
  };
}
