-- Parts that are there already change when they are merged.

-- Of strangers a block of each column is decompressed for each: texts by LZ4 in 2,000 places take 15 ms less of 120 than by
-- ZSTD, for 3 % more on the disk. The JSON beside them stays small.
ALTER TABLE events_by_profile MODIFY COLUMN texts Map(LowCardinality(String), String) CODEC(LZ4);

ALTER TABLE traits_by_profile MODIFY COLUMN text String CODEC(LZ4);

-- Times of a month share their upper bits: a third smaller without them, and a scan of 29 million by their times takes 143
-- ms instead of 164.
ALTER TABLE events MODIFY COLUMN time DateTime64(3, 'UTC') CODEC(T64, LZ4);
