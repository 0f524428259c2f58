/** Random conditions on lists, places, predictions and samples, as ConditionInput, and the facts that they look at. */
import type { Json } from './generate.ts';
import { DIMENSIONS, randomChange, VALUES } from './predictions.ts';
import type { Random } from './random.ts';
import { COUNTRIES, ELEMENTS, LATITUDES, LONGITUDES, NUMBERS } from './vocabulary.ts';

/** Makes a NumberFilterInput over some numbers. */
type NumberFilterOf = (random: Random, numbers: readonly number[]) => Json;

const LENGTHS = [-1, 0, 1, 2, 2, 3, 1.5];
export const LIST_OPS = [
  ...['contains', 'notContains', 'containsAny', 'containsAll', 'containsNone'],
  ...['length', 'someElement', 'noElement'],
] as const;

export interface ListParts {
  number: NumberFilterOf;
  /** Makes a TextFilterInput over some words. */
  text: (random: Random, words: readonly string[]) => Json;
}

export function randomListFilter(
  random: Random,
  { number, text }: ListParts,
  op: (typeof LIST_OPS)[number] = random.pick(LIST_OPS),
): Json {
  const element = () => random.pick(ELEMENTS);
  if (op === 'length') return { length: number(random, LENGTHS) };
  if (op === 'someElement' || op === 'noElement') return { [op]: text(random, ELEMENTS) };
  if (op === 'contains' || op === 'notContains') return { [op]: element() };
  return { [op]: Array.from({ length: random.between(1, op === 'containsAll' ? 2 : 4) }, element) };
}

/** Texts, and what becomes a text: numbers, booleans, objects, lists; nulls, which are left out. */
export function randomList(random: Random): unknown[] {
  const element = () =>
    random.chance(0.7)
      ? random.pick(ELEMENTS)
      : random.pick<unknown>([random.pick(NUMBERS), true, false, null, { b: [1], a: 'x' }, ['gold', 5]]);
  return Array.from({ length: random.between(0, 3) }, element);
}

/** A LocationInput's place and country: each part alone too. Null takes it away. */
export function randomPlace(random: Random): Json {
  return {
    ...(random.chance(0.8) && { latitude: random.pick(LATITUDES) }),
    ...(random.chance(0.8) && { longitude: random.pick(LONGITUDES) }),
    ...(random.chance(0.7) && { country: random.pick(COUNTRIES) }),
  };
}

export const PROFILE_LEAVES = ['near', 'region', 'prediction', 'sample'] as const;

/** A condition on the profile that is neither a property nor events. */
export function randomProfileLeaf(
  random: Random,
  numberFilter: NumberFilterOf,
  kind: (typeof PROFILE_LEAVES)[number] = random.pick([...PROFILE_LEAVES, 'near']),
): Json {
  switch (kind) {
    case 'near': {
      const miles = random.chance(0.3);
      return {
        near: {
          latitude: random.pick(LATITUDES),
          longitude: random.pick(LONGITUDES),
          within: random.pick([0.001, 1, 300, 500, 5_000, 12_400, ...(miles ? [] : [19_999, 20_000])]),
          ...(miles && { unit: 'MILES' }),
          ...(random.chance(0.4) && { beyond: random.chance(0.8) }),
        },
      };
    }
    case 'region':
      return {
        region: {
          region: random.pick(['EUROPEAN_UNION', 'UNITED_STATES']),
          ...(random.chance(0.6) && { inside: random.chance(0.3) }),
        },
      };
    case 'prediction': {
      const parts = random.pick(['number', 'change', 'both']);
      return {
        prediction: {
          dimension: random.pick(DIMENSIONS),
          ...(parts !== 'change' && { number: numberFilter(random, VALUES) }),
          ...(parts !== 'number' && { change: randomChange(random) }),
        },
      };
    }
    case 'sample':
      return {
        sample: {
          percent: random.pick([0, 0.5, 20, 50, 50, 80, 99.9, 100]),
          ...(random.chance(0.6) && { salt: random.pick(ELEMENTS) }),
        },
      };
  }
}
