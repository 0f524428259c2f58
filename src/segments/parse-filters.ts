import type { ListFilter, NumberFilter, TextFilter, ValueFilter } from './ast.ts';
import { LIMITS } from './limits.ts';
import { dateFilter } from './parse-time.ts';
import type { Path, Reader, Reading } from './read.ts';
import { boolean, fields, mapped, number, oneOf, quote, required, text, texts, wrong } from './read.ts';
import { regexProblem } from './regex.ts';

export const valueFilter: Reader<ValueFilter> = (reading, input, path) =>
  oneOf<ValueFilter>(reading, input, path, {
    text: mapped(textFilter, (filter) => ({ kind: 'text', text: filter })),
    number: mapped(numberFilter, (filter) => ({ kind: 'number', number: filter })),
    boolean: mapped(boolean, (equals) => ({ kind: 'boolean', equals })),
    date: mapped(dateFilter, (filter) => ({ kind: 'date', date: filter })),
    list: mapped(listFilter, (filter) => ({ kind: 'list', list: filter })),
    exists: mapped(boolean, (exists) => ({ kind: 'exists', exists })),
  });

const comparison = (op: Exclude<NumberFilter['op'], 'between'>): Reader<NumberFilter> =>
  mapped(number, (value) => ({ op, value }));

export const numberFilter: Reader<NumberFilter> = (reading, input, path) =>
  oneOf(reading, input, path, {
    equals: comparison('equals'),
    notEquals: comparison('notEquals'),
    moreThan: comparison('moreThan'),
    atLeast: comparison('atLeast'),
    lessThan: comparison('lessThan'),
    atMost: comparison('atMost'),
    between: numberRange,
  });

function numberRange(reading: Reading, input: unknown, path: Path): NumberFilter | undefined {
  const given = fields(reading, input, path, ['from', 'to']);
  const from = given && required(reading, given, 'from', path, number);
  const to = given && required(reading, given, 'to', path, number);
  if (from === undefined || to === undefined) return undefined;
  if (from > to) return wrong(reading, path, 'INVALID', `from ${from} is above to ${to}; exchange them`);
  return { op: 'between', from, to };
}

const value: Reader<string> = (reading, input, path) => text(reading, input, path, LIMITS.text);
const values = texts(LIMITS.text);

const oneText = (op: Exclude<TextFilter['op'], 'in' | 'notIn'>): Reader<TextFilter> =>
  mapped(value, (compared) => ({ op, value: compared }));

const regex =
  (op: 'matches' | 'notMatches'): Reader<TextFilter> =>
  (reading, input, path) => {
    const pattern = text(reading, input, path, LIMITS.regex);
    if (pattern === undefined) return undefined;
    const problem = regexProblem(pattern);
    return problem ? wrong(reading, path, 'INVALID', `${quote(pattern)} ${problem}`) : { op, value: pattern };
  };

export const textFilter: Reader<TextFilter> = (reading, input, path) =>
  oneOf<TextFilter>(reading, input, path, {
    equals: oneText('equals'),
    notEquals: oneText('notEquals'),
    in: mapped(values, (list) => ({ op: 'in', values: list })),
    notIn: mapped(values, (list) => ({ op: 'notIn', values: list })),
    contains: oneText('contains'),
    notContains: oneText('notContains'),
    startsWith: oneText('startsWith'),
    notStartsWith: oneText('notStartsWith'),
    endsWith: oneText('endsWith'),
    notEndsWith: oneText('notEndsWith'),
    matches: regex('matches'),
    notMatches: regex('notMatches'),
  });

const listFilter: Reader<ListFilter> = (reading, input, path) =>
  oneOf<ListFilter>(reading, input, path, {
    contains: mapped(value, (element) => ({ op: 'contains', value: element })),
    notContains: mapped(value, (element) => ({ op: 'notContains', value: element })),
    containsAny: mapped(values, (list) => ({ op: 'containsAny', values: list })),
    containsAll: mapped(values, (list) => ({ op: 'containsAll', values: list })),
    containsNone: mapped(values, (list) => ({ op: 'containsNone', values: list })),
    someElement: mapped(textFilter, (filter) => ({ op: 'someElement', text: filter })),
    noElement: mapped(textFilter, (filter) => ({ op: 'noElement', text: filter })),
    length: mapped(numberFilter, (length) => ({ op: 'length', length })),
  });
