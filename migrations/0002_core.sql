-- Instants are epoch milliseconds. Names and identifiers compare byte by byte (utf8mb4_bin).

CREATE TABLE IF NOT EXISTS accounts (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(255) NOT NULL,
  timezone VARCHAR(64) NOT NULL DEFAULT 'UTC',
  next_profile INT UNSIGNED NOT NULL DEFAULT 0,
  created_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The secret itself is never stored: it has 256 random bits, so one fast hash is enough.
CREATE TABLE IF NOT EXISTS api_keys (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account INT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  secret_hash CHAR(64) NOT NULL,
  scopes VARCHAR(64) NOT NULL,
  created_at BIGINT NOT NULL,
  last_used_at BIGINT NULL,
  revoked_at BIGINT NULL,
  UNIQUE KEY by_secret (secret_hash),
  KEY by_account (account)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A merged profile stays as a signpost to the one it went into.
CREATE TABLE IF NOT EXISTS profiles (
  account INT UNSIGNED NOT NULL,
  number INT UNSIGNED NOT NULL,
  external_id VARCHAR(255) NULL,
  email VARCHAR(255) NULL,
  phone VARCHAR(64) NULL,
  first_name VARCHAR(255) NULL,
  last_name VARCHAR(255) NULL,
  timezone VARCHAR(64) NULL,
  locale VARCHAR(64) NULL,
  location LONGTEXT NOT NULL,
  properties LONGTEXT NOT NULL,
  consents LONGTEXT NOT NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  revision BIGINT UNSIGNED NOT NULL,
  merged_into INT UNSIGNED NULL,
  PRIMARY KEY (account, number)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- kind: 1 external id, 2 email (lower case), 3 phone, 4 anonymous id. The order is the order of precedence.
CREATE TABLE IF NOT EXISTS identifiers (
  account INT UNSIGNED NOT NULL,
  kind TINYINT UNSIGNED NOT NULL,
  value VARCHAR(255) NOT NULL,
  profile INT UNSIGNED NOT NULL,
  PRIMARY KEY (account, kind, value),
  KEY by_profile (account, profile)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS metrics (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account INT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  first_seen_at BIGINT NOT NULL,
  UNIQUE KEY by_name (account, name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Names of properties as they appear, per metric (0: of profiles). kinds is a bit set: 1 text, 2 number, 4 boolean, 8 list.
CREATE TABLE IF NOT EXISTS property_names (
  account INT UNSIGNED NOT NULL,
  metric INT UNSIGNED NOT NULL,
  path VARCHAR(255) NOT NULL,
  kinds TINYINT UNSIGNED NOT NULL,
  first_seen_at BIGINT NOT NULL,
  PRIMARY KEY (account, metric, path)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The first arrival of an event id, by its place in the log. Whatever comes later under the same id is a duplicate.
CREATE TABLE IF NOT EXISTS event_ids (
  account INT UNSIGNED NOT NULL,
  id BINARY(16) NOT NULL,
  stream TINYINT UNSIGNED NOT NULL,
  partition_no SMALLINT UNSIGNED NOT NULL,
  record_offset BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (account, id)
);

CREATE TABLE IF NOT EXISTS segments (
  id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  account INT UNSIGNED NOT NULL,
  name VARCHAR(255) NOT NULL,
  version INT UNSIGNED NOT NULL,
  failure VARCHAR(1000) NULL,
  created_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  deleted_at BIGINT NULL,
  KEY by_account (account, id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS segment_versions (
  segment INT UNSIGNED NOT NULL,
  version INT UNSIGNED NOT NULL,
  definition LONGTEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (segment, version)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Which version of a segment each evaluator partition has brought its memberships to.
CREATE TABLE IF NOT EXISTS segment_partitions (
  segment INT UNSIGNED NOT NULL,
  partition_no SMALLINT UNSIGNED NOT NULL,
  account INT UNSIGNED NOT NULL,
  version INT UNSIGNED NOT NULL,
  populated_at BIGINT NOT NULL,
  PRIMARY KEY (segment, partition_no),
  KEY by_partition (partition_no, account)
);

-- The exact ClickHouse rows and messages that a group of batches owes (deflated JSON, in parts). Written in the
-- transaction of the batches themselves: a crash can neither repeat them nor cut them anew. The random id is also the
-- token under which ClickHouse takes the rows once.
CREATE TABLE IF NOT EXISTS ingest_debts (
  id CHAR(32) NOT NULL,
  part SMALLINT UNSIGNED NOT NULL,
  owed LONGBLOB NOT NULL,
  -- With the first part: JSON, the accounts whose news travel before the debt is paid.
  ahead LONGTEXT NULL,
  PRIMARY KEY (id, part)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- How far each partition of a topic has been taken into MySQL, and what its last batch still owes.
CREATE TABLE IF NOT EXISTS ingest_positions (
  topic VARCHAR(64) NOT NULL,
  partition_no SMALLINT UNSIGNED NOT NULL,
  next_offset BIGINT UNSIGNED NOT NULL,
  debt CHAR(32) NULL,
  changes_through LONGTEXT NULL,
  PRIMARY KEY (topic, partition_no),
  KEY by_debt (debt)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The single writer of each membership partition. An epoch fences out a predecessor that does not know it is dead:
-- diffs are written here, under the epoch, before they go to ClickHouse.
CREATE TABLE IF NOT EXISTS evaluator_partitions (
  partition_no SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
  epoch BIGINT UNSIGNED NOT NULL,
  watermark BIGINT NOT NULL,
  next_sequence BIGINT UNSIGNED NOT NULL,
  -- The latest instant of an evaluation whose entries have set out for ClickHouse.
  latest BIGINT NOT NULL DEFAULT 0,
  pending LONGBLOB NULL
);
