/**
 * Random cases for comparing evaluations: profiles, events in the order of their arrival, conditions and instants, all
 * from one seed. Everything is written in the shape of the API's inputs (times as RFC 3339 text), and satisfies its
 * validation, so that a case can go through the API or straight into storage; `factsOf` says what it then means.
 *
 * Vocabularies are small, so that matches are frequent, and odd on purpose. Event times lie around the edges that the
 * windows of the conditions have at the instants: a millisecond before, exactly on, a millisecond after.
 */
import type { EventFacts, PredictionFacts, ProfileFacts } from '../../src/segments/ast.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { flatten } from '../../src/segments/flatten.ts';
import {
  randomList,
  randomListFilter,
  randomPlace,
  randomProfileLeaf,
  type ListParts,
} from './generate-profile.ts';
import { DATE_PATHS, EVENT_TIME, PERIODS, randomDate, randomDateFilter } from './dates.ts';
import type { SequenceMakers } from './sequences.ts';
import { newestOf, randomConsent, randomConsentCondition, type Told } from './consents.ts';
import { randomHistories, randomPredictions } from './predictions.ts';
import { seededRandom, type Random } from './random.ts';
import {
  ATTRIBUTES,
  BOOLEAN_PATHS,
  CITIES,
  DISTINCT_PATHS,
  DOMAINS,
  EVENT_PATHS,
  FIRST_NAMES,
  LIST_PATHS,
  LOCALES,
  METRICS,
  NEVER_SENT,
  NUMBERS,
  NUMBER_PATHS,
  PATTERNS,
  POSTAL_CODES,
  SUM_PATHS,
  TEXTS,
  TIMEZONES,
  WORDS,
} from './vocabulary.ts';

export type Json = Record<string, unknown>;

/** An EventInput. Its profile is one of the case's, named by externalId. */
export interface CaseEvent {
  uniqueId: string;
  metric: string;
  profile: { externalId: string };
  time: string;
  value?: number | null;
  currency?: string;
  properties?: Json;
}

/** A ProfileInput. */
export interface CaseProfile {
  identifiers: { externalId: string; email?: string; phone?: string };
  firstName?: string;
  lastName?: string;
  timezone?: string;
  locale?: string;
  location?: Json;
  properties?: Json;
}

export interface RandomCase {
  seed: number;
  profiles: CaseProfile[];
  /** In the order of arrival. A uniqueId that arrives again counts as it arrived first. */
  events: CaseEvent[];
  /** By externalId, what was ever said, in any order. */
  consents: Record<string, Told[]>;
  /** By externalId and `predictionPath`, what predictions have been. */
  histories: Record<string, Record<string, PredictionFacts[]>>;
  /** ConditionInput, valid. */
  conditions: Json[];
  /** Epoch milliseconds, ascending. Evaluate after everything has arrived. */
  instants: number[];
}

export interface CaseOptions {
  profiles?: number;
  eventsPerProfile?: number;
  conditions?: number;
  instants?: number;
  /** The middle of the instants, epoch milliseconds: they lie within 40 days of it. Default: 2026-02-10T12:00:00Z. */
  around?: number;
  /** Before every externalId, email, phone and uniqueId, so that several cases can share an account. Default: none. */
  prefix?: string;
}

const SECOND = 1_000;
const DAY = 86_400_000;
const WINDOWS: readonly (readonly [text: string, ms: number])[] = [
  ['PT1.5S', 1_500],
  ['PT1H', 3_600_000],
  ['P1D', DAY],
  ['P1W', 7 * DAY],
  ['P1DT6H', 1.25 * DAY],
  ['P30D', 30 * DAY],
  ['P60D', 60 * DAY],
];

export function randomCase(seed: number, options: CaseOptions = {}): RandomCase {
  const random = seededRandom(seed);
  const around = options.around ?? Date.UTC(2026, 1, 10, 12);
  const prefix = options.prefix ?? '';
  const ids = times(options.profiles ?? 12, (i) => `${prefix}p${i}`);
  const instants = times(options.instants ?? 4, () => around + random.between(-40 * DAY, 40 * DAY)).sort(
    (a, b) => a - b,
  );
  const conditions = times(options.conditions ?? 20, () => randomCondition(random, instants));
  const profiles = ids.map((id, i) => randomProfile(random, id, i, prefix, instants));
  const most = options.eventsPerProfile ?? 10;
  const events = ids
    // One in eight has done nothing.
    .flatMap((id) => times(random.chance(0.125) ? 0 : random.between(1, most), () => id))
    .map((id, i) => randomEvent(random, id, `${prefix}e${i}`, instants));
  const arrived = random.shuffle(withRepeats(random, events, ids));
  const consents = Object.fromEntries(
    ids.map((id) => [
      id,
      times(random.between(0, 6), () => randomConsent(random, randomTime(random, instants))),
    ]),
  );
  const histories = Object.fromEntries(ids.map((id) => [id, randomHistories(random, instants)]));
  return { seed, profiles, events: arrived, consents, histories, conditions, instants };
}

/** What the case means, by externalId, once everything has arrived. */
export function factsOf(randomCase: RandomCase): Map<string, ProfileFacts> {
  const first = new Map<string, CaseEvent>();
  for (const event of randomCase.events) if (!first.has(event.uniqueId)) first.set(event.uniqueId, event);
  const facts = new Map<string, ProfileFacts & { events: EventFacts[] }>();
  for (const { identifiers, ...own } of randomCase.profiles) {
    facts.set(identifiers.externalId, {
      ...profileFacts({
        attributes: flatten({ ...identifiers, ...own }),
        consents: newestOf(randomCase.consents[identifiers.externalId] ?? []),
        predictions: new Map(Object.entries(randomCase.histories[identifiers.externalId] ?? {})),
      }),
      events: [],
    });
  }
  for (const event of first.values()) {
    facts.get(event.profile.externalId)?.events.push({
      metric: event.metric,
      time: Date.parse(event.time),
      value: event.value ?? null,
      properties: flatten(event.properties ?? {}),
    });
  }
  return facts;
}

function randomProfile(
  random: Random,
  id: string,
  number: number,
  prefix: string,
  instants: readonly number[],
): CaseProfile {
  const maybe = <K extends string, V>(key: K, value: () => V): Partial<Record<K, V>> =>
    random.chance(0.6) ? ({ [key]: value() } as Record<K, V>) : {};
  const domain = random.pick(DOMAINS);
  return {
    identifiers: {
      externalId: id,
      ...maybe('email', () => `${prefix.toLowerCase()}u${number}@${domain}`),
      ...maybe('phone', () => `+49${String(number).padStart(3, '0')}${random.between(100, 999)}`),
    },
    ...maybe('firstName', () => random.pick(FIRST_NAMES)),
    ...maybe('lastName', () => random.pick(FIRST_NAMES)),
    ...maybe('timezone', () => random.pick(TIMEZONES)),
    ...maybe('locale', () => random.pick(LOCALES)),
    ...maybe('location', () => ({
      ...maybe('city', () => random.pick(CITIES)),
      ...maybe('postalCode', () => random.pick(POSTAL_CODES)),
      ...randomPlace(random),
    })),
    ...maybe('properties', () => ({
      ...randomProperties(random, instants),
      ...(random.chance(0.6) && {
        $predictions: { ...randomPredictions(random), expectedNextOrderAt: randomDate(random, instants) },
      }),
    })),
  };
}

function randomEvent(random: Random, id: string, uniqueId: string, instants: readonly number[]): CaseEvent {
  return {
    uniqueId,
    metric: random.pick(METRICS),
    profile: { externalId: id },
    time: new Date(randomTime(random, instants)).toISOString(),
    ...(random.chance(0.6) && { value: random.pick(NUMBERS) }),
    ...(random.chance(0.05) && { value: null }),
    ...(random.chance(0.2) && { currency: 'EUR' }),
    ...(random.chance(0.85) && { properties: randomProperties(random, instants) }),
  };
}

/** Some arrive again: exactly the same, with other contents, or as somebody else's. */
function withRepeats(random: Random, events: readonly CaseEvent[], ids: readonly string[]): CaseEvent[] {
  return events.flatMap((event) => {
    if (!random.chance(0.12)) return [event];
    const changed: CaseEvent = {
      ...event,
      ...(random.chance(0.3) && { metric: random.pick(METRICS) }),
      ...(random.chance(0.3) && { profile: { externalId: random.pick(ids) } }),
      ...(random.chance(0.3) && { value: random.pick(NUMBERS) }),
    };
    return [event, random.chance(0.4) ? event : changed];
  });
}

function randomTime(random: Random, instants: readonly number[]): number {
  const instant = random.pick(instants);
  const jitter = random.pick([-SECOND, -1, 0, 0, 0, 1, SECOND]);
  if (random.chance(0.6)) return instant - random.pick(WINDOWS)[1] + jitter;
  if (random.chance(0.3)) return instant + jitter;
  // Around now and then: far in the past, and still to come for some of the instants.
  return instant + random.between(-90 * DAY, 10 * DAY);
}

/** Nested, missing, null, of the wrong type, colliding paths: whatever senders send. */
export function randomProperties(random: Random, instants: readonly number[]): Json {
  const properties: Json = {};
  const set = (chance: number, key: string, value: () => unknown) => {
    if (random.chance(chance)) properties[key] = value();
  };
  set(0.7, 'price', () => randomValue(random, 'number'));
  set(0.5, 'quantity', () => random.pick([0, 1, 2, 3]));
  set(0.7, 'plan', () => randomValue(random, 'text'));
  set(0.5, 'gift', () => randomValue(random, 'boolean'));
  set(0.5, 'tags', () => (random.chance(0.9) ? randomList(random) : random.pick(TEXTS)));
  set(0.6, 'due', () => randomDate(random, instants));
  set(0.4, 'item', () => ({
    ...(random.chance(0.7) && { since: randomDate(random, instants) }),
    ...(random.chance(0.7) && { name: random.pick(TEXTS) }),
    ...(random.chance(0.5) && { price: randomValue(random, 'number') }),
    ...(random.chance(0.3) && { size: { eu: random.pick(NUMBERS) } }),
  }));
  set(0.2, 'item.name', () => random.pick(TEXTS));
  set(0.2, 'odd key "\'\\%_é', () => random.pick(TEXTS));
  set(0.1, '$value', () => random.pick(NUMBERS));
  set(0.1, EVENT_TIME, () => randomDate(random, instants));
  return properties;
}

function randomValue(random: Random, usual: 'text' | 'number' | 'boolean'): unknown {
  const kind = random.chance(0.8)
    ? usual
    : random.pick(['text', 'number', 'boolean', 'null', 'list', 'object']);
  switch (kind) {
    case 'text':
      return random.pick(TEXTS);
    case 'number':
      return random.pick(NUMBERS);
    case 'boolean':
      return random.chance(0.5);
    case 'list':
      return [random.pick(TEXTS), random.pick(NUMBERS)];
    case 'object':
      return { a: random.pick(NUMBERS) };
    default:
      return null;
  }
}

/** A valid ConditionInput. */
export function randomCondition(random: Random, instants: readonly number[], levels = 3): Json {
  if (levels > 0 && random.chance(0.45)) {
    const below = () => randomCondition(random, instants, levels - 1);
    if (random.chance(0.25)) return { not: below() };
    return { [random.pick(['all', 'any'])]: times(random.between(1, 3), below) };
  }
  if (random.chance(0.2)) return randomProfileLeaf(random, randomNumberFilter);
  if (random.chance(0.65)) return { event: randomEventCondition(random, instants) };
  if (random.chance(0.2)) {
    return { consent: randomConsentCondition(random, () => randomWindow(random, instants)) };
  }
  if (random.chance(0.15)) {
    const dimension = 'EXPECTED_NEXT_ORDER';
    return { prediction: { dimension, date: dateFilter(random, instants) } };
  }
  const attribute = random.pick(ATTRIBUTES);
  const property = random.pick(EVENT_PATHS);
  return random.chance(0.5)
    ? { property: { path: attribute, filter: filterFor(random, attribute, instants) } }
    : { property: { path: `properties.${property}`, filter: filterFor(random, property, instants) } };
}

/** Of few metrics, so that there are chains. */
export function sequenceMakers(random: Random, instants: readonly number[]): SequenceMakers {
  return {
    metric: () => (random.chance(0.03) ? NEVER_SENT : random.pick(METRICS.slice(0, random.pick([2, 2, 4])))),
    where: () => randomWhere(random, instants),
    window: () => randomWindow(random, instants),
    length: () => random.pick([...WINDOWS, ...WINDOWS.slice(-3)])[0],
  };
}

export const MEASURES = ['count', 'days', 'sum', 'average', 'min', 'max', 'distinct'] as const;
type MeasureKind = (typeof MEASURES)[number];

export function randomEventCondition(
  random: Random,
  instants: readonly number[],
  kind: MeasureKind = random.pick([
    ...MEASURES,
    'count',
    'count',
    'count',
    'count',
    'count',
    'sum',
    'average',
  ]),
  op?: NumberOp,
): Json {
  const filters = random.pick([0, 0, 0, 1, 1, 2]);
  const isCount = kind === 'count' || kind === 'days' || kind === 'distinct';
  return {
    metric: random.chance(0.05) ? NEVER_SENT : random.pick(METRICS),
    ...((filters > 0 || random.chance(0.1)) && {
      where: times(filters, () => randomWhere(random, instants)),
    }),
    ...((kind !== 'count' || random.chance(0.1)) && { measure: randomMeasure(random, kind) }),
    ...((kind !== 'count' || op || random.chance(0.7)) && {
      is: randomNumberFilter(random, isCount ? COUNTS : NUMBERS, op),
    }),
    ...(random.chance(0.75) && { within: randomWindow(random, instants) }),
  };
}

function randomMeasure(random: Random, kind: MeasureKind): Json {
  if (kind === 'count' || kind === 'days') return { [kind]: true };
  return { [kind]: random.pick(kind === 'distinct' ? DISTINCT_PATHS : SUM_PATHS) };
}

const COUNTS = [-1, 0, 0, 1, 1, 2, 2, 3, 1.5];

function randomWhere(random: Random, instants: readonly number[]): Json {
  const path = random.pick([...EVENT_PATHS, '$value', EVENT_TIME, EVENT_TIME]);
  return { path, filter: filterFor(random, path, instants) };
}

/** What list filters are made of. */
export const LIST_PARTS: ListParts = { number: randomNumberFilter, text: randomTextFilter };

/** Mostly of the type that the path usually has. */
function filterFor(random: Random, path: string, instants: readonly number[]): Json {
  const isDate = DATE_PATHS.has(path) || (path === EVENT_TIME && random.chance(0.85));
  if (isDate || random.chance(0.03)) return { date: dateFilter(random, instants) };
  if (random.chance(0.2)) return randomFilter(random);
  if (NUMBER_PATHS.has(path)) return { number: randomNumberFilter(random, NUMBERS) };
  if (BOOLEAN_PATHS.has(path)) return { boolean: random.chance(0.5) };
  if (LIST_PATHS.has(path)) return { list: randomListFilter(random, LIST_PARTS) };
  return { text: randomTextFilter(random, WORDS[path] ?? TEXTS) };
}

export function randomFilter(random: Random): Json {
  switch (random.pick(['text', 'text', 'number', 'number', 'boolean', 'list', 'exists'])) {
    case 'text':
      return { text: randomTextFilter(random, TEXTS) };
    case 'number':
      return { number: randomNumberFilter(random, NUMBERS) };
    case 'boolean':
      return { boolean: random.chance(0.5) };
    case 'list':
      return { list: randomListFilter(random, LIST_PARTS) };
    default:
      return { exists: random.chance(0.5) };
  }
}

export const TEXT_OPS = ['equals', 'in', 'contains', 'startsWith', 'endsWith', 'matches'] as const;

export function randomTextFilter(
  random: Random,
  words: readonly string[],
  op: (typeof TEXT_OPS)[number] = random.pick(TEXT_OPS),
  not = random.chance(0.5),
): Json {
  const word = random.pick(words);
  const characters = [...word];
  const cut = random.between(0, characters.length);
  switch (op) {
    case 'equals':
      return { [not ? 'notEquals' : 'equals']: word };
    case 'in':
      return { [not ? 'notIn' : 'in']: [word, ...times(random.between(0, 3), () => random.pick(words))] };
    case 'contains':
      return { [not ? 'notContains' : 'contains']: characters.slice(cut, cut + 2).join('') };
    case 'startsWith':
      return { [not ? 'notStartsWith' : 'startsWith']: characters.slice(0, cut).join('') };
    case 'endsWith':
      return { [not ? 'notEndsWith' : 'endsWith']: characters.slice(cut).join('') };
    case 'matches':
      return { [not ? 'notMatches' : 'matches']: random.pick(PATTERNS) };
  }
}

const ORDERS = ['moreThan', 'atLeast', 'lessThan', 'atMost', 'between'] as const;
export const OPS = ['equals', 'notEquals', ...ORDERS] as const;
type NumberOp = (typeof OPS)[number];

/** Equality of numbers seldom holds; the others have two chances. */
export function randomNumberFilter(
  random: Random,
  numbers: readonly number[],
  op: NumberOp = random.pick([...OPS, ...ORDERS]),
): Json {
  if (op !== 'between') return { [op]: random.pick(numbers) };
  const [from, to] = [random.pick(numbers), random.pick(numbers)].sort((a, b) => a - b);
  return { between: { from, to } };
}

function dateFilter(random: Random, instants: readonly number[]): Json {
  return randomDateFilter(random, () => randomWindow(random, instants));
}

export function randomWindow(random: Random, instants: readonly number[]): Json {
  // Long windows twice as often: short ones hold next to nothing but edges.
  const [text, ms] = random.pick([...WINDOWS, ...WINDOWS.slice(-3)]);
  switch (random.pick(['last', 'last', 'moreThanAgo', 'ago', 'dates', 'calendar', 'calendar'])) {
    case 'last':
      return { last: text };
    case 'moreThanAgo':
      return { moreThanAgo: text };
    case 'calendar':
      return { calendar: random.pick(PERIODS) };
    case 'ago': {
      const shorter = WINDOWS.filter(([, other]) => other < ms).map(([other]) => other);
      return { ago: { from: text, to: random.pick(['PT0S', ...shorter]) } };
    }
    default: {
      const from = randomTime(random, instants);
      const to = from + random.pick([1, 2, SECOND, DAY, 30 * DAY]);
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

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}
