import type {
  Channel,
  ConsentCriterion,
  ConsentStatus,
  DistanceUnit,
  NearCriterion,
  PredictionDimension,
  PredictionLeaf,
  PropertyCriterion,
  Region,
  RegionLeaf,
  SampleCriterion,
  SegmentCriterion,
} from './ast.ts';
import { LIMITS } from './limits.ts';
import { roundToMicros } from './numbers.ts';
import { propertyFilter } from './parse-event.ts';
import { numberFilter, textFilter } from './parse-filters.ts';
import { dateFilter, timeWindow, windowLength } from './parse-time.ts';
import { isProfilePath, PREDICTION_DIMENSIONS, PROFILE_PATHS } from './paths.ts';
import type { Path, Reader, Reading } from './read.ts';
import {
  boolean,
  choice,
  complete,
  fields,
  items,
  number,
  numberFrom,
  optional,
  quote,
  required,
  text,
  wrong,
} from './read.ts';

const CHANNELS: readonly Channel[] = ['EMAIL', 'SMS', 'PUSH'];
const STATUSES: readonly ConsentStatus[] = ['SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED'];
const UNITS: readonly DistanceUnit[] = ['KILOMETERS', 'MILES'];
const REGIONS: readonly Region[] = ['EUROPEAN_UNION', 'UNITED_STATES'];

export const propertyCriterion: Reader<PropertyCriterion> = (reading, input, path) => {
  const found = propertyFilter(reading, input, path, profilePath);
  return found && { kind: 'property', ...found };
};

const profilePath: Reader<string> = (reading, input, path) => {
  const found = text(reading, input, path, LIMITS.path);
  if (found === undefined || isProfilePath(found)) return found;
  const known = PROFILE_PATHS.join(', ');
  return wrong(
    reading,
    path,
    'INVALID',
    `${quote(found)} is no attribute of a profile; use properties.NAME for a property of your own, or one of ${known}`,
  );
};

export const consentCriterion: Reader<ConsentCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['channel', 'status', 'canReceive', 'since', 'source']);
  if (!given) return undefined;
  const channel = required(reading, given, 'channel', path, choice(CHANNELS));
  const status = optional(reading, given, 'status', path, statusList, null);
  const canReceive = optional(reading, given, 'canReceive', path, boolean, null);
  const since = optional(reading, given, 'since', path, timeWindow, null);
  const source = optional(reading, given, 'source', path, textFilter, null);
  if (!channel || status === undefined || canReceive === undefined) return undefined;
  if (since === undefined || source === undefined) return undefined;
  if (given.size === 1) {
    return wrong(
      reading,
      path,
      'REQUIRED',
      'says only the channel; give status, canReceive, since or source',
    );
  }
  return { kind: 'consent', channel, status, canReceive, since, source };
};

/** The same status twice says it once. */
const statusList: Reader<ConsentStatus[]> = (reading, input, path) => {
  const list = items(reading, input, path, STATUSES.length, 'statuses');
  const statuses = list?.map((item, index) => choice(STATUSES)(reading, item, [...path, `${index}`]));
  return statuses && complete(statuses) ? [...new Set(statuses)] : undefined;
};

export const segmentCriterion: Reader<SegmentCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['id', 'member']);
  const id = given && required(reading, given, 'id', path, segmentId);
  const member = given && optional(reading, given, 'member', path, boolean, true);
  return id === undefined || member === undefined ? undefined : { kind: 'segment', id, member };
};

const segmentId: Reader<string> = (reading, input, path) => {
  const id = text(reading, input, path, LIMITS.segmentId);
  return id === '' ? wrong(reading, path, 'REQUIRED', 'is empty; give the id of a segment') : id;
};

const NEAR_FIELDS = ['latitude', 'longitude', 'postalCode', 'country', 'within', 'unit', 'beyond'];

export const nearCriterion: Reader<NearCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, NEAR_FIELDS);
  if (!given) return undefined;
  const centre = centreReader(reading, given, path);
  const unit = optional(reading, given, 'unit', path, choice(UNITS), 'KILOMETERS' as const);
  const within = required(reading, given, 'within', path, number);
  const beyond = optional(reading, given, 'beyond', path, boolean, false);
  if (!centre || within === undefined || !unit || beyond === undefined) return undefined;
  const most = unit === 'MILES' ? LIMITS.miles : LIMITS.kilometers;
  if (!(within > 0 && within <= most)) {
    const problem = `is ${within}; a distance lies above 0 and is at most ${most} ${unit.toLowerCase()}`;
    return wrong(reading, [...path, 'within'], 'INVALID', problem);
  }
  return { kind: 'near', ...centre, within, unit, beyond };
};

type Centre = Pick<NearCriterion, 'latitude' | 'longitude' | 'postal'>;

function centreReader(reading: Reading, given: ReadonlyMap<string, unknown>, path: Path): Centre | undefined {
  const byCoordinates = given.has('latitude') || given.has('longitude');
  const byPostalCode = given.has('postalCode') || given.has('country');
  if (byCoordinates === byPostalCode) {
    return wrong(
      reading,
      path,
      byCoordinates ? 'INVALID' : 'REQUIRED',
      'needs a place: either latitude and longitude, or postalCode and country',
    );
  }
  if (byPostalCode) return postalCentre(reading, given, path);
  const latitude = required(reading, given, 'latitude', path, numberFrom(-90, 90));
  const longitude = required(reading, given, 'longitude', path, numberFrom(-180, 180));
  if (latitude === undefined || longitude === undefined) return undefined;
  return { latitude, longitude, postal: null };
}

function postalCentre(reading: Reading, given: ReadonlyMap<string, unknown>, path: Path): Centre | undefined {
  const short: Reader<string> = (r, value, at) => text(r, value, at, LIMITS.postalCode);
  const postalCode = required(reading, given, 'postalCode', path, short);
  const country = required(reading, given, 'country', path, short);
  if (postalCode === undefined || country === undefined) return undefined;
  const { countries, centreOf } = reading.postalCodes;
  if (!countries.includes(country)) {
    const which = countries.length > 0 ? `only of ${countries.join(', ')}` : 'of no country';
    const problem = `is ${quote(country)}; postal codes are known ${which}: give latitude and longitude`;
    return wrong(reading, [...path, 'country'], 'INVALID', problem);
  }
  const { latitude, longitude } = centreOf(country, postalCode) ?? {};
  if (latitude === undefined || longitude === undefined) {
    const problem = `${quote(postalCode)} in ${quote(country)} is not known; correct it, or give latitude and longitude`;
    return wrong(reading, [...path, 'postalCode'], 'INVALID', problem);
  }
  return { latitude, longitude, postal: { postalCode, country } };
}

export const regionLeaf: Reader<RegionLeaf> = (reading, input, path) => {
  const given = fields(reading, input, path, ['region', 'inside']);
  const region = given && required(reading, given, 'region', path, choice(REGIONS));
  const inside = given && optional(reading, given, 'inside', path, boolean, true);
  return !region || inside === undefined ? undefined : { kind: 'region', region, inside };
};

export const predictionLeaf: Reader<PredictionLeaf> = (reading, input, path) => {
  const given = fields(reading, input, path, ['dimension', 'number', 'date', 'change']);
  if (!given) return undefined;
  const dimension = required(reading, given, 'dimension', path, choice(PREDICTION_DIMENSIONS));
  const value = optional(reading, given, 'number', path, numberFilter, null);
  const date = optional(reading, given, 'date', path, dateFilter, null);
  const change = optional(reading, given, 'change', path, changeReader, null);
  if (!dimension || value === undefined || date === undefined || change === undefined) return undefined;
  const [fitting, other] = fieldsOf(dimension);
  for (const name of other) {
    if (!given.has(name)) continue;
    const remedy = `does not fit ${dimension}, which takes ${fitting.join(' and ')}`;
    return wrong(reading, [...path, name], 'INVALID', remedy);
  }
  if (given.size === 1) {
    return wrong(reading, path, 'REQUIRED', `says only the dimension; give ${fitting.join(' or ')}`);
  }
  return { kind: 'prediction', dimension, number: value, date, change };
};

function fieldsOf(dimension: PredictionDimension): [fitting: string[], other: string[]] {
  return dimension === 'EXPECTED_NEXT_ORDER'
    ? [['date'], ['number', 'change']]
    : [['number', 'change'], ['date']];
}

const changeReader: Reader<{ by: number; withinMs: number }> = (reading, input, path) => {
  const given = fields(reading, input, path, ['by', 'within']);
  const by = given && required(reading, given, 'by', path, changeAmount);
  const withinMs = given && required(reading, given, 'within', path, windowLength);
  return by === undefined || withinMs === undefined ? undefined : { by, withinMs };
};

/** In millionths, like what it is compared with. */
const changeAmount: Reader<number> = (reading, input, path) => {
  const given = number(reading, input, path);
  const by = given === undefined ? undefined : roundToMicros(given);
  if (by !== 0) return by;
  return wrong(reading, path, 'INVALID', 'must not be zero; more than zero is a rise, less is a fall');
};

export const sampleCriterion: Reader<SampleCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['percent', 'salt']);
  const percent = given && required(reading, given, 'percent', path, numberFrom(0, 100));
  const salt = given && optional(reading, given, 'salt', path, saltReader, '');
  return percent === undefined || salt === undefined ? undefined : { kind: 'sample', percent, salt };
};

const saltReader: Reader<string> = (reading, input, path) => text(reading, input, path, LIMITS.salt);
