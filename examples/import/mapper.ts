/** Applies a mapping: rows in, events and profiles out, in an order that depends on the input alone. */
import { add, isLess, type Decimal } from './decimal.ts';
import { compileFields, Problem, type Field, type Values } from './fields.ts';
import { aggregateField, conditionsOf } from './mapping.ts';
import type { Aggregate, EventMapping, Mapping, ProfileMapping, When } from './mapping.ts';
import type { Row } from './records.ts';

/** One EventInput or ProfileInput, as JSON, with what is needed to name it when it is refused. */
export interface Item {
  kind: 'event' | 'profile';
  /** The metric, or "profile". */
  label: string;
  json: string;
  /** The line of the row; for what is made of several rows, the first of them. */
  line: number;
  row: Row | undefined;
}

export type RowResult = { items: Item[] } | { skipped: string } | { rejected: string };

export interface Mapper {
  row: (line: number, row: Row) => RowResult;
  /** What was made of several rows: groups in the order of their first lines, then profiles sent once. */
  end: () => Generator<Item>;
}

/** More groups and once-only profiles than this are not held in memory (about 500 bytes each). */
const MAX_HELD = 1_000_000;
export class TooManyGroups extends Error {}

export interface MapperOptions {
  /** Events are history: the membership changes they bring carry the cause BACKFILL. */
  backfill: boolean;
}

export function createMapper(mapping: Mapping, { backfill }: MapperOptions): Mapper {
  const fields = compileFields(mapping.fields);
  const byName = new Map(fields.map((field) => [field.name, field]));
  const skips = mapping.skip.map((skip) => ({
    applies: compileWhen(skip.when, byName),
    reason: skip.reason,
  }));
  const events = mapping.events.map((event) => compileEvent(event, byName, backfill));
  const profiles = mapping.profiles.map((profile) => compileProfile(profile, byName));
  const entries = [...events, ...profiles];

  function row(line: number, source: Row): RowResult {
    const values: Values = new Array<unknown>(fields.length);
    let problem: Problem | null = null;
    for (const field of fields) {
      const value = field.read(source, values);
      if (value instanceof Problem) problem ??= value;
      values[field.index] = value;
    }
    for (const skip of skips) if (skip.applies(values)) return { skipped: skip.reason };
    if (problem) return { rejected: problem.reason };

    // All entries first say whether they can take the row: it is imported whole or not at all.
    const takes: (() => Item | null)[] = [];
    for (const entry of entries) {
      if (!entry.applies(values)) continue;
      const take = entry.prepare(line, source, values);
      if (take instanceof Problem) return { rejected: take.reason };
      takes.push(take);
    }
    if (takes.length === 0) return { skipped: 'no entry of the mapping applies' };
    const items: Item[] = [];
    for (const take of takes) {
      const item = take();
      if (item) items.push(item);
    }
    let held = 0;
    for (const entry of entries) held += entry.held();
    if (held > MAX_HELD) {
      throw new TooManyGroups(
        `The mapping makes more than ${MAX_HELD.toLocaleString('en')} groups or profiles of several rows each. ` +
          'Split the input so that each part holds whole groups.',
      );
    }
    return { items };
  }

  function* end(): Generator<Item> {
    for (const entry of entries) yield* entry.end();
  }

  return { row, end };
}

interface Entry {
  applies: (values: Values) => boolean;
  /** How the row will be taken, or why it cannot be. Changes nothing until called. */
  prepare: (line: number, row: Row, values: Values) => Problem | (() => Item | null);
  held: () => number;
  end: () => Generator<Item>;
}

type Fields = ReadonlyMap<string, Field>;

function compileWhen(when: When | undefined, fields: Fields): (values: Values) => boolean {
  const tests = conditionsOf(when).map((condition) => {
    const text = textOf(condition.field, fields);
    const { equals, notEquals, startsWith, notStartsWith } = condition;
    if (equals !== undefined) return (values: Values) => text(values) === equals;
    if (notEquals !== undefined) return (values: Values) => text(values) !== notEquals;
    if (startsWith !== undefined) return (values: Values) => text(values)?.startsWith(startsWith) === true;
    if (notStartsWith !== undefined)
      return (values: Values) => text(values)?.startsWith(notStartsWith) !== true;
    const { index } = fields.get(condition.field)!;
    return (values: Values) => (values[index] !== undefined) === condition.exists;
  });
  return (values) => tests.every((test) => test(values));
}

function compileEvent(spec: EventMapping, fields: Fields, backfill: boolean): Entry {
  const applies = compileWhen(spec.when, fields);
  const metric = compileTemplate(spec.metric, fields);
  const uniqueId = compileTemplate(spec.uniqueId, fields);
  const identify = compileIdentifiers(spec.profile, fields);
  const currency = spec.currency === undefined ? () => undefined : jsonOf(spec.currency, fields);

  function head(line: number, values: Values): Problem | EventHead {
    const name = metric(line, values);
    const id = uniqueId(line, values);
    const profile = identify(values);
    if (name === undefined) return new Problem(`metric "${spec.metric}" names a field that is empty`);
    if (id === undefined) return new Problem(`uniqueId "${spec.uniqueId}" names a field that is empty`);
    if (!profile) return new Problem('has no identifier of a profile');
    return { uniqueId: id, metric: name, profile, currency: currency(values) };
  }
  const item = (line: number, from: EventHead, body: EventBody, row?: Row): Item => {
    const { uniqueId, metric, profile, currency } = from;
    const { time, value, properties } = body;
    const event = {
      uniqueId,
      metric,
      profile,
      time,
      value,
      currency,
      properties,
      backfill: backfill || undefined,
    };
    return { kind: 'event', label: metric, json: JSON.stringify(event), line, row };
  };

  if (!spec.groupBy) {
    const body = compileBody(spec, (aggregate) => jsonOf(aggregateField(aggregate)!, fields));
    return {
      applies,
      held: () => 0,
      *end() {},
      prepare(line, row, values) {
        const from = head(line, values);
        if (from instanceof Problem) return from;
        const rest = body(values);
        if (rest.time === undefined) return new Problem('has no time');
        return () => item(line, from, rest, row);
      },
    };
  }

  const groups = new Map<string, { line: number; head: EventHead; states: unknown[] }>();
  const slots: Slot[] = [];
  const body = compileBody(spec, (aggregate) => {
    const slot = slots.push(compileSlot(aggregate, fields)) - 1;
    return (states: unknown[]) => slots[slot]!.result(states[slot]);
  });
  const timeIndex = fields.get(aggregateField(spec.time)!)!.index;
  const keyParts = spec.groupBy.map((field) => textOf(field, fields));
  const keyOf = (values: Values) =>
    keyParts.length === 1
      ? (keyParts[0]!(values) ?? '')
      : JSON.stringify(keyParts.map((part) => part(values)));
  return {
    applies,
    held: () => groups.size,
    prepare(line, _row, values) {
      if (values[timeIndex] === undefined) return new Problem('has no time');
      const key = keyOf(values);
      const group = groups.get(key);
      if (group) {
        if (!sameIdentifiers(group.head.profile, identify(values))) {
          return new Problem(`is in the group of line ${group.line}, but of another profile`);
        }
        return () => {
          for (let i = 0; i < slots.length; i++) group.states[i] = slots[i]!.next(group.states[i], values);
          return null;
        };
      }
      const from = head(line, values);
      if (from instanceof Problem) return from;
      return () => {
        const states = slots.map((slot) => slot.next(undefined, values));
        groups.set(own(key), { line, head: own(from), states });
        return null;
      };
    },
    *end() {
      for (const group of groups.values()) yield item(group.line, group.head, body(group.states));
    },
  };
}

interface EventHead {
  uniqueId: string;
  metric: string;
  profile: Record<string, string>;
  currency: unknown;
}
interface EventBody {
  time: unknown;
  value: unknown;
  properties: unknown;
}

/** The part of an event that aggregates make up, from whatever `compile` reads them from: a row or a group. */
function compileBody<From>(
  spec: EventMapping,
  compile: (aggregate: Aggregate) => (from: From) => unknown,
): (from: From) => EventBody {
  const time = compile(spec.time);
  const value = spec.value === undefined ? () => undefined : compile(spec.value);
  const { properties } = spec;
  if (typeof properties !== 'object') {
    const whole = properties === undefined ? () => undefined : compile(properties);
    return (from) => ({ time: time(from), value: value(from), properties: whole(from) });
  }
  const named = Object.entries(properties).map(([name, aggregate]) => [name, compile(aggregate)] as const);
  return (from) => {
    const made: Record<string, unknown> = {};
    for (const [name, read] of named) made[name] = read(from);
    return { time: time(from), value: value(from), properties: made };
  };
}

/** One aggregate over the rows of a group; a plain field is the first row's. */
interface Slot {
  next: (state: unknown, values: Values) => unknown;
  result: (state: unknown) => unknown;
}

function compileSlot(aggregate: Aggregate, fields: Fields): Slot {
  if (typeof aggregate === 'string') {
    const read = jsonOf(aggregate, fields);
    // Null stands for a first row without the value, which later rows do not fill.
    return {
      next: (state, values) => (state === undefined ? own(read(values) ?? null) : state),
      result: (state) => state ?? undefined,
    };
  }
  if ('count' in aggregate) {
    return { next: (state) => ((state as number | undefined) ?? 0) + 1, result: (state) => state };
  }
  const field = fields.get(aggregateField(aggregate)!)!;
  const choose =
    'sum' in aggregate
      ? plus
      : 'min' in aggregate
        ? lesser
        : (a: unknown, b: unknown) => (lesser(a, b) === a ? b : a);
  return {
    next(state, values) {
      const value = values[field.index];
      return state === undefined || value === undefined ? (state ?? value) : choose(state, value);
    },
    result: field.toJson,
  };
}

const plus = (a: unknown, b: unknown) => add(a as Decimal, b as Decimal);
/** Of two numbers or two times (epoch ms). */
const lesser = (a: unknown, b: unknown) =>
  (typeof a === 'number' ? (b as number) < a : isLess(b as Decimal, a as Decimal)) ? b : a;

function compileProfile(spec: ProfileMapping, fields: Fields): Entry {
  const identify = compileIdentifiers(spec.identifiers, fields);
  const reads = Object.entries(spec.set).map(([path, field]) => {
    const [first, second] = path.split(/\.(.*)/s);
    return { first: first!, second, read: jsonOf(field, fields) };
  });
  const once = new Map<string, { line: number; input: ProfileJson }>();

  /** `keep`: the input outlives the row. */
  function fill(input: ProfileJson, values: Values, keep: boolean): void {
    for (const { first, second, read } of reads) {
      const value = read(values);
      if (value === undefined) continue;
      const at = second === undefined ? input : ((input[first] ??= {}) as ProfileJson);
      const name = second ?? first;
      if (at[name] !== value) at[name] = keep ? own(value) : value;
    }
  }
  const item = (line: number, input: ProfileJson, row?: Row): Item => ({
    kind: 'profile',
    label: 'profile',
    json: JSON.stringify(input),
    line,
    row,
  });

  return {
    applies: compileWhen(spec.when, fields),
    held: () => once.size,
    prepare(line, row, values) {
      const identifiers = identify(values);
      if (!identifiers) return new Problem('has no identifier of a profile');
      return () => {
        if (!spec.once) {
          const input: ProfileJson = { identifiers };
          fill(input, values, false);
          return item(line, input, row);
        }
        const key = JSON.stringify(identifiers);
        const known = once.get(key);
        const input = known?.input ?? { identifiers: own(identifiers) };
        fill(input, values, true);
        if (!known) once.set(key, { line, input });
        return null;
      };
    },
    *end() {
      for (const { line, input } of once.values()) yield item(line, input);
    },
  };
}

type ProfileJson = Record<string, unknown>;

function compileIdentifiers(
  spec: EventMapping['profile'],
  fields: Fields,
): (values: Values) => Record<string, string> | null {
  const reads = Object.entries(spec)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([kind, field]) => [kind, textOf(field, fields)] as const);
  return (values) => {
    const identifiers: Record<string, string> = {};
    let any = false;
    for (const [kind, read] of reads) {
      const text = read(values);
      if (text === undefined || text === '') continue;
      identifiers[kind] = text;
      any = true;
    }
    return any ? identifiers : null;
  };
}

function sameIdentifiers(a: Record<string, string>, b: Record<string, string> | null): boolean {
  if (!b) return false;
  for (const kind in a) if (a[kind] !== b[kind]) return false;
  for (const kind in b) if (a[kind] !== b[kind]) return false;
  return true;
}

/** Undefined where a field that the template names is unset. */
function compileTemplate(
  template: string,
  fields: Fields,
): (line: number, values: Values) => string | undefined {
  const parts = template.split(/\{([^{}]*)\}/).map((part, i) => {
    if (i % 2 === 0) return () => part;
    if (part === '$line') return (line: number) => String(line);
    const text = textOf(part, fields);
    return (_line: number, values: Values) => text(values);
  });
  return (line, values) => {
    let text = '';
    for (const part of parts) {
      const piece = part(line, values);
      if (piece === undefined) return undefined;
      text += piece;
    }
    return text;
  };
}

function jsonOf(name: string, fields: Fields): (values: Values) => unknown {
  const { toJson, index } = fields.get(name)!;
  return (values) => toJson(values[index]);
}

function textOf(name: string, fields: Fields): (values: Values) => string | undefined {
  const read = jsonOf(name, fields);
  return (values) => {
    const value = read(values);
    return value === undefined || typeof value === 'string' ? value : JSON.stringify(value);
  };
}

/** A copy that does not keep the chunk of input alive from which its texts were cut. */
function own<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
