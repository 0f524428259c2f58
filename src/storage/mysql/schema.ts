/** The tables of `migrations/`, for typed queries. Instants are epoch milliseconds. */
import {
  bigint,
  char,
  customType,
  int,
  longtext,
  mysqlTable,
  primaryKey,
  smallint,
  tinyint,
  varchar,
} from 'drizzle-orm/mysql-core';

const id = (name: string) => int(name, { unsigned: true });
const instant = (name: string) => bigint(name, { mode: 'number' });
const counter = (name: string) => bigint(name, { mode: 'number', unsigned: true });
const longblob = customType<{ data: Buffer }>({ dataType: () => 'longblob' });

export const accounts = mysqlTable('accounts', {
  id: id('id').autoincrement().primaryKey(),
  name: varchar('name', { length: 255 }).notNull(),
  timezone: varchar('timezone', { length: 64 }).notNull().default('UTC'),
  nextProfile: id('next_profile').notNull().default(0),
  createdAt: instant('created_at').notNull(),
});

export const apiKeys = mysqlTable('api_keys', {
  id: id('id').autoincrement().primaryKey(),
  account: id('account').notNull(),
  name: varchar('name', { length: 255 }).notNull(),
  secretHash: char('secret_hash', { length: 64 }).notNull(),
  /** Comma-separated ApiScope names. */
  scopes: varchar('scopes', { length: 64 }).notNull(),
  createdAt: instant('created_at').notNull(),
  lastUsedAt: instant('last_used_at'),
  revokedAt: instant('revoked_at'),
});

export const profiles = mysqlTable(
  'profiles',
  {
    account: id('account').notNull(),
    number: id('number').notNull(),
    externalId: varchar('external_id', { length: 255 }),
    email: varchar('email', { length: 255 }),
    phone: varchar('phone', { length: 64 }),
    firstName: varchar('first_name', { length: 255 }),
    lastName: varchar('last_name', { length: 255 }),
    timezone: varchar('timezone', { length: 64 }),
    locale: varchar('locale', { length: 64 }),
    /** JSON objects as text: MariaDB and MySQL disagree on what a JSON column returns. */
    location: longtext('location').notNull(),
    properties: longtext('properties').notNull(),
    /** JSON: the newest consent of each channel, as `ConsentFacts`. */
    consents: longtext('consents').notNull(),
    createdAt: instant('created_at').notNull(),
    updatedAt: instant('updated_at').notNull(),
    revision: counter('revision').notNull(),
    mergedInto: id('merged_into'),
  },
  (table) => [primaryKey({ columns: [table.account, table.number] })],
);

export const identifiers = mysqlTable(
  'identifiers',
  {
    account: id('account').notNull(),
    kind: tinyint('kind', { unsigned: true }).notNull(),
    value: varchar('value', { length: 255 }).notNull(),
    profile: id('profile').notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.kind, table.value] })],
);

export const metrics = mysqlTable('metrics', {
  id: id('id').autoincrement().primaryKey(),
  account: id('account').notNull(),
  name: varchar('name', { length: 255 }).notNull(),
  firstSeenAt: instant('first_seen_at').notNull(),
});

export const propertyNames = mysqlTable(
  'property_names',
  {
    account: id('account').notNull(),
    metric: id('metric').notNull(),
    path: varchar('path', { length: 255 }).notNull(),
    kinds: tinyint('kinds', { unsigned: true }).notNull(),
    firstSeenAt: instant('first_seen_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.metric, table.path] })],
);

export const segments = mysqlTable('segments', {
  id: id('id').autoincrement().primaryKey(),
  account: id('account').notNull(),
  name: varchar('name', { length: 255 }).notNull(),
  version: id('version').notNull(),
  failure: varchar('failure', { length: 1000 }),
  createdAt: instant('created_at').notNull(),
  updatedAt: instant('updated_at').notNull(),
  deletedAt: instant('deleted_at'),
});

export const segmentVersions = mysqlTable(
  'segment_versions',
  {
    segment: id('segment').notNull(),
    version: id('version').notNull(),
    /** The condition as ConditionInput JSON. */
    definition: longtext('definition').notNull(),
    createdAt: instant('created_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.segment, table.version] })],
);

/** Which segments the present version of a segment refers to. */
export const segmentReferences = mysqlTable(
  'segment_references',
  {
    account: id('account').notNull(),
    segment: id('segment').notNull(),
    target: id('target').notNull(),
  },
  (table) => [primaryKey({ columns: [table.account, table.segment, table.target] })],
);

export const segmentPartitions = mysqlTable(
  'segment_partitions',
  {
    segment: id('segment').notNull(),
    partition: smallint('partition_no', { unsigned: true }).notNull(),
    account: id('account').notNull(),
    version: id('version').notNull(),
    populatedAt: instant('populated_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.segment, table.partition] })],
);

export const ingestDebts = mysqlTable(
  'ingest_debts',
  {
    id: char('id', { length: 32 }).notNull(),
    part: smallint('part', { unsigned: true }).notNull(),
    owed: longblob('owed').notNull(),
    /** With the first part: JSON, the accounts whose news travel before the debt is paid. */
    ahead: longtext('ahead'),
  },
  (table) => [primaryKey({ columns: [table.id, table.part] })],
);

/** Debts that somebody has begun to pay again. */
export const ingestRepeats = mysqlTable('ingest_repeats', {
  debt: char('debt', { length: 32 }).primaryKey(),
});

export const ingestPositions = mysqlTable(
  'ingest_positions',
  {
    topic: varchar('topic', { length: 64 }).notNull(),
    partition: smallint('partition_no', { unsigned: true }).notNull(),
    nextOffset: counter('next_offset').notNull(),
    /** Of `ingestDebts`: what the last batch still owes. */
    debt: char('debt', { length: 32 }),
    /** JSON: per partition of profile-changes, the offset that covers all this partition has caused so far. */
    changesThrough: longtext('changes_through'),
  },
  (table) => [primaryKey({ columns: [table.topic, table.partition] })],
);

export const evaluatorPartitions = mysqlTable('evaluator_partitions', {
  partition: smallint('partition_no', { unsigned: true }).primaryKey(),
  epoch: counter('epoch').notNull(),
  watermark: instant('watermark').notNull(),
  nextSequence: counter('next_sequence').notNull(),
  /** The latest instant of an evaluation whose entries have set out for ClickHouse. */
  latest: instant('latest').notNull().default(0),
  pending: longblob('pending'),
});

export const populationCopies = mysqlTable(
  'population_copies',
  {
    partition: smallint('partition_no', { unsigned: true }).notNull(),
    run: char('run', { length: 36 }).notNull(),
    account: id('account').notNull(),
    segment: id('segment').notNull(),
  },
  (table) => [primaryKey({ columns: [table.partition, table.run] })],
);

export const membershipAhead = mysqlTable(
  'membership_ahead',
  {
    partition: smallint('partition_no', { unsigned: true }).notNull(),
    firstSequence: counter('first_sequence').notNull(),
    account: id('account').notNull(),
    insertFrom: counter('insert_from'),
    entries: longblob('entries').notNull(),
  },
  (table) => [primaryKey({ columns: [table.partition, table.firstSequence] })],
);

export const membershipInserts = mysqlTable(
  'membership_inserts',
  {
    token: varchar('token', { length: 64 }).notNull(),
    partition: smallint('partition_no', { unsigned: true }).notNull(),
    insertFrom: counter('insert_from').notNull(),
  },
  (table) => [primaryKey({ columns: [table.token, table.partition] })],
);
