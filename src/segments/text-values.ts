/** The parts of sentences: windows, filters of values, names. */
import type {
  DateFilter,
  ListFilter,
  Measure,
  NumberFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { durationWords } from './duration.ts';
import {
  CAPITALISED_WORDS,
  ELEMENT_WORDS,
  MEASURE_WORDS,
  MONTH_WORDS,
  PERIOD_WORDS,
  PLAIN_PATH,
  RESERVED,
} from './words.ts';

/** How much of a list of values, and of a text in characters, is shown; and names. */
export interface Style {
  values: number;
  text: number;
  /** What a segment of this id is called. */
  segmentName: (id: string) => string;
}

export function windowText(window: TimeWindow): string {
  switch (window.kind) {
    case 'last':
      return `in the last ${durationWords(window.ms)}`;
    case 'moreThanAgo':
      return `at least ${durationWords(window.ms)} ago`;
    case 'ago':
      return window.toMs === 0
        ? `in the last ${durationWords(window.fromMs)}`
        : `between ${durationWords(window.fromMs)} and ${durationWords(window.toMs)} ago`;
    case 'dates':
      return datesText(window.from, window.to);
    case 'calendar':
      return PERIOD_WORDS[window.period];
  }
}

function datesText(from: number | null, to: number | null): string {
  const parts = [
    ...(from === null ? [] : [`from ${instantText(from)}`]),
    ...(to === null ? [] : [`before ${instantText(to)}`]),
  ];
  return from === null || to !== null ? parts.join(' and ') : `${parts.join('')} on`;
}

/** 2026-01-31, 2026-01-31T12:30:00Z: as short as it stays exact. */
function instantText(at: number): string {
  return new Date(at).toISOString().replace('.000Z', 'Z').replace('T00:00:00Z', '');
}

/** What a value must be, as said after its path. */
export function valueText(filter: ValueFilter, style: Style): string {
  switch (filter.kind) {
    case 'text':
      return textText(filter.text, style);
    case 'number':
      return numberText(filter.number);
    case 'boolean':
      return filter.equals ? 'is true' : 'is false';
    case 'date':
      return dateText(filter.date);
    case 'list':
      return listText(filter.list, style);
    case 'exists':
      return filter.exists ? 'is set' : 'is not set';
  }
}

export function dateText(filter: DateFilter): string {
  switch (filter.op) {
    case 'within':
      return `is ${windowText(filter.window)}`;
    case 'next':
      return `is in the next ${durationWords(filter.ms)}`;
    case 'anniversary': {
      const days = Math.max(filter.to, -filter.from);
      if (days === 0) return 'has its anniversary today';
      const words = `${days} day${days === 1 ? '' : 's'}`;
      return `has its anniversary in the ${filter.to > 0 ? 'next' : 'last'} ${words}`;
    }
    case 'month':
      return `is in ${MONTH_WORDS[filter.month - 1] ?? filter.month}`;
    case 'thisMonth':
      return 'is in this month of any year';
  }
}

const TEXT_WORDS = {
  equals: 'is',
  notEquals: 'is not',
  in: 'is one of',
  notIn: 'is none of',
  contains: 'contains',
  notContains: 'does not contain',
  startsWith: 'starts with',
  notStartsWith: 'does not start with',
  endsWith: 'ends with',
  notEndsWith: 'does not end with',
  matches: 'matches',
  notMatches: 'does not match',
} as const;

export function textText(filter: TextFilter, style: Style): string {
  const words = TEXT_WORDS[filter.op];
  return 'values' in filter
    ? `${words} ${valuesText(filter.values, style)}`
    : `${words} ${quoted(filter.value, style)}`;
}

const LIST_WORDS = {
  contains: 'includes',
  notContains: 'does not include',
  containsAny: 'includes any of',
  containsAll: 'includes all of',
  containsNone: 'includes none of',
} as const;

function listText(filter: ListFilter, style: Style): string {
  if (filter.op === 'length') return `has ${amountText(filter.length, 'element')}`;
  if ('text' in filter) return `has ${ELEMENT_WORDS[filter.op]} ${textText(filter.text, style)}`;
  const words = LIST_WORDS[filter.op];
  return 'values' in filter
    ? `${words} ${valuesText(filter.values, style)}`
    : `${words} ${quoted(filter.value, style)}`;
}

function valuesText(values: readonly string[], style: Style): string {
  const shown = values.slice(0, style.values).map((value) => quoted(value, style));
  const rest = values.length - shown.length;
  return `(${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''})`;
}

const NUMBER_WORDS = {
  equals: 'is',
  notEquals: 'is not',
  moreThan: 'is more than',
  atLeast: 'is at least',
  lessThan: 'is less than',
  atMost: 'is at most',
} as const;

export function numberText(filter: NumberFilter): string {
  return filter.op === 'between'
    ? `is between ${filter.from} and ${filter.to}`
    : `${NUMBER_WORDS[filter.op]} ${filter.value}`;
}

/** "at least 3 days", "any number of days but 2". */
export function amountText(is: NumberFilter, unit: string): string {
  const counted = (value: number) => `${value} ${unit}${value === 1 ? '' : 's'}`;
  switch (is.op) {
    case 'between':
      return `between ${is.from} and ${counted(is.to)}`;
    case 'equals':
      return `exactly ${counted(is.value)}`;
    case 'notEquals':
      return `any number of ${unit}s but ${is.value}`;
    case 'moreThan':
      return `more than ${counted(is.value)}`;
    case 'atLeast':
      return `at least ${counted(is.value)}`;
    case 'lessThan':
      return `fewer than ${counted(is.value)}`;
    case 'atMost':
      return `at most ${counted(is.value)}`;
  }
}

function quoted(value: string, style: Style): string {
  const characters = [...value];
  if (characters.length <= style.text) return JSON.stringify(value);
  return JSON.stringify(`${characters.slice(0, style.text).join('')}…`);
}

/** "the sum of $value". */
export function measureFilterText(measure: Extract<Measure, { path: string }>): string {
  return `${MEASURE_WORDS[measure.kind]} ${pathText(measure.path)}`;
}

export function metricText(name: string): string {
  return CAPITALISED_WORDS.test(name) ? name : JSON.stringify(name);
}

export function pathText(path: string): string {
  return PLAIN_PATH.test(path) && !RESERVED.has(path) ? path : JSON.stringify(path);
}
