/**
 * Sets of profiles as ClickHouse makes them of rows, a bitmap per chunk. Its aggregate for bitmaps looks for the place of
 * each row among the members so far. Here each row sets a bit in one of the chunk's 1,024 words, which is quicker;
 * written down, they are the body of the bitmap (docs/decisions/0015-bitmaps-of-words.md).
 */
import { CHUNK_BITS } from '../storage/topics.ts';

/** A profile within its chunk, and the chunk. */
export const LOW = `toUInt32(bitAnd(profile, ${2 ** CHUNK_BITS - 1}))`;
export const BY_CHUNK = `toUInt16(bitShiftRight(profile, ${CHUNK_BITS})) AS chunk`;

export const UNION = '\n      UNION ALL\n      ';

const WORD_BITS = 6;
const WORDS = 2 ** (CHUNK_BITS - WORD_BITS);
const WORD = `bitAnd(bitShiftRight(profile, ${WORD_BITS}), ${WORDS - 1})`;
const BIT = `bitShiftLeft(toUInt64(1), bitAnd(profile, ${2 ** WORD_BITS - 1}))`;

/** A SELECT of `chunk`, `criterion` (this number) and `words` of a SELECT of `profile`, which may repeat some. */
export function selectWords(criterion: number, profiles: string): string {
  return `SELECT chunk, ${criterion} AS criterion, groupBitOrResampleState(0, ${WORDS}, 1)(${BIT}, ${WORD}) AS words
      FROM (${profiles})
      GROUP BY ${BY_CHUNK}`;
}

/** A SELECT of `chunk`, `criterion` and `members` of those. For all at once: planning it takes some 2 ms. */
export function selectBitmaps(words: readonly string[]): string {
  return `SELECT chunk, criterion, ${BITMAP_OF_WORDS} AS members
      FROM (
        SELECT *, finalizeAggregation(words) AS bits, arraySum(word -> bitCount(word), bits) AS size
        FROM (
      ${words.join(UNION)}
        )
      )`;
}

/** Portable roaring bitmaps have so many members as numbers; only of more they have a bit for each there could be. */
const MOST_AS_NUMBERS = 4_096;

/**
 * In hexadecimal: that it is no small set; 8,208, the bytes that follow, as a varint; the cookie of a roaring bitmap
 * without runs; one container, whose key is 0. Then its size less one, and where it begins.
 */
const HEAD = '01' + '9040' + '3a300000' + '01000000' + '0000';
const BEGINS_AT = '10000000';

/** As `readBitmap` (profile-sets.ts) reads it. What is written down of the words is one behind the other. */
const BITMAP_OF_WORDS = `if(
        size > ${MOST_AS_NUMBERS},
        CAST(
          concat(
            unhex('${HEAD}'), reinterpret(toUInt16(size - 1), 'FixedString(2)'), unhex('${BEGINS_AT}'),
            CAST(words, 'String')
          ),
          'AggregateFunction(groupBitmap, UInt32)'
        ),
        bitmapBuild(arrayFlatten(arrayMap(
          (word, place) -> arrayMap(bit -> toUInt32(place * ${2 ** WORD_BITS} + bit), bitPositionsToArray(word)),
          bits, range(${WORDS})
        )))
      )`;
