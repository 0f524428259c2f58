/** Distances from a place, as an aggregate over rows of `traits`; `src/segments/geo.ts` has the formula. */
import type { NearCriterion } from '../segments/ast.ts';
import { haversineLimit, RADIANS } from '../segments/geo.ts';
import type { Parameters } from './parameters.ts';

/** The attributes that a profile's place consists of. */
export const COORDINATES = ['location.latitude', 'location.longitude'] as const;

/** The criterion's truth over all rows of a profile's `COORDINATES`, of which the newest of each counts. */
export function compileNear(criterion: NearCriterion, parameters: Parameters): string {
  const number = (value: number) => parameters.add('Float64', value);
  const [latitude, longitude] = COORDINATES.map((path) => {
    const attribute = parameters.add('String', path);
    // One by one: of pairs ClickHouse finds the newest ten times as slowly.
    const newest = (value: string) => `argMaxIf(${value}, revision, attribute = ${attribute})`;
    return { isNumber: newest(`kind = 'number'`), degrees: newest('number') };
  }) as [Coordinate, Coordinate];
  const radians = number(RADIANS);
  const squared = (degrees: string) => `pow(sin(${degrees} * ${radians} / 2), 2)`;
  // The centre's own cosine is computed where the reference computes it.
  const parallels = `${number(Math.cos(criterion.latitude * RADIANS))} * cos(${latitude.degrees} * ${radians})`;
  const haversine =
    `${squared(`(${latitude.degrees} - ${number(criterion.latitude)})`)}` +
    ` + ${parallels} * ${squared(`(${longitude.degrees} - ${number(criterion.longitude)})`)}`;
  return [
    `(${latitude.isNumber} AND ${longitude.isNumber}`,
    `abs(${latitude.degrees}) <= 90 AND abs(${longitude.degrees}) <= 180`,
    `(${haversine}) ${criterion.beyond ? '>' : '<='} ${number(haversineLimit(criterion))})`,
  ].join(' AND ');
}

interface Coordinate {
  isNumber: string;
  degrees: string;
}
