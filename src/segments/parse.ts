import type {
  Condition,
  EventCriterion,
  Measure,
  NumberFilter,
  PropertyCriterion,
  PropertyFilter,
} from './ast.ts';
import { LIMITS } from './limits.ts';
import { roundToMicros } from './numbers.ts';
import { complete, numberFilter, required, timeWindow, valueFilter } from './parse-filters.ts';
import { isProfilePath, PROFILE_PATHS } from './paths.ts';
import type { ConditionError, Path, Reader, Reading } from './read.ts';
import { boolean, exhausted, fields, items, oneOf, quote, text, wrong } from './read.ts';

export type { ConditionError, ConditionErrorCode } from './read.ts';
export type ParseResult = { ok: true; condition: Condition } | { ok: false; errors: ConditionError[] };

/**
 * Reads plain JSON in the shape of the API's ConditionInput, whatever it contains, and fills in every default.
 * All mistakes are reported at once, up to LIMITS.errors of them.
 */
export function parseCondition(input: unknown): ParseResult {
  const reading: Reading = { errors: [], conditions: 0 };
  const condition = conditionReader(1)(reading, input, []);
  if (condition === undefined || reading.errors.length > 0) return { ok: false, errors: reading.errors };
  return { ok: true, condition };
}

const LATER = {
  sequence: 'combine event conditions with all',
  consent: 'keep the consent in a property and use property',
  segment: "repeat that segment's condition",
  near: 'use property on location.city, location.postalCode or location.country',
  region: 'use property on location.country with in',
  prediction: 'keep the prediction in a property and use property',
  sample: 'keep a random number in a property and use property',
};

function conditionReader(level: number): Reader<Condition> {
  return (reading, input, path) => {
    if (level > LIMITS.depth) {
      return wrong(reading, path, 'TOO_LARGE', `nests deeper than ${LIMITS.depth} levels; flatten it`);
    }
    return oneOf<Condition>(
      reading,
      input,
      path,
      {
        all: combination('all', level),
        any: combination('any', level),
        not: (r, value, at) => {
          const child = conditionReader(level + 1)(r, value, at);
          return child && { kind: 'not', child };
        },
        event: leaf(eventCriterion),
        property: leaf(propertyCriterion),
      },
      LATER,
    );
  };
}

function combination(kind: 'all' | 'any', level: number): Reader<Condition> {
  return (reading, input, path) => {
    const list = items(reading, input, path, LIMITS.conditions, 'conditions');
    if (!list) return undefined;
    const read = conditionReader(level + 1);
    const children: (Condition | undefined)[] = [];
    for (const [index, child] of list.entries()) {
      if (exhausted(reading)) return undefined;
      children.push(read(reading, child, [...path, `${index}`]));
    }
    return complete(children) ? { kind, children } : undefined;
  };
}

/** Counts a leaf and reports the first one too many. */
function leaf<T>(read: Reader<T>): Reader<T> {
  return (reading, input, path) => {
    reading.conditions += 1;
    if (reading.conditions > LIMITS.conditions) {
      const most = `at most ${LIMITS.conditions} event and property conditions are allowed`;
      return wrong(reading, path, 'TOO_MANY', `${most}; split the segment, or use in with a list of values`);
    }
    return read(reading, input, path);
  };
}

const eventCriterion: Reader<EventCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['metric', 'where', 'measure', 'is', 'within']);
  if (!given) return undefined;
  const metric = required(reading, given, 'metric', path, metricName);
  const where = optional(reading, given, 'where', path, whereFilters, []);
  const measure = optional(reading, given, 'measure', path, measureReader, { kind: 'count' });
  const is = optional(reading, given, 'is', path, numberFilter, { op: 'atLeast', value: 1 });
  const within = optional(reading, given, 'within', path, timeWindow, null);
  if (metric === undefined || !where || !measure || !is || within === undefined) return undefined;
  return { kind: 'event', metric, where, measure, is: measure.kind === 'sum' ? inMicros(is) : is, within };
};

/** Sums are exact in millionths: so is what they are compared with. */
function inMicros(is: NumberFilter): NumberFilter {
  return is.op === 'between'
    ? { op: is.op, from: roundToMicros(is.from), to: roundToMicros(is.to) }
    : { op: is.op, value: roundToMicros(is.value) };
}

const metricName: Reader<string> = (reading, input, path) => {
  const name = text(reading, input, path, LIMITS.metricName);
  if (name === '') return wrong(reading, path, 'REQUIRED', 'is empty; give the name of a metric');
  return name;
};

const measureReader: Reader<Measure> = (reading, input, path) => {
  const remedy = 'use count, or sum of "$value" or of a property path';
  const later = { average: remedy, min: remedy, max: remedy, distinct: remedy, days: remedy };
  return oneOf<Measure>(
    reading,
    input,
    path,
    {
      count: (r, value, at) => {
        const count = boolean(r, value, at);
        if (count === false)
          return wrong(r, at, 'INVALID', 'must be true; leave it out or choose sum instead');
        return count && { kind: 'count' };
      },
      sum: (r, value, at) => {
        const summed = eventPath(r, value, at);
        return summed === undefined ? undefined : { kind: 'sum', path: summed };
      },
    },
    later,
  );
};

const whereFilters: Reader<PropertyFilter[]> = (reading, input, path) => {
  // No filter at all is an ordinary thing to say here, unlike an empty all or any.
  if (Array.isArray(input) && input.length === 0) return [];
  const list = items(reading, input, path, LIMITS.whereFilters, 'filters');
  const filters = list?.map((item, index) => propertyFilter(reading, item, [...path, `${index}`], eventPath));
  return filters && complete(filters) ? filters : undefined;
};

const propertyCriterion: Reader<PropertyCriterion> = (reading, input, path) => {
  const found = propertyFilter(reading, input, path, profilePath);
  return found && { kind: 'property', ...found };
};

function propertyFilter(
  reading: Reading,
  input: unknown,
  path: Path,
  readPath: Reader<string>,
): PropertyFilter | undefined {
  const given = fields(reading, input, path, ['path', 'filter']);
  if (!given) return undefined;
  const found = required(reading, given, 'path', path, readPath);
  const filter = required(reading, given, 'filter', path, valueFilter);
  return found === undefined || !filter ? undefined : { path: found, filter };
}

const eventPath: Reader<string> = (reading, input, path) => {
  const found = text(reading, input, path, LIMITS.path);
  if (found === '') {
    return wrong(reading, path, 'REQUIRED', 'is empty; name a property of the event, or "$value"');
  }
  return found;
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

/** A field that may be left out. Undefined: it was given and was wrong. */
function optional<T>(
  reading: Reading,
  given: ReadonlyMap<string, unknown>,
  name: string,
  path: Path,
  reader: Reader<T>,
  otherwise: T,
): T | undefined {
  return given.has(name) ? reader(reading, given.get(name), [...path, name]) : otherwise;
}
