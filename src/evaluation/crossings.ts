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
  profile: number;
  crossings: Crossing[];
}

const LENGTHS_PER_QUERY = 200;
const PROFILES_PER_PAGE = 5_000;
/** Of more crossings of one edge by one profile within one slice the last ones are looked at. */
const CROSSINGS_PER_EDGE = 1_000;

/** Pages of profiles in ascending order, each profile with all that it has crossed: that is what it is dated by. */
export async function* findCrossings(
  clickhouse: ClickHouse,
  slice: Slice,
): AsyncGenerator<CrossingProfile[]> {
  const parts: Part[] = slice.metrics.size > 0 ? [arrivals(slice)] : [];
  const lengths = [...metricsByOffset(slice)];
  for (let start = 0; start < lengths.length; start += LENGTHS_PER_QUERY) {
    parts.push(departures(slice, lengths.slice(start, start + LENGTHS_PER_QUERY)));
  }
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
  for (let from = 0; ;) {
    const found = new Map<number, Crossing[]>();
    // Behind the last profile of a full page there may be more in that part: there the next round begins.
    let through = Infinity;
    for (const part of parts) {
      const page = await readPage(clickhouse, part, from);
      for (const { profile, crossings } of page) {
        found.set(profile, [...(found.get(profile) ?? []), ...crossings]);
      }
      if (page.length === PROFILES_PER_PAGE) through = Math.min(through, page.at(-1)?.profile ?? through);
    }
    const whole = [...found].filter(([profile]) => profile <= through).sort(([a], [b]) => a - b);
    if (whole.length > 0) yield whole.map(([profile, crossings]) => ({ profile, crossings }));
    if (through === Infinity) return;
    from = through + 1;
  }
}

/** The ids of the metrics that have an edge at the offset; those without events left out. */
function metricsByOffset({ edges, metrics }: Slice): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (const { source, offset } of edges) {
    const id = source.of === 'event' ? metrics.get(source.metric) : undefined;
    if (id !== undefined) found.set(offset, [...(found.get(offset) ?? []), id]);
  }
  return found;
}

/** One SELECT for all lengths: analysing one for each took longer than reading their slices. */
function departures(slice: Slice, lengths: [offset: number, metrics: number[]][]): Part {
  const select = (parameters: Parameters) => {
    const slices = lengths.map(
      ([offset, metrics]) => `(metric IN ${parameters.add('Array(UInt32)', metrics)}
          AND time > ${moment(slice.after - offset, parameters)}
          AND time <= ${moment(slice.through - offset, parameters)})`,
    );
    const edges = lengths.flatMap(([offset, metrics]) => metrics.map((metric) => ({ metric, offset })));
    const metrics = parameters.add(
      'Array(UInt32)',
      edges.map(({ metric }) => metric),
    );
    const offsets = parameters.add(
      'Array(Int64)',
      edges.map(({ offset }) => offset),
    );
    return `SELECT profile, metric AS source, offset, t + offset AS instant
      FROM (
        SELECT profile, metric, toUnixTimestamp64Milli(time) AS t
        FROM events
        WHERE account = ${parameters.add('UInt32', slice.account)} AND (${slices.join(' OR ')})
      )
      ARRAY JOIN arrayFilter(
        (length, of) -> metric = of
          AND t + length > ${parameters.add('Int64', slice.after)}
          AND t + length <= ${parameters.add('Int64', slice.through)},
        ${offsets}, ${metrics}) AS offset`;
  };
  return { select, sourceOf: eventOf(slice) };
}

function eventOf({ metrics }: Slice): (id: number) => TimeSource {
  const names = new Map([...metrics].map(([name, id]) => [id, name]));
  return (id) => ({ of: 'event', metric: names.get(id) ?? '' });
}

function arrivals(slice: Slice): Part {
  const select = (
    parameters: Parameters,
  ) => `SELECT profile, metric AS source, toInt64(0) AS offset, toUnixTimestamp64Milli(time) AS instant
    FROM future_events
    WHERE account = ${parameters.add('UInt32', slice.account)}
      AND metric IN ${parameters.add('Array(UInt32)', [...slice.metrics.values()])}
      AND time > ${moment(slice.after, parameters)}
      AND time <= ${moment(slice.through, parameters)}`;
  return { select, sourceOf: eventOf(slice) };
}

async function readPage(clickhouse: ClickHouse, part: Part, from: number): Promise<CrossingProfile[]> {
  const parameters = createParameters();
  const rows = await query<{ profile: number; crossings: [number, string, string[]][] }>(
    clickhouse,
    `SELECT profile, groupArray((source, offset, instants)) AS crossings
     FROM (
       SELECT profile, source, offset,
         arraySlice(arrayReverseSort(groupUniqArray(instant)), 1, ${CROSSINGS_PER_EDGE}) AS instants
       FROM (${part.select(parameters)})
       WHERE profile >= ${parameters.add('UInt32', from)}
       GROUP BY profile, source, offset
     )
     GROUP BY profile
     ORDER BY profile
     LIMIT ${PROFILES_PER_PAGE}`,
    parameters.values,
  );
  return rows.map(({ profile, crossings }) => ({
    profile,
    crossings: crossings.flatMap(([source, offset, instants]) => {
      const edge = { source: part.sourceOf(source), offset: Number(offset) };
      return instants.map((instant) => ({ edge, instant: Number(instant) }));
    }),
  }));
}
