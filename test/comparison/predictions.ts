/** Predictions, what they have been, and conditions on their change, at random. */
import type { PredictionFacts } from '../../src/segments/ast.ts';
import { PREDICTION_DIMENSIONS, predictionPath } from '../../src/segments/paths.ts';
import type { Json } from './generate.ts';
import type { Random } from './random.ts';

/** Those that have numbers. */
export const DIMENSIONS = PREDICTION_DIMENSIONS.filter((name) => name !== 'EXPECTED_NEXT_ORDER');
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const LENGTHS = [
  ['PT1.5S', 1_500],
  ['PT1H', HOUR],
  ['P1D', DAY],
  ['P7D', 7 * DAY],
  ['P30D', 30 * DAY],
] as const;

export const VALUES = [0, 0.2, 0.5, 0.500001, 1, -1, 19.99];
/** Also at the ends of what changes are computed with. */
const PAST_VALUES = [...VALUES, 0.1 + 0.2, 0.3, 1e-7, 5e-7, 1e12, -1e12, 1e12 + 0.5, 1e18, null, null];
const STEPS = [0.2, 0.3, 0.5, 1, 0.000001, 0.299999, 1e12, 2e12, 1e18];

/** What lies under `$predictions`; values of the wrong type too. */
export function randomPredictions(random: Random): Json {
  const value = () => (random.chance(0.9) ? random.pick(VALUES) : random.pick<unknown>(['0.5', null]));
  return {
    ...(random.chance(0.8) && { churnRisk: value() }),
    ...(random.chance(0.5) && { predictedLifetimeValue: value() }),
    ...(random.chance(0.5) && { historicLifetimeValue: value() }),
    ...(random.chance(0.5) && { averageDaysBetweenOrders: value() }),
  };
}

/** A PredictionChangeInput, up or down. */
export function randomChange(random: Random, isUp = random.chance(0.5)): Json {
  const step = random.pick([...STEPS.slice(0, 5), ...STEPS]);
  return { by: isUp ? step : -step, within: random.pick(LENGTHS)[0] };
}

/** One condition of every way in which changes can be asked about. */
export function everyChangeCondition(random: Random): Json[] {
  return DIMENSIONS.flatMap((dimension) =>
    [true, false].map((isUp) => ({ prediction: { dimension, change: randomChange(random, isUp) } })),
  );
}

/** By path; around the instants and what lies as long before them as changes look back. */
export function randomHistories(
  random: Random,
  instants: readonly number[],
): Record<string, PredictionFacts[]> {
  return Object.fromEntries(
    DIMENSIONS.map((dimension) => {
      const times = Array.from({ length: random.pick([0, 1, 2, 4, 8]) }, () => {
        const back = random.pick([0, ...LENGTHS.map(([, ms]) => ms), random.between(0, 40 * DAY)]);
        return random.pick(instants) - back + random.pick([-1, 0, 0, 1]);
      });
      const history = [...new Set(times)].map((time) => ({ time, value: random.pick(PAST_VALUES) }));
      return [predictionPath(dimension), history];
    }),
  );
}
