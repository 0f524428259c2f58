/** Reads what is known of some profiles, as far as conditions look at it. */
import type { Channel, ConsentFacts, EventFacts, Value } from '../segments/ast.ts';
import { consentAttribute } from '../segments/paths.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { PROPERTY_MAPS, WANTED_PROPERTIES, type Properties } from '../storage/clickhouse/profile-events.ts';
import type { Uses } from './uses.ts';

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
interface TraitRow {
  profile: number;
  attribute: string;
  newest: string;
  trait: [kind: string, text: string, number: number, list: string[], date: string, isLong: number];
}

interface Reading {
  account: number;
  /** Ids by name of the metrics that have had an event. */
  metrics: ReadonlyMap<string, number>;
  uses: Uses;
  /** Of events of one profile. */
  limit: number;
}

/** Everyone asked about is there, however little is known. */
export async function readKnown(
  clickhouse: ClickHouse,
  { account, metrics, uses, limit }: Reading,
  profiles: readonly number[],
): Promise<Map<number, KnownFacts>> {
  const found = new Map(profiles.map((profile): [number, KnownFacts] => [profile, nothingKnown()]));
  const names = new Map(
    [...uses.metrics.keys()].flatMap((name) => {
      const id = metrics.get(name);
      return id === undefined ? [] : [[id, name] as const];
    }),
  );
  const paths = new Set([...uses.metrics.values()].flatMap((of) => [...of]));
  const [events, traits] = await Promise.all([
    names.size === 0
      ? []
      : query<{ profile: number; longest: string; events: EventRow[] }>(
          clickhouse,
          `SELECT profile, max(size) AS longest,
             groupArrayIf(${limit + 1})((metric, at, key, value, ${PROPERTY_MAPS.join(', ')}), size <= ${LONGEST}) AS events
           FROM (
             SELECT profile, metric, toUnixTimestamp64Milli(time) AS at, toString(id) AS key, value,
               ${WANTED_PROPERTIES},
               arraySum(text -> length(text), mapValues(texts))
                 + arraySum(list -> arraySum(text -> length(text), list), mapValues(lists)) AS size
             FROM events_by_profile AS events
             WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
               AND metric IN {metrics:Array(UInt32)}
           )
           GROUP BY profile`,
          { account, profiles, metrics: [...names.keys()], paths: [...paths] },
        ),
    uses.attributes.size === 0
      ? []
      : query<TraitRow>(
          clickhouse,
          `SELECT profile, attribute, max(revision) AS newest, argMax(
               (kind, if(isLong, '', text), number, if(isLong, [], list), date, isLong), revision) AS trait
           FROM (
             SELECT *, length(text) + arraySum(element -> length(element), list) > ${LONGEST} AS isLong
             FROM traits_by_profile
             WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
               AND attribute IN {attributes:Array(String)}
           )
           GROUP BY profile, attribute`,
          { account, profiles, attributes: [...uses.attributes] },
        ),
  ]);
  for (const row of events) {
    const facts = found.get(row.profile);
    if (!facts) continue;
    const tooMuch = row.events.length > limit || Number(row.longest) > LONGEST;
    facts.events = tooMuch ? null : row.events.map((event) => eventOf(event, names));
  }
  for (const { profile, attribute, newest, trait } of traits) {
    const facts = found.get(profile);
    if (!facts) continue;
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
  return found;
}

export function nothingKnown(): KnownFacts {
  return { attributes: new Map(), revisions: new Map(), consents: new Map(), events: [] };
}

/** Most events have none that is looked at. */
export function propertiesOf(entries: [string, Value][]): ReadonlyMap<string, Value> {
  return entries.length === 0 ? NO_PROPERTIES : new Map(entries);
}

function eventOf(
  [metric, time, id, value, ...maps]: EventRow,
  names: ReadonlyMap<number, string>,
): EventFacts & { id: string } {
  return {
    id,
    metric: names.get(metric) ?? '',
    time: Number(time),
    value,
    properties: propertiesOf(maps.flatMap((map) => Object.entries(map))),
  };
}

/** Characters of texts. */
export function sizeOf(value: Value): number {
  if (typeof value === 'string') return value.length;
  return Array.isArray(value) ? (value as Value[]).reduce<number>((sum, one) => sum + sizeOf(one), 0) : 0;
}
