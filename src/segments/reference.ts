/**
 * What conditions mean: slow and obvious. Every other evaluation must agree with this one; docs/segment-language.md
 * says the same in words.
 */
import type {
  Condition,
  EventCriterion,
  EventFacts,
  NumberFilter,
  ProfileFacts,
  TextFilter,
  TimeWindow,
  Value,
  ValueFilter,
} from './ast.ts';
import { LARGEST_SUMMAND, microUnits } from './numbers.ts';
import { EVENT_VALUE } from './paths.ts';
import { compileRegex } from './regex.ts';

/** A count of events, or a sum in millionths. */
export type Measured = { kind: 'count'; count: number } | { kind: 'sum'; micros: bigint };

/** Whether the condition is true for the profile at the instant (epoch milliseconds). */
export function evaluate(condition: Condition, facts: ProfileFacts, at: number): boolean {
  switch (condition.kind) {
    case 'all':
      return condition.children.every((child) => evaluate(child, facts, at));
    case 'any':
      return condition.children.some((child) => evaluate(child, facts, at));
    case 'not':
      return !evaluate(condition.child, facts, at);
    case 'event': {
      const measured = measureOf(condition, facts, at);
      return measured.kind === 'count'
        ? numberHolds(condition.is, measured.count)
        : sumHolds(condition.is, measured.micros);
    }
    case 'property':
      return valueHolds(condition.filter, facts.attributes.get(condition.path));
  }
}

/** What the criterion compares with its filter, over the events that count at the instant. */
export function measureOf(criterion: EventCriterion, facts: ProfileFacts, at: number): Measured {
  const events = facts.events.filter((event) => counts(event, criterion, at));
  const { measure } = criterion;
  if (measure.kind === 'count') return { kind: 'count', count: events.length };
  const summands = events
    .map((event) => eventValue(event, measure.path))
    .filter((value) => typeof value === 'number')
    .filter((value) => Math.abs(value) <= LARGEST_SUMMAND);
  return { kind: 'sum', micros: summands.reduce((sum, value) => sum + microUnits(value), 0n) };
}

function counts(event: EventFacts, criterion: EventCriterion, at: number): boolean {
  return (
    event.metric === criterion.metric &&
    event.time <= at &&
    isWithin(criterion.within, event.time, at) &&
    criterion.where.every(({ path, filter }) => valueHolds(filter, eventValue(event, path)))
  );
}

function isWithin(window: TimeWindow | null, time: number, at: number): boolean {
  switch (window?.kind) {
    case 'last':
      return time > at - window.ms;
    case 'moreThanAgo':
      return time <= at - window.ms;
    case 'ago':
      return time > at - window.fromMs && time <= at - window.toMs;
    case 'dates':
      return (window.from === null || time >= window.from) && (window.to === null || time < window.to);
    case undefined:
      return true;
  }
}

function eventValue(event: EventFacts, path: string): Value | undefined {
  return path === EVENT_VALUE ? (event.value ?? undefined) : event.properties.get(path);
}

function valueHolds(filter: ValueFilter, value: Value | undefined): boolean {
  switch (filter.kind) {
    case 'exists':
      return (value !== undefined) === filter.exists;
    case 'text':
      return typeof value === 'string' && textHolds(filter.text, value);
    case 'number':
      return typeof value === 'number' && numberHolds(filter.number, value);
    case 'boolean':
      return typeof value === 'boolean' && value === filter.equals;
  }
}

function textHolds(filter: TextFilter, text: string): boolean {
  switch (filter.op) {
    case 'equals':
      return text === filter.value;
    case 'notEquals':
      return text !== filter.value;
    case 'in':
      return filter.values.includes(text);
    case 'notIn':
      return !filter.values.includes(text);
    case 'contains':
      return text.includes(filter.value);
    case 'notContains':
      return !text.includes(filter.value);
    case 'startsWith':
      return text.startsWith(filter.value);
    case 'notStartsWith':
      return !text.startsWith(filter.value);
    case 'endsWith':
      return text.endsWith(filter.value);
    case 'notEndsWith':
      return !text.endsWith(filter.value);
    case 'matches':
      return compileRegex(filter.value)(text);
    case 'notMatches':
      return !compileRegex(filter.value)(text);
  }
}

function numberHolds(filter: NumberFilter, number: number): boolean {
  return filter.op === 'between'
    ? filter.from <= number && number <= filter.to
    : compares(filter.op, number, filter.value);
}

function sumHolds(filter: NumberFilter, micros: bigint): boolean {
  return filter.op === 'between'
    ? microUnits(filter.from) <= micros && micros <= microUnits(filter.to)
    : compares(filter.op, micros, microUnits(filter.value));
}

function compares<T extends number | bigint>(
  op: Exclude<NumberFilter['op'], 'between'>,
  left: T,
  right: T,
): boolean {
  switch (op) {
    case 'equals':
      return left === right;
    case 'notEquals':
      return left !== right;
    case 'moreThan':
      return left > right;
    case 'atLeast':
      return left >= right;
    case 'lessThan':
      return left < right;
    case 'atMost':
      return left <= right;
  }
}
