-- Inserts into the membership log that are under way, each with the partitions whose entries it carries: of each those
-- rows of membership_ahead whose insert_from is this. They go once the insert is there.
CREATE TABLE IF NOT EXISTS membership_inserts (
  token VARCHAR(64) NOT NULL,
  partition_no SMALLINT UNSIGNED NOT NULL,
  insert_from BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (token, partition_no),
  KEY by_partition (partition_no, insert_from)
);
