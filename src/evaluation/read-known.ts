/** Reads what is known of some profiles, as far as conditions look at it. */
import type { Channel, ConsentFacts, EventFacts, Value } from '../segments/ast.ts';
import { consentAttribute } from '../segments/paths.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import type { Uses } from './uses.ts';

export interface KnownFacts {
  attributes: Map<string, Value>;
  /** Of attributes, as far as they are known. */
  revisions: Map<string, number>;
  consents: Map<Channel, ConsentFacts>;
  /** Null: more than are held in memory. */
  events: (EventFacts & { id: string })[] | null;
}

const CHANNELS = new Map(
  (['EMAIL', 'SMS', 'PUSH'] as const).map((channel) => [consentAttribute(channel), channel]),
);
const NO_PROPERTIES: ReadonlyMap<string, Value> = new Map();
const MAPS = ['texts', 'numbers', 'booleans', 'lists'] as const;

type Properties = Record<string, string | number | boolean | string[]>;
type EventRow = [metric: number, time: string, id: string, value: number | null, ...maps: Properties[]];
interface TraitRow {
  profile: number;
  attribute: string;
  newest: string;
  trait: [kind: string, text: string, number: number, list: string[], date: string];
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
      : query<{ profile: number; events: EventRow[] }>(
          clickhouse,
          `SELECT profile, groupArray(${limit + 1})((metric, toUnixTimestamp64Milli(time), toString(id), value,
             ${MAPS.map((map) => `mapFilter((path, _) -> has({paths:Array(String)}, path), ${map})`).join(', ')})) AS events
           FROM events_by_profile
           WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
             AND metric IN {metrics:Array(UInt32)}
           GROUP BY profile`,
          { account, profiles, metrics: [...names.keys()], paths: [...paths] },
        ),
    uses.attributes.size === 0
      ? []
      : query<TraitRow>(
          clickhouse,
          `SELECT profile, attribute, max(revision) AS newest, argMax((kind, text, number, list, date), revision) AS trait
           FROM traits_by_profile
           WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
             AND attribute IN {attributes:Array(String)}
           GROUP BY profile, attribute`,
          { account, profiles, attributes: [...uses.attributes] },
        ),
  ]);
  for (const row of events) {
    const facts = found.get(row.profile);
    if (!facts) continue;
    facts.events = row.events.length > limit ? null : row.events.map((event) => eventOf(event, names));
  }
  for (const { profile, attribute, newest, trait } of traits) {
    const facts = found.get(profile);
    if (!facts) continue;
    facts.revisions.set(attribute, Number(newest));
    const [kind, text, number, list, date] = trait;
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
