/**
 * Rows that are just as old as an edge says, of any number of edges and accounts in one statement. What is looked for is
 * a set of short stretches of time, and a row or a mark of the index costs the same however many there are; a condition
 * for each edge would be tried with every row and every mark.
 */
import { consentAttribute } from '../segments/paths.ts';
import { dayOf, startOfDay } from '../segments/calendar.ts';
import type { Parameters } from './parameters.ts';
import type { Edge } from './registry.ts';
import type { Part, Slice } from './slice.ts';

interface Table {
  name: string;
  /** What it is ordered by between the account and the time. */
  key: readonly (readonly [column: string, type: 'UInt32' | 'String'])[];
  /** Milliseconds. */
  time: string;
  where: string;
  /** The stretch of so many milliseconds that a time lies in: of a row, or of milliseconds. */
  stretch: (unit: number) => { ofRow: string; of: (ms: string) => string };
  /** The values of the key for an edge; null: it is not of this table, or there can be no row. */
  keyOf: (edge: Edge, slice: Slice) => (string | number)[] | null;
}

const UNITS = [
  [1_000, 'toStartOfSecond'],
  [60_000, 'toStartOfMinute'],
  [3_600_000, 'toStartOfHour'],
] as const;
const LONGEST_UNIT = [86_400_000, 'toStartOfDay'] as const;
/** For each edge; the longer they are, the more rows there are that nobody wants. */
const STRETCHES = 10;

/** ClickHouse must know that the expression is monotonic. */
const byTime = {
  time: 'toUnixTimestamp64Milli(time)',
  where: 'true',
  stretch(unit: number) {
    const [, start] = UNITS.find(([ms]) => ms === unit) ?? LONGEST_UNIT;
    return {
      ofRow: `${start}(time)`,
      of: (ms: string) => `${start}(fromUnixTimestamp64Milli(${ms}, 'UTC'))`,
    };
  },
};

const EVENTS: Table = {
  ...byTime,
  name: 'events',
  key: [['metric', 'UInt32']],
  keyOf({ source }, { metrics }) {
    const metric = source.of === 'event' ? metrics.get(source.metric) : undefined;
    return metric === undefined ? null : [metric];
  },
};

const PREDICTIONS: Table = {
  ...byTime,
  name: 'predictions',
  key: [['path', 'String']],
  keyOf: ({ source }) => (source.of === 'prediction' ? [source.path] : null),
};

/** Dates with a time of day. */
const DATES: Table = {
  name: 'dates',
  key: [
    ['metric', 'UInt32'],
    ['path', 'String'],
  ],
  time: 'date',
  where: "kind = 'instant'",
  stretch: (unit) => ({ ofRow: `intDiv(date, ${unit})`, of: (ms) => `intDiv(${ms}, ${unit})` }),
  keyOf: dateKey,
};

interface Watched {
  slice: Slice;
  edge: Edge;
  key: (string | number)[];
}

/** What has departed in the slices, which are of one stretch of time; a part for each kind of rows. */
export function departuresIn(slices: readonly Slice[]): Part[] {
  const parts = [EVENTS, DATES, PREDICTIONS].flatMap((table) => {
    const watched = watchedIn(slices, table.keyOf);
    return watched.length === 0 ? [] : [departures(watched, table.name, rowsNear(watched, table), table)];
  });
  return [...parts, ...departuresOfDays(slices)];
}

/** What the events of some profiles bring in the slice: those that depart, and those whose time comes. */
export function departuresOfProfiles(slice: Slice, profiles: readonly number[]): Part[] {
  const arrivals = [...slice.metrics.keys()].map((metric): Edge => ({
    source: { of: 'event', metric },
    offset: 0,
  }));
  const watched = watchedIn([{ ...slice, edges: [...slice.edges, ...arrivals] }], EVENTS.keyOf);
  if (watched.length === 0) return [];
  const metrics = [...new Set(watched.map(({ key }) => Number(key[0])))];
  const where = (parameters: Parameters) => `account = ${parameters.add('UInt32', slice.account)}
          AND profile IN ${parameters.add('Array(UInt32)', profiles)}
          AND metric IN ${parameters.add('Array(UInt32)', metrics)}`;
  return [departures(watched, 'events_by_profile', where, EVENTS)];
}

function watchedIn(slices: readonly Slice[], keyOf: Table['keyOf']): Watched[] {
  return slices.flatMap((slice) =>
    slice.edges.flatMap((edge) => {
      const key = keyOf(edge, slice);
      return key === null ? [] : [{ slice, edge, key }];
    }),
  );
}

/** Rows that lie in the same stretches as what is wanted. */
function rowsNear(watched: readonly Watched[], { key, where, stretch }: Table) {
  return (parameters: Parameters): string => {
    const { after, through } = spanOf(watched);
    const [unit] = UNITS.find(([ms]) => through - after <= ms * STRETCHES) ?? LONGEST_UNIT;
    const places = new Map<string, [account: number, key: (string | number)[], ms: number]>();
    for (const one of watched) {
      const [from, to] = [after - one.edge.offset, through - one.edge.offset];
      for (let ms = from; ; ms = Math.min(ms + unit, to)) {
        // Dates before 1970 are cut towards it, times are not.
        const number = `${Math.floor(ms / unit)} ${Math.trunc(ms / unit)}`;
        places.set(`${one.slice.account} ${one.key.join(' ')} ${number}`, [one.slice.account, one.key, ms]);
        if (ms === to) break;
      }
    }
    const rows = [...places.values()];
    const columns = [
      parameters.add(
        'Array(UInt32)',
        rows.map(([account]) => account),
      ),
      ...key.map(([, type], i) =>
        parameters.add(
          `Array(${type})`,
          rows.map(([, of]) => of[i] ?? 0),
        ),
      ),
      parameters.add(
        'Array(Int64)',
        rows.map(([, , ms]) => ms),
      ),
    ];
    const { ofRow, of } = stretch(unit);
    const names = columns.map((_, i) => `place.${i + 1}`);
    return `${where} AND (account, ${key.map(([column]) => column).join(', ')}, ${ofRow}) IN (
          SELECT ${[...names.slice(0, -1), of(names.at(-1) ?? '')].join(', ')}
          FROM (SELECT arrayJoin(arrayZip(${columns.join(', ')})) AS place)
        )`;
  };
}

/** Each row with the edges of its place that it crosses. */
function departures(
  watched: readonly Watched[],
  table: string,
  where: (parameters: Parameters) => string,
  { key, time }: Table,
): Part {
  const { after, through } = spanOf(watched);
  const byPlace = new Map<string, number[]>();
  watched.forEach(({ slice, key: of }, number) => {
    const place = [slice.account, ...of].join('\n');
    const numbers = byPlace.get(place) ?? [];
    byPlace.set(place, numbers);
    numbers.push(number);
  });
  const order = [...byPlace.values()].flat();
  const select = (parameters: Parameters) => {
    const integers = (values: readonly number[]) => parameters.add('Array(Int64)', values);
    const places = parameters.add('Array(String)', [...byPlace.keys()]);
    const counts = [...byPlace.values()].map((numbers) => numbers.length);
    let behind = 1;
    const starts = counts.map((count) => (behind += count) - count);
    const place = ['account', ...key.map(([column]) => column)].map((column) => `toString(${column})`);
    return `SELECT account, profile, crossed.1 AS edge, t + crossed.2 AS instant
      FROM (
        SELECT account, profile, ${time} AS t, concat(${place.join(`, '\\n', `)}) AS place
        FROM ${table}
        WHERE ${where(parameters)}
      )
      ARRAY JOIN arrayFilter(
        one -> t + one.2 > ${parameters.add('Int64', after)} AND t + one.2 <= ${parameters.add('Int64', through)},
        arraySlice(
          arrayZip(
            ${integers(order)},
            ${integers(order.map((number) => watched[number]?.edge.offset ?? 0))}
          ),
          transform(place, ${places}, ${integers(starts)}, toInt64(1)),
          transform(place, ${places}, ${integers(counts)}, toInt64(0))
        )
      ) AS crossed`;
  };
  return { select, edges: watched.map(({ edge }) => edge) };
}

/** Of dates alone, which begin where the time zone of the account says: most of the time there is none. */
function departuresOfDays(slices: readonly Slice[]): Part[] {
  const watched = watchedIn(slices, dateKey);
  const days = watched.flatMap(({ slice, edge, key: [metric, path] }, number) => {
    const { account, timeZone, after, through } = slice;
    const [from, to] = [dayOf(after - edge.offset, timeZone), dayOf(through - edge.offset, timeZone)];
    return Array.from({ length: to - from }, (_, i) => {
      const day = from + 1 + i;
      const instant = startOfDay(day, timeZone) + edge.offset;
      return { account, metric: Number(metric), path: String(path), day, number, instant };
    });
  });
  if (days.length === 0) return [];
  const select = (parameters: Parameters) => {
    const column = (type: string, of: (one: (typeof days)[number]) => string | number) =>
      parameters.add(`Array(${type})`, days.map(of));
    const columns = [
      column('UInt32', ({ account }) => account),
      column('UInt32', ({ metric }) => metric),
      column('String', ({ path }) => path),
      column('Int64', ({ day }) => day),
    ];
    return `SELECT account, profile, edge, instant
      FROM dates
      INNER JOIN (
        SELECT place.1 AS account, place.2 AS metric, place.3 AS path, place.4 AS date, place.5 AS edge,
          place.6 AS instant
        FROM (
          SELECT arrayJoin(arrayZip(
            ${[...columns, column('Int64', ({ number }) => number), column('Int64', ({ instant }) => instant)].join(', ')}
          )) AS place
        )
      ) AS days USING (account, metric, path, date)
      WHERE kind = 'day' AND (account, metric, path, date) IN (
        SELECT place.1, place.2, place.3, place.4
        FROM (SELECT arrayJoin(arrayZip(${columns.join(', ')})) AS place)
      )`;
  };
  return [{ select, edges: watched.map(({ edge }) => edge) }];
}

/** Metric, or 0, and path. */
function dateKey({ source }: Edge, { metrics }: Slice): [number, string] | null {
  if (source.of === 'attribute') return [0, source.path];
  if (source.of === 'consent') return [0, consentAttribute(source.channel)];
  if (source.of !== 'eventProperty') return null;
  const metric = metrics.get(source.metric);
  return metric === undefined ? null : [metric, source.path];
}

function spanOf([first]: readonly Watched[]): Slice {
  if (!first) throw new Error('nothing is looked for');
  return first.slice;
}
