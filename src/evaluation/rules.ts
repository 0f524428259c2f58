/**
 * Counts and sums of events as rows of data: what differs between them (metric, window, filter) travels in arrays beside
 * fixed expressions. ClickHouse takes as long to analyse twenty conditional counts as to compute them for a hundred
 * profiles; of these it analyses one, and one of all sums. Criteria that differ only in how many they ask for share one.
 */
import type { EventCriterion, NumberFilter, PropertyFilter, TimeWindow } from '../segments/ast.ts';
import { canonicalJson } from '../segments/canonical.ts';
import { numberHolds } from '../segments/filters.ts';
import { measureHolds } from '../segments/measures.ts';
import { microUnits } from '../segments/numbers.ts';
import { periodAt, type Instant } from './calendars.ts';
import { compileEventFilters } from './compile.ts';
import { summandsAt } from './measures.ts';
import type { Parameters } from './parameters.ts';

export interface Rules {
  /** Columns beside `profile`, `metric`, `t` (the time in milliseconds) and perhaps `instant` that the others need. */
  columns: string;
  /** Aggregates over rows of events: `counts`, an Array(UInt32), and `sums` in millionths, an Array(String). */
  aggregates: string;
  /** How many numbers a row becomes while they are computed. */
  length: number;
  /** By criterion, in their order: whether it is true for a profile with these. */
  truths: readonly ((row: RuleRow) => boolean)[];
}

export interface RuleRow {
  counts: readonly number[];
  sums: readonly string[];
}

/** What is counted, or added up of what is counted. */
interface Counted {
  place: number;
  metric: number;
  filter: number;
  /** Among the paths of what is added up, from 1 on. */
  summand: number;
  bounds: Record<string, number>;
}

/** Filters are bits of one number; the lowest stands for none. */
const MOST_FILTERS = 60;
/** Beyond every instant, and far enough from the limits of Int64 that differences fit. */
const FAR = 2 ** 60;

/** What is added up of the events that count; null: they are counted. */
function pathOf({ measure }: EventCriterion): string | null {
  return measure.kind === 'sum' || measure.kind === 'average' ? measure.path : null;
}

/** Which events count: those that satisfy the filters and, to be added up, have a number there. */
interface Counting {
  where: readonly PropertyFilter[];
  path: string | null;
}

const isAnyEvent = ({ where, path }: Counting) => where.length === 0 && path === null;

/** Splits criteria into those that are rules, and the others. */
export function splitRules(
  criteria: readonly EventCriterion[],
  instant: Instant,
): [EventCriterion[], EventCriterion[]] {
  const filters = new Set<string>();
  const rules: EventCriterion[] = [];
  const others: EventCriterion[] = [];
  for (const criterion of criteria) {
    const counting = { where: criterion.where, path: pathOf(criterion) };
    const filter = canonicalJson(counting);
    const fits = isAnyEvent(counting) || filters.has(filter) || filters.size < MOST_FILTERS;
    // What is not as long before every instant has no place in the arrays of several.
    const moves = 'among' in instant && dependsOnCalendar(criterion);
    const isRule = criterion.measure.kind === 'count' || counting.path !== null;
    if (!isRule || !fits || moves) others.push(criterion);
    else {
      rules.push(criterion);
      if (!isAnyEvent(counting)) filters.add(filter);
    }
  }
  return [rules, others];
}

/** `metricOf`: the id of a metric, 0 when it has had no event. */
export function compileRules(
  criteria: readonly EventCriterion[],
  metricOf: (name: string) => number,
  instant: Instant,
  parameters: Parameters,
): Rules {
  const summands = new Map(
    [...new Set(criteria.map(pathOf).filter((path) => path !== null))].map((path, i) => [
      path,
      { number: i + 1, ...summandsAt(path, parameters) },
    ]),
  );
  const summandOf = (path: string | null) => (path === null ? undefined : summands.get(path));
  const bits = new Map<string, string>();
  const bitOf = (counting: Counting): number => {
    if (isAnyEvent(counting)) return 0;
    const filter = canonicalJson(counting);
    if (!bits.has(filter)) {
      const { where, path } = counting;
      const summand = summandOf(path);
      const filters = where.length === 0 ? [] : [compileEventFilters(where, instant, parameters)];
      bits.set(filter, [...filters, ...(summand ? [summand.isSummand] : [])].join(' AND '));
    }
    return [...bits.keys()].indexOf(filter) + 1;
  };
  /** By all that they depend on. */
  const [counted, added] = [new Map<string, Counted>(), new Map<string, Counted>()];
  const placeOf = (
    all: Map<string, Counted>,
    { metric, where, within }: EventCriterion,
    path: string | null,
  ) => {
    const one = {
      metric: metricOf(metric),
      filter: bitOf({ where, path }),
      bounds: boundsAt(within, instant),
    };
    const key = canonicalJson(one);
    const { place } = all.get(key) ?? { place: all.size };
    all.set(key, { ...one, place, summand: summandOf(path)?.number ?? 0 });
    return place;
  };
  const truths = criteria.map((criterion) => {
    const { is, measure } = criterion;
    const path = pathOf(criterion);
    if (path === null) {
      const place = placeOf(counted, criterion, null);
      const { least, most, outside } = intervalOf(is);
      return ({ counts }: RuleRow) => {
        const count = counts[place] ?? 0;
        return (count >= least && count <= most) !== outside;
      };
    }
    const place = placeOf(added, criterion, path);
    if (measure.kind !== 'average') {
      const holds = sumFilter(is);
      return ({ sums }: RuleRow) => holds(sums[place] ?? '0');
    }
    const times = placeOf(counted, criterion, path);
    return ({ sums, counts }: RuleRow) => {
      const over = counts[times] ?? 0;
      return over > 0 && measureHolds(is, { kind: 'ratio', micros: BigInt(sums[place] ?? 0), over });
    };
  });
  const names = Object.keys(boundsAt(null, instant));
  const isWithin =
    'among' in instant
      ? 't > greatest(after, instant - after_ago) AND t <= least(through, instant - through_ago)'
      : 't > after AND t <= through';
  const isCounted = `metric = rule_metric AND bitTest(mask, filter) AND ${isWithin}`;
  const list = (type: string, values: number[]) => parameters.add(`Array(${type})`, values);
  const arraysOf = (all: Counted[]) => [
    list(
      'UInt32',
      all.map(({ metric }) => metric),
    ),
    list(
      'UInt8',
      all.map(({ filter }) => filter),
    ),
    ...names.map((name) =>
      list(
        'Int64',
        all.map(({ bounds }) => bounds[name] ?? 0),
      ),
    ),
  ];
  const [counts, sums] = [[...counted.values()], [...added.values()]];
  const mask = ['1', ...[...bits.values()].map((sql, i) => `(${sql}) * ${2n ** BigInt(i + 1)}`)].join(' + ');
  const columns = [`toUInt64(${mask}) AS mask`];
  let addedUp = 'emptyArrayString()';
  if (sums.length > 0) {
    columns.push(`[${[...summands.values()].map(({ summand }) => summand).join(', ')}] AS summands`);
    const places = list(
      'UInt8',
      sums.map(({ summand }) => summand),
    );
    addedUp = `CAST(sumForEach(arrayMap(
        (rule_metric, filter, ${names.join(', ')}, summand) -> if(${isCounted}, summands[summand], toInt128(0)),
        ${[...arraysOf(sums), places].join(', ')})) AS Array(String))`;
  }
  return {
    columns: columns.join(', '),
    aggregates: `CAST(sumForEach(arrayMap(
        (rule_metric, filter, ${names.join(', ')}) -> ${isCounted},
        ${arraysOf(counts).join(', ')})) AS Array(UInt32)) AS counts,
      ${addedUp} AS sums`,
    // ClickHouse copies what the second expression needs of a row for each of the sums.
    length: counts.length + sums.length * (1 + summands.size),
    truths,
  };
}

/** A window in numbers, by the names that they have in `compileRules`. */
function boundsAt(within: TimeWindow | null, instant: Instant): Record<string, number> {
  if ('at' in instant) {
    const { after, through } = timesOf(within, instant);
    return { after: after ?? -FAR, through };
  }
  const { after, through } = boundsOf(within, instant);
  return {
    after: after.at ?? -FAR,
    after_ago: after.ago ?? FAR,
    through: through.at ?? FAR,
    through_ago: through.ago ?? 0,
  };
}

function dependsOnCalendar({ within, where }: EventCriterion): boolean {
  return within?.kind === 'calendar' || where.some(({ filter }) => filter.kind === 'date');
}

/** An instant, and how long before the instant of evaluation; null: no such bound. */
interface Bound {
  at: number | null;
  ago: number | null;
}

/** The times of a window as they lie at an instant, `after < t <= through`; null: since ever. */
export function timesOf(
  window: TimeWindow | null,
  instant: { at: number; timeZone: string },
): { after: number | null; through: number } {
  const { after, through } = boundsOf(window, instant);
  const afters = [after.at, after.ago === null ? null : instant.at - after.ago].filter((at) => at !== null);
  return {
    after: afters.length === 0 ? null : Math.max(...afters),
    through: Math.min(through.at ?? Infinity, instant.at - (through.ago ?? 0)),
  };
}

/** A window as `after < t <= through`. Instants are whole milliseconds, so that `from <= t` is `from - 1 < t`. */
function boundsOf(window: TimeWindow | null, instant: Instant): { after: Bound; through: Bound } {
  const past: Bound = { at: null, ago: 0 };
  const ever: Bound = { at: null, ago: null };
  switch (window?.kind) {
    case undefined:
      return { after: ever, through: past };
    case 'last':
      return { after: { at: null, ago: window.ms }, through: past };
    case 'moreThanAgo':
      return { after: ever, through: { at: null, ago: window.ms } };
    case 'ago':
      return { after: { at: null, ago: window.fromMs }, through: { at: null, ago: window.toMs } };
    case 'dates':
      return {
        after: { at: window.from === null ? null : window.from - 1, ago: null },
        through: { at: window.to === null ? null : window.to - 1, ago: 0 },
      };
    case 'calendar': {
      if ('among' in instant) throw new Error('several instants have several periods');
      const { after, through } = periodAt(window, instant.at, instant.timeZone);
      return { after: { at: after, ago: null }, through: { at: through, ago: 0 } };
    }
  }
}

/** Of millionths as text. As numbers where these are exact: nearly always, and several times as fast. */
function sumFilter(is: NumberFilter): (micros: string) => boolean {
  const inMicros = (value: number) => Number(microUnits(value));
  const bounds: NumberFilter =
    is.op === 'between'
      ? { op: is.op, from: inMicros(is.from), to: inMicros(is.to) }
      : { op: is.op, value: inMicros(is.value) };
  const areExact =
    bounds.op === 'between'
      ? Number.isSafeInteger(bounds.from) && Number.isSafeInteger(bounds.to)
      : Number.isSafeInteger(bounds.value);
  return (micros) => {
    const sum = Number(micros);
    return areExact && Number.isSafeInteger(sum)
      ? numberHolds(bounds, sum)
      : measureHolds(is, { kind: 'ratio', micros: BigInt(micros), over: 1 });
  };
}

/** The whole numbers from 0 up that satisfy the filter: an interval, or all outside of it. */
function intervalOf(is: NumberFilter): { least: number; most: number; outside: boolean } {
  const most = Number.MAX_SAFE_INTEGER;
  const between = (from: number, to: number, outside = false) =>
    from > to || to < 0
      ? { least: 1, most: 0, outside }
      : { least: Math.max(0, from), most: Math.min(to, most), outside };
  switch (is.op) {
    case 'between':
      return between(Math.ceil(is.from), Math.floor(is.to));
    case 'equals':
    case 'notEquals':
      return between(Math.ceil(is.value), Math.floor(is.value), is.op === 'notEquals');
    case 'atLeast':
      return between(Math.ceil(is.value), most);
    case 'moreThan':
      return between(Math.floor(is.value) + 1, most);
    case 'atMost':
      return between(0, Math.floor(is.value));
    case 'lessThan':
      return between(0, Math.ceil(is.value) - 1);
  }
}
