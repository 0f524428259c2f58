/** Distances from a place, as an aggregate over rows of `traits`; `src/segments/geo.ts` has the formula. */
import type { NearCriterion } from '../segments/ast.ts';
import { haversineLimit, RADIANS } from '../segments/geo.ts';
import { selectByAggregates, type Aggregate } from './blocks.ts';
import type { Parameters } from './parameters.ts';

/** The attributes that a profile's place consists of. */
export const COORDINATES = ['location.latitude', 'location.longitude'] as const;

/** The criterion's truth over all rows of a profile's `COORDINATES`, of which the newest of each counts. */
export function compileNear(criterion: NearCriterion, parameters: Parameters): string {
  const [latitude, longitude] = COORDINATES.map((path) => {
    const attribute = parameters.add('String', path);
    // One by one: of pairs ClickHouse finds the newest ten times as slowly.
    const newest = (value: string) => `argMaxIf(${value}, revision, attribute = ${attribute})`;
    return { isNumber: newest(`kind = 'number'`), degrees: newest('number') };
  }) as [Coordinate, Coordinate];
  return `(${latitude.isNumber} AND ${longitude.isNumber}
    AND abs(${latitude.degrees}) <= 90 AND abs(${longitude.degrees}) <= 180
    AND ${isAsFar(criterion, latitude.degrees, longitude.degrees, parameters)})`;
}

interface Coordinate {
  isNumber: string;
  degrees: string;
}

/** A SELECT of `profile`, of those for whom the criterion holds. `place`: which rows are the account's. */
export function selectByDistance(criterion: NearCriterion, place: string, parameters: Parameters): string {
  const box = criterion.beyond ? null : boxAround(criterion);
  return box === null
    ? selectByBoth(criterion, place, parameters)
    : selectInBox(criterion, box, place, parameters);
}

/** Of all who have a place. */
function selectByBoth(criterion: NearCriterion, place: string, parameters: Parameters): string {
  const [latitude, longitude] = COORDINATES.map((path) => parameters.add('String', path)) as [string, string];
  const rows = `FROM traits FINAL
      WHERE ${place} AND attribute IN (${latitude}, ${longitude}) AND kind = 'number'
        AND if(attribute = ${latitude}, abs(number) <= 90, abs(number) <= 180)`;
  // One row of each: a sum is the number itself.
  const degrees = (attribute: string): Aggregate => ({
    name: 'sum',
    of: `if(attribute = ${attribute}, number, 0)`,
  });
  const aggregates = [degrees(latitude), degrees(longitude), { name: 'count', of: null }];
  const truth = ([north = '0', east = '0', coordinates = '0']: readonly string[]) =>
    `(${coordinates} = 2 AND ${isAsFar(criterion, north, east, parameters)})`;
  return selectByAggregates(aggregates, truth, rows);
}

/**
 * Of those in a box around the place. Many more lie in the band of its latitudes, or in that of its longitudes, than in
 * both: joined, those of one band alone are given up sooner than in groups.
 */
function selectInBox(criterion: NearCriterion, box: Box, place: string, parameters: Parameters): string {
  const number = (value: number) => parameters.add('Float64', value);
  const centre = number(criterion.longitude);
  const inBand = (path: (typeof COORDINATES)[number], band: string) => `FROM traits FINAL
        WHERE ${place} AND attribute = ${parameters.add('String', path)} AND kind = 'number' AND ${band}`;
  const [latitude, longitude] = COORDINATES;
  const norths = inBand(
    latitude,
    `abs(number) <= 90 AND abs(number - ${number(criterion.latitude)}) <= ${number(box.latitudes)}`,
  );
  const easts = inBand(
    longitude,
    `abs(number) <= 180 AND (abs(number - ${centre}) <= ${number(box.longitudes)}
          OR abs(number - ${centre}) >= ${number(360 - box.longitudes)})`,
  );
  return `SELECT profile
      FROM (SELECT profile, number AS north ${norths}) AS norths
      INNER JOIN (SELECT profile, number AS east ${easts}) AS easts USING (profile)
      WHERE ${isAsFar(criterion, 'north', 'east', parameters)}`;
}

/** Whether a place is as far away as the criterion asks for. */
function isAsFar(
  criterion: NearCriterion,
  latitude: string,
  longitude: string,
  parameters: Parameters,
): string {
  const number = (value: number) => parameters.add('Float64', value);
  const radians = number(RADIANS);
  const squared = (degrees: string) => `pow(sin(${degrees} * ${radians} / 2), 2)`;
  // The centre's own cosine is computed where the reference computes it.
  const parallels = `${number(Math.cos(criterion.latitude * RADIANS))} * cos(${latitude} * ${radians})`;
  const haversine =
    `${squared(`(${latitude} - ${number(criterion.latitude)})`)}` +
    ` + ${parallels} * ${squared(`(${longitude} - ${number(criterion.longitude)})`)}`;
  return `(${haversine}) ${criterion.beyond ? '>' : '<='} ${number(haversineLimit(criterion))}`;
}

/** In degrees: more than what is lost by rounding, even of places nearly opposite to one another. */
const MARGIN = 1e-5;

/** How many degrees from the centre a place that is near can lie. */
interface Box {
  latitudes: number;
  longitudes: number;
}

/** Null: there is no such box worth looking into. */
function boxAround(criterion: NearCriterion): Box | null {
  const angle = 2 * Math.asin(Math.sqrt(haversineLimit(criterion)));
  const toPole = Math.PI / 2 - Math.abs(criterion.latitude) * RADIANS;
  // Around a pole there is every longitude.
  if (angle + MARGIN * RADIANS >= toPole) return null;
  const longitudes = Math.asin(Math.sin(angle) / Math.cos(criterion.latitude * RADIANS));
  return { latitudes: angle / RADIANS + MARGIN, longitudes: longitudes / RADIANS + MARGIN };
}
