/** The rows that ClickHouse gets, as lines of JSON. Their shape follows `clickhouse/0001_core.sql`. */
import { createHash } from 'node:crypto';
import type { Channel, ConsentFacts, Value } from '../segments/ast.ts';
import { readDate, type WrittenDate } from '../segments/dates.ts';
import { elementText } from '../segments/flatten.ts';
import { consentAttribute } from '../segments/paths.ts';
import type { PropertyKind } from '../storage/mysql/names.ts';
import type { EventRecord } from './records.ts';

/** 16 bytes that stand for a uniqueId. */
export function eventKey(uniqueId: string): Buffer {
  return createHash('sha256').update(uniqueId, 'utf8').digest().subarray(0, 16);
}

export function uuidOf(key: Buffer): string {
  const hex = key.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

export function eventLine(
  event: EventRecord,
  ids: { event: string; metric: number; profile: number },
  properties: ReadonlyMap<string, Value>,
  found = datesIn(properties),
): string {
  // Without a prototype: "__proto__" is a name like any other.
  const texts = Object.create(null) as Record<string, string>;
  const numbers = Object.create(null) as Record<string, number>;
  const booleans = Object.create(null) as Record<string, boolean>;
  const lists = Object.create(null) as Record<string, string[]>;
  const dates = Object.create(null) as Record<string, [WrittenDate['kind'], number]>;
  for (const [path, { kind, number }] of found) dates[path] = [kind, number];
  for (const [path, value] of properties) {
    if (typeof value === 'string') texts[path] = value;
    else if (typeof value === 'number') numbers[path] = value;
    else if (typeof value === 'boolean') booleans[path] = value;
    else lists[path] = value.map(elementText);
  }
  return JSON.stringify({
    account: event.account,
    metric: ids.metric,
    profile: ids.profile,
    time: new Date(event.time).toISOString(),
    id: ids.event,
    unique_id: event.uniqueId,
    value: event.value,
    currency: event.currency ?? '',
    texts,
    numbers,
    booleans,
    lists,
    dates,
    properties: JSON.stringify(event.properties),
    arrived_at: new Date(event.arrivedAt).toISOString(),
    copied: false,
  });
}

/** For an event whose time has not come when it arrives. */
export function futureEventLine(event: EventRecord, metric: number, profile: number): string {
  return JSON.stringify({
    account: event.account,
    metric,
    profile,
    time: new Date(event.time).toISOString(),
  });
}

/** The values that are dates. */
export function datesIn(properties: ReadonlyMap<string, Value>): Map<string, WrittenDate> {
  const found = new Map<string, WrittenDate>();
  for (const [path, value] of properties) {
    const date = dateOf(value);
    if (date) found.set(path, date);
  }
  return found;
}

export function dateOf(value: Value | null): WrittenDate | null {
  return typeof value === 'string' ? readDate(value) : null;
}

/** A date that the clock has to look out for: of an event of the metric, or, with 0, of the profile itself. */
export function dateLine(
  account: number,
  metric: number,
  profile: number,
  path: string,
  { kind, number }: WrittenDate,
): string {
  return JSON.stringify({ account, metric, path, kind, date: number, profile });
}

export function traitLine(
  account: number,
  profile: number,
  revision: number,
  attribute: string,
  value: Value | null,
  date = dateOf(value),
): string {
  return JSON.stringify({
    account,
    attribute,
    profile,
    revision,
    kind: value === null ? 'unset' : kindOf(value),
    text: typeof value === 'string' ? value : '',
    number: typeof value === 'number' ? value : Number(value === true),
    list: Array.isArray(value) ? (value as Value[]).map(elementText) : [],
    date_kind: date?.kind ?? 'none',
    date: date?.number ?? 0,
  });
}

/** A row of `traits`: status, time and source lie in one row, so that they always belong together. */
export function consentLine(
  account: number,
  profile: number,
  revision: number,
  channel: Channel,
  { status, time, source }: ConsentFacts,
): string {
  return JSON.stringify({
    account,
    attribute: consentAttribute(channel),
    profile,
    revision,
    kind: 'text',
    text: status,
    number: 0,
    list: source === null ? [] : [source],
    date_kind: 'instant',
    date: time,
  });
}

/** A prediction has this value from `time` on (epoch milliseconds); null: none. */
export function predictionLine(
  account: number,
  profile: number,
  revision: number,
  { path, time, value }: { path: string; time: number; value: number | null },
): string {
  return JSON.stringify({ account, path, time: new Date(time).toISOString(), profile, revision, value });
}

export function profileLine(account: number, profile: number, revision: number, alive: boolean): string {
  return JSON.stringify({ account, profile, revision, alive });
}

export function kindOf(value: Value): PropertyKind {
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number') return 'number';
  return typeof value === 'boolean' ? 'boolean' : 'list';
}
