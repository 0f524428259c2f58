/** Tables for people. */
import { COSTS, type Costs } from './costs.ts';
import { HEADROOM } from './capacity.ts';
import type { Options } from './options.ts';
import type { Simulation } from './simulate.ts';

const number = (value: number): string => {
  if (value === 0) return '-';
  if (value < 0.01) return '< 0.01';
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return value.toLocaleString('en-US', { maximumFractionDigits: digits });
};
const seconds = (value: number): string => `${number(value)} s`;

export function printed({ name, scenario, seed }: Options, simulation: Simulation): string {
  const { workload, deployment } = scenario;
  const { capacity, day, changing, from, to } = simulation;
  const at = (part: number) => clock(from + part * (to - from));
  const { limits, needs, clickHouseCores } = capacity;
  const [first] = limits;
  const total = Object.values(clickHouseCores).reduce((sum, part) => sum + part, 0);
  return [
    `${name}, seed ${seed}`,
    ...table([
      [
        'events a second, mean / busiest',
        `${number(workload.eventsPerSecond)} / ${number(workload.eventsPerSecond * workload.peakFactor)}`,
      ],
      [
        'trait updates a second, mean / busiest',
        `${number(workload.traitsPerSecond)} / ${number(workload.traitsPerSecond * workload.peakFactor)}`,
      ],
      ['profiles, accounts', `${number(workload.profiles)}, ${number(workload.accounts)}`],
      ['the largest account', `${number(simulation.largestAccount * 100)} % of all`],
      ['segments', number(workload.segments)],
      [
        'memberships',
        number(workload.segments * (workload.profiles / workload.accounts) * workload.memberShare),
      ],
      ['segments that an update touches', number(capacity.segmentsTouched)],
      [
        'fullest partition / shard, over the mean',
        `${number(capacity.partitionImbalance)} of ${deployment.partitions} / ${number(capacity.shardImbalance)} of ${capacity.shards}`,
      ],
    ]),
    '',
    'Needed in the busiest second, and on the disks with all copies',
    ...table(
      [
        ['', 'machines', 'cores', 'memory GB', 'disk GB', 'MB/s', ''],
        ...needs.map((one) => [
          one.tier,
          number(one.machines),
          number(one.cores),
          number(one.memoryGb),
          number(one.diskGb),
          number(one.megabytesPerSecond),
          one.note,
        ]),
      ],
      1,
      5,
    ),
    '',
    'Cores of ClickHouse, by what they do',
    ...table(
      Object.entries(clickHouseCores)
        .sort(([, a], [, b]) => b - a)
        .map(([what, cores]) => [what, number(cores), `${number((cores / total) * 100)} %`]),
      1,
      2,
    ),
    '',
    `Limits, the nearest first (above 100 % it does not hold; plan for ${HEADROOM * 100} %)`,
    ...table(
      limits.map(({ name: what, load, note }) => [what, `${number(load * 100)} %`, note]),
      1,
      1,
    ),
    '',
    first && first.load > 1 ? `Breaks first: ${first.name}.` : 'Nothing breaks.',
    '',
    `From ${at(0)} to ${at(1)} on the busiest day, ${capacity.evaluators} evaluators; and again with one more at ${at(0.5)} and one that dies at ${at(0.75)}`,
    ...table(
      [
        ['', 'as many all the time', 'with changes'],
        ['came in', number(day.arrived), number(changing.arrived)],
        ['still waiting at its end', number(day.waiting), number(changing.waiting)],
        ['lag p50', seconds(day.lag.p50), seconds(changing.lag.p50)],
        ['lag p99', seconds(day.lag.p99), seconds(changing.lag.p99)],
        ['lag at most', seconds(day.lag.max), seconds(changing.lag.max)],
        [
          'busiest core',
          `${number(day.busiestProcess * 100)} %`,
          `${number(changing.busiestProcess * 100)} %`,
        ],
        ['a look of a clock, median', seconds(day.clockLookSeconds.median), ''],
        ['a look of a clock, longest', seconds(day.clockLookSeconds.max), ''],
        ['as before again, after the arrival', '', recovery(changing.recovered[0])],
        ['as before again, after the death', '', recovery(changing.recovered[1])],
      ],
      1,
      2,
    ),
    '',
    `The longest lag of each hour, from ${at(0)}, seconds`,
    `  ${day.worstByHour.map((lag) => number(lag)).join('  ')}`,
    `  ${changing.worstByHour.map((lag) => number(lag)).join('  ')}   with changes`,
  ].join('\n');
}

function clock(second: number): string {
  const minutes = Math.floor(second / 60);
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, '0')}`;
}

function recovery(after: number | null | undefined): string {
  return after == null ? 'not within an hour' : after === 0 ? 'at once' : `${after} s`;
}

export function costTable(costs: Costs): string {
  const rows = Object.entries(COSTS).map(([name, { unit, basis, source, within }]) => [
    name,
    costs[name as keyof Costs].toLocaleString('en-US'),
    unit,
    basis,
    within === 1 ? 'exact' : `× or ÷ ${within}`,
    source,
  ]);
  return table([['', 'value', 'unit', 'basis', 'may be off', 'source'], ...rows], 1, 1).join('\n');
}

/** Columns `from` to `to` are aligned to the right. */
function table(rows: readonly (readonly string[])[], from = 1, to = 0): string[] {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column >= from && column <= to ? cell.padStart(width(column)) : cell.padEnd(width(column)),
    );
    return `  ${cells.join('  ')}`.trimEnd();
  });
}
