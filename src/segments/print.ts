import type {
  Condition,
  EventCriterion,
  Measure,
  NumberFilter,
  PropertyFilter,
  TextFilter,
  TimeWindow,
  ValueFilter,
} from './ast.ts';
import { printDuration } from './duration.ts';

/** Plain JSON in the shape of the API's ConditionInput. */
export type ConditionInput = Record<string, unknown>;

/**
 * The condition as it can be sent to the API again: parseCondition(toInput(c)) equals c. Defaults are left out,
 * durations and instants take their canonical form.
 */
export function toInput(condition: Condition): ConditionInput {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return { [condition.kind]: condition.children.map(toInput) };
    case 'not':
      return { not: toInput(condition.child) };
    case 'event':
      return { event: eventInput(condition) };
    case 'property':
      return { property: propertyInput(condition) };
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
  return measure.kind === 'count' ? { count: true } : { sum: measure.path };
}

function propertyInput({ path, filter }: PropertyFilter): ConditionInput {
  return { path, filter: valueInput(filter) };
}

function valueInput(filter: ValueFilter): ConditionInput {
  switch (filter.kind) {
    case 'text':
      return { text: textInput(filter.text) };
    case 'number':
      return { number: numberInput(filter.number) };
    case 'boolean':
      return { boolean: filter.equals };
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
  }
}
