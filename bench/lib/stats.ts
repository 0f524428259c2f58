/** Percentiles of what was measured. */

export interface Distribution {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/**
 * Nearest rank: the smallest value that at least `share` (0..1] of the values do not exceed. Always one of the values.
 * NaN without values.
 */
export function percentile(ascending: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(share * ascending.length));
  return ascending[rank - 1] ?? Number.NaN;
}

/** Rounded to a tenth. Null without values: a result must not show a number that nobody measured. */
export function distribution(values: readonly number[]): Distribution | null {
  if (values.length === 0) return null;
  const ascending = [...values].sort((a, b) => a - b);
  const at = (share: number) => round(percentile(ascending, share), 1);
  return { count: values.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
}

/** Of an even number of values: the lower one of the two in the middle. */
export function median(values: readonly number[]): number {
  return percentile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
