-- What is older than a day lies in one part per partition, up to 150 GB, however small what has come since: each stranger
-- costs a granule of every part (docs/decisions/0012-histories-in-few-parts.md). 500 criteria for 10,000 strangers among
-- 100 million events: 1.4 s from one part, 2.9 s from nine.
ALTER TABLE events_by_profile MODIFY SETTING min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 0, enable_max_bytes_limit_for_min_age_to_force_merge = 1;

ALTER TABLE traits_by_profile MODIFY SETTING min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 0, enable_max_bytes_limit_for_min_age_to_force_merge = 1;

-- Bitmaps of members compact themselves: what has changed since lies beside them for a day at most.
ALTER TABLE memberships MODIFY SETTING min_age_to_force_merge_seconds = 86400, min_age_to_force_merge_on_partition_only = 0, enable_max_bytes_limit_for_min_age_to_force_merge = 1;
