import type {
  Condition,
  Criterion,
  EventCriterion,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { canonicalJson, compareText, digest } from './canonical.ts';

/**
 * A condition that is true for exactly the same profiles at every instant, in a form that many ways of saying the same
 * share: nested all/any flattened, children sorted and without repeats, no double negation, equivalent filters and
 * windows unified. In it every criterion is false for a profile of which nothing is known ("did it 0 times" has become
 * "not: did it at least once"). Applying it twice changes nothing.
 */
export function normalise(condition: Condition): Condition {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return combine(condition.kind, condition.children.map(normalise));
    case 'not':
      return negate(normalise(condition.child));
    case 'event':
      return normaliseEvent(condition);
    case 'property': {
      const filter = normaliseValue(condition.filter);
      const positive = filter.kind === 'exists' ? { kind: 'exists' as const, exists: true } : filter;
      const criterion: Condition = { kind: 'property', path: condition.path, filter: positive };
      return filter.kind === 'exists' && !filter.exists ? negate(criterion) : criterion;
    }
  }
}

/** Conditions of equal normal form have equal hashes: 32 hexadecimal digits. */
export function hashOf(condition: Condition): string {
  return digest(normalise(condition));
}

const keys = new WeakMap<Criterion, string>();

/** The key of a criterion exactly as it stands, without normalising it. Remembered per object: it is asked for often. */
export function criterionKey(criterion: Criterion): string {
  const known = keys.get(criterion);
  if (known !== undefined) return known;
  const key = digest(criterion);
  keys.set(criterion, key);
  return key;
}

/** The distinct leaves of a condition as they stand in it, in the order of their first appearance. */
export function criteriaOf(condition: Condition): Criterion[] {
  const found = new Map<string, Criterion>();
  const visit = (node: Condition): void => {
    if (node.kind === 'all' || node.kind === 'any') node.children.forEach(visit);
    else if (node.kind === 'not') visit(node.child);
    else {
      const key = criterionKey(node);
      if (!found.has(key)) found.set(key, node);
    }
  };
  visit(condition);
  return [...found.values()];
}

function combine(kind: 'all' | 'any', children: readonly Condition[]): Condition {
  const flat = children.flatMap((child) => (child.kind === kind ? child.children : [child]));
  const distinct = distinctSorted(flat);
  const [only] = distinct;
  return only !== undefined && distinct.length === 1 ? only : { kind, children: distinct };
}

function negate(child: Condition): Condition {
  return child.kind === 'not' ? child.child : { kind: 'not', child };
}

function distinctSorted<T>(values: readonly T[]): T[] {
  const byText = new Map(values.map((value) => [canonicalJson(value), value]));
  return [...byText].sort(([a], [b]) => compareText(a, b)).map(([, value]) => value);
}

function normaliseEvent(criterion: EventCriterion): Condition {
  const { metric, measure } = criterion;
  const where = distinctSorted(criterion.where.map(normaliseProperty));
  const within = normaliseWindow(criterion.within);
  const over = (is: NumberFilter): Condition => ({ kind: 'event', metric, where, measure, is, within });
  const is = measure.kind === 'count' ? normaliseCount(criterion.is) : normaliseNumber(criterion.is);
  if (!holdsForZero(is)) return over(is);
  // True without any event: say what must not be instead. A measure always has a value, so this negation is exact.
  if (is.op !== 'between') return negate(over(opposite(is)));
  return negate(
    combine('any', [over({ op: 'lessThan', value: is.from }), over({ op: 'moreThan', value: is.to })]),
  );
}

function holdsForZero(is: NumberFilter): boolean {
  switch (is.op) {
    case 'equals':
      return is.value === 0;
    case 'notEquals':
      return is.value !== 0;
    case 'moreThan':
      return is.value < 0;
    case 'atLeast':
      return is.value <= 0;
    case 'lessThan':
      return is.value > 0;
    case 'atMost':
      return is.value >= 0;
    case 'between':
      return is.from <= 0 && is.to >= 0;
  }
}

const OPPOSITE = {
  equals: 'notEquals',
  notEquals: 'equals',
  moreThan: 'atMost',
  atMost: 'moreThan',
  atLeast: 'lessThan',
  lessThan: 'atLeast',
} as const;

function opposite(is: Exclude<NumberFilter, { op: 'between' }>): NumberFilter {
  return { op: OPPOSITE[is.op], value: is.value };
}

/** No count reaches it, and below it whole numbers are exact. */
const UNREACHABLE = Number.MAX_SAFE_INTEGER;
const NEVER: NumberFilter = { op: 'lessThan', value: 0 };

/** A count is a whole number from 0 up: its filters become "at least", or "equals", "between" and "not equals". */
function normaliseCount(is: NumberFilter): NumberFilter {
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

function normaliseProperty({ path, filter }: PropertyFilter): PropertyFilter {
  return { path, filter: normaliseValue(filter) };
}

function normaliseValue(filter: ValueFilter): ValueFilter {
  switch (filter.kind) {
    case 'text':
      return { kind: 'text', text: normaliseText(filter.text) };
    case 'number':
      return { kind: 'number', number: normaliseNumber(filter.number) };
    case 'boolean':
    case 'exists':
      return filter;
  }
}

function normaliseNumber(filter: NumberFilter): NumberFilter {
  return filter.op === 'between' && filter.from === filter.to ? { op: 'equals', value: filter.from } : filter;
}

function normaliseText(filter: TextFilter): TextFilter {
  if (!('values' in filter)) return filter;
  const values = [...new Set(filter.values)].sort(compareText);
  const [only] = values;
  if (only === undefined || values.length > 1) return { op: filter.op, values };
  return { op: filter.op === 'in' ? 'equals' : 'notEquals', value: only };
}

function normaliseWindow(window: TimeWindow | null): TimeWindow | null {
  return window?.kind === 'ago' && window.toMs === 0 ? { kind: 'last', ms: window.fromMs } : window;
}
