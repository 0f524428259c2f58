/**
 * Random cases for the whole language: those of the comparison with ClickHouse (test/comparison/generate.ts), and all
 * that they do not have: dates, lists, places, consents, memberships, predictions, sequences, calendars and time zones.
 */
import type { Channel, ConsentFacts, Context, ProfileFacts, Value } from '../../src/segments/ast.ts';
import { dayOf, startOfDay } from '../../src/segments/calendar.ts';
import { PREDICTION_DIMENSIONS, predictionPath } from '../../src/segments/paths.ts';
import { factsOf, randomCase, randomCondition, randomTextFilter, type Json } from '../comparison/generate.ts';
import { seededRandom, type Random } from '../comparison/random.ts';
import { METRICS, PATTERNS } from '../comparison/vocabulary.ts';
import { profile } from './helpers.ts';

export interface WholeCase {
  seed: number;
  /** ConditionInput, valid. */
  inputs: Json[];
  people: ProfileFacts[];
  /** Epoch milliseconds, ascending. */
  instants: number[];
  context: Context;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WINDOWS = [
  ['PT1.5S', 1_500],
  ['PT1H', HOUR],
  ['P1D', DAY],
  ['P7D', 7 * DAY],
  ['P30D', 30 * DAY],
  ['P400D', 400 * DAY],
] as const;
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Pacific/Apia',
  'Asia/Kolkata',
  'America/Santiago',
];
const PERIODS = 'TODAY YESTERDAY THIS_WEEK THIS_MONTH THIS_YEAR LAST_WEEK LAST_MONTH LAST_YEAR'.split(' ');
const OPS = ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost', 'between'] as const;
const ELEMENTS = ['gold', 'a', '3', 'true', ''];
const DATE_PATHS = ['born', 'due.at'];
const LIST_PATHS = ['tags', 'sizes'];
const STATUSES = ['SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED'] as const;
const CHANNELS: readonly Channel[] = ['EMAIL', 'SMS', 'PUSH'];
const SOURCES = ['form', 'import', ''];
const SEGMENTS = ['S1', 'S2', 'S3'];
const PLACES: readonly (readonly [number, number])[] = [
  [52.52, 13.405],
  [48.137, 11.575],
  [-33.87, 151.21],
  [0, 0],
  [90, 0],
  [91, 0],
];

export function wholeCase(seed: number, { people = 8, conditions = 6 } = {}): WholeCase {
  const random = seededRandom(seed ^ 0x5eed);
  const timeZone = random.pick(ZONES);
  // The weeks around a change of the clocks in spring or autumn, or the end of February.
  const around = random.pick([Date.UTC(2026, 2, 22), Date.UTC(2026, 9, 28), Date.UTC(2028, 1, 29)]);
  const base = randomCase(seed, { profiles: people, conditions: 0, instants: 3, around });
  const instants = [
    ...base.instants,
    ...times(2, () => {
      const day = dayOf(random.pick(base.instants), timeZone) + random.between(-2, 2);
      return startOfDay(day, timeZone) + random.pick([-1, 0, 1]);
    }),
  ].sort((a, b) => a - b);
  return {
    seed,
    inputs: times(conditions, () => wholeCondition(random, instants)),
    people: [...[...factsOf(base).values()].map((facts) => enriched(random, facts, instants)), profile({})],
    instants,
    context: { timeZone },
  };
}

function enriched(random: Random, facts: ProfileFacts, instants: readonly number[]): ProfileFacts {
  const attributes = new Map(facts.attributes);
  for (const path of DATE_PATHS) put(random, attributes, `properties.${path}`, () => date(random, instants));
  for (const path of LIST_PATHS) put(random, attributes, `properties.${path}`, () => list(random));
  put(random, attributes, 'location.country', () => random.pick(['DE', 'FRA', 'US', 'Germany', 'XX', 3]));
  const [latitude, longitude] = random.pick(PLACES);
  put(random, attributes, 'location.latitude', () => latitude);
  put(random, attributes, 'location.longitude', () => longitude);
  const predictions = new Map<string, { time: number; value: number | null }[]>();
  for (const dimension of PREDICTION_DIMENSIONS) {
    const path = predictionPath(dimension);
    if (dimension === 'EXPECTED_NEXT_ORDER') put(random, attributes, path, () => date(random, instants));
    else {
      put(random, attributes, path, () => random.pick([0, 0.2, 0.5, 100]));
      const moments = new Set(times(random.between(0, 4), () => moment(random, instants)));
      const points = [...moments].map((time) => ({ time, value: random.pick([0, 0.3, 0.5, 0.7, null]) }));
      predictions.set(path, points);
    }
  }
  const consents = new Map<Channel, ConsentFacts>();
  for (const channel of CHANNELS) {
    if (!random.chance(0.7)) continue;
    consents.set(channel, {
      status: random.pick(STATUSES),
      time: moment(random, instants),
      source: random.pick([...SOURCES, null]),
    });
  }
  return {
    ...facts,
    number: random.between(0, 2 ** 32 - 1),
    attributes,
    consents,
    predictions,
    memberships: new Set(SEGMENTS.filter(() => random.chance(0.5))),
    events: facts.events.map((event) => {
      const properties = new Map(event.properties);
      for (const path of DATE_PATHS) put(random, properties, path, () => date(random, instants));
      for (const path of LIST_PATHS) put(random, properties, path, () => list(random));
      // Some at the very same time.
      return { ...event, properties, ...(random.chance(0.2) && { time: instants[0] ?? 0 }) };
    }),
  };
}

function put(random: Random, values: Map<string, Value>, path: string, value: () => Value): void {
  if (random.chance(0.75)) values.set(path, value());
}

function list(random: Random): Value {
  return times(random.between(0, 3), () => random.pick<Value>(['gold', 'a', '', 3, true, ['x']]));
}

/** At the edges that windows have at the instants, and anywhere around them. */
function moment(random: Random, instants: readonly number[]): number {
  const [, ms] = random.pick(WINDOWS);
  const instant = random.pick(instants);
  if (random.chance(0.7)) return instant + random.pick([-1, -1, 1]) * ms + random.pick([-1, 0, 0, 1]);
  return instant + random.between(-400 * DAY, 30 * DAY);
}

function date(random: Random, instants: readonly number[]): Value {
  const written = new Date(moment(random, instants)).toISOString();
  const day = written.slice(0, 10);
  return random.pick<Value>([
    written,
    written,
    day,
    `${random.between(1950, 2030)}${written.slice(4)}`,
    `${random.between(1950, 2030)}-${day.slice(5)}`,
    '2000-02-29',
    `${day}T23:30:00-05:00`,
    `${day} 10:00:00`,
    '0001-01-01',
    'soon',
    20_260_101,
  ]);
}

export function wholeCondition(random: Random, instants: readonly number[], levels = 3): Json {
  if (levels > 0 && random.chance(0.4)) {
    const below = () => wholeCondition(random, instants, levels - 1);
    if (random.chance(0.3)) return { not: below() };
    return { [random.pick(['all', 'any'])]: times(random.between(1, 3), below) };
  }
  switch (random.between(0, 11)) {
    case 0:
      return randomCondition(random, instants, 0);
    case 1:
    case 2:
      return { event: eventCondition(random, instants) };
    case 3:
    case 4:
      return { sequence: sequenceCondition(random, instants) };
    case 5:
    case 6: {
      const { path, filter } = propertyFilter(random, instants);
      return { property: { path: `properties.${String(path)}`, filter } };
    }
    case 7:
      return { consent: consentCondition(random, instants) };
    case 8:
      return {
        segment: { id: random.pick(SEGMENTS), ...maybe(random, 0.5, 'member', () => random.chance(0.5)) },
      };
    case 9: {
      const [latitude, longitude] = random.pick(PLACES.slice(0, 5));
      return {
        near: {
          latitude,
          longitude,
          within: random.pick([0.5, 313, 600, 20_000 / 2]),
          ...maybe(random, 0.5, 'unit', () => random.pick(['KILOMETERS', 'MILES'])),
          ...maybe(random, 0.5, 'beyond', () => random.chance(0.5)),
        },
      };
    }
    case 10:
      return random.chance(0.3)
        ? {
            region: {
              region: random.pick(['EUROPEAN_UNION', 'UNITED_STATES']),
              ...maybe(random, 0.5, 'inside', () => random.chance(0.5)),
            },
          }
        : { prediction: predictionCondition(random, instants) };
    default:
      return {
        sample: {
          percent: random.pick([0, 12.5, 50, 100]),
          ...maybe(random, 0.5, 'salt', () => random.pick(['', 'a', 'é'])),
        },
      };
  }
}

function eventCondition(random: Random, instants: readonly number[]): Json {
  const measure = random.pick(['average', 'min', 'max', 'distinct', 'days', 'sum', 'count']);
  const path = random.pick(['$value', 'price', 'tags', 'item.price', 'plan']);
  return {
    metric: random.pick(METRICS),
    measure: { [measure]: measure === 'days' || measure === 'count' ? true : path },
    ...maybe(random, 0.9, 'is', () => numberFilter(random, [-1, 0, 1, 2, 3, 1.5])),
    ...maybe(random, 0.4, 'where', () => times(random.between(0, 2), () => whereFilter(random, instants))),
    ...maybe(random, 0.7, 'within', () => timeWindow(random, instants)),
  };
}

function sequenceCondition(random: Random, instants: readonly number[]): Json {
  const steps = times(random.between(2, 4), () => ({
    metric: random.pick(METRICS.slice(0, 3)),
    ...maybe(random, 0.3, 'where', () => times(random.between(0, 2), () => whereFilter(random, instants))),
    ...maybe(random, 0.5, 'negate', () => random.chance(0.6)),
  }));
  if (steps.every((step) => (step as Json)['negate'] === true)) steps.push({ metric: 'Placed Order' });
  return {
    steps,
    ...maybe(random, 0.5, 'completeWithin', () => random.pick(WINDOWS)[0]),
    ...maybe(random, 0.5, 'within', () => timeWindow(random, instants)),
  };
}

function whereFilter(random: Random, instants: readonly number[]): Json {
  if (random.chance(0.7)) return propertyFilter(random, instants);
  const date = { date: dateFilter(random, instants) };
  const other = random.pick([{ exists: random.chance(0.5) }, { text: { notEquals: 'a' } }]);
  return { path: '$time', filter: random.chance(0.85) ? date : other };
}

function propertyFilter(random: Random, instants: readonly number[]): Json {
  if (random.chance(0.6)) {
    return { path: random.pick(DATE_PATHS), filter: { date: dateFilter(random, instants) } };
  }
  return { path: random.pick(LIST_PATHS), filter: { list: listFilter(random) } };
}

function consentCondition(random: Random, instants: readonly number[]): Json {
  const parts = {
    ...maybe(random, 0.5, 'status', () => times(random.between(1, 3), () => random.pick(STATUSES))),
    ...maybe(random, 0.3, 'since', () => timeWindow(random, instants)),
    ...maybe(random, 0.3, 'source', () =>
      random.pick<Json>([
        { equals: random.pick(SOURCES) },
        { notEquals: 'form' },
        { in: ['form', 'import'] },
        { matches: random.pick(PATTERNS) },
      ]),
    ),
  };
  const enough = Object.keys(parts).length > 0;
  return {
    channel: random.pick(CHANNELS),
    ...parts,
    ...maybe(random, enough ? 0.3 : 1, 'canReceive', () => random.chance(0.5)),
  };
}

function predictionCondition(random: Random, instants: readonly number[]): Json {
  const dimension = random.pick(PREDICTION_DIMENSIONS);
  if (dimension === 'EXPECTED_NEXT_ORDER') return { dimension, date: dateFilter(random, instants) };
  const number = maybe(random, 0.6, 'number', () => numberFilter(random, [0, 0.2, 0.5]));
  const change = () => ({ by: random.pick([0.2, 0.4, -0.2]), within: random.pick(WINDOWS)[0] });
  return { dimension, ...number, ...maybe(random, 'number' in number ? 0.3 : 1, 'change', change) };
}

function dateFilter(random: Random, instants: readonly number[]): Json {
  const days = () => random.pick([1, 2, 7, 30, 365]);
  return random.pick<() => Json>([
    () => ({ within: timeWindow(random, instants) }),
    () => ({ next: random.pick(WINDOWS)[0] }),
    () => ({ anniversary: random.pick<Json>([{ today: true }, { last: days() }, { next: days() }]) }),
    () => ({ anniversary: { thisMonth: true } }),
    () => ({ month: random.between(1, 12) }),
  ])();
}

function listFilter(random: Random): Json {
  const values = () => times(random.between(1, 2), () => random.pick(ELEMENTS));
  const op = random.pick([
    ...['contains', 'notContains', 'containsAny', 'containsAll', 'containsNone', 'length'],
    ...['someElement', 'noElement', 'someElement', 'noElement'],
  ]);
  if (op.endsWith('Element')) return { [op]: randomTextFilter(random, ELEMENTS) };
  if (op === 'length') return { length: numberFilter(random, [-1, 0, 1, 1.5, 2]) };
  return { [op]: op.endsWith('ontains') ? random.pick(ELEMENTS) : values() };
}

function numberFilter(random: Random, numbers: readonly number[]): Json {
  const op = random.pick(OPS);
  if (op !== 'between') return { [op]: random.pick(numbers) };
  const [from, to] = [random.pick(numbers), random.pick(numbers)].sort((a, b) => a - b);
  return { between: { from, to } };
}

function timeWindow(random: Random, instants: readonly number[]): Json {
  if (random.chance(0.35)) return { calendar: random.pick(PERIODS) };
  const [text, ms] = random.pick(WINDOWS);
  switch (random.between(0, 3)) {
    case 0:
      return { last: text };
    case 1:
      return { moreThanAgo: text };
    case 2: {
      const shorter = WINDOWS.filter(([, other]) => other < ms).map(([other]) => other);
      return { ago: { from: text, to: random.pick(['PT0S', ...shorter]) } };
    }
    default: {
      const from = moment(random, instants);
      const to = from + random.pick([1, HOUR, 30 * DAY]);
      const only = random.pick(['from', 'to', 'both']);
      return {
        dates: {
          ...(only !== 'to' && { from: new Date(from).toISOString() }),
          ...(only !== 'from' && { to: new Date(to).toISOString() }),
        },
      };
    }
  }
}

function maybe(random: Random, chance: number, key: string, value: () => unknown): Json {
  return random.chance(chance) ? { [key]: value() } : {};
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
