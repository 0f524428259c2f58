-- What segments are populated from: their first members as a statement has computed them, and who has changed meanwhile
-- (src/evaluation/staged-members.ts). A population that was interrupted is finished from it.
CREATE TABLE IF NOT EXISTS staged_members (
  account UInt32,
  run UUID,
  kind Enum8('COMPUTED' = 1, 'ASKED' = 2, 'HELD' = 3),
  chunk UInt16,
  members AggregateFunction(groupBitmap, UInt32),
  staged_at DateTime DEFAULT now()
)
ENGINE = MergeTree
PARTITION BY toDate(staged_at)
ORDER BY (account, run, chunk)
TTL staged_at + INTERVAL 7 DAY
SETTINGS ttl_only_drop_parts = 1;
