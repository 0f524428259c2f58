-- Of strangers a block of each column is decompressed for each: texts by LZ4 in 2,000 places take 15 ms less of 120 than by
-- ZSTD, for 3 % more on the disk. The JSON beside them stays small. Parts that are there already change when they are merged.
ALTER TABLE events_by_profile MODIFY COLUMN texts Map(LowCardinality(String), String) CODEC(LZ4);

ALTER TABLE traits_by_profile MODIFY COLUMN text String CODEC(LZ4);
