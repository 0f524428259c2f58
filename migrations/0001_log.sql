-- The embedded log (src/storage/log/embedded.ts). Empty where the log is Kafka.

CREATE TABLE IF NOT EXISTS log_topics (
  topic_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(249) NOT NULL,
  retention_ms BIGINT NULL,
  UNIQUE KEY by_name (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The row lock of a partition is held from the assignment of offsets to the commit: offsets become visible in order.
CREATE TABLE IF NOT EXISTS log_partitions (
  topic_id INT UNSIGNED NOT NULL,
  partition_no INT UNSIGNED NOT NULL,
  next_offset BIGINT UNSIGNED NOT NULL DEFAULT 0,
  next_byte BIGINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (topic_id, partition_no)
);

-- start_byte counts the payload of the partition before the record, so that one range read can be bounded in bytes.
CREATE TABLE IF NOT EXISTS log_records (
  topic_id INT UNSIGNED NOT NULL,
  partition_no INT UNSIGNED NOT NULL,
  record_offset BIGINT UNSIGNED NOT NULL,
  start_byte BIGINT UNSIGNED NOT NULL,
  size INT UNSIGNED NOT NULL,
  appended_at BIGINT NOT NULL,
  record_key BLOB NULL,
  value LONGBLOB NOT NULL,
  PRIMARY KEY (topic_id, partition_no, record_offset)
);

-- The owner is the member that holds the partition's named lock, or held it last: nobody else may commit.
CREATE TABLE IF NOT EXISTS log_offsets (
  group_name VARCHAR(249) NOT NULL,
  topic_id INT UNSIGNED NOT NULL,
  partition_no INT UNSIGNED NOT NULL,
  next_offset BIGINT UNSIGNED NOT NULL DEFAULT 0,
  owner CHAR(36) NOT NULL,
  PRIMARY KEY (group_name, topic_id, partition_no)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- A member lives as long as its named lock is held: rows of the dead are left behind and swept by the next to join.
CREATE TABLE IF NOT EXISTS log_members (
  group_name VARCHAR(249) NOT NULL,
  member_id CHAR(36) NOT NULL,
  lock_name VARCHAR(64) NOT NULL,
  topics LONGTEXT NOT NULL,
  PRIMARY KEY (group_name, member_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
