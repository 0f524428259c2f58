/**
 * Who will cross an edge soon. What time will bring within the next minutes is known already, but for what happens
 * meanwhile: so that stretch of time is looked at once, ahead of it, and the news add what they bring. A look at the
 * clock then costs what it finds, not what there is to look for.
 *
 * A stretch is looked at when ClickHouse has everything that was taken before; whatever is taken later is noted. What
 * the news leave open, and what has come since, is looked for at the next look of the clock, to the end of the stretch.
 */
import { inPages } from '../runtime/in-pages.ts';
import type { Logger } from '../runtime/logger.ts';
import { instantOfDate, readDate } from '../segments/dates.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import { addTo, findCrossings, findCrossingsOf, placeOf, type CrossingProfile } from './crossings.ts';
import { URGENT, type Looks } from './looks.ts';
import type { Edge } from './registry.ts';
import type { Share, Slice } from './slice.ts';
import {
  crossingOf,
  foresee,
  foreseenIn,
  stretchOf,
  takeDue,
  type Foreknown,
  type Stretch,
} from './stretch.ts';
import { isCovered, knows, watchOf, type Watch } from './watch.ts';
import { CLOCKS_DIFFER_BY_MS } from './writer.ts';

export interface Foreseen {
  /** News that have been taken, and are evaluated at this instant. ClickHouse has them when `crossings` is called next. */
  note(account: number, changes: readonly ProfileChange[], at: number): void;
  /** These have been evaluated at this instant otherwise. */
  evaluated(account: number, profiles: Iterable<number>, at: number): void;
  /**
   * Of profiles that news have come about, what they cross behind the last look and before their news, by the instants of
   * these. Left out are those who cross more from then to the present, or have been evaluated since, and accounts of which
   * what is foreseen has not been completed yet: with them the news come first.
   */
  before(news: readonly NewsOf[]): Map<number, CrossingProfile[]>;
  /**
   * Pages of profiles, each with all that it crosses in the slices, which are of one stretch of time: each begins where
   * the one before it has ended.
   */
  crossings(slices: readonly Slice[]): AsyncGenerator<CrossingProfile[]>;
}

/** Of one account: by profile, when the first of its news came about. */
export interface NewsOf {
  /** From the last look to the present. */
  slice: Slice;
  instants: ReadonlyMap<number, number>;
}

export interface ForesightLimits {
  /** How far ahead is looked at least, while there are not too many crossings; milliseconds. */
  aheadMs: number;
  /** Crossings that are remembered. */
  crossings: number;
  /** Of a day that has begun: memberships that are looked at outright when something else happens to profiles. */
  turnings: number;
}

export const FORESIGHT_LIMITS: ForesightLimits = { aheadMs: 120_000, crossings: 50_000, turnings: 1_000 };

/** Of `aheadMs`, what is left of the last stretch when the next one is looked at. */
const RENEWED_AT = 0.7;
/** What is foreseen is kept by time, in parts of `aheadMs`. */
const BUCKETS = 128;
/** Watermarks that lie together in such a time are one to a look. */
const TOGETHER_MS = 60_000;
/** Of those whose time has come. */
const PROFILES_AT_ONCE = 5_000;

export function createForeseen(
  clickhouse: ClickHouse,
  looks: Looks,
  share: Share,
  logger: Logger,
  limits: ForesightLimits = FORESIGHT_LIMITS,
): Foreseen {
  const { isMine } = share;
  /** One behind the other. */
  let stretches: Stretch[] = [];
  /** The one behind those, which is being looked at. */
  let coming: Stretch | null = null;
  /** Up to here has been asked. */
  let asked = -Infinity;
  /** By place, what the news have told only behind its time; the next look brings it. */
  const late = new Map<string, CrossingProfile>();
  /** By place, who has been evaluated since then by other things than this clock, and as of when. */
  const evaluations = new Map<string, number>();
  /** Since then there may be news from which nothing was learnt; the next look begins so early. */
  let unlearnt = Infinity;
  let { aheadMs } = limits;
  const bucketMs = Math.max(1, Math.ceil(aheadMs / BUCKETS));

  function add(stretch: Stretch, one: Foreknown): void {
    const { instant } = one;
    if (instant <= Math.max(asked, stretch.after) || instant > stretch.through) return;
    foresee(stretch, one);
  }

  function addPage(stretch: Stretch, page: readonly CrossingProfile[]): void {
    for (const { account, profile, crossings } of page) {
      for (const crossing of crossings) add(stretch, { account, profile, ...crossing });
    }
  }

  function learn(
    stretch: Stretch,
    account: number,
    watch: Watch,
    change: ProfileChange,
    evaluatedAt: number,
  ): void {
    const { profile, cause, metric, event, content, whole = false, created = false } = change;
    const at = (edge: Edge, time: number) => {
      const one = { account, profile, edge, instant: time + edge.offset };
      if (one.instant <= asked && one.instant > knownSince(change)) addTo(late, crossingOf(one));
      else add(stretch, one);
    };
    const dated = (edges: readonly Edge[], value: unknown) => {
      const date = typeof value === 'string' ? readDate(value) : null;
      if (date) for (const edge of edges) at(edge, instantOfDate(date, watch.timeZone));
    };
    if (whole && !created) {
      // Whoever is new has no events but those that the news name; a merge copies some.
      if (cause === 'MERGE') watch.unknown.add(profile);
      watch.knowsDates = false;
    }
    const values = new Map<string, unknown>(change.values);
    for (const path of new Set([...(change.attributes ?? []), ...values.keys()])) {
      const edges = watch.byDate.get(path);
      if (watch.opaque.has(path) || (edges && !values.has(path))) watch.knowsDates = false;
      else if (edges) dated(edges, values.get(path));
    }
    if (metric === undefined || !event) return;
    if (event.time > evaluatedAt)
      add(stretch, { account, profile, edge: hasCome(metric), instant: event.time });
    for (const edge of watch.byMetric.get(metric) ?? []) at(edge, event.time);
    const properties = new Map<string, unknown>(content?.properties);
    for (const edges of watch.byDate.values()) {
      const source = edges[0]?.source;
      if (source?.of !== 'eventProperty' || source.metric !== metric) continue;
      if (content) dated(edges, properties.get(source.path));
      else {
        watch.knowsDates = false;
        unlearnt = Math.min(unlearnt, knownSince(change));
      }
    }
  }

  /** There is more than may be remembered: it is looked less far ahead. */
  function giveUp(): void {
    stretches = [];
    coming = null;
    aheadMs = Math.max(1, Math.floor(aheadMs / 2));
  }

  function keep(stretch: Stretch): void {
    stretches.push(stretch);
    if (stretch.size < limits.crossings / 4) aheadMs = Math.min(limits.aheadMs, aheadMs * 2);
  }

  /** Beside everything else. */
  async function renew(stretch: Stretch, slices: readonly Slice[]): Promise<void> {
    const { after, through } = stretch;
    try {
      await looks({
        slices: slices.map((slice) => ({ ...slice, after, through })),
        take(page) {
          if (coming === stretch) addPage(stretch, page.filter(isMine));
          if (coming === stretch && stretch.size > limits.crossings) giveUp();
          return coming === stretch;
        },
        isUrgent: false,
      });
      if (coming === stretch) keep(stretch);
    } catch (error) {
      // Whoever comes to this time looks then.
      logger.warn({ err: error }, 'a look ahead of its time has failed');
    } finally {
      if (coming === stretch) coming = null;
    }
  }

  /**
   * Nothing is known of this time: it is looked at now, together with what lies behind it, and with the other partitions,
   * to all of which it happens at a start.
   */
  async function* lookNow(slices: readonly Slice[], until: number) {
    stretches = [];
    coming = null;
    const [{ after } = { after: until }] = slices;
    // Of all partitions alike, so that they look on together.
    const from = Math.floor(after / TOGETHER_MS) * TOGETHER_MS;
    const through = (Math.floor(until / aheadMs) + 2) * aheadMs;
    const stretch = stretchOf(slices, after, through, bucketMs);
    const now: CrossingProfile[] = [];
    let size = 0;
    const isKept = () => stretch.size + size <= limits.crossings;
    await looks({
      slices: slices.map((slice) => ({ ...slice, after: from, through })),
      take(page) {
        const mine = page.filter(isMine);
        addPage(stretch, mine);
        for (const one of mine) {
          const come = by(one, until, after);
          if (come === null) continue;
          now.push(come);
          size += come.crossings.length;
        }
        return isKept();
      },
      isUrgent: true,
    });
    if (isKept()) {
      keep(stretch);
      yield* inPages(now, PROFILES_AT_ONCE);
      return;
    }
    // More than may be remembered: page by page, and no further than it must be.
    giveUp();
    yield* findCrossings(clickhouse, slices, until, URGENT, share);
  }

  function noteEvaluation(account: number, profile: number, at: number): void {
    const place = placeOf({ account, profile });
    if (evaluations.size >= limits.crossings && !evaluations.has(place)) return;
    evaluations.set(place, Math.max(at, evaluations.get(place) ?? at));
  }

  /** Whether nothing is to be looked for any more in the slice. */
  function isForeseen(slice: Slice): boolean {
    if (slice.through > foreseenThrough()) return false;
    return stretches.every(({ accounts }) => {
      const watch = accounts.get(slice.account);
      return watch !== undefined && isCovered(watch, slice);
    });
  }

  const foreseenThrough = () => stretches.at(-1)?.through ?? -Infinity;

  /** What has come to pass of what was foreseen. */
  function due(after: number, until: number): Map<string, CrossingProfile> {
    const found = new Map<string, CrossingProfile>();
    for (const stretch of stretches) {
      for (const one of takeDue(stretch, after, until)) addTo(found, crossingOf(one));
    }
    return found;
  }

  /** Who has got events that nobody has named: they are looked at to the end of what is foreseen. */
  async function lookAgain(
    kept: readonly Stretch[],
    slices: readonly Slice[],
    after: number,
    until: number,
  ): Promise<CrossingProfile[]> {
    const found: CrossingProfile[] = [];
    for (const stretch of kept) {
      for (const slice of slices) {
        const watch = stretch.accounts.get(slice.account);
        if (!watch || watch.unknown.size === 0) continue;
        const wanted = { ...slice, after: Math.max(after, stretch.after), through: stretch.through };
        for await (const page of findCrossingsOf(clickhouse, wanted, [...watch.unknown], until)) {
          addPage(stretch, page);
          found.push(...page.flatMap((one) => by(one, until) ?? []));
        }
        watch.unknown.clear();
      }
    }
    return found;
  }

  /**
   * What has come since a stretch was looked at, accounts, edges and metrics, and dates that the news leave open: it is
   * looked for once, to the end of the stretch.
   */
  async function lookFor(
    kept: readonly Stretch[],
    slices: readonly Slice[],
    after: number,
    until: number,
  ): Promise<CrossingProfile[]> {
    const found: CrossingProfile[] = [];
    for (const stretch of kept) {
      const from = stretch.after > after ? stretch.after : Math.min(after, unlearnt);
      const span = { after: from, through: stretch.through };
      const missing = slices.flatMap((slice) => {
        const watch = stretch.accounts.get(slice.account);
        if (watch && isCovered(watch, slice)) return [];
        stretch.accounts.set(slice.account, { ...watchOf(slice), unknown: watch?.unknown ?? new Set() });
        return [{ ...slice, ...span, edges: slice.edges.filter((edge) => !knows(watch, slice, edge)) }];
      });
      for await (const page of findCrossings(clickhouse, missing, until)) {
        const mine = page.filter(isMine);
        addPage(stretch, mine);
        found.push(...mine.flatMap((one) => by(one, until) ?? []));
      }
      if (stretch.size > limits.crossings) giveUp();
    }
    unlearnt = Infinity;
    return found;
  }

  return {
    note(account, changes, at) {
      for (const { profile } of changes) noteEvaluation(account, profile, at);
      let isLearnt = stretches.length > 0;
      for (const stretch of coming ? [...stretches, coming] : stretches) {
        const watch = stretch.accounts.get(account);
        if (watch) for (const change of changes) learn(stretch, account, watch, change, at);
        else isLearnt = false;
      }
      if ([...stretches, coming].some((stretch) => stretch && stretch.size > limits.crossings)) {
        giveUp();
        isLearnt = false;
      }
      if (!isLearnt)
        unlearnt = changes.reduce((earliest, one) => Math.min(earliest, knownSince(one)), unlearnt);
    },
    evaluated(account, profiles, at) {
      for (const profile of profiles) noteEvaluation(account, profile, at);
    },
    before(news) {
      // Somebody may have been evaluated of whom that is not remembered.
      if (evaluations.size >= limits.crossings) return new Map();
      const byAccount = new Map(
        news.filter(({ slice }) => isForeseen(slice)).map((one) => [one.slice.account, one]),
      );
      const present = Math.max(...[...byAccount.values()].map(({ slice }) => slice.through));
      const found = new Map<string, CrossingProfile>();
      for (const stretch of byAccount.size > 0 ? stretches : []) {
        for (const one of foreseenIn(stretch, asked, present)) {
          if (byAccount.get(one.account)?.instants.has(one.profile)) addTo(found, crossingOf(one));
        }
      }
      const byInstant = new Map<number, CrossingProfile[]>();
      for (const [place, one] of found) {
        const { account, profile, crossings } = one;
        const before = byAccount.get(account)?.instants.get(profile) ?? -Infinity;
        const isOpen = stretches.some(({ accounts }) => accounts.get(account)?.unknown.has(profile));
        const isEvaluated = (evaluations.get(place) ?? -Infinity) >= before;
        if (isOpen || isEvaluated || crossings.some(({ instant }) => instant >= before)) continue;
        const together = byInstant.get(before) ?? [];
        byInstant.set(before, together);
        together.push(one);
      }
      return byInstant;
    },
    async *crossings(slices) {
      const [first] = slices;
      if (!first) {
        unlearnt = Infinity;
        return;
      }
      const { after, through: until } = first;
      asked = until;
      evaluations.clear();
      stretches = stretches.filter(({ through }) => through > after);
      if (until > foreseenThrough()) {
        const instants = [...late.values()].flatMap((one) => one.crossings.map(({ instant }) => instant - 1));
        const from = Math.min(after, unlearnt, ...instants);
        late.clear();
        unlearnt = Infinity;
        yield* lookNow(
          slices.map((slice) => ({ ...slice, after: from })),
          until,
        );
        return;
      }
      // Also when the one that is coming turns out to be too much meanwhile.
      const kept = coming ? [...stretches, coming] : stretches;
      const found = due(after, until);
      for (const one of late.values()) addTo(found, one);
      late.clear();
      for (const one of await lookAgain(kept, slices, after, until)) addTo(found, one);
      for (const one of await lookFor(kept, slices, after, until)) addTo(found, one);
      // One that was coming may have come meanwhile.
      const end = foreseenThrough();
      if (stretches.length > 0 && !coming && end - until < aheadMs * RENEWED_AT) {
        coming = stretchOf(slices, end, end + aheadMs, bucketMs);
        void renew(coming, slices);
      }
      yield* inPages([...found.values()], PROFILES_AT_ONCE);
    },
  };
}

function hasCome(metric: string): Edge {
  return { source: { of: 'event', metric }, offset: 0 };
}

/** With what it has crossed by then, behind `after`; null: nothing. */
function by(one: CrossingProfile, until: number, after = -Infinity): CrossingProfile | null {
  const crossings = one.crossings.filter(({ instant }) => instant > after && instant <= until);
  return crossings.length > 0 ? { ...one, crossings } : null;
}

/** ClickHouse may have had it since then, and somebody been evaluated with it, before the news of it have come. */
function knownSince({ at }: ProfileChange): number {
  return at - CLOCKS_DIFFER_BY_MS;
}
