/**
 * One criterion, as ClickHouse computes it. The same expressions serve both scopes: all profiles (a scan in the order
 * of the metric) and some profiles (a look-up in the order of the profile). The meaning is that of the reference
 * evaluator in `src/segments/reference.ts`; the random comparison holds them together.
 *
 * Criteria come from normalised conditions: each is false for a profile without rows.
 */
import type {
  Criterion,
  EventCriterion,
  PropertyCriterion,
  PropertyFilter,
  TimeWindow,
  ValueFilter,
} from '../segments/ast.ts';
import { EVENT_TIME, EVENT_VALUE } from '../segments/paths.ts';
import { compareList, compareNumber, compareText } from './compare.ts';
import { compileMeasure, decidingRow, type CompiledMeasure } from './measures.ts';
import { compileDate, periodAt, perInstant, type Instant } from './calendars.ts';
import type { Parameters } from './parameters.ts';

export interface CompiledEvents {
  /** Whether a row of the account's events is one that is measured. */
  match: string;
  /** What is measured of them. */
  measure: CompiledMeasure;
  /** The criterion's truth over a group of rows, of which those that match are measured. */
  truth: string;
  /** True says just this: there is a row that matches, and for which this holds. */
  existence: string | null;
}

/** `metric` is the id of the criterion's metric; 0, which no metric has, for one that has never had an event. */
export function compileEvents(
  criterion: EventCriterion,
  metric: number,
  instant: Instant,
  parameters: Parameters,
): CompiledEvents {
  const match = [
    `metric = ${parameters.add('UInt32', metric)}`,
    windowOf(criterion.within, instant, parameters),
    ...(criterion.where.length > 0 ? [compileEventFilters(criterion.where, instant, parameters)] : []),
  ].join(' AND ');
  const measure = compileMeasure(criterion, instant.timeZone, parameters);
  const measured = measure.counted === null ? match : `${match} AND ${measure.counted}`;
  const isExistence =
    criterion.measure.kind === 'count' &&
    ((criterion.is.op === 'atLeast' && criterion.is.value > 0 && criterion.is.value <= 1) ||
      (criterion.is.op === 'moreThan' && criterion.is.value >= 0 && criterion.is.value < 1));
  return {
    match,
    measure,
    truth: measure.truth(
      measure.aggregates.map(({ name, of }) => `${name}If(${of === null ? '' : `${of}, `}${measured})`),
    ),
    existence: isExistence ? 'true' : decidingRow(criterion, parameters),
  };
}

/** Whether a row of the account's events satisfies all of these filters. */
export function compileEventFilters(
  where: readonly PropertyFilter[],
  instant: Instant,
  parameters: Parameters,
): string {
  return where.map(({ path, filter }) => eventFilter(path, filter, instant, parameters)).join(' AND ');
}

/** Whether a row of `traits`, the newest of its attribute, satisfies the criterion. */
export function compileTrait(criterion: PropertyCriterion, instant: Instant, parameters: Parameters): string {
  return traitFilter(criterion.filter, instant, parameters);
}

/** Of membership, which is replaced by what it stands for (`expand.ts`): none can get here. */
export function notWrittenOut({ kind }: Criterion): Error {
  return new Error(`${kind} has no expression of its own`);
}

/** The bounds that a window sets to an event's time, as SQL over the column `time`. */
export function windowOf(window: TimeWindow | null, instant: Instant, parameters: Parameters): string {
  const before = (ms: number) => momentAgo(ms, instant, parameters);
  const past = `time <= ${before(0)}`;
  if (window === null) return past;
  switch (window.kind) {
    case 'last':
      return `time > ${before(window.ms)} AND ${past}`;
    case 'moreThanAgo':
      return `time <= ${before(window.ms)}`;
    case 'ago':
      return `time > ${before(window.fromMs)} AND time <= ${before(window.toMs)}`;
    case 'dates':
      return [
        ...(window.from === null ? [] : [`time >= ${moment(window.from, parameters)}`]),
        ...(window.to === null ? [] : [`time < ${moment(window.to, parameters)}`]),
        past,
      ].join(' AND ');
    case 'calendar': {
      const bound = (side: 'after' | 'through') => {
        const ms = perInstant(instant, parameters, (at) => periodAt(window, at, instant.timeZone)[side]);
        return `fromUnixTimestamp64Milli(${ms}, 'UTC')`;
      };
      return `time > ${bound('after')} AND time <= ${bound('through')} AND ${past}`;
    }
  }
}

/** So many milliseconds before the instant of evaluation. */
export function momentAgo(ms: number, instant: Instant, parameters: Parameters): string {
  return 'at' in instant
    ? moment(instant.at - ms, parameters)
    : `fromUnixTimestamp64Milli(instant - ${parameters.add('Int64', ms)}, 'UTC')`;
}

export function moment(ms: number, parameters: Parameters): string {
  return `fromUnixTimestamp64Milli(${parameters.add('Int64', ms)}, 'UTC')`;
}

/** A filter on an event's property. Values lie in one map per type; a key in none of them is unset. */
function eventFilter(path: string, filter: ValueFilter, instant: Instant, parameters: Parameters): string {
  if (path === EVENT_VALUE) return ownValueFilter(filter, parameters);
  if (path === EVENT_TIME) return ownTimeFilter(filter, instant, parameters);
  const key = parameters.add('String', path);
  switch (filter.kind) {
    case 'text':
      return `(mapContains(texts, ${key}) AND ${compareText(`texts[${key}]`, filter.text, parameters)})`;
    case 'number':
      return `(mapContains(numbers, ${key}) AND ${compareNumber(`numbers[${key}]`, filter.number, (value) => parameters.add('Float64', value))})`;
    case 'boolean':
      return `(mapContains(booleans, ${key}) AND booleans[${key}] = ${filter.equals})`;
    case 'exists': {
      const exists = ['texts', 'numbers', 'booleans', 'lists']
        .map((map) => `mapContains(${map}, ${key})`)
        .join(' OR ');
      return filter.exists ? `(${exists})` : `NOT (${exists})`;
    }
    case 'date': {
      const date = { kind: `dates[${key}].1`, number: `dates[${key}].2` };
      return `(mapContains(dates, ${key}) AND ${compileDate(filter.date, date, instant, parameters)})`;
    }
    case 'list':
      return `(mapContains(lists, ${key}) AND ${compareList(`lists[${key}]`, filter.list, parameters)})`;
  }
}

/** A filter on the event's own value, which is a number or unset. */
function ownValueFilter(filter: ValueFilter, parameters: Parameters): string {
  switch (filter.kind) {
    case 'number':
      return `(isNotNull(value) AND ${compareNumber('assumeNotNull(value)', filter.number, (value) => parameters.add('Float64', value))})`;
    case 'exists':
      return filter.exists ? 'isNotNull(value)' : 'isNull(value)';
    case 'text':
    case 'boolean':
    case 'date':
    case 'list':
      return 'false';
  }
}

/** A filter on the event's own time, which is always set, and has come. */
function ownTimeFilter(filter: ValueFilter, instant: Instant, parameters: Parameters): string {
  switch (filter.kind) {
    case 'exists':
      return String(filter.exists);
    case 'date': {
      const { date } = filter;
      if (date.op === 'next') return 'false';
      // As a window, whose bounds partitions can be left out by.
      if (date.op === 'within') return `(${windowOf(date.window, instant, parameters)})`;
      const time = { kind: `'instant'`, number: 'toUnixTimestamp64Milli(time)' };
      return compileDate(date, time, instant, parameters);
    }
    case 'text':
    case 'number':
    case 'boolean':
    case 'list':
      return 'false';
  }
}

/** A filter on a row of `traits`. */
function traitFilter(filter: ValueFilter, instant: Instant, parameters: Parameters): string {
  switch (filter.kind) {
    case 'text':
      return `(kind = 'text' AND ${compareText('text', filter.text, parameters)})`;
    case 'number':
      return `(kind = 'number' AND ${compareNumber('number', filter.number, (value) => parameters.add('Float64', value))})`;
    case 'boolean':
      return `(kind = 'boolean' AND number = ${filter.equals ? 1 : 0})`;
    case 'exists':
      if (!filter.exists) throw new Error('not a normalised criterion');
      return `(kind != 'unset')`;
    case 'date': {
      const date = { kind: 'date_kind', number: 'date' };
      return `(kind = 'text' AND date_kind != 'none' AND ${compileDate(filter.date, date, instant, parameters)})`;
    }
    case 'list':
      return `(kind = 'list' AND ${compareList('list', filter.list, parameters)})`;
  }
}
