import type {
  Condition,
  EventCriterion,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { durationWords } from './duration.ts';

/** Of a longer list, this many values are shown, and the number of the others. */
const VALUES_SHOWN = 20;
/** Of a longer text, this many characters are shown. */
const TEXT_SHOWN = 200;

/**
 * The condition, or any node of it, as a person would say it: `has done Placed Order at least 3 times in the last
 * 30 days where price is more than 20 and email ends with "@x.com"`. Several filters of one event, and combinations
 * inside of combinations, stand in parentheses. Long lists and texts are shortened.
 */
export function describe(condition: Condition): string {
  switch (condition.kind) {
    case 'all':
      return combinationText(condition.children, ' and ');
    case 'any':
      return combinationText(condition.children, ' or ');
    case 'not':
      return `not (${describe(condition.child)})`;
    case 'event':
      return describeEvent(condition);
    case 'property':
      return describeProperty(condition);
  }
}

function combinationText(children: readonly Condition[], joint: string): string {
  if (children.length === 1) return children.map(describe).join('');
  return children
    .map((child) => (isCombination(child) ? `(${describe(child)})` : describe(child)))
    .join(joint);
}

/** Whether "and" or "or" stands at the top of its text. */
function isCombination(condition: Condition): boolean {
  if (condition.kind !== 'all' && condition.kind !== 'any') return false;
  const [only] = condition.children;
  return condition.children.length > 1 || (only !== undefined && isCombination(only));
}

function describeEvent({ metric, where, measure, is, within }: EventCriterion): string {
  const name = metricText(metric);
  const what =
    measure.kind === 'count'
      ? countText(name, is)
      : `the sum of ${pathText(measure.path)} over ${name} ${numberText(is)}`;
  return [what, ...(within ? [windowText(within)] : []), ...whereText(where)].join(' ');
}

function whereText(where: readonly PropertyFilter[]): string[] {
  const filters = where.map(describeProperty);
  if (filters.length === 0) return [];
  return [`where ${filters.length === 1 ? filters.join('') : `(${filters.join(' and ')})`}`];
}

function countText(metric: string, is: NumberFilter): string {
  if (is.op === 'between') return `has done ${metric} between ${is.from} and ${is.to} times`;
  const { op, value } = is;
  const times = value === 1 ? 'once' : `${value} times`;
  switch (op) {
    case 'equals':
      return value === 0 ? `has not done ${metric}` : `has done ${metric} exactly ${times}`;
    case 'notEquals':
      return `has done ${metric} any number of times but ${value}`;
    case 'moreThan':
      return `has done ${metric} more than ${times}`;
    case 'atLeast':
      return value === 1 ? `has done ${metric}` : `has done ${metric} at least ${times}`;
    case 'lessThan':
      return value === 1 ? `has not done ${metric}` : `has done ${metric} fewer than ${times}`;
    case 'atMost':
      return value === 0 ? `has not done ${metric}` : `has done ${metric} at most ${times}`;
  }
}

function windowText(window: TimeWindow): string {
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

function describeProperty({ path, filter }: PropertyFilter): string {
  return `${pathText(path)} ${valueText(filter)}`;
}

function valueText(filter: ValueFilter): string {
  switch (filter.kind) {
    case 'text':
      return textText(filter.text);
    case 'number':
      return numberText(filter.number);
    case 'boolean':
      return filter.equals ? 'is true' : 'is false';
    case 'exists':
      return filter.exists ? 'is set' : 'is not set';
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

function textText(filter: TextFilter): string {
  const words = TEXT_WORDS[filter.op];
  if (!('values' in filter)) return `${words} ${quoted(filter.value)}`;
  const shown = filter.values.slice(0, VALUES_SHOWN).map(quoted);
  const rest = filter.values.length - shown.length;
  return `${words} (${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''})`;
}

const NUMBER_WORDS = {
  equals: 'is',
  notEquals: 'is not',
  moreThan: 'is more than',
  atLeast: 'is at least',
  lessThan: 'is less than',
  atMost: 'is at most',
} as const;

function numberText(filter: NumberFilter): string {
  return filter.op === 'between'
    ? `is between ${filter.from} and ${filter.to}`
    : `${NUMBER_WORDS[filter.op]} ${filter.value}`;
}

function quoted(value: string): string {
  const characters = [...value];
  const shown = characters.slice(0, TEXT_SHOWN).join('');
  return JSON.stringify(characters.length > TEXT_SHOWN ? `${shown}…` : value);
}

const CAPITALISED_WORDS = /^\p{Lu}[\p{L}\p{N}_-]*(?: [\p{Lu}\p{N}][\p{L}\p{N}_-]*)*$/u;
const PLAIN_PATH = /^[\p{L}_$][\p{L}\p{N}_$-]*(?:\.[\p{L}\p{N}_$-]+)*$/u;

function metricText(name: string): string {
  return CAPITALISED_WORDS.test(name) ? name : quoted(name);
}

function pathText(path: string): string {
  return PLAIN_PATH.test(path) ? path : quoted(path);
}
