/**
 * A day of the evaluators, second by second: how long news wait in the queues of their partitions. Time is that of the
 * simulation. Of a partition one thing is done at a time (src/evaluation/worker.ts), and all partitions of a process
 * share one core, since JavaScript has one thread.
 */
import { percentile } from '../lib/stats.ts';
import type { Placement } from './accounts.ts';
import { poisson, randomFrom } from './random.ts';

export interface DayPlan {
  seed: number;
  /** What is simulated: from this second of a day, for so long. */
  from: number;
  seconds: number;
  /** Mean over the day, all partitions together. */
  updatesPerSecond: number;
  /** The highest second of the curve over the mean. */
  curve: number;
  /** Now and then one partition has so many times its share for a minute: somebody has sent a campaign. */
  burst: number;
  placement: Placement;
  evaluators: number;
  /** What one partition and one process need for things. Seconds. */
  costs: DayCosts;
  /** Processes that come and go; a negative `change` is one that dies. */
  changes?: readonly { second: number; change: number }[];
}

export interface DayCosts {
  /** CPU of an update. */
  update: number;
  /** A partition waits so long for ClickHouse when the news of a batch name somebody who is not in memory. */
  read: number;
  /** Updates of which nothing is in memory. */
  unknownShare: number;
  /** A look of the clock at one account: it waits, and nothing else is done in the partition. */
  look: number;
  /** From one look to the next. */
  lookEvery: number;
  /** From a death to the first batch of whoever takes the partitions over, and from a departure that was announced. */
  death: number;
  handOver: number;
}

export interface DayResult {
  arrived: number;
  evaluated: number;
  waiting: number;
  /** Seconds from arrival to evaluation, of all that was evaluated: the beginning of the queue's second to its end. */
  lag: { p50: number; p99: number; max: number };
  /** The largest lag of any partition within each hour. */
  worstByHour: number[];
  /** Of a partition: how long its clock looks at all its accounts. */
  clockLookSeconds: { median: number; max: number };
  busiestProcess: number;
  /** Seconds after each change until nobody waits longer than before it; null: not on this day. */
  recovered: (number | null)[];
}

const DAY = 86_400;
const BATCH = 200;
/** For each partition. */
const BURSTS_PER_SECOND = 1 / 14_400;
const BURST_SECONDS = 60;
/** Lags are counted in hundredths of a second up to ten, and in seconds beyond. */
const FINE = 1_000;

export function simulateDay(plan: DayPlan): DayResult {
  const { placement, costs, updatesPerSecond, burst } = plan;
  const { seconds } = plan;
  const partitions = placement.shares.length;
  const random = randomFrom(plan.seed);
  const queues = Array.from({ length: partitions }, () => new Cohorts());
  const looks = Float64Array.from(placement.accounts, (accounts) => accounts * costs.look);
  // What a look leaves of a second for evaluating, and how long what comes during one waits for its end on average.
  const free = looks.map((look) => costs.lookEvery / (costs.lookEvery + look));
  const lookWait = looks.map((look) => (look / (costs.lookEvery + look)) * (look / 2));
  const burstUntil = new Int32Array(partitions).fill(-1);
  const blockedUntil = new Float64Array(partitions);
  const counts = new Map<number, number>();
  const worstByHour: number[] = [];
  const worst = new Float64Array(seconds);
  const changes = [...(plan.changes ?? [])].sort((a, b) => a.second - b.second);
  let evaluators = plan.evaluators;
  let [arrived, evaluated, busiest] = [0, 0, 0];

  for (let second = 0; second < seconds; second++) {
    for (const { change } of changes.filter((one) => one.second === second)) {
      const pause = change < 0 ? costs.death : costs.handOver;
      const before = evaluators;
      evaluators = Math.max(1, evaluators + change);
      // Round robin, as the assignment of the group does it: most partitions move, and nobody works until all have.
      for (let partition = 0; partition < partitions; partition++) {
        const moves = partition % before !== partition % evaluators;
        if (moves) blockedUntil[partition] = second + pause;
      }
    }
    if (random() < BURSTS_PER_SECOND * partitions) {
      burstUntil[Math.floor(random() * partitions)] = second + BURST_SECONDS;
    }
    const cpu = new Float64Array(evaluators).fill(1);
    // Everybody's turn to be first comes.
    for (let i = 0; i < partitions; i++) {
      const partition = (i + second) % partitions;
      const queue = queues[partition];
      if (!queue) continue;
      const share = placement.shares[partition] ?? 0;
      const factor = (burstUntil[partition] ?? -1) > second ? burst : 1;
      const mean = updatesPerSecond * share * factor * curveAt(plan.from + second, plan.curve);
      const count = poisson(mean, random);
      arrived += count;
      queue.add(second, count);
      if ((blockedUntil[partition] ?? 0) > second) continue;
      const process = partition % evaluators;
      const mine = Math.ceil((partitions - process) / evaluators);
      const left = cpu[process] ?? 0;
      // What its neighbours leave, but never less than its share of the core.
      const wall = free[partition] ?? 1;
      const able = ableTo(queue.size, wall, Math.max(left - (mine - 1) / mine, left / mine), costs);
      const taken = Math.min(queue.size, able);
      cpu[process] = left - taken * costs.update;
      const base = (lookWait[partition] ?? 0) + costs.update + costs.read * costs.unknownShare;
      queue.take(taken, second, able, (lag, of) => {
        const slot = slotOf(lag + base);
        counts.set(slot, (counts.get(slot) ?? 0) + of);
        evaluated += of;
        worst[second] = Math.max(worst[second] ?? 0, lag + base);
      });
    }
    for (const left of cpu) busiest = Math.max(busiest, 1 - left);
  }
  // Whoever still waits has waited at least so long.
  for (const queue of queues) {
    const oldest = queue.oldest();
    if (oldest !== null) worst[seconds - 1] = Math.max(worst[seconds - 1] ?? 0, seconds - oldest);
  }
  for (let from = 0; from < seconds; from += 3_600) {
    worstByHour.push(worst.subarray(from, from + 3_600).reduce((a, b) => Math.max(a, b), 0));
  }
  const sortedLooks = [...looks].sort((a, b) => a - b);
  return {
    arrived,
    evaluated,
    waiting: queues.reduce((sum, { size }) => sum + size, 0),
    lag: lagOf(counts, worst),
    worstByHour,
    clockLookSeconds: { median: percentile(sortedLooks, 0.5), max: sortedLooks.at(-1) ?? 0 },
    busiestProcess: busiest,
    recovered: changes.map(({ second }) => recoveryOf(worst, second)),
  };
}

/** Least at four in the morning, `curve` at 16:00, 1 on average. */
export function curveAt(second: number, curve: number): number {
  return 1 - (curve - 1) * Math.cos((2 * Math.PI * (second - DAY / 6)) / DAY);
}

/** Updates that a partition can take in a second of which it has `wall`, and `cpu` of its process's core. */
function ableTo(
  waiting: number,
  wall: number,
  cpu: number,
  { update, read, unknownShare }: DayCosts,
): number {
  const batch = Math.min(BATCH, Math.max(1, waiting));
  // All who are unknown in a batch are read at once.
  const reads = 1 - (1 - unknownShare) ** batch;
  const perUpdate = update + (reads * read) / batch;
  return Math.floor(Math.min(wall / perUpdate, update > 0 ? cpu / update : Infinity));
}

/** First in, first out, by the second of arrival. */
class Cohorts {
  private seconds: number[] = [];
  private counts: number[] = [];
  private head = 0;
  size = 0;

  add(second: number, count: number): void {
    if (count === 0) return;
    this.seconds.push(second);
    this.counts.push(count);
    this.size += count;
  }

  /** `rate`: how many could be taken in this second, which says how long each of them waits within it. */
  take(wanted: number, now: number, rate: number, each: (lag: number, count: number) => void): void {
    let taken = 0;
    while (taken < wanted) {
      const second = this.seconds[this.head] ?? now;
      const here = this.counts[this.head] ?? 0;
      const count = Math.min(here, wanted - taken);
      // Those of this very second come spread over it, and wait only for one another.
      const within = (taken + count / 2) / Math.max(rate, 1);
      each(second === now ? within / 2 : Math.max(0, now - second - 0.5 + within), count);
      taken += count;
      if (count === here) this.head += 1;
      else this.counts[this.head] = here - count;
    }
    this.size -= taken;
    if (this.head > 1_000 || this.size === 0) {
      this.seconds = this.seconds.slice(this.head);
      this.counts = this.counts.slice(this.head);
      this.head = 0;
    }
  }

  oldest(): number | null {
    return this.size > 0 ? (this.seconds[this.head] ?? null) : null;
  }
}

function slotOf(lag: number): number {
  return lag < FINE / 100 ? Math.round(lag * 100) : FINE + Math.round(lag - FINE / 100);
}

function lagOf(counts: ReadonlyMap<number, number>, worst: Float64Array): DayResult['lag'] {
  const slots = [...counts].sort(([a], [b]) => a - b);
  const total = slots.reduce((sum, [, count]) => sum + count, 0);
  const at = (share: number) => {
    let sum = 0;
    for (const [slot, count] of slots) {
      sum += count;
      if (sum >= share * total) return slot < FINE ? slot / 100 : FINE / 100 + slot - FINE;
    }
    return 0;
  };
  return { p50: at(0.5), p99: at(0.99), max: worst.reduce((a, b) => Math.max(a, b), 0) };
}

function recoveryOf(worst: Float64Array, second: number): number | null {
  const before = worst.subarray(Math.max(0, second - 60), second).reduce((a, b) => Math.max(a, b), 0);
  let last = second;
  for (let at = second; at < Math.min(worst.length, second + 3_600); at++) {
    if ((worst[at] ?? 0) > before + 1) last = at + 1;
  }
  return last === second + 3_600 ? null : last - second;
}
