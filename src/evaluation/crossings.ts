/**
 * What time alone may have changed: the profiles with an event that has just become as old as a window is long, or
 * whose time has come, or with a date that is just as far away. A slice of the time-ordered projection, or of the table
 * of dates, per length, a few granules each.
 */
import { inPages } from '../runtime/in-pages.ts';
import { query, type ClickHouse, type QueryOptions } from '../storage/clickhouse/connect.ts';
import { moment } from './compile.ts';
import { departuresIn, departuresOfProfiles } from './departures.ts';
import { createParameters, type Parameters } from './parameters.ts';
import type { Edge } from './registry.ts';
import { EVERYBODY, type Part, type Share, type Slice } from './slice.ts';

/** An instant at which the profile crossed an edge. */
export interface Crossing {
  /** With an event as source and offset 0, its time has come. */
  edge: Edge;
  /** Epoch milliseconds. */
  instant: number;
}

export interface CrossingProfile {
  account: number;
  profile: number;
  crossings: Crossing[];
}

/** Who crosses an edge in a stretch of time, which may end in the future, by what is known now; epoch milliseconds. */
export interface Crossed {
  through: number;
  /** By profile, when it first does. */
  first: ReadonlyMap<number, number>;
}

/** Edges that are looked for together. */
const EDGES_PER_QUERY = 20_000;
/** Reading the next ones takes a whole statement again. */
const PROFILES_PER_READ = 50_000;
const PROFILES_PER_PAGE = 5_000;
/** Of more past crossings of one edge by one profile within one slice the last ones are looked at. */
const CROSSINGS_PER_EDGE = 1_000;
/** Of those still to come the first ones: each of them may be the one that counts. More than anybody remembers. */
const CROSSINGS_AHEAD = 100_000;

/**
 * Pages of profiles, those of an account in ascending order, each profile with all that it has crossed: that is what it
 * is dated by. The slices are of different accounts and of the same stretch of time, of which what is behind `present`
 * (epoch milliseconds) is still to come.
 */
export async function* findCrossings(
  clickhouse: ClickHouse,
  slices: readonly Slice[],
  present: number,
  options: QueryOptions = {},
  share: Share = EVERYBODY,
): AsyncGenerator<CrossingProfile[]> {
  for (const group of together(slices)) {
    const accounts = group.map(({ account }) => account);
    const within = (parameters: Parameters) => share.select(accounts, parameters);
    yield* crossingsOf(clickhouse, [...arrivals(group), ...departuresIn(group)], present, options, within);
  }
}

/** The same of some profiles, as far as their events bring it. */
export function findCrossingsOf(
  clickhouse: ClickHouse,
  slice: Slice,
  profiles: readonly number[],
  present: number,
): AsyncGenerator<CrossingProfile[]> {
  return crossingsOf(clickhouse, departuresOfProfiles(slice, profiles), present);
}

export async function crossedBetween(clickhouse: ClickHouse, slice: Slice): Promise<Crossed> {
  const first = new Map<number, number>();
  for await (const page of findCrossings(clickhouse, [slice], slice.after)) {
    for (const { profile, crossings } of page) {
      first.set(profile, Math.min(...crossings.map(({ instant }) => instant)));
    }
  }
  return { through: slice.through, first };
}

/** A statement for each account would cost more than its reading. */
function together(slices: readonly Slice[]): Slice[][] {
  const groups: Slice[][] = [];
  let room = 0;
  for (const slice of slices) {
    const size = slice.edges.length + slice.metrics.size;
    if (size > room) {
      groups.push([]);
      room = Math.max(EDGES_PER_QUERY, size);
    }
    groups.at(-1)?.push(slice);
    room -= size;
  }
  return groups;
}

interface Place {
  account: number;
  profile: number;
}

const ofPlaces = (a: Place, b: Place) => a.account - b.account || a.profile - b.profile;

async function* crossingsOf(
  clickhouse: ClickHouse,
  parts: readonly Part[],
  present: number,
  options: QueryOptions = {},
  within: (parameters: Parameters) => string = () => 'true',
): AsyncGenerator<CrossingProfile[]> {
  for (let from: Place = { account: 0, profile: 0 }; ;) {
    const found = new Map<string, CrossingProfile>();
    // Behind the last profile of a full reading there may be more in that part: there the next round begins.
    let through: Place | null = null;
    for (const part of parts) {
      const read = await readFrom(clickhouse, part, from, present, options, within);
      for (const one of read) addTo(found, one);
      const last = read.length === PROFILES_PER_READ ? read.at(-1) : undefined;
      if (last && (through === null || ofPlaces(last, through) < 0)) through = last;
    }
    const end = through;
    const whole = [...found.values()].filter((one) => end === null || ofPlaces(one, end) <= 0).sort(ofPlaces);
    yield* inPages(whole, PROFILES_PER_PAGE);
    if (end === null) return;
    from = { account: end.account, profile: end.profile + 1 };
  }
}

export function placeOf({ account, profile }: Place): string {
  return `${account}:${profile}`;
}

/** By place, with all that is found of each. */
export function addTo(found: Map<string, CrossingProfile>, one: CrossingProfile): void {
  const known = found.get(placeOf(one));
  if (known) known.crossings.push(...one.crossings);
  else found.set(placeOf(one), { ...one, crossings: [...one.crossings] });
}

/** A metric's id is of one account. */
function arrivals(slices: readonly Slice[]): Part[] {
  const names = slices.flatMap(({ metrics }) => [...metrics]);
  const [first] = slices;
  if (names.length === 0 || !first) return [];
  const { after, through } = first;
  const select = (parameters: Parameters) => {
    const ids = parameters.add(
      'Array(UInt32)',
      names.map(([, id]) => id),
    );
    const accounts = parameters.add(
      'Array(UInt32)',
      slices.map(({ account }) => account),
    );
    return `SELECT account, profile, toInt64(indexOf(${ids}, metric)) - 1 AS edge,
        toUnixTimestamp64Milli(time) AS instant
      FROM future_events
      WHERE account IN ${accounts} AND metric IN ${ids}
        AND time > ${moment(after, parameters)} AND time <= ${moment(through, parameters)}`;
  };
  return [{ select, edges: names.map(([metric]) => ({ source: { of: 'event', metric }, offset: 0 })) }];
}

async function readFrom(
  clickhouse: ClickHouse,
  part: Part,
  from: Place,
  present: number,
  options: QueryOptions,
  within: (parameters: Parameters) => string,
): Promise<CrossingProfile[]> {
  const parameters = createParameters();
  const now = parameters.add('Int64', present);
  const rows = await query<Place & { crossings: [string, string[]][] }>(
    clickhouse,
    `SELECT account, profile, groupArray((edge, instants)) AS crossings
     FROM (
       SELECT account, profile, edge,
         arrayConcat(
           arraySlice(arrayReverseSort(groupUniqArrayIf(instant, instant <= ${now})), 1, ${CROSSINGS_PER_EDGE}),
           arraySlice(arraySort(groupUniqArrayIf(instant, instant > ${now})), 1, ${CROSSINGS_AHEAD})
         ) AS instants
       FROM (${part.select(parameters)})
       WHERE (account, profile)
         >= (${parameters.add('UInt32', from.account)}, ${parameters.add('UInt32', from.profile)})
         AND ${within(parameters)}
       GROUP BY account, profile, edge
     )
     GROUP BY account, profile
     ORDER BY account, profile
     LIMIT ${PROFILES_PER_READ}`,
    parameters.values,
    options,
  );
  return rows.map(({ account, profile, crossings }) => ({
    account,
    profile,
    crossings: crossings.flatMap(([number, instants]) => {
      const edge = part.edges[Number(number)];
      if (!edge) throw new Error('there is no such edge');
      return instants.map((instant) => ({ edge, instant: Number(instant) }));
    }),
  }));
}
