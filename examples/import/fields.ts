/** The fields of a mapping: reading a row's cell as text, number, boolean, time or JSON, or saying why it is none. */
import { multiply, parseDecimal, toNumber, type Decimal } from './decimal.ts';
import type { MappingField } from './mapping.ts';
import type { Row } from './records.ts';

/** Why a row cannot be taken. */
export class Problem {
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A field's value as its type keeps it: numbers exact, times as epoch milliseconds. Undefined: unset. */
export type Value = unknown;
/** A row's values, by the index of the field: an array, since this runs for every field of every row. */
export type Values = Value[];

export interface Field {
  name: string;
  /** `values`: those of all fields, filled so far; products come after their factors. */
  read: (row: Row, values: Values) => Value;
  /** Where its value lies in `values`. */
  index: number;
  /** The value as the API takes it. */
  toJson: (value: Value) => unknown;
}

/** Columns first, then what is computed from them. */
export function compileFields(fields: Record<string, MappingField>): Field[] {
  const entries = Object.entries(fields).map(([name, spec]) => ({ name, spec }));
  const ordered = [
    ...entries.filter(({ spec }) => !('product' in spec)),
    ...entries.filter(({ spec }) => 'product' in spec),
  ];
  const indexOf = (name: string) => ordered.findIndex((entry) => entry.name === name);
  return ordered.map(({ name, spec }, index) => ({ name, index, ...compileField(spec, indexOf) }));
}

const asIs = (value: Value) => value;
const decimalToJson = (value: Value) => (value === undefined ? undefined : toNumber(value as Decimal));
const timeToJson = (value: Value) =>
  value === undefined ? undefined : new Date(value as number).toISOString();

function compileField(spec: MappingField, indexOf: (name: string) => number): Pick<Field, 'read' | 'toJson'> {
  if ('literal' in spec) return { read: () => spec.literal, toJson: asIs };
  if ('product' in spec) {
    const factors = spec.product.map(indexOf);
    return { read: (_row, values) => product(factors, values), toJson: decimalToJson };
  }
  const { column, required } = spec;
  const parse = parserOf(spec);
  return {
    toJson: spec.type === 'number' ? decimalToJson : spec.type === 'time' ? timeToJson : asIs,
    read(row) {
      const cell = cellAt(row, column);
      if (cell === undefined || cell === null)
        return required ? new Problem(`${column} is empty`) : undefined;
      const value = parse(cell);
      return value instanceof Problem ? new Problem(`${column} ${value.reason}`) : value;
    },
  };
}

function product(factors: number[], values: Values): Value {
  let result: Decimal | undefined;
  for (const factor of factors) {
    const value = values[factor];
    // A factor that could not be read has been reported under its own name.
    if (value === undefined || value instanceof Problem) return undefined;
    result = result ? multiply(result, value as Decimal) : (value as Decimal);
  }
  return result;
}

/** A column's name, or, where no column has it, levels of nested JSON joined by dots. */
function cellAt(row: Row, column: string): unknown {
  if (Object.hasOwn(row, column)) return row[column];
  if (!column.includes('.')) return undefined;
  let at: unknown = row;
  for (const level of column.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, level)) return undefined;
    at = (at as Row)[level];
  }
  return at;
}

type ColumnField = Extract<MappingField, { column: string }>;

function parserOf(spec: ColumnField): (cell: unknown) => Value {
  const tidy = (cell: string) => {
    const text = spec.trim ? cell.trim() : cell;
    const { trimSuffix } = spec;
    return trimSuffix !== undefined && text.endsWith(trimSuffix) ? text.slice(0, -trimSuffix.length) : text;
  };
  switch (spec.type) {
    case 'text':
      return (cell) => {
        if (typeof cell === 'number' || typeof cell === 'boolean') return tidy(String(cell));
        if (typeof cell !== 'string') return new Problem('is not text');
        if (cell.includes('\uFFFD')) return new Problem('holds bytes that are not UTF-8');
        return tidy(cell);
      };
    case 'number':
      return (cell) => {
        const text = typeof cell === 'string' ? tidy(cell) : typeof cell === 'number' ? String(cell) : '';
        return parseDecimal(text) ?? new Problem('is not a number');
      };
    case 'boolean':
      return (cell) => {
        const text = typeof cell === 'string' ? tidy(cell).toLowerCase() : cell;
        if (text === true || text === 'true') return true;
        return text === false || text === 'false' ? false : new Problem('is neither true nor false');
      };
    case 'time':
      return (cell) => {
        const text = typeof cell === 'string' ? tidy(cell) : typeof cell === 'number' ? String(cell) : '';
        return parseTime(text, spec.epoch) ?? new Problem('is not a time');
      };
    case 'json':
      return (cell) => {
        if (typeof cell !== 'string') return cell;
        try {
          return JSON.parse(cell) as unknown;
        } catch {
          return new Problem('is not JSON');
        }
      };
  }
}

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s?(Z|[+-]\d\d:?\d\d)?$/i;

/** Epoch milliseconds of "2010-12-01 08:26:00", "2010-12-01" or RFC 3339; without a zone it is UTC. */
export function parseTime(text: string, epoch?: 'seconds' | 'milliseconds'): number | null {
  if (epoch) {
    const number = /^-?\d{1,15}(\.\d+)?$/.test(text) ? Number(text) * (epoch === 'seconds' ? 1000 : 1) : NaN;
    return Math.abs(number) <= 8.64e15 ? Math.round(number) : null;
  }
  const match = TIME.exec(text);
  if (!match) return null;
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] = match;
  if (+hour > 23 || +minute > 59 || +second > 59) return null;
  const millis = Math.floor(Number(`0.${fraction || 0}`) * 1000);
  const date = new Date(0);
  date.setUTCFullYear(+year!, +month! - 1, +day!);
  // 31 February would have become a day in March.
  if (date.getUTCMonth() !== +month! - 1 || date.getUTCDate() !== +day!) return null;
  return date.getTime() + ((+hour * 60 + +minute) * 60 + +second) * 1000 + millis - offsetOf(zone);
}

function offsetOf(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(-2));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}
