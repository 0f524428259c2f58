-- Numbers that rise from row to row, or lie close to their neighbours', need a few bits each, and what is left of them
-- LZ4 makes no smaller: it only has to be undone. Without it a scan of 29 million events by profile and time takes 105 ms
-- instead of 153, for 0.4 bytes more of each; where a profile comes once, its number takes one byte instead of four.
-- Parts that are there already change when they are merged.
ALTER TABLE events
  MODIFY COLUMN profile UInt32 CODEC(T64),
  MODIFY COLUMN time DateTime64(3, 'UTC') CODEC(T64);

ALTER TABLE events_by_profile
  MODIFY COLUMN profile UInt32 CODEC(T64),
  MODIFY COLUMN time DateTime64(3, 'UTC') CODEC(T64);

ALTER TABLE traits MODIFY COLUMN profile UInt32 CODEC(T64);

ALTER TABLE traits_by_profile MODIFY COLUMN profile UInt32 CODEC(T64);

ALTER TABLE profiles MODIFY COLUMN profile UInt32 CODEC(T64);

-- All values of an attribute of 10 million people: 55 ms instead of 101, for a byte more of each (a short one of four
-- texts; long ones grow by more).
ALTER TABLE traits MODIFY COLUMN text String CODEC(LZ4);
