-- Entries of the membership log that have been announced and are on their way to ClickHouse: rows go once they are there.
-- insert_from: the first sequence of the one insert that carries the row; NULL: none has begun to.
CREATE TABLE IF NOT EXISTS membership_ahead (
  partition_no SMALLINT UNSIGNED NOT NULL,
  first_sequence BIGINT UNSIGNED NOT NULL,
  account INT UNSIGNED NOT NULL,
  insert_from BIGINT UNSIGNED NULL,
  entries LONGBLOB NOT NULL,
  PRIMARY KEY (partition_no, first_sequence),
  KEY by_account (account, partition_no, first_sequence)
);
