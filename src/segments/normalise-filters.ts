import type {
  DateFilter,
  ListFilter,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { compareText } from './canonical.ts';

export function normaliseProperty({ path, filter }: PropertyFilter): PropertyFilter {
  return { path, filter: normaliseValue(filter) };
}

export function normaliseValue(filter: ValueFilter): ValueFilter {
  switch (filter.kind) {
    case 'text':
      return { kind: 'text', text: normaliseText(filter.text) };
    case 'number':
      return { kind: 'number', number: normaliseNumber(filter.number) };
    case 'date':
      return { kind: 'date', date: normaliseDate(filter.date) };
    case 'list':
      return { kind: 'list', list: normaliseList(filter.list) };
    case 'boolean':
    case 'exists':
      return filter;
  }
}

export function normaliseNumber(filter: NumberFilter): NumberFilter {
  return filter.op === 'between' && filter.from === filter.to ? { op: 'equals', value: filter.from } : filter;
}

export function normaliseText(filter: TextFilter): TextFilter {
  if (!('values' in filter)) return filter;
  const values = distinctTexts(filter.values);
  const [only] = values;
  if (only === undefined || values.length > 1) return { op: filter.op, values };
  return { op: filter.op === 'in' ? 'equals' : 'notEquals', value: only };
}

function normaliseList(filter: ListFilter): ListFilter {
  switch (filter.op) {
    case 'contains':
      return { op: 'containsAny', values: [filter.value] };
    case 'notContains':
      return { op: 'containsNone', values: [filter.value] };
    case 'length':
      return { op: 'length', length: normaliseCount(filter.length) };
    case 'someElement':
    case 'noElement': {
      const text = normaliseText(filter.text);
      const among = text.op === 'equals' ? [text.value] : text.op === 'in' ? text.values : null;
      if (among === null) return { op: filter.op, text };
      return { op: filter.op === 'someElement' ? 'containsAny' : 'containsNone', values: among };
    }
    case 'containsAny':
    case 'containsAll':
    case 'containsNone': {
      const values = distinctTexts(filter.values);
      return { op: filter.op === 'containsAll' && values.length === 1 ? 'containsAny' : filter.op, values };
    }
  }
}

function normaliseDate(filter: DateFilter): DateFilter {
  if (filter.op !== 'within') return filter;
  return { op: 'within', window: normaliseWindow(filter.window) };
}

export function normaliseWindow(window: TimeWindow): TimeWindow {
  return window.kind === 'ago' && window.toMs === 0 ? { kind: 'last', ms: window.fromMs } : window;
}

function distinctTexts(values: readonly string[]): string[] {
  return [...new Set(values)].sort(compareText);
}

/** No count reaches it, and below it whole numbers are exact. */
const UNREACHABLE = Number.MAX_SAFE_INTEGER;
const NEVER: NumberFilter = { op: 'lessThan', value: 0 };

/** A count is a whole number from 0 up: its filters become "at least", or "equals", "between" and "not equals". */
export function normaliseCount(is: NumberFilter): NumberFilter {
  if (is.op === 'between') return countBetween(Math.ceil(is.from), Math.floor(is.to));
  const { op, value } = is;
  switch (op) {
    case 'moreThan':
      return atLeast(Math.floor(value) + 1);
    case 'atLeast':
      return atLeast(Math.ceil(value));
    case 'lessThan':
      return atMost(Math.ceil(value) - 1);
    case 'atMost':
      return atMost(Math.floor(value));
    case 'equals':
      return Number.isInteger(value) ? countBetween(value, value) : NEVER;
    case 'notEquals':
      if (!Number.isInteger(value) || value < 0 || value > UNREACHABLE) return atLeast(0);
      return value === 0 ? atLeast(1) : { op, value };
  }
}

function countBetween(from: number, to: number): NumberFilter {
  if (from > to || from > UNREACHABLE) return NEVER;
  if (from <= 0) return atMost(to);
  if (from === to) return { op: 'equals', value: from };
  return to > UNREACHABLE ? atLeast(from) : { op: 'between', from, to };
}

function atLeast(value: number): NumberFilter {
  if (value > UNREACHABLE) return NEVER;
  return { op: 'atLeast', value: Math.max(value, 0) };
}

/** As the bound that `opposite` turns into "at least". */
function atMost(value: number): NumberFilter {
  if (value < 0) return NEVER;
  return value >= UNREACHABLE ? { op: 'atLeast', value: 0 } : { op: 'lessThan', value: value + 1 };
}
