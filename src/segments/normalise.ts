import type {
  Condition,
  ConsentCriterion,
  ConsentStatus,
  Criterion,
  EventCriterion,
  Leaf,
  NormalCondition,
  NumberFilter,
  PredictionLeaf,
  PropertyCriterion,
  RegionLeaf,
  SequenceCriterion,
  TextFilter,
} from './ast.ts';
import { canonicalJson, compareText, digest } from './canonical.ts';
import { KM_PER_MILE } from './geo.ts';
import {
  normaliseCount,
  normaliseNumber,
  normaliseProperty,
  normaliseText,
  normaliseValue,
  normaliseWindow,
} from './normalise-filters.ts';
import { predictionPath } from './paths.ts';
import { COUNTRIES_OF } from './places.ts';
import { isLeaf } from './tree.ts';

/**
 * A condition that is true for exactly the same profiles at every instant, in a form that many ways of saying the same
 * share: nested all/any flattened, children sorted and without repeats, no double negation, equivalent filters, windows
 * and leaves unified. In it every criterion but `sample` and `segment` is false for a profile of which nothing is known
 * ("did it 0 times" has become "not: did it at least once"). Applying it twice changes nothing.
 */
export function normalise(condition: Condition): NormalCondition {
  if (isLeaf(condition)) return normaliseLeaf(condition);
  switch (condition.kind) {
    case 'all':
    case 'any':
      return combine(condition.kind, condition.children.map(normalise));
    case 'not':
      return negate(normalise(condition.child));
  }
}

function normaliseLeaf(leaf: Leaf): NormalCondition {
  switch (leaf.kind) {
    case 'event':
      return normaliseEvent(leaf);
    case 'sequence':
      return normaliseSequence(leaf);
    case 'property':
      return normaliseFact(leaf);
    case 'consent':
      return normaliseConsent(leaf);
    case 'segment': {
      const member: Criterion = { ...leaf, member: true };
      return leaf.member ? member : negate(member);
    }
    case 'near': {
      const within = leaf.unit === 'MILES' ? leaf.within * KM_PER_MILE : leaf.within;
      return { ...leaf, postal: null, within, unit: 'KILOMETERS' };
    }
    case 'region':
      return normaliseFact(regionFact(leaf));
    case 'prediction':
      return normalisePrediction(leaf);
    case 'trend':
    case 'sample':
      return leaf;
  }
}

/** Conditions of equal normal form have equal hashes: 32 hexadecimal digits. */
export function hashOf(condition: Condition): string {
  return digest(normalise(condition));
}

const keys = new WeakMap<Leaf, string>();

/** The key of a leaf exactly as it stands, without normalising it. Remembered per object: it is asked for often. */
export function criterionKey(leaf: Leaf): string {
  const known = keys.get(leaf);
  if (known !== undefined) return known;
  const key = digest(leaf);
  keys.set(leaf, key);
  return key;
}

/** The distinct leaves of a condition as they stand in it, in the order of their first appearance. */
export function criteriaOf(condition: NormalCondition): Criterion[];
export function criteriaOf(condition: Condition): Leaf[];
export function criteriaOf(condition: Condition): Leaf[] {
  const found = new Map<string, Leaf>();
  const visit = (node: Condition): void => {
    if (!isLeaf(node)) return node.kind === 'not' ? visit(node.child) : node.children.forEach(visit);
    const key = criterionKey(node);
    if (!found.has(key)) found.set(key, node);
  };
  visit(condition);
  return [...found.values()];
}

function combine(kind: 'all' | 'any', children: readonly NormalCondition[]): NormalCondition {
  const flat = children.flatMap((child) => (child.kind === kind ? child.children : [child]));
  const distinct = distinctSorted(flat);
  const [only] = distinct;
  return only !== undefined && distinct.length === 1 ? only : { kind, children: distinct };
}

function negate(child: NormalCondition): NormalCondition {
  return child.kind === 'not' ? child.child : { kind: 'not', child };
}

function distinctSorted<T>(values: readonly T[]): T[] {
  const byText = new Map(values.map((value) => [canonicalJson(value), value]));
  return [...byText].sort(([a], [b]) => compareText(a, b)).map(([, value]) => value);
}

function normaliseEvent(criterion: EventCriterion): NormalCondition {
  const { metric, measure } = criterion;
  const where = distinctSorted(criterion.where.map(normaliseProperty));
  const within = criterion.within && normaliseWindow(criterion.within);
  const over = (is: NumberFilter): Criterion => ({ kind: 'event', metric, where, measure, is, within });
  switch (measure.kind) {
    case 'average':
    case 'min':
    case 'max':
      // Without any number they satisfy nothing, neither a filter nor its opposite.
      return over(normaliseNumber(criterion.is));
    case 'sum':
      return fromZero(normaliseNumber(criterion.is), over);
    case 'count':
    case 'days':
    case 'distinct':
      return fromZero(normaliseCount(criterion.is), over);
  }
}

/** A measure that is 0 without any event, and always has a value. */
function fromZero(is: NumberFilter, over: (is: NumberFilter) => Criterion): NormalCondition {
  if (!holdsForZero(is)) return over(is);
  // True without any event: say what must not be instead. A measure that always has a value makes this exact.
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

/** Negated steps next to each other forbid the same time: their order and repetition do not matter. */
function normaliseSequence({ steps, completeWithinMs, within }: SequenceCriterion): Criterion {
  const normal = steps.map((step) => ({ ...step, where: distinctSorted(step.where.map(normaliseProperty)) }));
  const runs: (typeof normal)[] = [];
  for (const step of normal) {
    const last = runs.at(-1);
    if (last?.[0] && last[0].negate && step.negate) last.push(step);
    else runs.push([step]);
  }
  const asked = normal.filter(({ negate }) => !negate).length > 1 || normal.at(-1)?.negate === true;
  return {
    kind: 'sequence',
    steps: runs.flatMap(distinctSorted),
    // A single event takes no time.
    completeWithinMs: asked ? completeWithinMs : null,
    within: within && normaliseWindow(within),
  };
}

function normaliseFact({ path, filter }: PropertyCriterion): NormalCondition {
  const normal = normaliseValue(filter);
  if (normal.kind !== 'exists' || normal.exists) return { kind: 'property', path, filter: normal };
  return negate(isSet(path));
}

function isSet(path: string): Criterion {
  return { kind: 'property', path, filter: { kind: 'exists', exists: true } };
}

function regionFact({ region, inside }: RegionLeaf): PropertyCriterion {
  const text: TextFilter = { op: inside ? 'in' : 'notIn', values: [...COUNTRIES_OF[region]] };
  return { kind: 'property', path: 'location.country', filter: { kind: 'text', text } };
}

function normalisePrediction({ dimension, number, date, change }: PredictionLeaf): NormalCondition {
  const path = predictionPath(dimension);
  return combine('all', [
    ...(number ? [normaliseFact({ kind: 'property', path, filter: { kind: 'number', number } })] : []),
    ...(date ? [normaliseFact({ kind: 'property', path, filter: { kind: 'date', date } })] : []),
    ...(change ? [{ kind: 'trend' as const, path, ...change }] : []),
  ]);
}

const RECORDED: readonly ConsentStatus[] = ['SUBSCRIBED', 'UNSUBSCRIBED'];

function normaliseConsent({ channel, status, canReceive, since, source }: ConsentCriterion): NormalCondition {
  const statusIn = (allowed: readonly ConsentStatus[]): ConsentCriterion => ({
    kind: 'consent',
    channel,
    status: [...new Set(allowed)].sort(),
    canReceive: null,
    since: null,
    source: null,
  });
  const parts: NormalCondition[] = [];
  if (since || source) {
    // Only a consent that was recorded has a time and a source, whatever its status.
    const all = status === null || new Set(status).size === RECORDED.length + 1;
    parts.push({
      ...statusIn(status ?? []),
      ...(all && { status: null }),
      since: since && normaliseWindow(since),
      source: source && normaliseText(source),
    });
  } else if (status) {
    // Who has no consent has never subscribed: then say what the status must not be.
    const others = RECORDED.filter((other) => !status.includes(other));
    if (!status.includes('NEVER_SUBSCRIBED')) parts.push(statusIn(status));
    else if (others.length > 0) parts.push(negate(statusIn(others)));
    else parts.push(combine('any', [statusIn(['SUBSCRIBED']), negate(statusIn(['SUBSCRIBED']))]));
  }
  if (canReceive !== null) {
    const can = receiving(channel, statusIn);
    parts.push(canReceive ? can : negate(can));
  }
  return combine('all', parts);
}

function receiving(
  channel: ConsentCriterion['channel'],
  statusIn: (allowed: readonly ConsentStatus[]) => Criterion,
): NormalCondition {
  switch (channel) {
    case 'EMAIL':
      return combine('all', [isSet('email'), negate(statusIn(['UNSUBSCRIBED']))]);
    case 'SMS':
      return combine('all', [isSet('phone'), statusIn(['SUBSCRIBED'])]);
    case 'PUSH':
      return statusIn(['SUBSCRIBED']);
  }
}
