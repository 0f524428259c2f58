/** What the beginning of a day on the account's calendar may have changed, besides what crosses an edge of its own. */
import { inPages } from '../runtime/in-pages.ts';
import { dayOf, monthOf, startOfDay } from '../segments/calendar.ts';
import { timeEdgesOf } from '../segments/edges.ts';
import { metricsOf } from '../segments/touch.ts';
import type { Criterion, ValueFilter } from '../segments/ast.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS } from '../storage/topics.ts';
import { selectMembers, type Scope } from './all-profiles.ts';
import { periodAt } from './calendars.ts';
import { moment } from './compile.ts';
import { createParameters, type Parameters } from './parameters.ts';
import type { SegmentInForce } from './registry.ts';
import { isFaultOfDefinition } from './writer.ts';

/** Beginnings of days, after < instant <= through, epoch milliseconds, ascending. */
export function midnightsIn(after: number, through: number, timeZone: string): number[] {
  const first = dayOf(after, timeZone) + 1;
  const count = dayOf(through, timeZone) - first + 1;
  return Array.from({ length: Math.max(0, count) }, (_, i) => startOfDay(first + i, timeZone));
}

/** Where a day has begun: the chunks of an account, and an instant before and one after it. */
export interface DayChange extends Omit<Scope, 'at'> {
  chunks: readonly number[];
  before: number;
  after: number;
}

/** People and the segments that a day may have turned for them. */
export type Turned = [profile: number, segments: Iterable<SegmentInForce>][];

const PROFILES_PER_QUERY = 20_000;
/** Of a page, which is looked at in one turn of the partition. */
const PROFILES_PER_PAGE = 2_000;
const TURNINGS_PER_PAGE = 20_000;
/** Whoever closes the partition ends it. */
const LONG = { timeoutSeconds: 600, settings: { cancel_http_readonly_queries_on_client_close: 1 } };

/** How the beginning of a day may turn segments: by windows of events that it moves, and otherwise. */
export interface MovedByDay {
  windows: readonly MovedWindow[];
  others: readonly SegmentInForce[];
}

export function movedByDay(change: DayChange, segments: Iterable<SegmentInForce>): MovedByDay {
  const windows = new Map<string, MovedWindow>();
  const others: SegmentInForce[] = [];
  for (const segment of segments) {
    const moved = movedIn(segment, change);
    if (moved === null) others.push(segment);
    for (const window of moved ?? []) {
      const name = `${window.metric} ${window.after} ${window.through}`;
      const known = windows.get(name) ?? { ...window, segments: new Set() };
      windows.set(name, known);
      known.segments.add(segment);
    }
  }
  return { windows: [...windows.values()], others };
}

/** How the beginnings of days are read. */
export interface Reading {
  signal: AbortSignal;
  /** What the day has turned in this chunk, of these segments, cannot be read. */
  skipped: (error: unknown, chunk: number, segments: Iterable<SegmentInForce>) => void;
}

/**
 * Pages of those for whom the beginning of the day may have turned one of the segments. None comes twice for a segment,
 * unless a reading has broken off.
 */
export async function* turnedByDay(
  clickhouse: ClickHouse,
  change: DayChange,
  { windows, others }: MovedByDay,
  reading: Reading,
): AsyncGenerator<Turned> {
  if (change.chunks.length === 0) return;
  if (windows.length > 0) {
    const segments = new Set(windows.flatMap((window) => [...window.segments]));
    const read = (of: DayChange) => turnedByWindows(clickhouse, of, windows, reading.signal);
    yield* inHalves(change, segments, read, reading);
  }
  for (const segment of others) {
    const read = (of: DayChange) => turnedOtherwise(clickhouse, of, segment, reading.signal);
    yield* inHalves(change, [segment], read, reading);
  }
}

/** What is too much for one statement is read in halves: nobody's day waits for what cannot be read at all. */
async function* inHalves(
  change: DayChange,
  segments: Iterable<SegmentInForce>,
  read: (change: DayChange) => AsyncGenerator<Turned>,
  reading: Reading,
): AsyncGenerator<Turned> {
  const { chunks } = change;
  try {
    yield* read(change);
    return;
  } catch (error) {
    if (!isFaultOfDefinition(error)) throw error;
    const [chunk = 0, ...more] = chunks;
    if (more.length === 0) return reading.skipped(error, chunk, segments);
  }
  for (const half of inPages(chunks, Math.ceil(chunks.length / 2)))
    yield* inHalves({ ...change, chunks: half }, segments, read, reading);
}

/** The same of some profiles, whom any segment may have turned that looks at days otherwise. */
export async function turnedOf(
  clickhouse: ClickHouse,
  { account }: DayChange,
  { windows, others }: MovedByDay,
  profiles: readonly number[],
): Promise<Turned> {
  const found = new Map(profiles.map((profile) => [profile, new Set(others)]));
  if (windows.length > 0 && profiles.length > 0) {
    const parameters = createParameters();
    const sql = selectTurned('events_by_profile', windows, parameters, [
      `account = ${parameters.add('UInt32', account)}`,
      `profile IN ${parameters.add('Array(UInt32)', profiles)}`,
    ]);
    for (const { profile, numbers } of await query<TurnedRow>(clickhouse, sql, parameters.values)) {
      const segments = found.get(profile);
      for (const segment of segmentsOf(numbers, windows)) segments?.add(segment);
    }
  }
  return [...found];
}

/** Times of a metric's events that have come into a window, or gone out of it: after < t <= through. */
interface MovedWindow {
  metric: number;
  after: number;
  through: number;
  segments: Set<SegmentInForce>;
}

/**
 * Where a day matters to nothing but windows of events, only those with an event of a day that came or went can have
 * turned: a slice of the time-ordered projection. Null: it matters otherwise.
 */
function movedIn(segment: SegmentInForce, change: DayChange): Omit<MovedWindow, 'segments'>[] | null {
  const { before, after, metrics, timeZone } = change;
  const moved: Omit<MovedWindow, 'segments'>[] = [];
  for (const criterion of segment.criteria.filter((one) => timeEdgesOf(one).midnights)) {
    if (criterion.kind === 'consent') return null;
    if (filtersOf(criterion).some((filter) => turnsWithDay(filter, change))) return null;
    if (criterion.kind !== 'event' && criterion.kind !== 'sequence') continue;
    const { within } = criterion;
    if (within?.kind !== 'calendar') continue;
    const [old, now] = [periodAt(within, before, timeZone), periodAt(within, after, timeZone)];
    for (const side of ['after', 'through'] as const) {
      if (old[side] === now[side]) continue;
      for (const name of metricsOf(criterion)) {
        const metric = metrics.get(name);
        if (metric === undefined) continue;
        moved.push({
          metric,
          after: Math.min(old[side], now[side]),
          through: Math.max(old[side], now[side]),
        });
      }
    }
  }
  return moved;
}

function filtersOf(criterion: Criterion): ValueFilter[] {
  switch (criterion.kind) {
    case 'property':
      return [criterion.filter];
    case 'event':
      return criterion.where.map(({ filter }) => filter);
    case 'sequence':
      return criterion.steps.flatMap(({ where }) => where.map(({ filter }) => filter));
    case 'consent':
    case 'segment':
    case 'near':
    case 'trend':
    case 'sample':
      return [];
  }
}

/** Most days do not begin a month, and then nobody's birthday comes into it. */
function turnsWithDay(filter: ValueFilter, { before, after, timeZone }: DayChange): boolean {
  if (filter.kind !== 'date') return false;
  const { date } = filter;
  switch (date.op) {
    case 'anniversary':
      return true;
    case 'thisMonth':
      return monthOf(before, timeZone) !== monthOf(after, timeZone);
    case 'within': {
      const { window } = date;
      if (window.kind !== 'calendar') return false;
      return periodAt(window, before, timeZone).after !== periodAt(window, after, timeZone).after;
    }
    case 'next':
    case 'month':
      return false;
  }
}

interface TurnedRow {
  profile: number;
  /** Places in the windows. */
  numbers: string[];
}

function* segmentsOf(numbers: readonly string[], windows: readonly MovedWindow[]): Generator<SegmentInForce> {
  for (const number of numbers) yield* windows[Number(number)]?.segments ?? [];
}

async function* turnedByWindows(
  clickhouse: ClickHouse,
  { account, chunks }: DayChange,
  windows: readonly MovedWindow[],
  signal: AbortSignal,
): AsyncGenerator<Turned> {
  const parameters = createParameters();
  const sql = `${selectTurned('events', windows, parameters, [
    `account = ${parameters.add('UInt32', account)}`,
    `intDiv(profile, ${2 ** CHUNK_BITS}) IN ${parameters.add('Array(UInt32)', chunks)}`,
    'profile >= {from:UInt32}',
  ])}
     ORDER BY profile
     LIMIT ${PROFILES_PER_QUERY}`;
  for (let from = 0; ;) {
    const rows = await query<TurnedRow>(clickhouse, sql, { ...parameters.values, from }, { ...LONG, signal });
    let page: Turned = [];
    let turnings = 0;
    for (const { profile, numbers } of rows) {
      const segments = new Set(segmentsOf(numbers, windows));
      page.push([profile, segments]);
      turnings += segments.size;
      if (turnings < TURNINGS_PER_PAGE && page.length < PROFILES_PER_PAGE) continue;
      yield page;
      [page, turnings] = [[], 0];
    }
    if (page.length > 0) yield page;
    if (rows.length < PROFILES_PER_QUERY) return;
    from = (rows.at(-1)?.profile ?? 0) + 1;
  }
}

/** Who has events in the windows, and in which. */
function selectTurned(
  table: string,
  windows: readonly MovedWindow[],
  parameters: Parameters,
  conditions: readonly string[],
): string {
  const byMetric = new Map<number, number[]>();
  const times = new Map<string, string>();
  windows.forEach(({ metric, after, through }, number) => {
    const numbers = byMetric.get(metric) ?? [];
    byMetric.set(metric, numbers);
    numbers.push(number);
    times.set(
      `${after} ${through}`,
      `time > ${moment(after, parameters)} AND time <= ${moment(through, parameters)}`,
    );
  });
  const integers = (values: readonly number[]) => parameters.add('Array(Int64)', values);
  const order = [...byMetric.values()].flat();
  const counts = [...byMetric.values()].map((numbers) => numbers.length);
  let behind = 1;
  const starts = counts.map((count) => (behind += count) - count);
  const metrics = parameters.add('Array(UInt32)', [...byMetric.keys()]);
  const bound = (side: 'after' | 'through') => integers(order.map((number) => windows[number]?.[side] ?? 0));
  return `SELECT profile, groupUniqArray(moved.1) AS numbers
     FROM (
       SELECT profile, metric, toUnixTimestamp64Milli(time) AS t
       FROM ${table}
       WHERE ${conditions.join(' AND ')} AND metric IN ${metrics} AND (${[...times.values()].join(' OR ')})
     )
     ARRAY JOIN arrayFilter(
       one -> t > one.2 AND t <= one.3,
       arraySlice(
         arrayZip(${integers(order)}, ${bound('after')}, ${bound('through')}),
         transform(metric, ${metrics}, ${integers(starts)}, toInt64(1)),
         transform(metric, ${metrics}, ${integers(counts)}, toInt64(0))
       )
     ) AS moved
     GROUP BY profile`;
}

/**
 * The profiles for which the segment's condition is true at just one of two instants, by what is known of them now. Asked once a
 * day, so that two scans are cheaper than an index of whatever a midnight can touch.
 */
async function* turnedOtherwise(
  clickhouse: ClickHouse,
  { before, after, ...scope }: DayChange,
  segment: SegmentInForce,
  signal: AbortSignal,
): AsyncGenerator<Turned> {
  const parameters = createParameters();
  const was = selectMembers(segment.condition, { ...scope, at: before }, parameters);
  const is = selectMembers(segment.condition, { ...scope, at: after }, parameters);
  const rows = await query<{ chunk: number; lows: number[] }>(
    clickhouse,
    `SELECT chunk, bitmapToArray(groupBitmapXorState(members)) AS lows
     FROM (
       SELECT chunk, members FROM (${was.sql})
       UNION ALL
       SELECT chunk, members FROM (${is.sql})
     )
     GROUP BY chunk
     HAVING notEmpty(lows)
     ORDER BY chunk`,
    parameters.values,
    { ...LONG, signal, settings: { ...LONG.settings, ...is.settings } },
  );
  for (const { chunk, lows } of rows) {
    for (const page of inPages(lows, PROFILES_PER_PAGE))
      yield page.map((low) => [chunk * 2 ** CHUNK_BITS + low, [segment]]);
  }
}
