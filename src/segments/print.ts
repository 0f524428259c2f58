import type {
  Condition,
  ConsentCriterion,
  DateFilter,
  EventCriterion,
  Leaf,
  ListFilter,
  Measure,
  NearCriterion,
  NumberFilter,
  PredictionLeaf,
  PropertyFilter,
  SequenceCriterion,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { printDuration } from './duration.ts';
import { predictionOf } from './paths.ts';
import { isLeaf } from './tree.ts';

/** Plain JSON in the shape of the API's ConditionInput. */
export type ConditionInput = Record<string, unknown>;

/**
 * The condition as it can be sent to the API again: for a condition as it was said, parseCondition(toInput(c)) equals c;
 * for a normal form, it has the same normal form. Defaults are left out, durations and instants take their canonical
 * form.
 */
export function toInput(condition: Condition): ConditionInput {
  if (isLeaf(condition)) return leafInput(condition);
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { [condition.kind]: condition.children.map(toInput) };
    case 'not':
      return { not: toInput(condition.child) };
  }
}

function leafInput(leaf: Leaf): ConditionInput {
  switch (leaf.kind) {
    case 'event':
      return { event: eventInput(leaf) };
    case 'sequence':
      return { sequence: sequenceInput(leaf) };
    case 'property':
      return { property: propertyInput(leaf) };
    case 'consent':
      return { consent: consentInput(leaf) };
    case 'segment':
      return { segment: { id: leaf.id, ...(!leaf.member && { member: false }) } };
    case 'near':
      return { near: nearInput(leaf) };
    case 'region':
      return { region: { region: leaf.region, ...(!leaf.inside && { inside: false }) } };
    case 'prediction':
      return { prediction: predictionInput(leaf) };
    case 'trend':
      return { prediction: { dimension: predictionOf(leaf.path), change: changeInput(leaf) } };
    case 'sample':
      return { sample: { percent: leaf.percent, ...(leaf.salt !== '' && { salt: leaf.salt }) } };
  }
}

function eventInput({ metric, where, measure, is, within }: EventCriterion): ConditionInput {
  const isDefault = is.op === 'atLeast' && is.value === 1;
  return {
    metric,
    ...(where.length > 0 && { where: where.map(propertyInput) }),
    ...(measure.kind !== 'count' && { measure: measureInput(measure) }),
    ...(!isDefault && { is: numberInput(is) }),
    ...(within && { within: windowInput(within) }),
  };
}

function measureInput(measure: Measure): ConditionInput {
  return { [measure.kind]: 'path' in measure ? measure.path : true };
}

function sequenceInput({ steps, completeWithinMs, within }: SequenceCriterion): ConditionInput {
  return {
    steps: steps.map(({ metric, where, negate }) => ({
      metric,
      ...(where.length > 0 && { where: where.map(propertyInput) }),
      ...(negate && { negate }),
    })),
    ...(completeWithinMs !== null && { completeWithin: printDuration(completeWithinMs) }),
    ...(within && { within: windowInput(within) }),
  };
}

function propertyInput({ path, filter }: PropertyFilter): ConditionInput {
  return { path, filter: valueInput(filter) };
}

function consentInput({ channel, status, canReceive, since, source }: ConsentCriterion): ConditionInput {
  return {
    channel,
    ...(status && { status: [...status] }),
    ...(canReceive !== null && { canReceive }),
    ...(since && { since: windowInput(since) }),
    ...(source && { source: textInput(source) }),
  };
}

function nearInput({ latitude, longitude, postal, within, unit, beyond }: NearCriterion): ConditionInput {
  return {
    ...(postal ?? { latitude, longitude }),
    within,
    ...(unit !== 'KILOMETERS' && { unit }),
    ...(beyond && { beyond }),
  };
}

function predictionInput({ dimension, number, date, change }: PredictionLeaf): ConditionInput {
  return {
    dimension,
    ...(number && { number: numberInput(number) }),
    ...(date && { date: dateInput(date) }),
    ...(change && { change: changeInput(change) }),
  };
}

function changeInput({ by, withinMs }: { by: number; withinMs: number }): ConditionInput {
  return { by, within: printDuration(withinMs) };
}

function valueInput(filter: ValueFilter): ConditionInput {
  switch (filter.kind) {
    case 'text':
      return { text: textInput(filter.text) };
    case 'number':
      return { number: numberInput(filter.number) };
    case 'boolean':
      return { boolean: filter.equals };
    case 'date':
      return { date: dateInput(filter.date) };
    case 'list':
      return { list: listInput(filter.list) };
    case 'exists':
      return { exists: filter.exists };
  }
}

function textInput(filter: TextFilter): ConditionInput {
  return { [filter.op]: 'values' in filter ? [...filter.values] : filter.value };
}

function numberInput(filter: NumberFilter): ConditionInput {
  return filter.op === 'between'
    ? { between: { from: filter.from, to: filter.to } }
    : { [filter.op]: filter.value };
}

function listInput(filter: ListFilter): ConditionInput {
  if (filter.op === 'length') return { length: numberInput(filter.length) };
  if ('text' in filter) return { [filter.op]: textInput(filter.text) };
  return { [filter.op]: 'values' in filter ? [...filter.values] : filter.value };
}

function dateInput(filter: DateFilter): ConditionInput {
  switch (filter.op) {
    case 'within':
      return { within: windowInput(filter.window) };
    case 'next':
      return { next: printDuration(filter.ms) };
    case 'anniversary':
      if (filter.to > 0) return { anniversary: { next: filter.to } };
      return { anniversary: filter.from < 0 ? { last: -filter.from } : { today: true } };
    case 'month':
      return { month: filter.month };
    case 'thisMonth':
      return { anniversary: { thisMonth: true } };
  }
}

function windowInput(window: TimeWindow): ConditionInput {
  switch (window.kind) {
    case 'last':
    case 'moreThanAgo':
      return { [window.kind]: printDuration(window.ms) };
    case 'ago':
      return { ago: { from: printDuration(window.fromMs), to: printDuration(window.toMs) } };
    case 'dates':
      return {
        dates: {
          ...(window.from !== null && { from: new Date(window.from).toISOString() }),
          ...(window.to !== null && { to: new Date(window.to).toISOString() }),
        },
      };
    case 'calendar':
      return { calendar: window.period };
  }
}
