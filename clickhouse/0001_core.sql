-- Plain MergeTree keeps no record of insert tokens unless told to: every table that is written to, and every target of
-- a view, sets non_replicated_deduplication_window. Ten thousand inserts are far more than any retry can lag behind.
-- merge_selector_base: many small inserts made the merges of events cost four times as much as the inserts themselves,
-- since parts were merged five at a time with a large one among them. With 10 it is a quarter, for half again as many
-- parts to read.

-- Events by metric: what "all profiles" scans. The projection finds who crosses a window's edge: a slice of time.
-- copied = 1 marks an event that a merge has brought over from another profile: it counts for the profile that has it,
-- and once for the account.
CREATE TABLE IF NOT EXISTS events (
  account UInt32,
  metric UInt32,
  profile UInt32,
  time DateTime64(3, 'UTC'),
  id UUID,
  unique_id String CODEC(ZSTD(1)),
  value Nullable(Float64),
  currency LowCardinality(String),
  texts Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  numbers Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
  booleans Map(LowCardinality(String), Bool) CODEC(ZSTD(1)),
  lists Map(LowCardinality(String), Array(String)) CODEC(ZSTD(1)),
  dates Map(LowCardinality(String), Tuple(Enum8('day' = 1, 'instant' = 2), Int64)) CODEC(ZSTD(1)),
  properties String CODEC(ZSTD(1)),
  arrived_at DateTime64(3, 'UTC'),
  copied Bool,
  PROJECTION by_time (
    SELECT account, metric, time, profile
    ORDER BY account, metric, time
  )
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (account, metric, profile, time)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, deduplicate_merge_projection_mode = 'rebuild';

-- The same events by profile: what "some profiles" reads, a few granules each. In years, not months: each further part
-- with something of a person costs a place in its index and a block of each column
-- (docs/decisions/0012-histories-in-few-parts.md).
CREATE TABLE IF NOT EXISTS events_by_profile (
  account UInt32,
  metric UInt32,
  profile UInt32,
  time DateTime64(3, 'UTC'),
  id UUID,
  unique_id String CODEC(ZSTD(1)),
  value Nullable(Float64),
  currency LowCardinality(String),
  texts Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  numbers Map(LowCardinality(String), Float64) CODEC(ZSTD(1)),
  booleans Map(LowCardinality(String), Bool) CODEC(ZSTD(1)),
  lists Map(LowCardinality(String), Array(String)) CODEC(ZSTD(1)),
  dates Map(LowCardinality(String), Tuple(Enum8('day' = 1, 'instant' = 2), Int64)) CODEC(ZSTD(1)),
  properties String CODEC(ZSTD(1)),
  arrived_at DateTime64(3, 'UTC'),
  copied Bool
)
ENGINE = MergeTree
PARTITION BY toYear(time)
ORDER BY (account, profile, metric, time)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, index_granularity = 2048;

-- What merges copy is written to both tables directly.
CREATE MATERIALIZED VIEW IF NOT EXISTS events_to_events_by_profile TO events_by_profile AS
SELECT *
FROM events
WHERE NOT copied;

-- Events that arrived before their time: the clock wakes their profiles when it comes. Written to directly, since a
-- view would cost every insert as much again for something so rare.
CREATE TABLE IF NOT EXISTS future_events (
  account UInt32,
  metric UInt32,
  profile UInt32,
  time DateTime64(3, 'UTC')
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (time, account, metric, profile)
TTL toDateTime(time) + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 10000;

-- Dates that profiles (metric 0; consents included) and events have among their properties, in the order of time: the clock wakes their
-- profiles at the edges. Those that were replaced stay, and wake somebody for nothing. Written to directly, too.
-- kind and date as in traits.
CREATE TABLE IF NOT EXISTS dates (
  account UInt32,
  metric UInt32,
  path LowCardinality(String),
  kind Enum8('day' = 1, 'instant' = 2),
  date Int64,
  profile UInt32
)
ENGINE = ReplacingMergeTree
ORDER BY (account, metric, path, kind, date, profile)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10;

-- Facts about profiles, one row per attribute, the newest revision counts. kind 'unset' says that it was taken away.
-- A text that is a date: date_kind 'instant' with epoch milliseconds, or, for a date alone, 'day' with the number of days
-- since 1970-01-01, which begin where the account's time zone says.
-- Consents are attributes too, such as $consent.EMAIL: text is the status, date the time, list holds the source if any.
CREATE TABLE IF NOT EXISTS traits (
  account UInt32,
  attribute LowCardinality(String),
  profile UInt32,
  revision UInt64,
  kind Enum8('unset' = 0, 'text' = 1, 'number' = 2, 'boolean' = 3, 'list' = 4),
  text String CODEC(ZSTD(1)),
  number Float64,
  list Array(String) CODEC(ZSTD(1)),
  date_kind Enum8('none' = 0, 'day' = 1, 'instant' = 2),
  date Int64
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, attribute, profile)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10;

CREATE TABLE IF NOT EXISTS traits_by_profile (
  account UInt32,
  attribute LowCardinality(String),
  profile UInt32,
  revision UInt64,
  kind Enum8('unset' = 0, 'text' = 1, 'number' = 2, 'boolean' = 3, 'list' = 4),
  text String CODEC(ZSTD(1)),
  number Float64,
  list Array(String) CODEC(ZSTD(1)),
  date_kind Enum8('none' = 0, 'day' = 1, 'instant' = 2),
  date Int64
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, profile, attribute)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, index_granularity = 2048;

CREATE MATERIALIZED VIEW IF NOT EXISTS traits_to_traits_by_profile TO traits_by_profile AS
SELECT *
FROM traits;

-- What the predictions of profiles have been: a row each time that a value changes, from its arrival on. value NULL: from
-- then on there is none. Of several at one time the newest revision counts. In the order of time: "all profiles" scans
-- it, and the clock finds who crosses an edge in a slice of it.
CREATE TABLE IF NOT EXISTS predictions (
  account UInt32,
  path LowCardinality(String),
  time DateTime64(3, 'UTC'),
  profile UInt32,
  revision UInt64,
  value Nullable(Float64)
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, path, time, profile)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10;

CREATE TABLE IF NOT EXISTS predictions_by_profile (
  account UInt32,
  path LowCardinality(String),
  time DateTime64(3, 'UTC'),
  profile UInt32,
  revision UInt64,
  value Nullable(Float64)
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, profile, path, time)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, index_granularity = 2048;

CREATE MATERIALIZED VIEW IF NOT EXISTS predictions_to_predictions_by_profile TO predictions_by_profile AS
SELECT *
FROM predictions;

-- Which profiles there are. alive = 0 once a profile has been merged into another.
CREATE TABLE IF NOT EXISTS profiles (
  account UInt32,
  profile UInt32,
  revision UInt64,
  alive Bool
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (account, profile)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10;

-- Every entry and exit for ever, numbered without gaps by the single writer of each partition of profiles.
-- 'POPULATED' is the first population of a new segment: one step here, its members as bitmaps in memberships.
CREATE TABLE IF NOT EXISTS membership_log (
  account UInt32,
  partition_no UInt16,
  sequence UInt64,
  epoch UInt64,
  segment UInt32,
  version UInt32,
  profile UInt32,
  kind Enum8('ENTERED' = 1, 'EXITED' = 2, 'POPULATED' = 3),
  cause LowCardinality(String),
  at DateTime64(3, 'UTC'),
  evaluated_at DateTime64(3, 'UTC'),
  event_id UUID,
  event_time DateTime64(3, 'UTC'),
  event_metric UInt32
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(evaluated_at)
ORDER BY (account, partition_no, sequence)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10;

-- Members per segment and chunk of 65,536 profile numbers; bitmaps merge by XOR of exact diffs.
CREATE TABLE IF NOT EXISTS memberships (
  account UInt32,
  segment UInt32,
  chunk UInt16,
  members AggregateFunction(groupBitmapXor, AggregateFunction(groupBitmap, UInt32))
)
ENGINE = AggregatingMergeTree
ORDER BY (account, segment, chunk)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, index_granularity = 64, index_granularity_bytes = 65536;

CREATE MATERIALIZED VIEW IF NOT EXISTS membership_log_to_memberships TO memberships AS
SELECT
  account,
  segment,
  toUInt16(bitShiftRight(profile, 16)) AS chunk,
  groupBitmapXorState(bitmapBuild([toUInt32(bitAnd(profile, 65535))])) AS members
FROM membership_log
WHERE kind IN ('ENTERED', 'EXITED')
GROUP BY account, segment, chunk;

-- The last change of each profile in each segment: since when someone is a member.
CREATE TABLE IF NOT EXISTS membership_latest (
  account UInt32,
  segment UInt32,
  profile UInt32,
  sequence UInt64,
  kind Enum8('ENTERED' = 1, 'EXITED' = 2, 'POPULATED' = 3),
  at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(sequence)
ORDER BY (account, segment, profile)
SETTINGS non_replicated_deduplication_window = 10000, merge_selector_base = 10, index_granularity = 1024;

CREATE MATERIALIZED VIEW IF NOT EXISTS membership_log_to_membership_latest TO membership_latest AS
SELECT account, segment, profile, sequence, kind, at
FROM membership_log
WHERE kind IN ('ENTERED', 'EXITED')
