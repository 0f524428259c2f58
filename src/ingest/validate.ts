/** Turns what a sender gave into records, or says which field of which item is wrong and what would be right. */
import { randomUUID } from 'node:crypto';
import { decodeNumber } from '../runtime/global-ids.ts';
import type { Channel, ConsentStatus } from '../segments/ast.ts';
import {
  TEXT_FIELDS,
  type ConsentRecord,
  type EventRecord,
  type Identifiers,
  type ProfileRecord,
} from './records.ts';

export type UserErrorCode =
  | 'REQUIRED'
  | 'INVALID'
  | 'TOO_LONG'
  | 'TOO_LARGE'
  | 'TOO_MANY'
  | 'NOT_FOUND'
  | 'CONFLICT'
  | 'CYCLE'
  | 'UNSUPPORTED';

export interface UserError {
  index: number | null;
  field: string[] | null;
  code: UserErrorCode;
  message: string;
}

type Optional<T> = T | null | undefined;

export interface IdentifiersInput {
  id?: Optional<string>;
  externalId?: Optional<string>;
  email?: Optional<string>;
  phone?: Optional<string>;
  anonymousId?: Optional<string>;
}

export interface EventInput {
  uniqueId?: Optional<string>;
  metric: string;
  profile: IdentifiersInput;
  /** Epoch milliseconds. */
  time?: Optional<number>;
  value?: Optional<number>;
  currency?: Optional<string>;
  properties?: unknown;
  backfill?: Optional<boolean>;
}

export interface ProfileInput {
  identifiers: IdentifiersInput;
  firstName?: Optional<string>;
  lastName?: Optional<string>;
  timezone?: Optional<string>;
  locale?: Optional<string>;
  location?: Optional<Record<string, Optional<string | number>>>;
  properties?: unknown;
  append?: unknown;
  remove?: unknown;
}

export interface ConsentInput {
  identifiers: IdentifiersInput;
  channel: Channel;
  status: ConsentStatus;
  /** Epoch milliseconds. */
  at?: Optional<number>;
  source?: Optional<string>;
}

export const LIMITS = {
  identifier: 255,
  phone: 64,
  metric: 255,
  text: 255,
  localeText: 64,
  propertyName: 255,
  properties: 400,
  nesting: 10,
  propertyText: 100_000,
  listItems: 4_000,
  recordBytes: 500_000,
  number: 1e18,
} as const;

const YEAR_MS = 366 * 86_400_000;
/** How far a sender's clock may be ahead of ours. */
const SKEW_MS = 5 * 60_000;

/** Collects what is wrong with one item; the item is taken only if nothing is. */
class Problems {
  readonly errors: UserError[] = [];
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
  add(code: UserErrorCode, field: string[], message: string): undefined {
    this.errors.push({ index: this.index, field, code, message });
    return undefined;
  }
}

export type Validated<T> = { record: T } | { errors: UserError[] };

export function validateEvent(
  account: number,
  input: EventInput,
  index: number,
  now: number,
): Validated<EventRecord> {
  const problems = new Problems(index);
  const identifiers = identifiersOf(account, input.profile, ['profile'], problems);
  const metric = text(input.metric.trim(), ['metric'], LIMITS.metric, problems);
  const uniqueId =
    input.uniqueId == null ? randomUUID() : text(input.uniqueId, ['uniqueId'], LIMITS.identifier, problems);
  const time = input.time ?? now;
  if (!(time >= 0 && time <= now + YEAR_MS)) {
    problems.add(
      'INVALID',
      ['time'],
      'time must lie between 1970 and one year from now; leave it out for the present',
    );
  }
  const value = input.value ?? null;
  if (value !== null && !withinNumbers(value)) {
    problems.add('INVALID', ['value'], 'value must be a finite number between -1e18 and 1e18');
  }
  const currency = input.currency ?? null;
  if (currency !== null && !/^[A-Z]{3}$/.test(currency)) {
    problems.add(
      'INVALID',
      ['currency'],
      'currency must be a code of three capital letters (ISO 4217), such as EUR',
    );
  }
  const properties = propertiesOf(input.properties, ['properties'], problems);
  if (problems.errors.length > 0 || !identifiers || !metric || !uniqueId) return { errors: problems.errors };
  const record: EventRecord = {
    kind: 'event',
    account,
    arrivedAt: now,
    uniqueId,
    metric,
    identifiers,
    time: Math.trunc(time),
    value,
    currency,
    properties,
    backfill: input.backfill ?? false,
  };
  return sized(record, problems);
}

export function validateProfile(
  account: number,
  input: ProfileInput,
  index: number,
  now: number,
): Validated<ProfileRecord> {
  const problems = new Problems(index);
  const identifiers = identifiersOf(account, input.identifiers, ['identifiers'], problems);
  const fields: ProfileRecord['fields'] = {};
  for (const name of TEXT_FIELDS) {
    const value = input[name];
    if (value === undefined) continue;
    const limit = name === 'timezone' || name === 'locale' ? LIMITS.localeText : LIMITS.text;
    if (value === null) fields[name] = null;
    else fields[name] = text(value, [name], limit, problems) ?? null;
  }
  const location: ProfileRecord['location'] = {};
  for (const [name, value] of Object.entries(input.location ?? {})) {
    if (value === undefined) continue;
    const path = ['location', name];
    if (typeof value === 'string') location[name] = text(value, path, LIMITS.text, problems) ?? null;
    else location[name] = value;
    if (typeof value !== 'number') continue;
    const bound = name === 'latitude' ? 90 : 180;
    if (!(Math.abs(value) <= bound)) {
      problems.add('INVALID', path, `${name} must lie between -${bound} and ${bound} degrees`);
    }
  }
  const properties = propertiesOf(input.properties, ['properties'], problems);
  const append = listsOf(input.append, ['append'], problems);
  const remove = listsOf(input.remove, ['remove'], problems);
  if (problems.errors.length > 0 || !identifiers) return { errors: problems.errors };
  const record: ProfileRecord = {
    kind: 'profile',
    account,
    arrivedAt: now,
    identifiers,
    fields,
    location,
    properties,
    append,
    remove,
  };
  return sized(record, problems);
}

/**
 * The newest consent counts, so one dated ahead could not be withdrawn until its time has come: it is refused, and what
 * is ahead by no more than clocks differ is taken as of now.
 */
export function validateConsent(
  account: number,
  input: ConsentInput,
  index: number,
  now: number,
): Validated<ConsentRecord> {
  const problems = new Problems(index);
  const identifiers = identifiersOf(account, input.identifiers, ['identifiers'], problems);
  const at = input.at ?? now;
  if (!(at >= 0 && at <= now + SKEW_MS)) {
    problems.add('INVALID', ['at'], 'at must lie between 1970 and the present; leave it out for the present');
  }
  const source = input.source == null ? null : text(input.source, ['source'], LIMITS.text, problems);
  if (problems.errors.length > 0 || !identifiers || source === undefined) return { errors: problems.errors };
  const { channel, status } = input;
  return {
    record: {
      kind: 'consent',
      account,
      arrivedAt: now,
      identifiers,
      channel,
      status,
      at: Math.min(Math.trunc(at), now),
      source,
    },
  };
}

function sized<T extends EventRecord | ProfileRecord>(record: T, problems: Problems): Validated<T> {
  if (Buffer.byteLength(JSON.stringify(record)) > LIMITS.recordBytes) {
    problems.add(
      'TOO_LARGE',
      ['properties'],
      `an item may take at most ${LIMITS.recordBytes} bytes as JSON; send less in properties`,
    );
    return { errors: problems.errors };
  }
  return { record };
}

/** White space around identifiers means nothing: databases would not all tell it apart. */
function identifiersOf(
  account: number,
  input: IdentifiersInput,
  path: string[],
  problems: Problems,
): Identifiers | undefined {
  const identifiers: Identifiers = {};
  if (input.id != null) {
    const number = decodeNumber(input.id, 'Profile', account);
    if (number === null) {
      return problems.add(
        'NOT_FOUND',
        [...path, 'id'],
        'no profile has this id; take it from a profile of this account, or use another identifier',
      );
    }
    identifiers.number = number;
  }
  if (input.externalId != null) {
    const value = text(input.externalId.trim(), [...path, 'externalId'], LIMITS.identifier, problems);
    if (value) identifiers.externalId = value;
  }
  if (input.email != null) {
    const value = text(input.email.trim().toLowerCase(), [...path, 'email'], LIMITS.identifier, problems);
    if (value && !/^[^\s@]+@[^\s@]+$/.test(value)) {
      problems.add('INVALID', [...path, 'email'], 'email must look like name@example.com');
    } else if (value) identifiers.email = value;
  }
  if (input.phone != null) {
    const value = text(input.phone.replace(/[\s().-]/g, ''), [...path, 'phone'], LIMITS.phone, problems);
    if (value && !/^\+?\d{3,20}$/.test(value)) {
      problems.add(
        'INVALID',
        [...path, 'phone'],
        'phone must be digits with their country code, such as +16175550100',
      );
    } else if (value) identifiers.phone = value;
  }
  if (input.anonymousId != null) {
    const value = text(input.anonymousId.trim(), [...path, 'anonymousId'], LIMITS.identifier, problems);
    if (value) identifiers.anonymousId = value;
  }
  if (Object.keys(identifiers).length === 0 && problems.errors.length === 0) {
    return problems.add('REQUIRED', path, 'give at least one of id, externalId, email, phone, anonymousId');
  }
  return identifiers;
}

/** A text that is not empty, not too long, and can be stored by both databases. */
function text(value: string, path: string[], limit: number, problems: Problems): string | undefined {
  const name = path.at(-1) ?? 'text';
  if (value.length === 0) return problems.add('REQUIRED', path, `${name} must not be empty`);
  if (value.length > limit)
    return problems.add('TOO_LONG', path, `${name} may have at most ${limit} characters`);
  if (!isCleanText(value))
    return problems.add('INVALID', path, `${name} must be valid Unicode without NUL characters`);
  return value;
}

function isCleanText(value: string): boolean {
  return value.isWellFormed() && !value.includes('\0');
}

function withinNumbers(value: number): boolean {
  return Math.abs(value) <= LIMITS.number;
}

function propertiesOf(input: unknown, path: string[], problems: Problems): Record<string, unknown> {
  if (input == null) return {};
  if (!isObject(input)) {
    problems.add('INVALID', path, `${path.join('.')} must be a JSON object`);
    return {};
  }
  const budget = { properties: LIMITS.properties as number };
  checkValue(input, path, 0, budget, problems);
  if (budget.properties < 0) {
    problems.add('TOO_MANY', path, `at most ${LIMITS.properties} properties are taken, nested ones included`);
  }
  return input;
}

function checkValue(
  value: unknown,
  path: string[],
  depth: number,
  budget: { properties: number },
  problems: Problems,
): void {
  // One complaint per item is enough to mend it; a hostile item must not earn thousands.
  if (problems.errors.length >= 10 || budget.properties < 0) return;
  if (depth > LIMITS.nesting) {
    return problems.add('INVALID', path, `nesting may be ${LIMITS.nesting} levels deep`);
  }
  if (typeof value === 'string') {
    if (value.length > LIMITS.propertyText) {
      problems.add('TOO_LONG', path, `a text may have at most ${LIMITS.propertyText} characters`);
    } else if (!isCleanText(value)) {
      problems.add('INVALID', path, 'a text must be valid Unicode without NUL characters');
    }
  } else if (typeof value === 'number') {
    if (!withinNumbers(value)) problems.add('INVALID', path, 'a number must lie between -1e18 and 1e18');
  } else if (Array.isArray(value)) {
    if (value.length > LIMITS.listItems) {
      return problems.add('TOO_MANY', path, `a list may have at most ${LIMITS.listItems} items`);
    }
    value.forEach((item, position) =>
      checkValue(item, [...path, String(position)], depth + 1, budget, problems),
    );
  } else if (isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      budget.properties -= 1;
      if (name.length === 0 || name.length > LIMITS.propertyName || !isCleanText(name)) {
        problems.add(
          'INVALID',
          path,
          `a property's name must have 1 to ${LIMITS.propertyName} characters, valid Unicode without NUL`,
        );
      } else {
        checkValue(item, [...path, name], depth + 1, budget, problems);
      }
    }
  } else if (value !== null && typeof value !== 'boolean') {
    problems.add('INVALID', path, 'a property must be a text, number, boolean, list, object or null');
  }
}

/** `{ tags: "a" }` and `{ tags: ["a", "b"] }` mean the same kind of thing: values for a list property. */
function listsOf(input: unknown, path: string[], problems: Problems): Record<string, unknown[]> {
  const lists = Object.create(null) as Record<string, unknown[]>;
  for (const [name, value] of Object.entries(propertiesOf(input, path, problems))) {
    const items: unknown[] = Array.isArray(value) ? value : [value];
    if (items.some((item) => item === null || typeof item === 'object')) {
      problems.add(
        'INVALID',
        [...path, name],
        'values for a list property must be texts, numbers or booleans',
      );
    } else {
      lists[name] = items;
    }
  }
  return lists;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
