const MICROS_PER_UNIT = 1e6;
/** A number beyond ± this adds nothing to a sum. Its millionths fit 64 bits, and any sum of them 128. */
export const LARGEST_SUMMAND = 1e12;
/** From here on every double is an integer. */
const ALL_INTEGERS = 2 ** 52;

/** Rounds to the nearest integer, halves to the even one: what C calls rint and ClickHouse calls round on floats. */
function rint(x: number): number {
  if (Math.abs(x) >= ALL_INTEGERS) return x;
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}

/**
 * A finite number in millionths, the unit of exact sums: rint(x * 1e6), where the product is an ordinary double.
 * In ClickHouse: toInt64(round(x * 1e6)), which is exact for |x| <= LARGEST_SUMMAND. (Its toInt128 of a float past
 * 2^64 is not exact in 26.7.)
 */
export function microUnits(x: number): bigint {
  return BigInt(rint(x * MICROS_PER_UNIT));
}

/** Up to here dividing by 1e6 and multiplying again gives the same millionths. */
const STABLE_MICROS = 2 ** 50;

/** The nearest number of at most six decimals. Above 1e9, where doubles are coarse, the number itself. */
export function roundToMicros(x: number): number {
  const micros = rint(x * MICROS_PER_UNIT);
  return Math.abs(micros) > STABLE_MICROS ? x : micros / MICROS_PER_UNIT + 0;
}
