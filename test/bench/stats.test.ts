import { describe, expect, test } from 'vitest';
import { distribution, median, percentile } from '../../bench/lib/stats.ts';
import { percentilesBetween } from '../../bench/scale/clock.ts';

describe('percentiles by nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1);

  test.each([
    [0.5, 50],
    [0.9, 90],
    [0.99, 99],
    [0.991, 100],
    [1, 100],
    [0.001, 1],
  ])('%d of 1..100 is %d', (share, value) => {
    expect(percentile(hundred, share)).toBe(value);
  });

  test('is always one of the values, never one in between', () => {
    expect(percentile([1, 1_000], 0.5)).toBe(1);
    expect(percentile([1, 1_000], 0.51)).toBe(1_000);
    expect(percentile([7], 0.99)).toBe(7);
  });

  test('a distribution does not depend on the order, and leaves the values alone', () => {
    const values = [30, 10, 20];
    expect(distribution(values)).toEqual({ count: 3, p50: 20, p90: 30, p99: 30, max: 30 });
    expect(values).toEqual([30, 10, 20]);
  });

  test('numbers are ordered as numbers', () => {
    expect(distribution([9, 10, 100])).toMatchObject({ p50: 10, max: 100 });
    expect(median([100, 9, 10])).toBe(10);
  });

  test('nothing measured is not a number that could be mistaken for a good one', () => {
    expect(distribution([])).toBeNull();
    expect(percentile([], 0.5)).toBeNaN();
  });
});

test('percentiles between two looks at a histogram: of what came in between, even within a bucket', () => {
  const before: [number, number][] = [
    [0.1, 5],
    [0.5, 5],
    [Infinity, 5],
  ];
  const after: [number, number][] = [
    [0.1, 55],
    [0.5, 103],
    [Infinity, 105],
  ];
  expect(percentilesBetween(before, after)).toEqual({ count: 100, p50: 100, p99: 500 });
  expect(percentilesBetween(before, before).count).toBe(0);
});
