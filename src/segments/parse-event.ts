import type {
  EventCriterion,
  Measure,
  NumberFilter,
  PropertyFilter,
  SequenceCriterion,
  SequenceStep,
} from './ast.ts';
import { LIMITS } from './limits.ts';
import { roundToMicros } from './numbers.ts';
import { numberFilter, valueFilter } from './parse-filters.ts';
import { timeWindow, windowLength } from './parse-time.ts';
import { EVENT_TIME } from './paths.ts';
import type { Path, Reader, Reading } from './read.ts';
import {
  boolean,
  complete,
  fields,
  items,
  mapped,
  oneOf,
  onlyTrue,
  optional,
  required,
  text,
  wrong,
} from './read.ts';

export const eventCriterion: Reader<EventCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['metric', 'where', 'measure', 'is', 'within']);
  if (!given) return undefined;
  const metric = required(reading, given, 'metric', path, metricName);
  const where = optional(reading, given, 'where', path, whereFilters, []);
  const measure = optional(reading, given, 'measure', path, measureReader, { kind: 'count' } as const);
  const is = optional(reading, given, 'is', path, numberFilter, { op: 'atLeast', value: 1 } as const);
  const within = optional(reading, given, 'within', path, timeWindow, null);
  if (metric === undefined || !where || !measure || !is || within === undefined) return undefined;
  const exact = measure.kind === 'sum' || measure.kind === 'average';
  return { kind: 'event', metric, where, measure, is: exact ? inMicros(is) : is, within };
};

/** Sums are exact in millionths: so is what they are compared with. */
function inMicros(is: NumberFilter): NumberFilter {
  return is.op === 'between'
    ? { op: is.op, from: roundToMicros(is.from), to: roundToMicros(is.to) }
    : { op: is.op, value: roundToMicros(is.value) };
}

export const sequenceCriterion: Reader<SequenceCriterion> = (reading, input, path) => {
  const given = fields(reading, input, path, ['steps', 'completeWithin', 'within']);
  if (!given) return undefined;
  const steps = required(reading, given, 'steps', path, stepList);
  const completeWithinMs = optional(reading, given, 'completeWithin', path, windowLength, null);
  const within = optional(reading, given, 'within', path, timeWindow, null);
  if (!steps || completeWithinMs === undefined || within === undefined) return undefined;
  return { kind: 'sequence', steps, completeWithinMs, within };
};

const stepList: Reader<SequenceStep[]> = (reading, input, path) => {
  const list = items(reading, input, path, LIMITS.sequenceSteps, 'steps');
  const steps = list?.map((item, index) => step(reading, item, [...path, `${index}`]));
  if (!steps || !complete(steps)) return undefined;
  if (steps.length < 2) {
    return wrong(
      reading,
      path,
      'REQUIRED',
      'needs at least two steps; for a single one use an event condition',
    );
  }
  if (steps.every(({ negate }) => negate)) {
    return wrong(reading, path, 'INVALID', 'negates every step; for what never happened use not and event');
  }
  return steps;
};

const step: Reader<SequenceStep> = (reading, input, path) => {
  const given = fields(reading, input, path, ['metric', 'where', 'negate']);
  if (!given) return undefined;
  const metric = required(reading, given, 'metric', path, metricName);
  const where = optional(reading, given, 'where', path, whereFilters, []);
  const negate = optional(reading, given, 'negate', path, boolean, false);
  return metric === undefined || !where || negate === undefined ? undefined : { metric, where, negate };
};

const metricName: Reader<string> = (reading, input, path) => {
  const name = text(reading, input, path, LIMITS.metricName);
  if (name === '') return wrong(reading, path, 'REQUIRED', 'is empty; give the name of a metric');
  return name;
};

const eventPath: Reader<string> = (reading, input, path) => {
  const found = text(reading, input, path, LIMITS.path);
  if (found === '') {
    return wrong(reading, path, 'REQUIRED', 'is empty; name a property of the event, or "$value"');
  }
  return found;
};

const measuredPath: Reader<string> = (reading, input, path) => {
  if (input === EVENT_TIME) {
    return wrong(
      reading,
      path,
      'INVALID',
      '"$time" can stand in where only; days: true counts the days of events',
    );
  }
  return eventPath(reading, input, path);
};

const measureOver = (kind: 'sum' | 'average' | 'min' | 'max' | 'distinct'): Reader<Measure> =>
  mapped(measuredPath, (path) => ({ kind, path }));

const measureReader: Reader<Measure> = (reading, input, path) =>
  oneOf<Measure>(reading, input, path, {
    count: mapped(onlyTrue, () => ({ kind: 'count' })),
    sum: measureOver('sum'),
    average: measureOver('average'),
    min: measureOver('min'),
    max: measureOver('max'),
    distinct: measureOver('distinct'),
    days: mapped(onlyTrue, () => ({ kind: 'days' })),
  });

const whereFilters: Reader<PropertyFilter[]> = (reading, input, path) => {
  // No filter at all is an ordinary thing to say here, unlike an empty all or any.
  if (Array.isArray(input) && input.length === 0) return [];
  const list = items(reading, input, path, LIMITS.whereFilters, 'filters');
  const filters = list?.map((item, index) => propertyFilter(reading, item, [...path, `${index}`], eventPath));
  return filters && complete(filters) ? filters : undefined;
};

export function propertyFilter(
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
