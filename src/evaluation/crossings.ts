/**
 * What time alone may have changed: the profiles with an event that has just become as old as a window is long, or
 * whose time has come, or with a date that is just as far away. A slice of the time-ordered projection, or of the table
 * of dates, per length, a few granules each.
 */
import type { TimeSource } from '../segments/edges.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { createParameters, type Parameters } from './parameters.ts';
import { moment } from './compile.ts';
import { dateDepartures } from './date-crossings.ts';
import type { Edge } from './registry.ts';
import type { Part, Slice } from './slice.ts';
import { trendDepartures } from './trend-crossings.ts';

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

const LENGTHS_PER_QUERY = 200;
/** Edges of several accounts that are looked for together. */
const EDGES_PER_QUERY = 2_000;
const PROFILES_PER_PAGE = 5_000;
/** Of more crossings of one edge by one profile within one slice the last ones are looked at. */
const CROSSINGS_PER_EDGE = 1_000;

/**
 * Pages of profiles, those of an account in ascending order, each profile with all that it has crossed: that is what it
 * is dated by. The slices are of different accounts and of the same stretch of time.
 */
export async function* findCrossings(
  clickhouse: ClickHouse,
  slices: readonly Slice[],
): AsyncGenerator<CrossingProfile[]> {
  for (const group of together(slices)) {
    const parts: Part[] = [...arrivals(group), ...departuresOf(group)];
    const [only, another] = group;
    if (only && !another) parts.push(...furtherParts(only));
    yield* crossingsOf(clickhouse, parts);
  }
}

/** Accounts that only look at the times of events go together: a statement for each would cost more than its reading. */
function together(slices: readonly Slice[]): Slice[][] {
  const groups: Slice[][] = [];
  let room = 0;
  for (const slice of slices) {
    const isPlain = slice.edges.every(({ source }) => source.of === 'event');
    const size = isPlain ? slice.edges.length + slice.metrics.size : EDGES_PER_QUERY;
    if (size > room) {
      groups.push([]);
      room = Math.max(EDGES_PER_QUERY, size);
    }
    groups.at(-1)?.push(slice);
    room -= size;
  }
  return groups;
}

function departuresOf(slices: readonly Slice[]): Part[] {
  const lengths = [...metricsByOffset(slices)];
  const parts: Part[] = [];
  for (let start = 0; start < lengths.length; start += LENGTHS_PER_QUERY) {
    parts.push(departures(slices, lengths.slice(start, start + LENGTHS_PER_QUERY)));
  }
  return parts;
}

/** Of dates and predictions. */
function furtherParts(slice: Slice): Part[] {
  const parts: Part[] = [];
  const dates = slice.edges.filter(
    ({ source }) => source.of === 'attribute' || source.of === 'eventProperty' || source.of === 'consent',
  );
  for (let start = 0; start < dates.length; start += LENGTHS_PER_QUERY) {
    parts.push(dateDepartures({ ...slice, edges: dates.slice(start, start + LENGTHS_PER_QUERY) }));
  }
  const predictions = slice.edges.filter(({ source }) => source.of === 'prediction');
  for (let start = 0; start < predictions.length; start += LENGTHS_PER_QUERY) {
    parts.push(trendDepartures({ ...slice, edges: predictions.slice(start, start + LENGTHS_PER_QUERY) }));
  }
  return parts;
}

interface Place {
  account: number;
  profile: number;
}

const ofPlaces = (a: Place, b: Place) => a.account - b.account || a.profile - b.profile;

async function* crossingsOf(
  clickhouse: ClickHouse,
  parts: readonly Part[],
): AsyncGenerator<CrossingProfile[]> {
  for (let from: Place = { account: 0, profile: 0 }; ;) {
    const found = new Map<string, CrossingProfile>();
    // Behind the last profile of a full page there may be more in that part: there the next round begins.
    let through: Place | null = null;
    for (const part of parts) {
      const page = await readPage(clickhouse, part, from);
      for (const { account, profile, crossings } of page) {
        const key = `${account}:${profile}`;
        const before = found.get(key)?.crossings ?? [];
        found.set(key, { account, profile, crossings: [...before, ...crossings] });
      }
      const last = page.length === PROFILES_PER_PAGE ? page.at(-1) : undefined;
      if (last && (through === null || ofPlaces(last, through) < 0)) through = last;
    }
    const end = through;
    const whole = [...found.values()].filter((one) => end === null || ofPlaces(one, end) <= 0).sort(ofPlaces);
    if (whole.length > 0) yield whole;
    if (end === null) return;
    from = { account: end.account, profile: end.profile + 1 };
  }
}

/** The ids of the metrics that have an edge at the offset; those without events left out. */
function metricsByOffset(slices: readonly Slice[]): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const { edges, metrics } of slices) {
    for (const { source, offset } of edges) {
      const id = source.of === 'event' ? metrics.get(source.metric) : undefined;
      if (id === undefined) continue;
      const ids = found.get(offset) ?? [];
      found.set(offset, ids);
      ids.push(id);
    }
  }
  return found;
}

/** One SELECT for all lengths: analysing one for each took longer than reading their slices. */
function departures(slices: readonly Slice[], lengths: [offset: number, metrics: number[]][]): Part {
  const { after, through } = spanOf(slices);
  const offsetsOf = new Map<number, number[]>();
  for (const [offset, metrics] of lengths) {
    for (const metric of metrics) {
      const offsets = offsetsOf.get(metric) ?? [];
      offsetsOf.set(metric, offsets);
      offsets.push(offset);
    }
  }
  const select = (parameters: Parameters) => {
    const ranges = lengths.map(
      ([offset, metrics]) => `(metric IN ${parameters.add('Array(UInt32)', metrics)}
          AND time > ${moment(after - offset, parameters)}
          AND time <= ${moment(through - offset, parameters)})`,
    );
    const ids = parameters.add('Array(UInt32)', [...offsetsOf.keys()]);
    const counts = [...offsetsOf.values()].map((offsets) => offsets.length);
    let behind = 1;
    const starts = counts.map((count) => (behind += count) - count);
    const integers = (values: number[]) => parameters.add('Array(Int64)', values);
    return `SELECT account, profile, metric AS source, offset, t + offset AS instant
      FROM (
        SELECT account, profile, metric, toUnixTimestamp64Milli(time) AS t
        FROM events
        WHERE account IN ${accountsOf(slices, parameters)} AND (${ranges.join(' OR ')})
      )
      ARRAY JOIN arrayFilter(
        length -> t + length > ${parameters.add('Int64', after)} AND t + length <= ${parameters.add('Int64', through)},
        arraySlice(
          ${integers([...offsetsOf.values()].flat())},
          transform(metric, ${ids}, ${integers(starts)}, toInt64(1)),
          transform(metric, ${ids}, ${integers(counts)}, toInt64(0))
        )
      ) AS offset`;
  };
  return { select, sourceOf: eventOf(slices) };
}

/** A metric's id is of one account. */
function eventOf(slices: readonly Slice[]): (id: number) => TimeSource {
  const names = new Map<number, string>();
  for (const { metrics } of slices) for (const [name, id] of metrics) names.set(id, name);
  return (id) => ({ of: 'event', metric: names.get(id) ?? '' });
}

function arrivals(slices: readonly Slice[]): Part[] {
  const metrics = slices.flatMap((slice) => [...slice.metrics.values()]);
  if (metrics.length === 0) return [];
  const { after, through } = spanOf(slices);
  const select = (
    parameters: Parameters,
  ) => `SELECT account, profile, metric AS source, toInt64(0) AS offset, toUnixTimestamp64Milli(time) AS instant
    FROM future_events
    WHERE account IN ${accountsOf(slices, parameters)}
      AND metric IN ${parameters.add('Array(UInt32)', metrics)}
      AND time > ${moment(after, parameters)}
      AND time <= ${moment(through, parameters)}`;
  return [{ select, sourceOf: eventOf(slices) }];
}

function accountsOf(slices: readonly Slice[], parameters: Parameters): string {
  return parameters.add(
    'Array(UInt32)',
    slices.map(({ account }) => account),
  );
}

function spanOf([first]: readonly Slice[]): { after: number; through: number } {
  if (!first) throw new Error('there is no slice');
  return first;
}

async function readPage(clickhouse: ClickHouse, part: Part, from: Place): Promise<CrossingProfile[]> {
  const parameters = createParameters();
  const rows = await query<Place & { crossings: [number, string, string[]][] }>(
    clickhouse,
    `SELECT account, profile, groupArray((source, offset, instants)) AS crossings
     FROM (
       SELECT account, profile, source, offset,
         arraySlice(arrayReverseSort(groupUniqArray(instant)), 1, ${CROSSINGS_PER_EDGE}) AS instants
       FROM (${part.select(parameters)})
       WHERE (account, profile)
         >= (${parameters.add('UInt32', from.account)}, ${parameters.add('UInt32', from.profile)})
       GROUP BY account, profile, source, offset
     )
     GROUP BY account, profile
     ORDER BY account, profile
     LIMIT ${PROFILES_PER_PAGE}`,
    parameters.values,
  );
  return rows.map(({ account, profile, crossings }) => ({
    account,
    profile,
    crossings: crossings.flatMap(([source, offset, instants]) => {
      const edge = { source: part.sourceOf(source), offset: Number(offset) };
      return instants.map((instant) => ({ edge, instant: Number(instant) }));
    }),
  }));
}
