/**
 * The clock of a partition: what time alone has changed since it last looked. Called between batches, in the partition's
 * own turn (decision 2).
 */
import { groupBy } from '../runtime/group-by.ts';
import type { Logger } from '../runtime/logger.ts';
import { until as waitUntil } from '../runtime/until.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import type { Answerer } from './answers.ts';
import type { CrossingProfile } from './crossings.ts';
import { createDays, type DayTurnings } from './days.ts';
import type { Debts } from './debts.ts';
import { createForeseen, type ForesightLimits, type NewsOf } from './foreseen.ts';
import type { Looks } from './looks.ts';
import { midnightsIn } from './midnights.ts';
import type { AccountIndex, Registry } from './registry.ts';
import type { Scopes } from './scopes.ts';
import { shareOf, type Slice } from './slice.ts';
import { dateDifferences, questionsOfTime, turningsOf, type Evaluate, type Turning } from './turnings.ts';
import type { Difference } from './diff.ts';
import type { MembershipWriter } from './writer.ts';

export interface PartitionClock {
  /** Resolves when a look will hardly have to wait for data, or soon after. */
  ready(): Promise<void>;
  /**
   * Brings memberships up to the present as far as time alone changes them; returns that present. Null: data are late,
   * and nothing was looked at. Throws Fenced.
   */
  tick(): Promise<number | null>;
  /** Up to here it has told everything; epoch milliseconds. */
  through(): number;
  /** A day has begun, and not everybody has been looked at: one of the next looks does more of it. */
  hasMore(): boolean;
  /** News that have been taken, and are evaluated at this instant. */
  note(account: number, changes: readonly ProfileChange[], evaluatedAt: number): void;
  /** Before anything else is evaluated about these profiles: what the beginning of a day has turned for them. */
  settle(profiles: ReadonlyMap<number, ReadonlySet<number>>): Promise<void>;
  /**
   * Before news of an account are taken: what time alone had turned for their profiles by then, which nobody would be
   * told of once the news have turned it back. The present is that of the news, from here on.
   */
  precede(news: ReadonlyMap<number, readonly ProfileChange[]>): Promise<void>;
  /** These have been evaluated at this instant, neither by news nor by the clock. */
  evaluated(account: number, profiles: Iterable<number>, at: number): void;
  /** Ends what goes on beside. */
  close(): void;
}

/**
 * Pages of days that the partitions of a process are looking at. All at once each would take many times as long, and
 * keep its partition from everything else for all that time.
 */
export interface DayPages {
  underWay: number;
}

/** What the partition has. */
export interface ClockParts {
  logger: Logger;
  writer: MembershipWriter;
  registry: Registry;
  scopes: Scopes;
  answerer: Answerer;
  debts: Debts;
  looks: Looks;
  dayPages: DayPages;
  foresight: ForesightLimits;
  signal: AbortSignal;
  /** The account's chunks that lie in the partition. */
  chunksOf: (account: number) => Promise<number[]>;
  write: (differences: readonly Difference[]) => Promise<void>;
}

const SAVE_WATERMARK_MS = 1_000;
/** News are evaluated meanwhile, as far as they are known. */
const CLOCK_WAITS_MS = 250;
/** A clock that is this late is waited for. */
const CLOCK_LATE_MS = 2_000;
const LATE_WAITS_MS = 60_000;
const DAY_PAGES_AT_ONCE = 2;
/** Of one batch; what lies behind later ones is seen with the news themselves. */
const INSTANTS_PRECEDED = 10;

export function createPartitionClock(
  clickhouse: ClickHouse,
  partition: number,
  parts: ClockParts,
): PartitionClock {
  const { logger, writer, registry, scopes, answerer, debts, dayPages, signal, chunksOf, write } = parts;
  const foreseen = createForeseen(clickhouse, parts.looks, shareOf(partition), logger, parts.foresight);
  const days = createDays(clickhouse, registry, logger, parts.foresight.turnings);
  let through = writer.watermark;
  let saved = writer.watermark;

  /** From the last look on. An event of a metric that is not known yet is evaluated when it is, at an instant after this one. */
  function sliceOf(account: number, index: AccountIndex, until: number): Slice {
    const { metrics, timeZone } = scopes.of(account);
    return { account, metrics, timeZone, edges: index.edges(), after: through, through: until };
  }

  /** Beginnings of days in the slice, if a segment of the account looks at days. */
  function midnightsOf({ account, after, through, timeZone }: Slice): number[] {
    for (const _ of registry.account(account)?.withMidnights() ?? [])
      return midnightsIn(after, through, timeZone);
    return [];
  }

  /** Those that crossed an edge as well have been written by now. */
  async function beginDay(slice: Slice, midnights: readonly number[]): Promise<void> {
    const { account, metrics, timeZone, after: before, through: after } = slice;
    const chunks = await chunksOf(account);
    const segments = new Map(registry.account(account)?.withMidnights());
    days.begin({ account, metrics, timeZone, chunks, before, after }, midnights, segments);
  }

  /** `midnights`, by account: beginnings of days in the same stretch of time. */
  function turningsIn(
    crossed: ReadonlyMap<number, readonly CrossingProfile[]>,
    midnights?: ReadonlyMap<number, readonly number[]>,
  ): Turning[] {
    return [...crossed].flatMap(([account, of]) => {
      const index = registry.account(account);
      return index ? turningsOf(index, of, midnights?.get(account) ?? []) : [];
    });
  }

  async function takeTurnings(turnings: readonly Turning[], until: number): Promise<void> {
    if (turnings.length === 0) return;
    const found = await answerer.differences(questionsOfTime(turnings, until), until);
    const ask: Evaluate = async (asked) => {
      const answers = await answerer.evaluate(asked);
      return new Map([...answers].map(([account, { truths }]) => [account, truths]));
    };
    const dated = await dateDifferences(found, turnings, until, ask);
    // Accounts one after the other: what is put down for each of them goes together.
    await write(dated.sort((a, b) => a.segment.account - b.segment.account || a.reason.at - b.reason.at));
  }

  /** One of the pages that wait, unless others are being looked at: then it comes with one of the next ticks. */
  async function takeDayPage(): Promise<void> {
    if (dayPages.underWay >= DAY_PAGES_AT_ONCE) return;
    const page = days.next();
    if (!page) return;
    dayPages.underWay += 1;
    try {
      await takeTurnings(page.turnings, page.at);
    } finally {
      dayPages.underWay -= 1;
    }
  }

  async function settle(profiles: ReadonlyMap<number, ReadonlySet<number>>): Promise<void> {
    if (!days.areOpen()) return;
    const open: DayTurnings[] = [];
    for (const [account, numbers] of profiles) open.push(...(await days.of(account, numbers)));
    const inOrder = [...groupBy(open, ({ at }) => at)].sort(([one], [other]) => one - other);
    for (const [at, together] of inOrder)
      await takeTurnings(
        together.flatMap(({ turnings }) => turnings),
        at,
      );
  }

  /** Who crosses an edge is looked for in ClickHouse. What is late there comes with one of the next ticks. */
  function patience(): number {
    return writer.advance(0) - through > CLOCK_LATE_MS ? LATE_WAITS_MS : CLOCK_WAITS_MS;
  }

  async function tick(waitsMs: number): Promise<number | null> {
    if (!(await debts.settled(waitsMs, signal))) return null;
    const until = writer.advance(0);
    const slices = [...registry.accounts()].map(([account, index]) => sliceOf(account, index, until));
    const midnights = new Map(slices.map((slice) => [slice.account, midnightsOf(slice)]));
    for await (const page of foreseen.crossings(slices)) {
      const byAccount = groupBy(page, ({ account }) => account);
      await settle(
        new Map([...byAccount].map(([account, of]) => [account, new Set(of.map(({ profile }) => profile))])),
      );
      await takeTurnings(turningsIn(byAccount, midnights), until);
    }
    await takeDayPage();
    for (const slice of slices) {
      const begun = midnights.get(slice.account) ?? [];
      if (begun.length > 0) await beginDay(slice, begun);
    }
    through = until;
    // Whoever takes over looks at the whole day again.
    if (through - saved >= SAVE_WATERMARK_MS && !days.areOpen()) {
      await writer.saveWatermark(through);
      saved = through;
    }
    return through;
  }

  async function precede(news: ReadonlyMap<number, readonly ProfileChange[]>): Promise<void> {
    let latest = 0;
    for (const changes of news.values()) for (const { at } of changes) latest = Math.max(latest, at);
    const present = writer.advance(latest);
    const asked: NewsOf[] = [];
    const withoutPast = new Map<number, Set<number>>();
    for (const [account, changes] of news) {
      const others = new Set(changes.flatMap((change) => (hasNoPast(change) ? [change.profile] : [])));
      withoutPast.set(account, others);
      const index = registry.account(account);
      const instants = new Map<number, number>();
      for (const { profile, at } of changes) {
        if (others.has(profile)) continue;
        instants.set(profile, Math.min(at, instants.get(profile) ?? present + 1));
      }
      if (index && instants.size > 0) asked.push({ slice: sliceOf(account, index, present), instants });
    }
    // They may be behind the beginning of a day that the clock has not come to yet.
    const isDayBegun = asked.some(({ slice }) => midnightsOf(slice).length > 0);
    // Without ClickHouse those who are in memory are evaluated all the same.
    if (isDayBegun) await tick(CLOCK_WAITS_MS);
    for (const [account, profiles] of withoutPast) days.leaveOut(account, profiles);
    await settle(new Map(asked.map(({ slice, instants }) => [slice.account, new Set(instants.keys())])));
    const due = [...(isDayBegun ? [] : foreseen.before(asked))].sort(([one], [other]) => one - other);
    for (const [before, crossed] of due.slice(0, INSTANTS_PRECEDED)) {
      const byAccount = groupBy(crossed, ({ account }) => account);
      await takeTurnings(turningsIn(byAccount), before - 1);
    }
  }

  return {
    through: () => Math.min(through, days.since()),
    async ready() {
      await debts.settled(CLOCK_WAITS_MS, signal);
      const mayGoOn = () => !days.areOpen() || (days.isRead() && dayPages.underWay < DAY_PAGES_AT_ONCE);
      await waitUntil(() => Promise.resolve(mayGoOn()), { withinMs: CLOCK_WAITS_MS, signal });
    },
    hasMore: () => days.areOpen(),
    note: (account, changes, evaluatedAt) => foreseen.note(account, changes, evaluatedAt),
    settle,
    precede,
    evaluated: (account, profiles, at) => foreseen.evaluated(account, profiles, at),
    tick: () => tick(patience()),
    close: () => days.close(),
  };
}

/** Whoever is new was in nothing before; of who is gone or has taken others in, the stores say what has become of them. */
function hasNoPast({ created, gone, whole }: ProfileChange): boolean {
  return created === true || gone === true || whole === true;
}
