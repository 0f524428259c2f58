/** A stretch of time ahead, and what is foreseen in it, kept by time: so a look finds what is due without looking at the rest. */
import type { Crossing, CrossingProfile } from './crossings.ts';
import type { Slice } from './slice.ts';
import { watchOf, type Watch } from './watch.ts';

export interface Foreknown extends Crossing {
  account: number;
  profile: number;
}

export interface Stretch {
  /** after < instant <= through, epoch milliseconds. */
  after: number;
  through: number;
  accounts: Map<number, Watch>;
  /** How many are foreseen. */
  size: number;
  bucketMs: number;
  buckets: Map<number, Foreknown[]>;
}

export function stretchOf(
  slices: readonly Slice[],
  after: number,
  through: number,
  bucketMs: number,
): Stretch {
  const accounts = new Map(slices.map((slice) => [slice.account, watchOf(slice)]));
  return { after, through, accounts, size: 0, bucketMs, buckets: new Map() };
}

/** To be asked for what is of the stretch only. */
export function foresee(stretch: Stretch, one: Foreknown): void {
  const number = Math.floor(one.instant / stretch.bucketMs);
  const bucket = stretch.buckets.get(number) ?? [];
  stretch.buckets.set(number, bucket);
  bucket.push(one);
  stretch.size += 1;
}

/** after < instant <= through, in no order. */
export function* foreseenIn(stretch: Stretch, after: number, through: number): Generator<Foreknown> {
  for (const number of bucketsIn(stretch, after, through)) {
    for (const one of stretch.buckets.get(number) ?? []) {
      if (one.instant > after && one.instant <= through) yield one;
    }
  }
}

/** What lies behind `after` and up to `until` has come to pass, and is forgotten. */
export function takeDue(stretch: Stretch, after: number, until: number): Foreknown[] {
  const due: Foreknown[] = [];
  for (const number of bucketsIn(stretch, after, until)) {
    const bucket = stretch.buckets.get(number) ?? [];
    const left = bucket.filter(({ instant }) => instant > until);
    for (const one of bucket) if (one.instant <= until) due.push(one);
    stretch.size -= bucket.length - left.length;
    if (left.length > 0) stretch.buckets.set(number, left);
    else stretch.buckets.delete(number);
  }
  return due;
}

function* bucketsIn(stretch: Stretch, after: number, through: number): Generator<number> {
  const [from, to] = [Math.max(after, stretch.after), Math.min(through, stretch.through)];
  const numberOf = (instant: number) => Math.floor(instant / stretch.bucketMs);
  for (let number = numberOf(from); number <= numberOf(to); number++) yield number;
}

export function crossingOf({ account, profile, edge, instant }: Foreknown): CrossingProfile {
  return { account, profile, crossings: [{ edge, instant }] };
}
