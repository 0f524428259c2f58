/** Comparisons of single values, as SQL. */
import type { ListFilter, NumberFilter } from '../segments/ast.ts';
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
