/**
 * Aggregates of each profile of an account. Of many rows, a hash table with an entry per profile costs more than what is
 * added up in it; here it has one per block of profile numbers, and each entry an array with a place for each of them.
 * Rows come in the order of their profiles: nearly all find the block of the one before. Of few rows, most places stay
 * empty, and making them costs more than a hash table of the profiles that have rows.
 */

/** In bits of a profile's number. Larger blocks are no faster, and waste more where few profiles have rows. */
const BLOCK_BITS = 8;
export const BLOCK = 2 ** BLOCK_BITS;
const IN_BLOCK = `bitAnd(profile, ${BLOCK - 1})`;

export interface Aggregate {
  /** Of ClickHouse, such as `sum`. */
  name: string;
  /** Its argument; null: it has none. */
  of: string | null;
}

/**
 * A SELECT of `profile`, of those for whom the truth over their aggregates holds. It must not hold for a profile without
 * rows, of which all aggregates are zero. `rows`: FROM and WHERE. For many rows.
 */
export function selectByAggregates(
  aggregates: readonly Aggregate[],
  truth: (values: readonly string[]) => string,
  rows: string,
): string {
  const columns = aggregates.map(({ name, of }, i) => `${placed(name, of ?? 'profile')} AS aggregate_${i}`);
  return selectFromBlocks(
    aggregates.map((_, i) => `aggregate_${i}`),
    truth,
    `SELECT ${BLOCK_OF_ROW} AS block, ${columns.join(', ')} ${rows} GROUP BY block`,
  );
}

/** The same for few rows. */
export function selectByFewAggregates(
  aggregates: readonly Aggregate[],
  truth: (values: readonly string[]) => string,
  rows: string,
): string {
  return `SELECT profile ${rows}
      GROUP BY profile
      HAVING ${truth(aggregates.map(({ name, of }) => `${name}(${of ?? ''})`))}`;
}

/** The same, over the number of different hashes of their rows. `hash`: a UInt64. */
export function selectByHashes(
  hash: string,
  truth: (values: readonly string[]) => string,
  rows: string,
): string {
  const key = `bitOr(bitShiftLeft(toUInt128(${IN_BLOCK}), ${HASH_BITS}), ${hash})`;
  return selectFromBlocks(
    [countKeys('keys', HASH_BITS)],
    truth,
    `SELECT ${BLOCK_OF_ROW} AS block, groupUniqArray(${key}) AS keys ${rows} GROUP BY block`,
  );
}

const HASH_BITS = 64;

/** In bits of a key: above them is the place of the profile. */
const DAY_BITS = 24;
/** In so many days no two have the same bit of a mask. */
const DAYS_OF_A_MASK = 64;

/** Up to so many, telling different days apart one by one takes less time than collecting them. */
const FEW_DAYS = 6;

/**
 * The same, over the number of different days of their rows. `day`: an Int32. `enough`: more of them than these are as
 * good as these. For many rows: four bytes of each take less time than masks of days, most of which stay empty.
 */
export function selectByDays(
  day: string,
  enough: number,
  truth: (values: readonly string[]) => string,
  rows: string,
): string {
  if (enough <= FEW_DAYS) {
    const upTo = `uniqUpToResample(${Math.max(enough - 1, 1)}, 0, ${BLOCK}, 1)(${day}, ${IN_BLOCK})`;
    return selectFromBlocks(
      ['days'],
      truth,
      `SELECT ${BLOCK_OF_ROW} AS block, ${upTo} AS days ${rows} GROUP BY block`,
    );
  }
  // Days before 1970 lie behind the others.
  const key = `bitOr(bitShiftLeft(toUInt32(${IN_BLOCK}), ${DAY_BITS}), bitAnd(toUInt32(${day}), ${2 ** DAY_BITS - 1}))`;
  return selectFromBlocks(
    [countKeys('arrayDistinct(keys)', DAY_BITS)],
    truth,
    `SELECT ${BLOCK_OF_ROW} AS block, groupArray(${key}) AS keys ${rows} GROUP BY block`,
  );
}

/** The same for few rows, which all lie within DAYS_OF_A_MASK days. */
export function selectByFewDays(
  day: string,
  truth: (values: readonly string[]) => string,
  rows: string,
): string {
  return selectByFewAggregates(
    [{ name: 'groupBitOr', of: bitOf(day) }],
    ([mask = '0']) => truth([`bitCount(${mask})`]),
    rows,
  );
}

function bitOf(day: string): string {
  return `bitShiftLeft(toUInt64(1), bitAnd(${day}, ${DAYS_OF_A_MASK - 1}))`;
}

/** In bits of a profile's number. An array grows by copying, of which longer ones do less. */
const COUNTED_BITS = 10;

/**
 * A SELECT of `profile`, of those who have at least so many rows. Two bytes of each row, one behind the other, and then
 * looking for those that come up for the so-manieth time, take less time than counting in places, but memory per row.
 */
export function selectByCount(least: string, rows: string): string {
  return `SELECT toUInt32(block * ${2 ** COUNTED_BITS} + arrayJoin(arrayFilter(
      (place, nth) -> nth = ${least}, places, arrayEnumerateUniq(places)))) AS profile
    FROM (
      SELECT bitShiftRight(profile, ${COUNTED_BITS}) AS block,
        groupArray(toUInt16(bitAnd(profile, ${2 ** COUNTED_BITS - 1}))) AS places
      ${rows}
      GROUP BY block
      SETTINGS ${MERGED_TOGETHER}
    )`;
}

/** In bits: keys of different profiles are at least 2^47 apart. */
export const KEY_BITS = 48;
/** What is above them, of a profile's number. */
const PLACE_BITS = 64 - KEY_BITS;
/** In bits of a profile's number. An array grows by copying: of many short ones that costs more than sorting longer ones. */
const SORTED_BITS = 12;
/** The most that `groupArraySorted` can be told to keep. What is beyond it would be left out, and membership be wrong. */
const MOST_SORTED = 2 ** 24 - 1;

/**
 * A SELECT of `profile`, of those of whom some key is chosen. `key`: an Int64 of a row, below 2^46.
 * `chosen`: an array of some of `keys`, which are those of a block of profiles, ascending, each with the lowest bits of
 * its profile's number above the KEY_BITS: the highest ones are the same for all of a block. The aggregate sorts in less
 * time than `arraySort`, which sorts places and then fetches what lies there. Fails where a block has MOST_SORTED rows or
 * more.
 */
export function selectBySorted(key: string, chosen: string, rows: string): string {
  // Numbers as narrow as can be until each is there once. Every further pass over the rows is felt: one multiplication.
  const places = `arrayMap(key -> toUInt16(bitShiftRight(key, ${KEY_BITS})), ${chosen})`;
  const above = `bitShiftLeft(bitShiftRight(block, ${PLACE_BITS - SORTED_BITS}), ${PLACE_BITS})`;
  return `SELECT toUInt32(${above} + arrayJoin(arrayCompact(${places}))) AS profile
    FROM (
      SELECT bitShiftRight(profile, ${SORTED_BITS}) AS block,
        groupArraySorted(${MOST_SORTED})(profile * ${2 ** KEY_BITS} + ${key}) AS keys
      ${rows}
      GROUP BY block
      HAVING NOT throwIf(length(keys) = ${MOST_SORTED}, 'too many events of ${2 ** SORTED_BITS} profiles')
    )`;
}

/** Threads merge what they have added up bucket by bucket, from the first blocks on: else one of them merges all. */
const MERGED_TOGETHER = 'group_by_two_level_threshold = 256';

const BLOCK_OF_ROW = `bitShiftRight(profile, ${BLOCK_BITS})`;

function placed(aggregate: string, argument: string): string {
  return `${aggregate}Resample(0, ${BLOCK}, 1)(${argument}, ${IN_BLOCK})`;
}

/** How many keys each profile of a block has, whose place is above the other bits of a key. */
function countKeys(keys: string, bits: number): string {
  return `arrayReduce('countResample(0, ${BLOCK}, 1)', arrayMap(key -> toUInt8(bitShiftRight(key, ${bits})), ${keys}))`;
}

/** `columns`: arrays of `blocks`, a value per profile of the block. */
function selectFromBlocks(
  columns: readonly string[],
  truth: (values: readonly string[]) => string,
  blocks: string,
): string {
  const values = columns.map((_, i) => `value_${i}`);
  // The numbers are made of the places that are left, not of all of them.
  return `SELECT toUInt32(block * ${BLOCK} + arrayJoin(arrayFilter(
      (place, ${values.join(', ')}) -> ${truth(values)}, range(${BLOCK}), ${columns.join(', ')}))) AS profile
    FROM (${blocks} SETTINGS ${MERGED_TOGETHER})`;
}
