/** What predictions have been: the changes that a batch makes, each from the arrival of its record on. */
import type { PredictionFacts } from '../segments/ast.ts';
import { PREDICTION_DIMENSIONS, predictionPath } from '../segments/paths.ts';
import type { ProfileRow } from '../storage/mysql/profiles.ts';
import { attributesOf } from './apply.ts';

export interface PredictionPoint extends PredictionFacts {
  path: string;
}

export interface Histories {
  /** What a record has made of a profile. */
  note(earlier: ProfileRow, later: ProfileRow, arrivedAt: number): void;
  /** The changes of a profile, no two of one prediction at the same time. */
  of(profile: number): PredictionPoint[];
}

/** Those that have numbers. */
const PATHS = PREDICTION_DIMENSIONS.filter((dimension) => dimension !== 'EXPECTED_NEXT_ORDER').map(
  predictionPath,
);

/** `before`: the profiles that were there before the batch. */
export function createHistories(before: ReadonlyMap<number, ProfileRow>): Histories {
  const points = new Map<number, Map<string, PredictionPoint>>();
  /** By profile. A clock that is behind must not put a value before one that it replaces. */
  const lasts = new Map<number, number>();
  return {
    note(earlier, later, arrivedAt) {
      const { number } = later;
      const time = Math.max(arrivedAt, lasts.get(number) ?? before.get(number)?.updatedAt ?? 0);
      const [old, now] = [predictionsOf(earlier), predictionsOf(later)];
      for (const path of PATHS) {
        const value = now.get(path) ?? null;
        if (value === (old.get(path) ?? null)) continue;
        lasts.set(number, time);
        const mine = points.get(number) ?? new Map<string, PredictionPoint>();
        points.set(number, mine.set(`${path}@${time}`, { path, time, value }));
      }
    },
    of: (profile) => [...(points.get(profile)?.values() ?? [])],
  };
}

function predictionsOf(row: ProfileRow): Map<string, number> {
  const found = new Map<string, number>();
  // Most profiles have none: to look is cheaper than to parse.
  if (!row.properties.includes('$predictions')) return found;
  const attributes = attributesOf(row);
  for (const path of PATHS) {
    const value = attributes.get(path);
    if (typeof value === 'number') found.set(path, value);
  }
  return found;
}
