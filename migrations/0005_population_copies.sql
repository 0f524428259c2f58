-- First members that may be on their way into ClickHouse, in one insert for many partitions under one token: whoever
-- takes one of them over sees to it that nothing of it arrives later.
CREATE TABLE IF NOT EXISTS population_copies (
  partition_no SMALLINT UNSIGNED NOT NULL,
  run CHAR(36) NOT NULL,
  account INT UNSIGNED NOT NULL,
  segment INT UNSIGNED NOT NULL,
  PRIMARY KEY (partition_no, run)
);
