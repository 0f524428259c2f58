/** What a profile write makes of a profile. Pure. */
import { flatten } from '../segments/flatten.ts';
import type { Value } from '../segments/ast.ts';
import type { ProfileRow } from '../storage/mysql/profiles.ts';
import { consentsOf, withConsents } from './consents.ts';
import {
  TEXT_FIELDS,
  type ConsentRecord,
  type Identifiers,
  type IngestRecord,
  type ProfileRecord,
} from './records.ts';

type Json = Record<string, unknown>;

export function newProfile(account: number, number: number, now: number): ProfileRow {
  return {
    account,
    number,
    externalId: null,
    email: null,
    phone: null,
    firstName: null,
    lastName: null,
    timezone: null,
    locale: null,
    location: '{}',
    properties: '{}',
    consents: '{}',
    createdAt: now,
    updatedAt: now,
    revision: 0,
    mergedInto: null,
  };
}

/** Throws RangeError as `withWrite` does. */
export function withRecord(row: ProfileRow, record: IngestRecord): ProfileRow {
  switch (record.kind) {
    case 'event':
      return withIdentifiers(row, record.identifiers);
    case 'profile':
      return withWrite(row, record);
    case 'consent':
      return withConsent(row, record);
  }
}

/** Identifiers that a write gives become the profile's own: the newest are shown, all of them lead to it. */
function withIdentifiers(row: ProfileRow, identifiers: Identifiers): ProfileRow {
  return {
    ...row,
    externalId: identifiers.externalId ?? row.externalId,
    email: identifiers.email ?? row.email,
    phone: identifiers.phone ?? row.phone,
  };
}

/** Whether a write shows the same identifiers that the profile shows already. */
export function showsIdentifiers(
  shown: Pick<ProfileRow, 'externalId' | 'email' | 'phone'>,
  identifiers: Identifiers,
): boolean {
  return (['externalId', 'email', 'phone'] as const).every(
    (name) => identifiers[name] === undefined || identifiers[name] === shown[name],
  );
}

/** Characters of JSON. A profile that has been merged may have twice as much, and can then only shrink. */
const LARGEST_PROPERTIES = 1_000_000;

/** Throws RangeError when the write would make the profile's properties too large. */
export function withWrite(row: ProfileRow, write: ProfileRecord): ProfileRow {
  const properties = merged(JSON.parse(row.properties) as Json, write.properties);
  for (const [name, items] of Object.entries(write.append)) {
    const list = asList(properties[name]);
    properties[name] = [
      ...list,
      ...items.filter((item, i) => !list.includes(item) && items.indexOf(item) === i),
    ];
  }
  for (const [name, items] of Object.entries(write.remove)) {
    if (Array.isArray(properties[name])) {
      properties[name] = asList(properties[name]).filter((item) => !items.includes(item));
    }
  }
  const next = {
    ...withIdentifiers(row, write.identifiers),
    updatedAt: Math.max(row.updatedAt, write.arrivedAt),
  };
  for (const name of TEXT_FIELDS) {
    const value = write.fields[name];
    if (value !== undefined) next[name] = value;
  }
  next.location = JSON.stringify(merged(JSON.parse(row.location) as Json, write.location));
  next.properties = JSON.stringify(properties);
  if (next.properties.length > Math.max(LARGEST_PROPERTIES, row.properties.length)) {
    throw new RangeError(
      `the properties of profile ${row.number} would exceed ${LARGEST_PROPERTIES} characters of JSON`,
    );
  }
  return next;
}

function withConsent(row: ProfileRow, record: ConsentRecord): ProfileRow {
  const { identifiers, channel, status, at: time, source, arrivedAt } = record;
  const consents = withConsents(row.consents, new Map([[channel, { status, time, source }]]));
  return {
    ...withIdentifiers(row, identifiers),
    consents,
    updatedAt: consents === row.consents ? row.updatedAt : Math.max(row.updatedAt, arrivedAt),
  };
}

/** The target keeps what it has and takes the rest from the source; of consents the newest count. */
export function withMerged(target: ProfileRow, source: ProfileRow, now: number): ProfileRow {
  const fill = (name: 'location' | 'properties') =>
    JSON.stringify({ ...(JSON.parse(source[name]) as Json), ...(JSON.parse(target[name]) as Json) });
  return {
    ...target,
    externalId: target.externalId ?? source.externalId,
    email: target.email ?? source.email,
    phone: target.phone ?? source.phone,
    firstName: target.firstName ?? source.firstName,
    lastName: target.lastName ?? source.lastName,
    timezone: target.timezone ?? source.timezone,
    locale: target.locale ?? source.locale,
    location: fill('location'),
    properties: fill('properties'),
    consents: withConsents(target.consents, consentsOf(source)),
    createdAt: Math.min(target.createdAt, source.createdAt),
    updatedAt: Math.max(target.updatedAt, now),
  };
}

/** The attributes that conditions can ask for, as the segment language names them. */
export function attributesOf(row: ProfileRow): Map<string, Value> {
  const attributes = new Map<string, Value>();
  for (const name of ['externalId', 'email', 'phone', ...TEXT_FIELDS] as const) {
    const value = row[name];
    if (value !== null) attributes.set(name, value);
  }
  for (const [path, value] of flatten({
    location: JSON.parse(row.location) as Json,
    properties: JSON.parse(row.properties) as Json,
  })) {
    attributes.set(path, value);
  }
  return attributes;
}

export interface ChangedAttribute {
  path: string;
  /** Null: unset now. */
  value: Value | null;
}

export function changedAttributes(before: Map<string, Value>, after: Map<string, Value>): ChangedAttribute[] {
  const changed: ChangedAttribute[] = [];
  for (const [path, value] of after) {
    const old = before.get(path);
    if (old === undefined || JSON.stringify(old) !== JSON.stringify(value)) changed.push({ path, value });
  }
  for (const path of before.keys()) if (!after.has(path)) changed.push({ path, value: null });
  return changed;
}

/** Without a prototype: names such as "constructor" or "__proto__" are data like any other. */
function merged(into: Json, from: Json): Json {
  const result = Object.assign(Object.create(null), into) as Json;
  for (const [name, value] of Object.entries(from)) {
    if (value === null) delete result[name];
    else result[name] = value;
  }
  return result;
}

function asList(value: unknown): unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  return value === undefined || value === null ? [] : [value];
}
