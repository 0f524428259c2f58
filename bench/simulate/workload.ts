/** What comes in, and what it is to be held against: the presets are the steps of docs/scaling.md. */

export interface Workload {
  eventsPerSecond: number;
  /** Traits: values of profiles that change. Both are means over a day. */
  traitsPerSecond: number;
  /** The busiest second of the year over the mean: a curve of the day and a Black Friday. */
  peakFactor: number;
  /** Events of one call of the API. */
  eventsPerCall: number;
  profiles: number;
  accounts: number;
  /** The size of the n-th largest account is as 1 / (n + 2)^skew. */
  skew: number;
  segments: number;
  criteriaPerSegment: number;
  /** Segments that time alone can change. */
  windowedShare: number;
  /** Of its account's profiles, how many are in a segment. */
  memberShare: number;
  /** Entries and exits that an event or trait brings. */
  changesPerUpdate: number;
  /** Of what is counted; the event ids in MySQL have no such end (docs/scaling.md). */
  retentionDays: number;
  creationsPerHour: number;
  subscribers: number;
  /** Events and traits of one person that come close together: the first of them finds nothing of them in memory. */
  updatesPerVisit: number;
}

export interface Deployment {
  /** Partitions of profile-changes. The code has a constant: 8. */
  partitions: number;
  /** Null: as many as the capacity model asks for. */
  evaluators: number | null;
  shards: number | null;
  /** Copies of ClickHouse's data, MySQL's and the log's. */
  replicas: number;
  /** Of one machine of ClickHouse. */
  shardCores: number;
  shardDiskGb: number;
  mysqlCores: number;
  mysqlDiskGb: number;
}

export interface Scenario {
  workload: Workload;
  deployment: Deployment;
}

const SHOP = {
  peakFactor: 4,
  criteriaPerSegment: 2,
  // Klaviyo's figure.
  windowedShare: 0.6,
  memberShare: 0.1,
  changesPerUpdate: 0.26,
  retentionDays: 365,
  updatesPerVisit: 5,
};

const ONE_MACHINE = { partitions: 8, evaluators: 1, shards: 1, replicas: 1 };

/** 2 billion events and 1.5 billion trait updates a day, 18 million segments. What is not published is an assumption. */
const KLAVIYO: Workload = {
  ...SHOP,
  eventsPerSecond: 2e9 / 86_400,
  traitsPerSecond: 1.5e9 / 86_400,
  eventsPerCall: 20,
  profiles: 7e9,
  accounts: 150_000,
  skew: 0.9,
  segments: 18e6,
  // Tens of billions of memberships: 18 million segments of 47,000 profiles on average have 42 billion with this.
  memberShare: 0.05,
  creationsPerHour: 20_000,
  subscribers: 20_000,
};

export const PRESETS: Record<string, Scenario> = {
  laptop: {
    workload: {
      ...SHOP,
      eventsPerSecond: 50,
      traitsPerSecond: 10,
      eventsPerCall: 10,
      profiles: 100_000,
      accounts: 1,
      skew: 1,
      segments: 20,
      creationsPerHour: 10,
      subscribers: 1,
    },
    deployment: {
      ...ONE_MACHINE,
      shardCores: 2,
      shardDiskGb: 500,
      mysqlCores: 2,
      mysqlDiskGb: 500,
    },
  },
  'one-server': {
    workload: {
      ...SHOP,
      eventsPerSecond: 1_000,
      traitsPerSecond: 500,
      eventsPerCall: 20,
      profiles: 20e6,
      accounts: 200,
      skew: 0.9,
      segments: 5_000,
      creationsPerHour: 100,
      subscribers: 100,
    },
    deployment: {
      ...ONE_MACHINE,
      evaluators: null,
      shardCores: 16,
      shardDiskGb: 4_000,
      mysqlCores: 8,
      mysqlDiskGb: 4_000,
    },
  },
  cluster: {
    workload: {
      ...SHOP,
      eventsPerSecond: 5_000,
      traitsPerSecond: 3_000,
      eventsPerCall: 20,
      profiles: 500e6,
      accounts: 5_000,
      skew: 0.9,
      segments: 500_000,
      creationsPerHour: 2_000,
      subscribers: 2_000,
    },
    deployment: {
      partitions: 64,
      evaluators: null,
      shards: null,
      replicas: 2,
      shardCores: 16,
      shardDiskGb: 8_000,
      mysqlCores: 16,
      mysqlDiskGb: 8_000,
    },
  },
  klaviyo: {
    workload: KLAVIYO,
    deployment: {
      partitions: 512,
      evaluators: null,
      shards: null,
      replicas: 2,
      shardCores: 16,
      shardDiskGb: 8_000,
      mysqlCores: 16,
      mysqlDiskGb: 8_000,
    },
  },
};
