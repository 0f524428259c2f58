import { describe, expect, test } from 'vitest';
import { accountShares, imbalance, place } from '../../bench/simulate/accounts.ts';
import { capacityOf } from '../../bench/simulate/capacity.ts';
import { COSTS, costsOf } from '../../bench/simulate/costs.ts';
import { curveAt, simulateDay, type DayPlan } from '../../bench/simulate/day.ts';
import { BadOption, readOptions } from '../../bench/simulate/options.ts';
import { PRESETS } from '../../bench/simulate/workload.ts';
import { EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';

const shares = accountShares(50, 1);
const plan = (more: Partial<DayPlan> = {}): DayPlan => ({
  seed: 7,
  from: 0,
  seconds: 1_800,
  updatesPerSecond: 400,
  curve: 1.8,
  burst: 3,
  placement: place(shares, 3e6, 8, 1),
  evaluators: 2,
  costs: {
    update: 0.0005,
    read: 0.005,
    unknownShare: 0.2,
    look: 0.001,
    lookEvery: 0.5,
    death: 10,
    handOver: 2,
  },
  ...more,
});

describe('accounts', () => {
  test('are skewed: the larger the exponent, the more the largest has, and together they are everything', () => {
    const even = accountShares(1_000, 0);
    const skewed = accountShares(1_000, 1);
    expect(even[0]).toBeCloseTo(1 / 1_000);
    expect(skewed[0]).toBeGreaterThan(30 * (skewed[999] ?? 1));
    expect(skewed.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
  });

  test('are placed as a whole, a small one in one partition and a large one in all', () => {
    const small = place(accountShares(1, 1), 60_000, 8, 3);
    expect([...small.shares].filter((share) => share > 0)).toEqual([1]);
    const large = place(accountShares(1, 1), 65_536 * 16, 8, 3);
    expect([...large.shares]).toEqual(Array<number>(8).fill(1 / 8));
    const many = place(shares, 3e6, 8, 3);
    expect(many.shares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1);
    expect(imbalance(many.shares)).toBeGreaterThan(1);
  });
});

describe('a day', () => {
  test.each([
    ['with time to spare', plan()],
    ['with more than can be done', plan({ updatesPerSecond: 20_000 })],
    [
      'with processes that come and go',
      plan({
        changes: [
          { second: 600, change: 1 },
          { second: 1_000, change: -2 },
        ],
      }),
    ],
  ])('%s: whatever came in is evaluated or waits', (_, given) => {
    const day = simulateDay(given);
    expect(day.arrived).toBeGreaterThan(0);
    expect(day.evaluated + day.waiting).toBe(day.arrived);
  });

  test('is the same for the same seed, and another for another', () => {
    expect(simulateDay(plan())).toEqual(simulateDay(plan()));
    expect(simulateDay(plan({ seed: 8 })).arrived).not.toBe(simulateDay(plan()).arrived);
  });

  test('of more than can be done, queues grow and everybody waits longer and longer', () => {
    const [some, more] = [plan(), plan({ updatesPerSecond: 20_000 })].map(simulateDay);
    expect(some?.waiting).toBeLessThan(400);
    expect(more?.waiting).toBeGreaterThan(1e6);
    expect(more?.lag.p99).toBeGreaterThan(100);
  });

  test('of a death, whoever belongs to it waits for the take-over, and then no more', () => {
    const day = simulateDay(plan({ changes: [{ second: 900, change: -1 }] }));
    expect(day.lag.max).toBeGreaterThan(9);
    expect(day.waiting).toBeLessThan(400);
    expect(simulateDay(plan()).lag.max).toBeLessThan(2);
  });

  test('has its mean on average, and its peak in the afternoon', () => {
    const curve = Array.from({ length: 24 }, (_, hour) => curveAt(hour * 3_600, 1.8));
    expect(curve.reduce((sum, height) => sum + height, 0) / 24).toBeCloseTo(1);
    expect(curve[16]).toBeCloseTo(1.8);
  });
});

describe('capacity', () => {
  const cluster = PRESETS['cluster'];
  if (!cluster) throw new Error('there is no such preset');
  const { workload, deployment } = cluster;
  const sizes = accountShares(workload.accounts, workload.skew);
  const capacity = (factors: Parameters<typeof costsOf>[0], shards: number | null = null) =>
    capacityOf(
      workload,
      { ...deployment, shards },
      costsOf(factors),
      place(sizes, workload.profiles, deployment.partitions, 1),
      (places) => place(sizes, workload.profiles, places, 2),
    );
  const tier = (of: ReturnType<typeof capacity>, name: string) => of.needs.find((need) => need.tier === name);

  test('twice the costs are twice the need', () => {
    const twice = Object.fromEntries(Object.keys(COSTS).map((name) => [name, 2]));
    const cpu = Object.fromEntries(
      Object.keys(COSTS)
        .filter((name) => /(Cpu|Event|Trait|Update|Segment|Call|Byte)$/.test(name) || name === 'deliver')
        .map((name) => [name, 2]),
    );
    const [once, doubled] = [capacity({}, 10), capacity(cpu, 10)];
    for (const name of ['ingest', 'evaluators', 'MySQL', 'API']) {
      expect(tier(doubled, name)?.cores).toBeCloseTo(2 * (tier(once, name)?.cores ?? 0));
    }
    expect(tier(capacity(twice, 10), 'ClickHouse')?.diskGb).toBeCloseTo(
      2 * (tier(once, 'ClickHouse')?.diskGb ?? 0),
    );
  });

  test('names what breaks first, and every limit with it', () => {
    const loads = capacity({ lookWait: 1_000 }).limits.map(({ load }) => load);
    expect(loads).toEqual([...loads].sort((a, b) => b - a));
    expect(capacity({ lookWait: 1_000 }).limits[0]?.name).toMatch(/clock/);
    expect(capacity({ mysqlEventBytes: 10_000 }).limits[0]?.name).toMatch(/disk of MySQL/);
  });

  test('every unit cost says where it is from, and how wrong it may be', () => {
    for (const { source, unit, within, value } of Object.values(COSTS)) {
      expect(source.length, unit).toBeGreaterThan(10);
      expect(within).toBeGreaterThanOrEqual(1);
      expect(value).toBeGreaterThan(0);
    }
  });

  test('one machine has the partitions that the code has', () => {
    expect(PRESETS['laptop']?.deployment.partitions).toBe(EVALUATOR_PARTITIONS);
    expect(PRESETS['one-server']?.deployment.partitions).toBe(EVALUATOR_PARTITIONS);
  });
});

describe('options', () => {
  test('change a preset, and leave the rest of it', () => {
    const { scenario, seed } = readOptions([
      'cluster',
      '--profiles',
      '1000000',
      '--seed',
      '5',
      '--shards',
      '4',
    ]);
    expect(scenario.workload.profiles).toBe(1e6);
    expect(scenario.deployment.shards).toBe(4);
    expect(scenario.workload.segments).toBe(PRESETS['cluster']?.workload.segments);
    expect(seed).toBe(5);
    expect(readOptions(['--cost', 'lookWait=2']).costs.lookWait).toBe(2);
  });

  test.each([
    [['moon'], /laptop, one-server, cluster, klaviyo/],
    [['laptop', 'cluster'], /one preset/],
    [['toString'], /one preset/],
    [['--profiles', '0'], /--profiles must be a whole number from 1/],
    [['--profiles', '1.5'], /whole number/],
    [['--events-per-second', 'many'], /a number from 0/],
    [['--evaluators', '9'], /8 partitions/],
    [['--accounts', '10', '--profiles', '5'], /--accounts/],
    [['--cost', 'lookWait'], /NAME=VALUE/],
    [['--cost', 'nothing=1'], /--costs/],
    [['--speed', '5'], /--speed/],
    [['--seed', ''], /--seed/],
  ])('%j is refused with what would be right', (args, message) => {
    expect(() => readOptions(args)).toThrow(BadOption);
    expect(() => readOptions(args)).toThrow(message);
  });
});
