-- Which segments the present version of a living segment refers to.
CREATE TABLE IF NOT EXISTS segment_references (
  account INT UNSIGNED NOT NULL,
  segment INT UNSIGNED NOT NULL,
  target INT UNSIGNED NOT NULL,
  PRIMARY KEY (account, segment, target)
);
