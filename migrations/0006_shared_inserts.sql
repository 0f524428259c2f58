-- Inserts into the membership log that are under way, each with the partitions whose entries it carries: of each those
-- rows of membership_ahead whose insert_from is this. They go once the insert is there.
CREATE TABLE IF NOT EXISTS membership_inserts (
  token VARCHAR(64) NOT NULL,
  partition_no SMALLINT UNSIGNED NOT NULL,
  insert_from BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (token, partition_no),
  KEY by_partition (partition_no, insert_from)
);

-- Of those that were under way before: each carried one partition, under this token.
INSERT IGNORE INTO membership_inserts (token, partition_no, insert_from)
SELECT DISTINCT CONCAT('membership:', partition_no, ':', insert_from), partition_no, insert_from
FROM membership_ahead
WHERE insert_from IS NOT NULL;
