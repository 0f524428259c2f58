/** What each tier needs in the busiest second and on its disks: nothing but the workload times what one costs. */
import { round } from '../lib/stats.ts';
import type { Costs } from './costs.ts';
import type { Deployment, Workload } from './workload.ts';
import { imbalance, type Placement } from './accounts.ts';

/** Nobody runs at more than this in the busiest second. */
export const HEADROOM = 0.7;
const GB = 1e9;
const DAY = 86_400;
/** Of the log's topics: src/storage/topics.ts. */
const LOG_DAYS = 7;
const CHANGES_DAYS = 1;
/** The entries that a process puts into a shard go at most so often. */
const LOG_INSERTS = 10;
const BATCH = 200;
/** Statements for histories that a process has under way: src/evaluation/known-profiles.ts. */
const READS_AT_ONCE = 2;
const MOST_SHARDS = 10_000;

export interface Need {
  tier: string;
  /** Processes or machines. */
  machines: number;
  cores: number;
  memoryGb: number;
  /** With all copies. */
  diskGb: number;
  /** Of the whole tier, in the busiest second. */
  megabytesPerSecond: number;
  note: string;
}

export interface Limit {
  name: string;
  /** Above 1: it does not hold. */
  load: number;
  note: string;
}

export interface Capacity {
  needs: Need[];
  /** The nearest first. */
  limits: Limit[];
  /** CPU of ClickHouse in the busiest second, by what it is for. */
  clickHouseCores: Record<string, number>;
  evaluators: number;
  shards: number;
  /** Seconds of CPU of an evaluator for an update. */
  updateSeconds: number;
  segmentsTouched: number;
  /** In memory, in the partition with the most. */
  segmentsPerPartition: number;
  partitionImbalance: number;
  shardImbalance: number;
}

export function capacityOf(
  workload: Workload,
  deployment: Deployment,
  costs: Costs,
  partitions: Placement,
  shardsAt: (shards: number) => Placement,
): Capacity {
  const { peakFactor, retentionDays, profiles, segments, accounts, changesPerUpdate } = workload;
  const { replicas } = deployment;
  const events = workload.eventsPerSecond * peakFactor;
  const traits = workload.traitsPerSecond * peakFactor;
  const updates = events + traits;
  const changes = updates * changesPerUpdate;
  const micro = 1e-6;
  const processes = (cores: number) => Math.max(1, Math.ceil(cores / HEADROOM));
  const updatesPerDay = (workload.eventsPerSecond + workload.traitsPerSecond) * DAY;
  const eventsKept = workload.eventsPerSecond * DAY * retentionDays;

  const delivered = changes * Math.min(1, workload.subscribers / accounts);
  const apiCores =
    ((updates / workload.eventsPerCall) * costs.apiCall) / 1e3 +
    (events * costs.apiEvent + traits * costs.apiTrait + delivered * costs.deliver) * micro;
  const api = processes(apiCores);
  const ingestCores = (events * costs.ingestEvent + traits * costs.ingestTrait) * micro;
  const ingest = processes(ingestCores);

  const segmentsTouched = Math.min(costs.mostTouched, (segments / accounts) * costs.touchedShare);
  // An account that lies in several partitions has a clock in each.
  const clocks = workload.windowedShare > 0 ? partitions.accounts.reduce((sum, of) => sum + of, 0) : 0;
  const updateSeconds = (costs.evaluateUpdate + segmentsTouched * costs.evaluateSegment) * micro;
  const evaluateCores = updates * updateSeconds + (clocks * costs.clockEvaluatorCpu) / 1e3;
  const evaluators =
    deployment.evaluators ??
    Math.min(deployment.partitions, processes(evaluateCores * imbalance(partitions.shares)));
  const perEvaluator = deployment.partitions / evaluators;
  // Each partition has the segments of those accounts in its own memory of whom somebody lies in it.
  const mostAccounts = Math.max(...partitions.accounts);
  const segmentsPerPartition = mostAccounts * (segments / accounts);
  const registryGb = (segmentsPerPartition * costs.segmentMemory * perEvaluator) / GB;

  // Who is unknown in a batch is read with one statement, whatever their accounts, and each partition takes its batches
  // one after the other. The partitions of a process share their statements.
  const unknownShare = 1 / workload.updatesPerVisit;
  const histories = updates * unknownShare;
  let [reads, busiestWait] = [0, 0];
  for (const share of partitions.shares) {
    const mine = updates * share;
    const historySeconds = mine * unknownShare * costs.readHistory * micro;
    const batch = Math.min(BATCH, Math.max(1, mine * (costs.readWait / 1e3)));
    reads += (mine / batch) * (1 - (1 - unknownShare) ** batch);
    // It waits longer for larger batches, and no more often.
    const waits = (mine / BATCH) * (costs.readWait / 1e3);
    busiestWait = Math.max(busiestWait, waits + historySeconds + mine * updateSeconds);
  }
  reads = Math.min(reads, (evaluators * READS_AT_ONCE) / (costs.readWait / 1e3));
  const longestLook = (mostAccounts * costs.lookWait) / 1e3;

  const groups = ingest * costs.ingestGroups;
  const rowsPerGroup = updates / groups;
  const busyPartitions = partitions.accounts.filter((of) => of > 0).length;
  /** By what it is for. An insert goes to each shard that its rows belong to: more shards, more inserts. */
  const clickHouseCoresOf = (shards: number) => {
    // Events and traits are two tables.
    const inserts = 2 * groups * Math.min(shards, Math.max(1, rowsPerGroup / 2));
    // The partitions of a process go together, those of each shard: decision 13.
    const writers = Math.min(busyPartitions, evaluators * Math.min(shards, Math.ceil(perEvaluator)));
    const membershipInserts = Math.min(writers * LOG_INSERTS, changes);
    // Of the condition's metric, one of four.
    const scanned = (eventsKept / accounts / 4) * workload.criteriaPerSegment;
    return {
      'rows of events and traits':
        replicas * (events * costs.clickHouseEvent + traits * costs.clickHouseTrait) * micro,
      'inserts, at least so much each': (replicas * inserts * costs.insertCpu) / 1e3,
      'entries and exits': (replicas * membershipInserts * costs.insertCpu) / 1e3,
      'histories of who is not in memory':
        (reads * costs.readCpu) / 1e3 + histories * costs.readHistory * micro,
      'the clocks of all accounts': (clocks * costs.clockCpu) / 1e3,
      'new segments': (peakFactor * (workload.creationsPerHour / 3_600) * scanned) / costs.scan,
    };
  };
  const clickHouseDisk =
    (eventsKept * costs.eventBytes +
      profiles * costs.traitBytes +
      updatesPerDay * retentionDays * changesPerUpdate * costs.changeBytes +
      segments * (profiles / accounts) * workload.memberShare * costs.memberBytes) *
    replicas;
  const shards =
    deployment.shards ?? shardsFor((of) => sum(clickHouseCoresOf(of)), clickHouseDisk, deployment);
  const clickHouseCores = clickHouseCoresOf(shards);
  const clickHouseTotal = sum(clickHouseCores);
  const shardPlacement = shardsAt(shards);

  const mysqlCores = (events * costs.mysqlEvent + traits * costs.mysqlTrait) * micro;
  const mysqlGrowth = workload.eventsPerSecond * DAY * costs.mysqlEventBytes;
  const mysqlDisk = profiles * costs.mysqlProfileBytes + mysqlGrowth * retentionDays;
  const logBytes =
    events * costs.logEventBytes +
    traits * costs.logTraitBytes +
    updates * costs.logUpdateBytes +
    changes * costs.logChangeBytes;
  const keptBytes =
    ((logBytes - changes * costs.logChangeBytes) * LOG_DAYS + changes * costs.logChangeBytes * CHANGES_DAYS) *
    (DAY / peakFactor);

  const processMemory = costs.processMemory / 1e3;
  const clientsGb = (workload.subscribers * costs.subscriberMemory) / 1e6;
  const evaluatorGb = processMemory + registryGb;
  const sentBytes = events * costs.logEventBytes + traits * costs.logTraitBytes;
  const machines = shards * replicas;
  const copies = logCopies(replicas);
  const needs: Need[] = [
    need(
      'API',
      api,
      [apiCores, api * processMemory + clientsGb, 0, sentBytes * micro],
      'processes of one core',
    ),
    need(
      'ingest',
      ingest,
      [ingestCores, ingest * processMemory, 0, sentBytes * micro],
      'processes of one core',
    ),
    need(
      'evaluators',
      evaluators,
      [evaluateCores, evaluators * evaluatorGb, 0, updates * costs.logUpdateBytes * micro],
      `${deployment.partitions} partitions`,
    ),
    need(
      'ClickHouse',
      machines,
      [clickHouseTotal, machines * costs.clickHouseMemory, clickHouseDisk / GB, sentBytes * replicas * micro],
      `${shards} ${shards === 1 ? 'shard' : 'shards'}, ${replicas === 1 ? 'no copy' : `${replicas} copies each`}`,
    ),
    need(
      'MySQL',
      replicas,
      [mysqlCores, costs.mysqlMemory, (mysqlDisk * replicas) / GB, sentBytes * micro],
      `${Math.round(updates).toLocaleString('en-US')} rows/s written, all by one server`,
    ),
    need(
      'log',
      copies,
      [
        logBytes * costs.logByte * micro * copies,
        copies,
        (keptBytes * copies) / GB,
        logBytes * copies * micro,
      ],
      replicas > 1 ? 'Kafka, 3 copies' : 'in MySQL; its CPU is in that of MySQL',
    ),
  ];
  const limits: Limit[] = [
    {
      name: 'a look of a clock, within 1 s',
      load: longestLook,
      note: `${mostAccounts} accounts in one partition, ${costs.lookWait} ms each`,
    },
    {
      name: 'a partition, which does one thing at a time',
      load: busiestWait,
      note: 'waiting for histories, and evaluating',
    },
    {
      name: 'processes that can share the partitions',
      load: evaluateCores / HEADROOM / deployment.partitions,
      note: `${deployment.partitions} partitions; the code has 8`,
    },
    {
      name: 'an evaluator’s core',
      load: (evaluateCores / evaluators) * imbalanceOver(partitions.shares, evaluators),
      note: `${evaluators} processes`,
    },
    {
      name: 'memory of an evaluator, of 4 GB',
      load: evaluatorGb / 4,
      note: `the segments of ${mostAccounts.toLocaleString('en-US')} accounts in each of its ${round(perEvaluator, 1)} partitions`,
    },
    {
      name: 'cores of ClickHouse',
      load:
        (clickHouseTotal * imbalance(shardPlacement.shares)) / (shards * replicas * deployment.shardCores),
      note: `the fullest of ${shards} shards; the code takes at most 8`,
    },
    {
      name: 'disks of ClickHouse',
      load:
        (clickHouseDisk / GB / (shards * replicas * deployment.shardDiskGb)) *
        imbalance(shardPlacement.shares),
      note: `${retentionDays} days`,
    },
    { name: 'cores of MySQL', load: mysqlCores / deployment.mysqlCores, note: 'one server writes' },
    {
      name: 'disk of MySQL',
      load: mysqlDisk / GB / deployment.mysqlDiskGb,
      note: `after ${retentionDays} days, ${round(mysqlGrowth / GB, 1)} GB a day of event ids that nothing removes`,
    },
  ];
  limits.sort((a, b) => b.load - a.load);
  return {
    needs,
    limits,
    clickHouseCores,
    evaluators,
    shards,
    updateSeconds,
    segmentsTouched,
    segmentsPerPartition,
    partitionImbalance: imbalance(partitions.shares),
    shardImbalance: imbalance(shardPlacement.shares),
  };
}

function need(
  tier: string,
  machines: number,
  [cores, memoryGb, diskGb, megabytesPerSecond]: [number, number, number, number],
  note: string,
): Need {
  return { tier, machines, cores, memoryGb, diskGb, megabytesPerSecond, note };
}

/** As few as have the cores and the disks, were all accounts spread evenly. */
function shardsFor(coresOf: (shards: number) => number, diskBytes: number, deployment: Deployment): number {
  const { replicas, shardCores, shardDiskGb } = deployment;
  for (let shards = 1; shards < MOST_SHARDS; shards++) {
    const machines = shards * replicas;
    if (coresOf(shards) > machines * shardCores * HEADROOM) continue;
    if (diskBytes / GB <= machines * shardDiskGb * HEADROOM) return shards;
  }
  return MOST_SHARDS;
}

/** Work of the busiest process over the mean: partitions are dealt out one by one. */
function imbalanceOver(shares: Float64Array, processes: number): number {
  const dealt = new Float64Array(processes);
  shares.forEach((share, at) => (dealt[at % processes] = (dealt[at % processes] ?? 0) + share));
  return imbalance(dealt);
}

/** Of Kafka: src/storage/log/kafka-topics.ts. */
function logCopies(replicas: number): number {
  return replicas > 1 ? 3 : 1;
}

function sum(parts: Record<string, number>): number {
  return Object.values(parts).reduce((total, part) => total + part, 0);
}
