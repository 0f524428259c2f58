import { LIMITS } from './limits.ts';

export type ConditionErrorCode =
  'REQUIRED' | 'INVALID' | 'TOO_LONG' | 'TOO_MANY' | 'TOO_LARGE' | 'NOT_FOUND' | 'CYCLE';

export interface ConditionError {
  /** Fields and list indexes from the condition's root: ["all", "1", "event", "within", "last"]. */
  path: string[];
  code: ConditionErrorCode;
  /** Says where, what and what to do instead. */
  message: string;
}

/** Where the areas of postal codes are. */
export interface PostalCodes {
  /** Those with a table, by their two letters (ISO 3166-1). */
  countries: readonly string[];
  /** The centre of the area; null for a code that is not known. */
  centreOf(
    this: void,
    country: string,
    postalCode: string,
  ): { readonly latitude: number; readonly longitude: number } | null;
}

/** The state of one reading: what was found wrong so far, and how many leaves were met. */
export interface Reading {
  errors: ConditionError[];
  conditions: number;
  postalCodes: PostalCodes;
}

export type Path = readonly string[];
/** Reads one value. Undefined: it was wrong, and that has been reported. */
export type Reader<T> = (reading: Reading, input: unknown, path: Path) => T | undefined;

/** Reports a mistake and returns undefined, so that a reader can end with it. */
export function wrong(reading: Reading, path: Path, code: ConditionErrorCode, text: string): undefined {
  if (reading.errors.length < LIMITS.errors) {
    reading.errors.push({ path: [...path], code, message: `${path.join('.') || 'condition'}: ${text}` });
  }
  return undefined;
}

/** Whether reading on could still tell the caller anything new. */
export function exhausted(reading: Reading): boolean {
  return reading.errors.length >= LIMITS.errors || reading.conditions > LIMITS.conditions;
}

/** An object's own fields that are not null; fields that the type does not have are reported. */
export function fields(
  reading: Reading,
  input: unknown,
  path: Path,
  known: readonly string[],
): Map<string, unknown> | undefined {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return wrong(reading, path, 'INVALID', `must be an object with ${anyOf(known)}`);
  }
  const given = new Map<string, unknown>();
  for (const [name, value] of Object.entries(input)) {
    if (value === null || value === undefined) continue;
    if (known.includes(name)) given.set(name, value);
    else wrong(reading, path, 'INVALID', `has no field ${quote(name)}; it takes ${anyOf(known)}`);
  }
  return given;
}

/** Exactly one of the fields, read by its reader. */
export function oneOf<T>(
  reading: Reading,
  input: unknown,
  path: Path,
  readers: Readonly<Record<string, Reader<T>>>,
): T | undefined {
  const names = Object.keys(readers);
  const errorsBefore = reading.errors.length;
  const given = fields(reading, input, path, names);
  if (!given) return undefined;
  const [first, ...others] = given;
  if (first === undefined) {
    if (reading.errors.length > errorsBefore) return undefined;
    return wrong(reading, path, 'REQUIRED', `needs exactly one of ${names.join(', ')}`);
  }
  if (others.length > 0) {
    const all = [...given.keys()].join(' and ');
    return wrong(reading, path, 'INVALID', `takes exactly one field, not ${all} together; keep one of them`);
  }
  const [name, value] = first;
  return readers[name]?.(reading, value, [...path, name]);
}

/** A list of at least one and at most `most` items. */
export function items(
  reading: Reading,
  input: unknown,
  path: Path,
  most: number,
  what: string,
): readonly unknown[] | undefined {
  if (!Array.isArray(input)) return wrong(reading, path, 'INVALID', `must be a list of ${what}`);
  if (input.length === 0)
    return wrong(reading, path, 'REQUIRED', `is empty; give at least one of the ${what}`);
  if (input.length > most) {
    return wrong(reading, path, 'TOO_MANY', `has ${input.length} ${what}; at most ${most} are allowed`);
  }
  return input as readonly unknown[];
}

/** A text that every store keeps as it is: without NUL characters and without halves of surrogate pairs. */
export function text(reading: Reading, input: unknown, path: Path, most: number): string | undefined {
  if (typeof input !== 'string') return wrong(reading, path, 'INVALID', 'must be a text');
  if (input.length > most) {
    return wrong(reading, path, 'TOO_LONG', `has ${input.length} characters; at most ${most} are allowed`);
  }
  if (input.includes('\0')) return wrong(reading, path, 'INVALID', 'contains a NUL character; remove it');
  if (!input.isWellFormed()) {
    return wrong(
      reading,
      path,
      'INVALID',
      'is not valid Unicode (half of a surrogate pair); send it as UTF-8',
    );
  }
  return input;
}

/** A finite number within the language's range; minus zero becomes zero. */
export function number(reading: Reading, input: unknown, path: Path): number | undefined {
  if (typeof input !== 'number') return wrong(reading, path, 'INVALID', 'must be a number');
  if (!Number.isFinite(input)) return wrong(reading, path, 'INVALID', `is ${input}; give a finite number`);
  if (Math.abs(input) > LIMITS.number) {
    return wrong(reading, path, 'TOO_LARGE', `is ${input}; numbers lie between -1e18 and 1e18`);
  }
  return input + 0;
}

export function boolean(reading: Reading, input: unknown, path: Path): boolean | undefined {
  return typeof input === 'boolean' ? input : wrong(reading, path, 'INVALID', 'must be true or false');
}

/** One of a few names. */
export function choice<T extends string>(values: readonly T[]): Reader<T> {
  return (reading, input, path) => {
    const found = values.find((value) => value === input);
    return found ?? wrong(reading, path, 'INVALID', `must be ${anyOf(values)}`);
  };
}

/** A number from `least` to `most`, both included. */
export function numberFrom(least: number, most: number): Reader<number> {
  return (reading, input, path) => {
    const value = number(reading, input, path);
    if (value === undefined || (value >= least && value <= most)) return value;
    return wrong(reading, path, 'INVALID', `is ${value}; it must lie between ${least} and ${most}`);
  };
}

export function wholeNumberFrom(least: number, most: number): Reader<number> {
  return (reading, input, path) => {
    const value = numberFrom(least, most)(reading, input, path);
    if (value === undefined || Number.isInteger(value)) return value;
    return wrong(reading, path, 'INVALID', `is ${value}; give a whole number`);
  };
}

/** A field that says which of several things is meant: leaving it out, not false, says that it is another. */
export const onlyTrue: Reader<true> = (reading, input, path) => {
  const given = boolean(reading, input, path);
  if (given === undefined || given) return given;
  return wrong(reading, path, 'INVALID', 'must be true; leave it out to choose another one');
};

/** A list of texts, at least one. */
export function texts(most: number): Reader<string[]> {
  return (reading, input, path) => {
    const list = items(reading, input, path, LIMITS.listValues, 'values');
    const values = list?.map((value, index) => text(reading, value, [...path, `${index}`], most));
    return values && complete(values) ? values : undefined;
  };
}

/** A field that must be there. */
export function required<T>(
  reading: Reading,
  given: ReadonlyMap<string, unknown>,
  name: string,
  path: Path,
  reader: Reader<T>,
): T | undefined {
  if (!given.has(name)) return wrong(reading, [...path, name], 'REQUIRED', 'is missing; it must be given');
  return reader(reading, given.get(name), [...path, name]);
}

/** A field that may be left out. Undefined: it was given and was wrong. */
export function optional<T, Otherwise>(
  reading: Reading,
  given: ReadonlyMap<string, unknown>,
  name: string,
  path: Path,
  reader: Reader<T>,
  otherwise: Otherwise,
): T | Otherwise | undefined {
  return given.has(name) ? reader(reading, given.get(name), [...path, name]) : otherwise;
}

export function complete<T>(list: readonly (T | undefined)[]): list is readonly T[] & T[] {
  return !list.includes(undefined);
}

/** What a reader reads, made into something else. */
export function mapped<A, B>(reader: Reader<A>, make: (value: A) => B): Reader<B> {
  return (reading, input, path) => {
    const value = reader(reading, input, path);
    return value === undefined ? undefined : make(value);
  };
}

/** A value of the caller's in a message: quoted, and cut where it is long. */
export function quote(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function anyOf(names: readonly string[]): string {
  return names.length === 1 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
