/**
 * What one of everything costs: the only place where the model takes its figures from. CPU is that of one of two shared
 * cores (Intel Xeon, Linux VM; Node 20, ClickHouse 26.7, MariaDB 10.11). `within`: the truth may be so many times more,
 * or less. Change a figure here, or measure it on your machine, and everything follows.
 */

export interface UnitCost {
  value: number;
  unit: string;
  basis: 'measured' | 'derived' | 'estimate';
  /** The command, or the document, and how the value follows from it. */
  source: string;
  within: number;
}

const measured = (value: number, unit: string, source: string, within: number): UnitCost => ({
  value,
  unit,
  basis: 'measured',
  source,
  within,
});
const derived = (value: number, unit: string, source: string, within: number): UnitCost => ({
  ...measured(value, unit, source, within),
  basis: 'derived',
});
const estimate = (value: number, unit: string, source: string, within: number): UnitCost => ({
  ...measured(value, unit, source, within),
  basis: 'estimate',
});

const UNITS = 'npm run bench -- units';
const UNITS_BULK = `${UNITS}, calls of 1,000`;

export const COSTS = {
  apiCall: derived(5.8, 'ms of CPU', `${UNITS}: calls of 10 and their receipts, less idle and apiEvent`, 2),
  apiEvent: measured(33, 'µs of CPU', UNITS_BULK, 1.5),
  apiTrait: measured(34, 'µs of CPU', UNITS_BULK, 1.5),
  ingestEvent: measured(46, 'µs of CPU', UNITS_BULK, 2),
  ingestTrait: measured(66, 'µs of CPU', `${UNITS}: a profile with 6 attributes in one write`, 2),
  ingestGroups: derived(
    17,
    'groups/s of a busy process',
    'decision 4: 600 inserts in the 35 s of a latency benchmark',
    2,
  ),
  evaluateUpdate: derived(
    30,
    'µs of CPU',
    `${UNITS}: 38 µs with 20 segments, less ten of them at evaluateSegment`,
    3,
  ),
  evaluateSegment: measured(
    0.81,
    'µs of CPU',
    `${UNITS}: a segment of 1.5 conditions, 40 events in memory`,
    2,
  ),
  touchedShare: estimate(
    0.3,
    'of an account’s segments',
    'that a change can touch: one metric of several',
    2,
  ),
  mostTouched: estimate(100, 'segments', 'touched by one change, of an account with very many', 3),
  readWait: measured(25, 'ms', 'decision 5: 20 to 35 ms for one look-up on two busy cores', 1.5),
  readHistory: estimate(
    150,
    'µs of CPU of ClickHouse',
    'each further history in the same statement: 1,000 profiles took 200 ms where one took 90 (DESIGN)',
    3,
  ),
  readCpu: measured(16, 'ms of CPU of ClickHouse', 'decision 5: 15 to 17 ms for one look-up', 1.3),
  clockCpu: derived(
    0.15,
    'ms of CPU of ClickHouse a second',
    `${UNITS}: 100 quiet accounts, two windows each: 0.036 cores instead of 0.021`,
    3,
  ),
  clockEvaluatorCpu: estimate(
    0.01,
    'ms of CPU a second',
    `${UNITS}: 100 quiet accounts made no difference to be seen (0.033 cores, 0.037 without)`,
    5,
  ),
  lookWait: derived(
    0.05,
    'ms',
    `${UNITS}: a hundredth of 5 ms, the looks of eight clocks at 100 quiet accounts`,
    3,
  ),
  lookEvery: measured(0.5, 's', 'TICK_MS in src/evaluation/worker.ts', 1),
  insertCpu: measured(9, 'ms of CPU of ClickHouse', 'decision 4: 7 to 11 ms, for one row as for 300', 1.3),
  clickHouseEvent: measured(37, 'µs of CPU of ClickHouse', `${UNITS_BULK}, views, projection and merges`, 2),
  clickHouseTrait: measured(28, 'µs of CPU of ClickHouse', `${UNITS}: 6 attributes in one write`, 2),
  scan: derived(
    38e6,
    'rows/s of a core',
    'npm run bench -- language: "count at least 1" takes 0.095 s of 2 cores for 7.2 million rows',
    3,
  ),
  eventBytes: measured(107, 'bytes', `${UNITS}: both orders and the projection, 6 short properties`, 2),
  traitBytes: measured(67, 'bytes', `${UNITS}: 6 attributes in both orders`, 2),
  changeBytes: measured(28, 'bytes', `${UNITS}: membership_log and membership_latest`, 1.5),
  memberBytes: estimate(
    2,
    'bytes',
    'an entry of a sparse roaring container; 0.1 where half are in (DESIGN)',
    4,
  ),
  clickHouseMemory: estimate(
    4,
    'GB a machine',
    'caches, inserts, merges; 1 GB seen in create with 20 criteria',
    2,
  ),
  mysqlEvent: measured(31, 'µs of CPU of MariaDB', `${UNITS_BULK}; the embedded log lies in it, too`, 2),
  mysqlTrait: measured(41, 'µs of CPU of MariaDB', `${UNITS_BULK}; the embedded log lies in it, too`, 2),
  mysqlMemory: estimate(1, 'GB', 'more is fewer reads of the disk; 0.5 GB in import', 4),
  logByte: estimate(0.01, 'µs of CPU', 'a broker takes and serves some 100 MB/s with a core', 3),
  mysqlEventBytes: measured(112, 'bytes', `${UNITS}: a row of event_ids, which is never removed`, 1.3),
  mysqlProfileBytes: measured(605, 'bytes', `${UNITS}: profiles, and two rows of identifiers`, 1.5),
  logEventBytes: measured(390, 'bytes', `${UNITS}: a record of ingest.*`, 1.5),
  logTraitBytes: measured(263, 'bytes', `${UNITS}: a record of ingest.profiles`, 1.5),
  logUpdateBytes: measured(191, 'bytes', `${UNITS}: profile-changes, for an event or profile write`, 2),
  logChangeBytes: measured(110, 'bytes', `${UNITS}: membership-changes, for an entry or exit`, 1.5),
  processMemory: measured(350, 'MB', 'npm run bench -- latency: peak of a process with all roles', 1.5),
  segmentMemory: measured(
    2_785,
    'bytes',
    `${UNITS}: a segment in force, in each partition that has somebody of its account`,
    1.5,
  ),
  segmentLoad: measured(94, 'µs', `${UNITS}: from its definition into force`, 3),
  subscriberMemory: estimate(50, 'kB', 'a socket, its buffers and an empty queue', 4),
  deliver: estimate(30, 'µs of CPU', 'an entry written to one socket as JSON', 3),
  death: measured(10, 's', 'SESSION_MS in src/storage/log/kafka-group.ts; then segments are loaded', 1.5),
  handOver: estimate(2, 's', 'a round of the group: heartbeats each second, batches end first', 2),
} satisfies Record<string, UnitCost>;

export type Costs = Record<keyof typeof COSTS, number>;

/** The values alone, each times its factor: what if it were so much more? */
export function costsOf(factors: Partial<Costs> = {}): Costs {
  const names = Object.keys(COSTS) as (keyof typeof COSTS)[];
  return Object.fromEntries(names.map((name) => [name, COSTS[name].value * (factors[name] ?? 1)])) as Costs;
}
