/** Reads what is known of some profiles, as far as conditions look at it. */
import type { Channel, ConsentFacts, EventFacts, Value } from '../segments/ast.ts';
import { consentAttribute, EVENT_VALUE } from '../segments/paths.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { PROPERTY_MAPS, WANTED_PROPERTIES, type Properties } from '../storage/clickhouse/profile-events.ts';
import { looksAtProperties, type Uses } from './uses.ts';

export interface KnownFacts {
  attributes: Map<string, Value>;
  /** Of attributes, as far as they are known. */
  revisions: Map<string, number>;
  consents: Map<Channel, ConsentFacts>;
  /** Null: there are more than are held in memory, or something is too long for it. */
  events: (EventFacts & { id: string })[] | null;
}

const CHANNELS = new Map(
  (['EMAIL', 'SMS', 'PUSH'] as const).map((channel) => [consentAttribute(channel), channel]),
);
/** Bytes of texts and lists that are held of an event or an attribute. */
const LONGEST = 2_000;
const NO_PROPERTIES: ReadonlyMap<string, Value> = new Map();

type EventRow = [metric: number, time: string, id: string, value: number | null, ...maps: Properties[]];
interface TraitRow extends Place {
  attribute: string;
  newest: string;
  trait: [kind: string, text: string, number: number, list: string[], date: string, isLong: number];
}

/** A profile, and what conditions of its account look at. */
export interface Wanted {
  account: number;
  profile: number;
  /** Ids by name of the metrics that have had an event. */
  metrics: ReadonlyMap<string, number>;
  uses: Uses;
  /** Events of this time or before do not matter, epoch milliseconds; null: all do. */
  since: number | null;
  /** What is to be read of it; of the rest nothing is said. */
  parts: Parts;
}

export interface Parts {
  events: boolean;
  /** Attributes and consents. */
  traits: boolean;
}

/** In the order of the profiles asked about, whatever their accounts. `limit`: of events of one profile. */
export async function readKnown(
  clickhouse: ClickHouse,
  wanted: readonly Wanted[],
  limit: number,
): Promise<KnownFacts[]> {
  // Those of one account may look at different things: a segment is not in force in all partitions at once.
  const found = new Map(
    wanted.map((one): [string, { facts: KnownFacts; uses: Uses }] => [
      placeOf(one),
      { facts: nothingKnown(), uses: one.uses },
    ]),
  );
  const [ofEvents, ofTraits] = [
    wanted.filter(({ parts }) => parts.events),
    wanted.filter(({ parts }) => parts.traits),
  ];
  const { names, paths } = eventsUsed(ofEvents);
  const attributes = new Set(
    [...new Set(ofTraits.map(({ uses }) => uses))].flatMap((uses) => [...uses.attributes]),
  );
  const sinces = ofEvents.map(({ since }) => since);
  const since = sinces.includes(null) ? null : Math.min(...sinces.map((one) => one ?? 0));
  const [placesOfEvents, placesOfTraits] = [placesOf(ofEvents), placesOf(ofTraits)];
  const [events, traits] = await Promise.all([
    names.size === 0
      ? []
      : query<EventsRow>(
          clickhouse,
          selectEvents(
            placesOfEvents.those,
            paths.has(EVENT_VALUE),
            someLookAtProperties(wanted),
            since,
            limit,
          ),
          {
            ...placesOfEvents.values,
            metrics: [...names.keys()],
            paths: [...paths],
            since: since ?? 0,
          },
        ),
    attributes.size === 0
      ? []
      : query<TraitRow>(
          clickhouse,
          `SELECT account, profile, attribute, max(revision) AS newest, argMax(
               (kind, if(isLong, '', text), number, if(isLong, [], list), date, isLong), revision) AS trait
           FROM (
             SELECT *, length(text) + arraySum(element -> length(element), list) > ${LONGEST} AS isLong
             FROM traits_by_profile
             ${placesOfTraits.those} attribute IN {attributes:Array(String)}
           )
           GROUP BY account, profile, attribute`,
          { ...placesOfTraits.values, attributes: [...attributes] },
        ),
  ]);
  for (const row of events) {
    const one = found.get(placeOf(row));
    if (!one) continue;
    const { facts, uses } = one;
    const tooMuch = row.events.length > limit || Number(row.longest) > LONGEST;
    facts.events = tooMuch ? null : row.events.map((event) => eventOf(event, names, uses));
  }
  for (const row of traits) {
    const one = found.get(placeOf(row));
    if (one?.uses.attributes.has(row.attribute)) addTrait(one.facts, row);
  }
  return wanted.map((one) => found.get(placeOf(one))?.facts ?? nothingKnown());
}

/** Names by the metrics' ids, each of which is of one account, and what is looked at of their events. */
function eventsUsed(wanted: readonly Wanted[]): { names: Map<number, string>; paths: Set<string> } {
  const names = new Map<number, string>();
  const paths = new Set<string>();
  // Nearly all share what they look at.
  const [seen, seenIds] = [new Set<Uses>(), new Set<ReadonlyMap<string, number>>()];
  for (const { metrics, uses } of wanted) {
    if (seen.has(uses) && seenIds.has(metrics)) continue;
    seen.add(uses);
    seenIds.add(metrics);
    for (const [name, ofMetric] of uses.metrics) {
      const id = metrics.get(name);
      if (id !== undefined) names.set(id, name);
      for (const path of ofMetric) paths.add(path);
    }
  }
  return { names, paths };
}

/** Whether properties of events are to be read. */
export function someLookAtProperties(wanted: readonly Wanted[]): boolean {
  const uses = wanted.flatMap(({ parts, uses }) => (parts.events ? [uses] : []));
  return [...new Set(uses)].some(looksAtProperties);
}

interface EventsRow extends Place {
  longest: string;
  events: EventRow[];
}

/** No column that nobody looks at: they would be most of what is read. */
function selectEvents(
  those: string,
  hasValues: boolean,
  hasProperties: boolean,
  since: number | null,
  limit: number,
): string {
  return `SELECT account, profile, max(size) AS longest,
      groupArrayIf(${limit + 1})((metric, at, key, value${hasProperties ? `, ${PROPERTY_MAPS.join(', ')}` : ''}),
        size <= ${LONGEST}) AS events
    FROM (
      SELECT account, profile, metric, toUnixTimestamp64Milli(time) AS at, toString(id) AS key,
        ${hasValues ? 'value' : "CAST(NULL, 'Nullable(Float64)') AS value"},
        ${
          hasProperties
            ? `${WANTED_PROPERTIES},
        arraySum(text -> length(text), mapValues(texts))
          + arraySum(list -> arraySum(text -> length(text), list), mapValues(lists)) AS size`
            : '0 AS size'
        }
      FROM events_by_profile AS events
      ${those} metric IN {metrics:Array(UInt32)}
        ${since === null ? '' : `AND time > fromUnixTimestamp64Milli({since:Int64}, 'UTC')`}
    )
    GROUP BY account, profile`;
}

/**
 * PREWHERE and WHERE, to be followed by a condition. Of one account a set of numbers, which is found several times as fast
 * as a set of pairs, and is looked at before anything else is read.
 */
function placesOf(places: readonly Place[]): {
  those: string;
  values: Record<string, number | number[]>;
} {
  const profiles = places.map(({ profile }) => profile);
  const accounts = places.map(({ account }) => account);
  const [account = 0] = accounts;
  return accounts.every((one) => one === account)
    ? {
        those: 'PREWHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)} WHERE',
        values: { account, profiles },
      }
    : {
        those: 'WHERE (account, profile) IN arrayZip({accounts:Array(UInt32)}, {profiles:Array(UInt32)}) AND',
        values: { accounts, profiles },
      };
}

interface Place {
  account: number;
  profile: number;
}

const placeOf = ({ account, profile }: Place) => `${account}:${profile}`;

function addTrait(facts: KnownFacts, { attribute, newest, trait }: TraitRow): void {
  facts.revisions.set(attribute, Number(newest));
  const [kind, text, number, list, date, isLong] = trait;
  if (isLong) facts.events = null;
  const channel = CHANNELS.get(attribute);
  if (channel) {
    const consent = { status: text, time: Number(date), source: list[0] ?? null };
    facts.consents.set(channel, consent as ConsentFacts);
  } else if (kind === 'text') facts.attributes.set(attribute, text);
  else if (kind === 'number') facts.attributes.set(attribute, number);
  else if (kind === 'boolean') facts.attributes.set(attribute, number === 1);
  else if (kind === 'list') facts.attributes.set(attribute, list);
}

export function nothingKnown(): KnownFacts {
  return { attributes: new Map(), revisions: new Map(), consents: new Map(), events: [] };
}

/** Most events have none that is looked at. */
export function propertiesOf(entries: [string, Value][]): ReadonlyMap<string, Value> {
  return entries.length === 0 ? NO_PROPERTIES : new Map(entries);
}

function eventOf(
  [id, time, key, value, ...maps]: EventRow,
  names: ReadonlyMap<number, string>,
  uses: Uses,
): EventFacts & { id: string } {
  const metric = names.get(id) ?? '';
  const paths = uses.metrics.get(metric);
  // Others of the same reading may look at more.
  const properties = maps.flatMap((map) => Object.entries(map)).filter(([path]) => paths?.has(path));
  return { id: key, metric, time: Number(time), value, properties: propertiesOf(properties) };
}

/** Characters of texts. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length;
  return Array.isArray(value) ? (value as Value[]).reduce<number>((sum, one) => sum + sizeOf(one), 0) : 0;
}
