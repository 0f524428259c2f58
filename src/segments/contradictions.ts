/** Which criteria of a normal form cannot hold together. Sure when it says so, silent when it does not know. */
import type {
  Criterion,
  ListFilter,
  NormalCondition,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  ValueFilter,
} from './ast.ts';
import { canonicalJson } from './canonical.ts';
import { numberHolds, textHolds } from './filters.ts';
import { EVENT_TIME, EVENT_VALUE } from './paths.ts';
import { isLeaf } from './tree.ts';

/** Whether the condition is the same for everyone, always: true, false, or null for what is not known to be. */
export function constantOf(condition: NormalCondition): boolean | null {
  if (isLeaf(condition)) return isImpossible(condition) ? false : isCertain(condition) ? true : null;
  switch (condition.kind) {
    case 'not': {
      const inner = constantOf(condition.child);
      return inner === null ? null : !inner;
    }
    case 'all':
      return conjunction(condition.children);
    case 'any': {
      const inner = conjunction(condition.children.map(opposite));
      return inner === null ? null : !inner;
    }
  }
}

function opposite(condition: NormalCondition): NormalCondition {
  return condition.kind === 'not' ? condition.child : { kind: 'not', child: condition };
}

function conjunction(children: readonly NormalCondition[]): boolean | null {
  const constants = children.map(constantOf);
  if (constants.includes(false)) return false;
  if (constants.every((constant) => constant === true)) return true;
  const asked = new Set(children.map(canonicalJson));
  const contradicted = children.some((child) => asked.has(canonicalJson(opposite(child))));
  return contradicted || clash(children.flatMap(demandsOf)) ? false : null;
}

function isCertain(criterion: Criterion): boolean {
  return criterion.kind === 'sample' && criterion.percent === 100;
}

function isImpossible(criterion: Criterion): boolean {
  switch (criterion.kind) {
    case 'event':
      return (
        clash(criterion.where.flatMap(filterDemands)) ||
        clash([...demandsOf(criterion), ...naturalDemands(criterion)])
      );
    case 'sequence':
      return criterion.steps.some((step) => !step.negate && clash(step.where.flatMap(filterDemands)));
    case 'property':
      return clash(filterDemands(criterion));
    case 'sample':
      return criterion.percent === 0;
    case 'consent':
    case 'segment':
    case 'near':
    case 'trend':
      return false;
  }
}

/** Something that must hold for a value, which is named by `of`. */
interface Demand {
  of: string;
  must: ValueFilter;
}

/** Two demands on one value that cannot both be met; for intervals, sets and types it is enough to look at pairs. */
function clash(demands: readonly Demand[]): boolean {
  return demands.some((a, i) => demands.slice(i + 1).some((b) => a.of === b.of && excludes(a.must, b.must)));
}

/** What a condition that must hold demands of single values. */
function demandsOf(condition: NormalCondition): Demand[] {
  const negated = condition.kind === 'not';
  const inner = negated ? condition.child : condition;
  switch (inner.kind) {
    case 'property':
      if (!negated) return filterDemands(inner);
      return inner.filter.kind === 'exists'
        ? [{ of: inner.path, must: { kind: 'exists', exists: false } }]
        : [];
    case 'event': {
      const { is, ...measured } = inner;
      const always = isAlwaysMeasured(inner);
      const must = negated ? negatedNumber(is) : is;
      return must && (always || !negated)
        ? [{ of: canonicalJson(measured), must: { kind: 'number', number: must } }]
        : [];
    }
    case 'consent': {
      if (inner.since || inner.source || !inner.status) return [];
      const op = negated ? 'notIn' : 'in';
      return [
        { of: `consent ${inner.channel}`, must: { kind: 'text', text: { op, values: [...inner.status] } } },
      ];
    }
    case 'sample': {
      const number = { op: negated ? 'atLeast' : 'lessThan', value: inner.percent } as const;
      return [{ of: `sample ${inner.salt}`, must: { kind: 'number', number } }];
    }
    case 'all':
    case 'any':
    case 'not':
    case 'sequence':
    case 'segment':
    case 'near':
    case 'trend':
      return [];
  }
}

function isAlwaysMeasured({ measure }: Extract<Criterion, { kind: 'event' }>): boolean {
  return measure.kind !== 'average' && measure.kind !== 'min' && measure.kind !== 'max';
}

/** A count is never less than zero. */
function naturalDemands(criterion: Extract<Criterion, { kind: 'event' }>): Demand[] {
  const { is: _, ...measured } = criterion;
  if (!['count', 'days', 'distinct'].includes(criterion.measure.kind)) return [];
  return [{ of: canonicalJson(measured), must: { kind: 'number', number: { op: 'atLeast', value: 0 } } }];
}

function filterDemands({ path, filter }: PropertyFilter): Demand[] {
  const demands: Demand[] = [{ of: path, must: filter }];
  if (path === EVENT_VALUE && filter.kind !== 'number' && filter.kind !== 'exists') {
    // The event's own value is a number or unset.
    demands.push({ of: path, must: { kind: 'number', number: { op: 'atLeast', value: -Infinity } } });
  }
  if (path === EVENT_TIME) {
    // It is always set, to an instant that has come, and nothing else can be demanded of it.
    const isInstant = filter.kind === 'exists' || (filter.kind === 'date' && filter.date.op !== 'next');
    demands.push({ of: path, must: { kind: 'exists', exists: isInstant } });
  }
  if (filter.kind === 'list' && filter.list.op === 'length') {
    const length: NumberFilter = { op: 'atLeast', value: 0 };
    demands.push({ of: path, must: { kind: 'list', list: { op: 'length', length } } });
  }
  return demands;
}

function negatedNumber(is: NumberFilter): NumberFilter | null {
  switch (is.op) {
    case 'equals':
      return { op: 'notEquals', value: is.value };
    case 'notEquals':
      return { op: 'equals', value: is.value };
    case 'moreThan':
      return { op: 'atMost', value: is.value };
    case 'atMost':
      return { op: 'moreThan', value: is.value };
    case 'atLeast':
      return { op: 'lessThan', value: is.value };
    case 'lessThan':
      return { op: 'atLeast', value: is.value };
    case 'between':
      return null;
  }
}

function excludes(a: ValueFilter, b: ValueFilter): boolean {
  if (a.kind === 'exists') return b.kind === 'exists' ? a.exists !== b.exists : !a.exists;
  if (b.kind === 'exists') return !b.exists;
  if (a.kind === 'number' && b.kind === 'number') return numbersExclude(a.number, b.number);
  if (a.kind === 'text' && b.kind === 'text') return textsExclude(a.text, b.text);
  if (a.kind === 'boolean' && b.kind === 'boolean') return a.equals !== b.equals;
  if (a.kind === 'list' && b.kind === 'list') return listsExclude(a.list, b.list);
  if (a.kind === 'date' && b.kind === 'date') {
    return a.date.op === 'month' && b.date.op === 'month' && a.date.month !== b.date.month;
  }
  // A date is a text; besides, a value has one type.
  const typeOf = (filter: ValueFilter) => (filter.kind === 'date' ? 'text' : filter.kind);
  return typeOf(a) !== typeOf(b);
}

/** Ends that may lie outside themselves. */
interface Interval {
  from: number;
  to: number;
}

function intervalOf(is: NumberFilter): Interval | null {
  switch (is.op) {
    case 'equals':
      return { from: is.value, to: is.value };
    case 'moreThan':
      return { from: is.value, to: Infinity };
    case 'atLeast':
      return { from: is.value, to: Infinity };
    case 'lessThan':
      return { from: -Infinity, to: is.value };
    case 'atMost':
      return { from: -Infinity, to: is.value };
    case 'between':
      return { from: is.from, to: is.to };
    case 'notEquals':
      return null;
  }
}

function numbersExclude(a: NumberFilter, b: NumberFilter): boolean {
  const [one, other] = [intervalOf(a), intervalOf(b)];
  if (!one || !other) {
    const [not, is] = one ? [b, a] : [a, b];
    return not.op === 'notEquals' && is.op === 'equals' && not.value === is.value;
  }
  const from = Math.max(one.from, other.from);
  const to = Math.min(one.to, other.to);
  return from > to || (from === to && !(numberHolds(a, from) && numberHolds(b, from)));
}

function textsExclude(a: TextFilter, b: TextFilter): boolean {
  const possible = (filter: TextFilter) =>
    filter.op === 'equals' ? [filter.value] : filter.op === 'in' ? filter.values : null;
  const [values, other] = possible(a) ? [possible(a), b] : [possible(b), a];
  return values !== null && !values.some((value) => textHolds(other, value));
}

function listsExclude(a: ListFilter, b: ListFilter): boolean {
  if (a.op === 'length' && b.op === 'length') return numbersExclude(a.length, b.length);
  return forbids(a, b) || forbids(b, a);
}

/** Whether what the one filter says that no element is leaves the other one without its elements. */
function forbids(none: ListFilter, some: ListFilter): boolean {
  if (none.op !== 'containsNone' && none.op !== 'noElement') return false;
  const isForbidden = (value: string) =>
    'values' in none ? none.values.includes(value) : textHolds(none.text, value);
  if (some.op === 'containsAny') return some.values.every(isForbidden);
  if (some.op === 'containsAll') return some.values.some(isForbidden);
  return (
    some.op === 'someElement' &&
    none.op === 'noElement' &&
    canonicalJson(some.text) === canonicalJson(none.text)
  );
}
