/**
 * What time alone may have changed: the profiles with an event that has just become as old as a window is long, or
 * whose time has come. A slice of the time-ordered projection per edge, a few granules each.
 */
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { createParameters, type Parameters } from './parameters.ts';
import { moment } from './compile.ts';
import type { Edge } from './registry.ts';

/** An instant at which the profile crossed an edge. */
export interface Crossing {
  metric: number;
  /** 0: the event's time has come. */
  offset: number;
  /** Epoch milliseconds. */
  instant: number;
}

export interface CrossingProfile {
  profile: number;
  crossings: Crossing[];
}

export interface Slice {
  account: number;
  /** Metric ids by name. */
  metrics: ReadonlyMap<string, number>;
  edges: readonly Edge[];
  /** after < instant <= through */
  after: number;
  through: number;
}

const SELECTS_PER_QUERY = 200;
const PROFILES_PER_PAGE = 5_000;
/** Of more crossings of one edge by one profile within one slice the last ones are looked at. */
const CROSSINGS_PER_EDGE = 1_000;

/** A SELECT of profile, metric, offset and instant. */
type Select = (parameters: Parameters) => string;

/** Pages of profiles in ascending order, each profile with all that it has crossed: that is what it is dated by. */
export async function* findCrossings(
  clickhouse: ClickHouse,
  slice: Slice,
): AsyncGenerator<CrossingProfile[]> {
  if (slice.metrics.size === 0) return;
  const selects = [arrivals(slice), ...slice.edges.flatMap((edge) => selectEdge(slice, edge))];
  const parts: Select[][] = [];
  for (let start = 0; start < selects.length; start += SELECTS_PER_QUERY) {
    parts.push(selects.slice(start, start + SELECTS_PER_QUERY));
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

function selectEdge(slice: Slice, { metric, offset }: Edge): Select[] {
  const id = slice.metrics.get(metric);
  if (id === undefined) return [];
  return [
    (parameters) => {
      const delay = parameters.add('Int64', offset);
      return `SELECT profile, metric, ${delay} AS offset, toUnixTimestamp64Milli(time) + ${delay} AS instant
        FROM events
        WHERE account = ${parameters.add('UInt32', slice.account)}
          AND metric = ${parameters.add('UInt32', id)}
          AND time > ${moment(slice.after - offset, parameters)}
          AND time <= ${moment(slice.through - offset, parameters)}`;
    },
  ];
}

function arrivals(slice: Slice): Select {
  return (
    parameters,
  ) => `SELECT profile, metric, toInt64(0) AS offset, toUnixTimestamp64Milli(time) AS instant
    FROM future_events
    WHERE account = ${parameters.add('UInt32', slice.account)}
      AND metric IN ${parameters.add('Array(UInt32)', [...slice.metrics.values()])}
      AND time > ${moment(slice.after, parameters)}
      AND time <= ${moment(slice.through, parameters)}`;
}

async function readPage(clickhouse: ClickHouse, part: Select[], from: number): Promise<CrossingProfile[]> {
  const parameters = createParameters();
  const rows = await query<{ profile: number; crossings: [number, string, string[]][] }>(
    clickhouse,
    `SELECT profile, groupArray((metric, offset, instants)) AS crossings
     FROM (
       SELECT profile, metric, offset,
         arraySlice(arrayReverseSort(groupUniqArray(instant)), 1, ${CROSSINGS_PER_EDGE}) AS instants
       FROM (${part.map((select) => select(parameters)).join(' UNION ALL ')})
       WHERE profile >= ${parameters.add('UInt32', from)}
       GROUP BY profile, metric, offset
     )
     GROUP BY profile
     ORDER BY profile
     LIMIT ${PROFILES_PER_PAGE}`,
    parameters.values,
  );
  return rows.map(({ profile, crossings }) => ({
    profile,
    crossings: crossings.flatMap(([metric, offset, instants]) =>
      instants.map((instant) => ({ metric, offset: Number(offset), instant: Number(instant) })),
    ),
  }));
}
