/**
 * Whether memberships are what they should be. One place after the other, a segment in force and a chunk of profiles, is
 * computed anew in ClickHouse and compared with what is stored, in the background and at little cost. What is on its way
 * meanwhile is no drift: a difference counts only for profiles of which nothing has been heard or written from the
 * beginning of the comparison until the partition has taken the news of all that ClickHouse had at its end.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { dataAnnounced } from '../storage/announced.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { encodeChange } from '../storage/profile-changes.ts';
import { chunkOf, EVALUATOR_PARTITIONS, PROFILE_CHANGES } from '../storage/topics.ts';
import { scopeOf } from './audience.ts';
import { diffWithStored } from './memberships.ts';
import type { Registry, SegmentInForce } from './registry.ts';

export interface Audit {
  /**
   * Begins the next comparison if it is time for one; it goes on in the background. To be called in the partition's turn
   * when ClickHouse has all data that were taken, and everything has been evaluated up to `at`.
   */
  begin(at: number): Promise<void>;
  /** There are news of these profiles, or they enter or leave. */
  touch(profiles: Iterable<{ account: number; profile: number }>): void;
  /** The mark has come: whose membership was wrong when it was put there. Null: nobody's, or it is of a predecessor. */
  suspectsBehind(mark: string): Suspects | null;
  /** Of the suspects these have entered and left by repair. */
  repaired(suspects: Suspects, differences: readonly { kind: 'ENTERED' | 'EXITED' }[]): void;
  close(): void;
  /** Resolves when nothing goes on in the background: soon after `close`. */
  ended(): Promise<void>;
}

export interface Suspects {
  segment: SegmentInForce;
  profiles: number[];
}

/** One comparison at a time, of all who share this. */
export interface AuditShare {
  isTaken: boolean;
}

export interface AuditDeps {
  log: Log;
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  logger: Logger;
}

/** What the partition has. */
export interface AuditParts {
  share: AuditShare;
  registry: Registry;
  /** The account's chunks that lie in the partition, ascending. */
  chunksFor: (account: number) => Promise<number[]>;
  /** Resolves when ClickHouse has the entries that were written before. */
  written: () => Promise<void>;
}

interface Place {
  segment: SegmentInForce;
  chunk: number;
}

interface Round extends Place {
  mark: string;
  /** Epoch milliseconds. */
  at: number;
  /** Profiles of the chunk of which it says nothing any more. */
  touched: Set<number>;
  suspects: number[];
}

/** In each partition, or so many times as long as the last one took: it has a hundredth of the time of one core. */
const EVERY_MS = 10_000;
const REST = 100;
/** What is evaluated in one turn. Where there are more, the next comparison is of the same place. */
const MOST_SUSPECTS = 5_000;
/** What it takes from others, at most. */
const BOUNDS = {
  timeoutSeconds: 30,
  settings: {
    max_threads: 1,
    max_memory_usage: '1000000000',
    max_rows_to_read: '200000000',
    cancel_http_readonly_queries_on_client_close: 1,
  },
};

export function createAudit(
  deps: AuditDeps,
  partition: number,
  { share, registry, chunksFor, written }: AuditParts,
): Audit {
  const { clock, logger } = deps;
  const stop = new AbortController();
  // Partitions that are opened together are not audited together.
  let due = clock.now() + (EVERY_MS * (1 + partition)) / EVALUATOR_PARTITIONS;
  let last: { segment: number; chunk: number } | null = null;
  let round: Round | null = null;
  let running: Promise<void> = Promise.resolve();
  for (const kind of ['missing', 'extra', 'disputed']) metrics.drift.inc({ kind }, 0);

  /** Behind the last one: its segment's next chunk, or the segment with the next number. */
  async function nextPlace(at: number): Promise<Place | null> {
    const same = last && registry.get(last.segment);
    if (last && same) {
      const { chunk: behind } = last;
      const chunk = (await chunksFor(same.account)).find((one) => one > behind);
      if (chunk !== undefined) return { segment: same, chunk };
    }
    const here = [...registry.accounts()].flatMap(([, { segments }]) => [...segments.values()]);
    const lowest = (one: SegmentInForce | null, other: SegmentInForce) =>
      one && one.segment < other.segment ? one : other;
    // Whoever takes over does not begin where everybody did.
    const from = last ? last.segment + 1 : Math.floor(at / EVERY_MS) % (1 + here.length);
    const segment =
      here.filter((one) => one.segment >= from).reduce<SegmentInForce | null>(lowest, null) ??
      here.reduce<SegmentInForce | null>(lowest, null);
    const [chunk] = segment ? await chunksFor(segment.account) : [];
    return segment && chunk !== undefined ? { segment, chunk } : null;
  }

  async function compare(current: Round): Promise<void> {
    const { segment, chunk, at, mark } = current;
    const { account } = segment;
    await written();
    const scope = await scopeOf(deps.mysql.db, account, segment.condition);
    const place = { ...scope, at, chunks: [chunk] };
    const options = { ...BOUNDS, signal: stop.signal };
    const found = await diffWithStored(deps.clickhouse, segment.segment, segment.condition, place, options);
    const differing = found.flatMap(({ entered, exited }) => [...entered, ...exited]);
    current.suspects = differing.filter((profile) => !current.touched.has(profile));
    if (current.suspects.length === 0) return close(differing.length > 0 ? 'overtaken' : 'agreed');
    // Behind the mark nothing comes that ClickHouse had by then.
    await dataAnnounced(deps.mysql, stop.signal);
    const value = encodeChange({ kind: 'mark', account, mark });
    await deps.log.append(PROFILE_CHANGES, [{ partition, key: String(account), value }]);
  }

  function close(outcome: 'agreed' | 'overtaken' | 'drift'): void {
    round = null;
    metrics.audits.inc({ outcome });
  }

  async function run(current: Round): Promise<void> {
    // What it has cost, whatever the injected clock says.
    const from = performance.now();
    try {
      await compare(current);
    } catch (error) {
      round = null;
      if (stop.signal.aborted) return;
      metrics.audits.inc({ outcome: 'failed' });
      const { segment, chunk } = current;
      logger.warn({ partition, segment: segment.segment, chunk, err: error }, 'an audit failed');
    } finally {
      share.isTaken = false;
      due = clock.now() + Math.max(EVERY_MS, REST * (performance.now() - from));
    }
  }

  return {
    async begin(at) {
      if (round || share.isTaken || clock.now() < due) return;
      due = clock.now() + EVERY_MS;
      share.isTaken = true;
      const place = await nextPlace(at).catch((error: unknown) => {
        share.isTaken = false;
        throw error;
      });
      if (!place) return void (share.isTaken = false);
      last = { segment: place.segment.segment, chunk: place.chunk };
      round = { ...place, mark: randomUUID(), at, touched: new Set(), suspects: [] };
      running = run(round);
    },
    touch(profiles) {
      if (!round) return;
      const { segment, chunk, touched } = round;
      for (const { account, profile } of profiles) {
        if (account === segment.account && chunkOf(profile) === chunk) touched.add(profile);
      }
    },
    suspectsBehind(mark) {
      if (round?.mark !== mark) return null;
      const { segment, chunk, touched, suspects } = round;
      // It may be no more, or be another by now.
      const isAsItWas = registry.get(segment.segment) === segment;
      const profiles = isAsItWas ? suspects.filter((profile) => !touched.has(profile)) : [];
      close(profiles.length > 0 ? 'drift' : 'overtaken');
      if (profiles.length === 0) return null;
      if (profiles.length > MOST_SUSPECTS) last = { segment: segment.segment, chunk: chunk - 1 };
      return { segment, profiles: profiles.slice(0, MOST_SUSPECTS) };
    },
    repaired({ segment: { segment, version }, profiles }, differences) {
      const missing = differences.filter(({ kind }) => kind === 'ENTERED').length;
      const extra = differences.length - missing;
      const disputed = profiles.length - differences.length;
      metrics.drift.inc({ kind: 'missing' }, missing);
      metrics.drift.inc({ kind: 'extra' }, extra);
      metrics.drift.inc({ kind: 'disputed' }, disputed);
      logger.warn(
        { partition, segment, version, missing, extra, disputed },
        'memberships were wrong and have been repaired',
      );
    },
    close: () => stop.abort(),
    ended: () => running,
  };
}
