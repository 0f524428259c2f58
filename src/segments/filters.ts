/** When filters hold for single values. Part of the reference evaluator: slow and obvious. */
import type { ListFilter, NumberFilter, TextFilter, Value, ValueFilter } from './ast.ts';
import { dateHolds, parseDate } from './dates.ts';
import { elementText } from './flatten.ts';
import { compileRegex } from './regex.ts';

/** The instant of evaluation, epoch milliseconds, and the account's time zone. */
export interface When {
  at: number;
  timeZone: string;
}

/** Undefined: the value is not set. */
export function valueHolds(filter: ValueFilter, value: Value | undefined, when: When): boolean {
  switch (filter.kind) {
    case 'exists':
      return (value !== undefined) === filter.exists;
    case 'text':
      return typeof value === 'string' && textHolds(filter.text, value);
    case 'number':
      return typeof value === 'number' && numberHolds(filter.number, value);
    case 'boolean':
      return typeof value === 'boolean' && value === filter.equals;
    case 'date': {
      const date = typeof value === 'string' ? parseDate(value, when.timeZone) : null;
      return date !== null && dateHolds(filter.date, date, when.at, when.timeZone);
    }
    case 'list':
      return typeof value === 'object' && listHolds(filter.list, value.map(elementText));
  }
}

/** Of an event's own time: an instant, which is always set, and is no text. */
export function timeHolds(filter: ValueFilter, t: number, { at, timeZone }: When): boolean {
  switch (filter.kind) {
    case 'exists':
      return filter.exists;
    case 'date':
      return dateHolds(filter.date, t, at, timeZone);
    case 'text':
    case 'number':
    case 'boolean':
    case 'list':
      return false;
  }
}

export function textHolds(filter: TextFilter, text: string): boolean {
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

function listHolds(filter: ListFilter, elements: readonly string[]): boolean {
  switch (filter.op) {
    case 'contains':
      return elements.includes(filter.value);
    case 'notContains':
      return !elements.includes(filter.value);
    case 'containsAny':
      return filter.values.some((value) => elements.includes(value));
    case 'containsAll':
      return filter.values.every((value) => elements.includes(value));
    case 'containsNone':
      return !filter.values.some((value) => elements.includes(value));
    case 'someElement':
      return elements.some((element) => textHolds(filter.text, element));
    case 'noElement':
      return !elements.some((element) => textHolds(filter.text, element));
    case 'length':
      return numberHolds(filter.length, elements.length);
  }
}

export function numberHolds(filter: NumberFilter, number: number): boolean {
  return filter.op === 'between'
    ? filter.from <= number && number <= filter.to
    : compares(filter.op, number, filter.value);
}

export function compares<T extends number | bigint>(
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
