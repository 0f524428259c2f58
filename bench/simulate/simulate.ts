/** One scenario from end to end: what it needs, and a day of its evaluators. */
import { accountShares, place, type Placement } from './accounts.ts';
import { capacityOf, type Capacity } from './capacity.ts';
import type { Costs } from './costs.ts';
import { simulateDay, type DayResult } from './day.ts';
import type { Scenario } from './workload.ts';

export interface Simulation {
  capacity: Capacity;
  largestAccount: number;
  day: DayResult;
  /** One process more after a half of it, and one that dies after three quarters. */
  changing: DayResult;
  /** What is simulated, seconds of a day. */
  from: number;
  to: number;
}

/** The highest second of a day over its mean; what is left of the peak factor is the day itself. */
const CURVE = 1.8;
const BURST = 3;
const DAY = 86_400;
const PEAK = (DAY * 2) / 3;
/** Of more partitions only the hours around the peak are simulated: it would take minutes. */
const STEPS = 6_000_000;

export function simulate({ workload, deployment }: Scenario, costs: Costs, seed: number): Simulation {
  const { accounts, skew, profiles } = workload;
  const shares = accountShares(accounts, skew);
  const placed = (places: number, salt: number): Placement => place(shares, profiles, places, seed + salt);
  const partitions = placed(deployment.partitions, 0);
  const capacity = capacityOf(workload, deployment, costs, partitions, (shards) => placed(shards, 1));
  const hours = Math.max(1, Math.min(24, Math.floor(STEPS / deployment.partitions / 3_600)));
  const seconds = hours * 3_600;
  const from = hours === 24 ? 0 : Math.min(DAY - seconds, PEAK - seconds / 2);
  const load = (capacity.segmentsPerPartition * costs.segmentLoad) / 1e6;
  const plan = {
    seed,
    from,
    seconds,
    updatesPerSecond: ((workload.eventsPerSecond + workload.traitsPerSecond) * workload.peakFactor) / CURVE,
    curve: CURVE,
    burst: BURST,
    placement: partitions,
    evaluators: capacity.evaluators,
    costs: {
      update: capacity.updateSeconds,
      read: costs.readWait / 1e3,
      unknownShare: 1 / workload.updatesPerVisit,
      look: workload.segments > 0 && workload.windowedShare > 0 ? costs.lookWait / 1e3 : 0,
      lookEvery: costs.lookEvery,
      death: costs.death + load,
      handOver: costs.handOver + load,
    },
  };
  const changes = [
    { second: seconds / 2, change: 1 },
    { second: (seconds * 3) / 4, change: -1 },
  ];
  return {
    capacity,
    largestAccount: shares[0] ?? 0,
    day: simulateDay(plan),
    changing: simulateDay({ ...plan, changes }),
    from,
    to: from + seconds,
  };
}
