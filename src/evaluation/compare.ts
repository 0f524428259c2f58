/** Comparisons of single values, as SQL. */
import type { ListFilter, NumberFilter, TextFilter } from '../segments/ast.ts';
import type { Parameters } from './parameters.ts';

/** `bound` gives the SQL of a number of the filter, in the unit of `left`. */
export function compareNumber(left: string, is: NumberFilter, bound: (value: number) => string): string {
  if (is.op === 'between') return `(${left} BETWEEN ${bound(is.from)} AND ${bound(is.to)})`;
  const operator = {
    equals: '=',
    notEquals: '!=',
    moreThan: '>',
    atLeast: '>=',
    lessThan: '<',
    atMost: '<=',
  }[is.op];
  return `(${left} ${operator} ${bound(is.value)})`;
}

/** `list`: an Array(String), its elements as `elementText` writes them. */
export function compareList(list: string, filter: ListFilter, parameters: Parameters): string {
  if (filter.op === 'length') {
    return compareNumber(`length(${list})`, filter.length, (value) => parameters.add('Float64', value));
  }
  if ('text' in filter) {
    const exists = `arrayExists(element -> ${compareText('element', filter.text, parameters)}, ${list})`;
    return filter.op === 'someElement' ? exists : `NOT ${exists}`;
  }
  if (!('values' in filter)) throw new Error('not a normalised filter');
  const values = parameters.add('Array(String)', filter.values);
  switch (filter.op) {
    case 'containsAny':
      return `hasAny(${list}, ${values})`;
    case 'containsAll':
      return `hasAll(${list}, ${values})`;
    case 'containsNone':
      return `NOT hasAny(${list}, ${values})`;
  }
}

export function compareText(left: string, filter: TextFilter, parameters: Parameters): string {
  if ('values' in filter) {
    const among = `has(${parameters.add('Array(String)', filter.values)}, ${left})`;
    return filter.op === 'in' ? among : `NOT ${among}`;
  }
  const value = parameters.add('String', filter.value);
  switch (filter.op) {
    case 'equals':
      return `${left} = ${value}`;
    case 'notEquals':
      return `${left} != ${value}`;
    case 'contains':
      return `position(${left}, ${value}) > 0`;
    case 'notContains':
      return `position(${left}, ${value}) = 0`;
    case 'startsWith':
      return `startsWith(${left}, ${value})`;
    case 'notStartsWith':
      return `NOT startsWith(${left}, ${value})`;
    case 'endsWith':
      return `endsWith(${left}, ${value})`;
    case 'notEndsWith':
      return `NOT endsWith(${left}, ${value})`;
    case 'matches':
      return `match(${left}, ${value})`;
    case 'notMatches':
      return `NOT match(${left}, ${value})`;
  }
}
