/**
 * The clock of a partition: what time alone has changed since it last looked. Called between batches, in the partition's
 * own turn (decision 2).
 */
import { groupBy } from '../runtime/group-by.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { evaluatorPartition } from '../storage/topics.ts';
import type { Answerer } from './answers.ts';
import { findCrossings } from './crossings.ts';
import type { Debts } from './debts.ts';
import { midnightsIn, turnedBetween } from './midnights.ts';
import type { Registry } from './registry.ts';
import type { Scopes } from './scopes.ts';
import type { Slice } from './slice.ts';
import {
  beginningsOf,
  dateDifferences,
  questionsOfTime,
  turningsOf,
  type Evaluate,
  type Turning,
} from './turnings.ts';
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
  /** Up to here it has looked; epoch milliseconds. */
  through(): number;
}

/** What the partition has. */
export interface ClockParts {
  writer: MembershipWriter;
  registry: Registry;
  scopes: Scopes;
  answerer: Answerer;
  debts: Debts;
  signal: AbortSignal;
  /** Whether the account has profiles in the partition. */
  isHere: (account: number) => boolean;
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

export function createPartitionClock(
  clickhouse: ClickHouse,
  partition: number,
  { writer, registry, scopes, answerer, debts, signal, isHere, chunksOf, write }: ClockParts,
): PartitionClock {
  let through = writer.watermark;
  let saved = writer.watermark;

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
      const turned = await turnedBetween(clickhouse, segment.condition, scope, [after, through]);
      // Those that crossed an edge as well have been written by now.
      const instants = beginningsOf(midnights, direct);
      const turnings = turned.map((profile) => ({ profile, segment, instants }));
      await takeTurnings(turnings, through);
    }
  }

  async function takeTurnings(turnings: readonly Turning[], until: number): Promise<void> {
    if (turnings.length === 0) return;
    const found = await answerer.differences(questionsOfTime(turnings, until), until);
    const ask: Evaluate = async (asked) => {
      const answers = await answerer.evaluate(asked);
      return new Map([...answers].map(([account, { truths }]) => [account, truths]));
    };
    const dated = await dateDifferences(found, turnings, until, ask);
    await write(dated.sort((a, b) => a.reason.at - b.reason.at));
  }

  return {
    through: () => through,
    async ready() {
      await debts.settled(CLOCK_WAITS_MS, signal);
    },
    async tick() {
      // Who crosses an edge is looked for in ClickHouse. What is late there comes with one of the next ticks.
      const isLate = writer.advance(0) - through > CLOCK_LATE_MS;
      if (!(await debts.settled(isLate ? LATE_WAITS_MS : CLOCK_WAITS_MS, signal))) return null;
      const until = writer.advance(0);
      const slices: Slice[] = [];
      for (const [account, index] of registry.accounts()) {
        if (!isHere(account)) continue;
        // An event of a metric that is not known yet has not been evaluated yet, and will be, at an instant after this one.
        const { metrics, timeZone } = scopes.of(account);
        slices.push({ account, metrics, timeZone, edges: index.edges(), after: through, through: until });
      }
      const midnights = new Map(slices.map((slice) => [slice.account, midnightsOf(slice)]));
      for await (const page of findCrossings(clickhouse, slices)) {
        const mine = page.filter(
          ({ account, profile }) => evaluatorPartition(account, profile) === partition,
        );
        const turnings = [...groupBy(mine, ({ account }) => account)].flatMap(([account, crossed]) => {
          const index = registry.account(account);
          return index ? turningsOf(index, crossed, midnights.get(account) ?? []) : [];
        });
        await takeTurnings(turnings, until);
      }
      for (const slice of slices) await takeMidnights(slice, midnights.get(slice.account) ?? []);
      through = until;
      if (through - saved >= SAVE_WATERMARK_MS) {
        await writer.saveWatermark(through);
        saved = through;
      }
      return through;
    },
  };
}
