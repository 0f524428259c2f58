-- Debts of ingest that somebody has begun to pay again: who pays one for the first time, and has been away, must not take it
-- for paid without looking (docs/decisions/0014-repeats-look-after-themselves.md). They go with the debt.
CREATE TABLE IF NOT EXISTS ingest_repeats (
  debt CHAR(32) NOT NULL,
  PRIMARY KEY (debt)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
