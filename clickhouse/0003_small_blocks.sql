-- Who reads a few people of millions decompresses a block of each column for each of them: small ones, in the tables that
-- are in the order of the profile. 1,000 histories of 25 million events take 224 ms instead of 333, 100 take 44 instead of
-- 79, for 2 % more on the disk. Parts that are there already change when they are merged.
ALTER TABLE events_by_profile MODIFY SETTING min_compress_block_size = 8192, max_compress_block_size = 32768;

ALTER TABLE traits_by_profile MODIFY SETTING min_compress_block_size = 8192, max_compress_block_size = 32768;

ALTER TABLE predictions_by_profile MODIFY SETTING min_compress_block_size = 8192, max_compress_block_size = 32768;
