/** What happens next, at random: the steps of a script, made as it goes along, from one seed. */
import type { ConsentInput, EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import type { Condition } from '../../src/segments/ast.ts';
import { criteriaOf, evaluate } from '../../src/segments/index.ts';
import { turningPoints, yearlyPoints } from '../../src/segments/turning-points.ts';
import { streamOfMetric } from '../../src/storage/topics.ts';
import { CHANNELS, consentInput, randomConsent } from './consents.ts';
import { EVENT_TIME, PERIODS, randomDate, randomDateFilter } from './dates.ts';
import {
  randomCondition,
  randomNumberFilter,
  randomProperties,
  randomWindow,
  type Json,
} from './generate.ts';
import { randomPlace, randomProfileLeaf } from './generate-profile.ts';
import { factsAbout, IDENTIFIER_KINDS, type IdentifierKind, type Model, type ModelProfile } from './model.ts';
import { DIMENSIONS, randomChange, randomPredictions } from './predictions.ts';
import type { Random } from './random.ts';
import { CITIES, FIRST_NAMES, METRICS, NUMBERS, TEXTS } from './vocabulary.ts';

export type Step =
  | { kind: 'events'; inputs: EventInput[] }
  | { kind: 'profiles'; inputs: ProfileInput[] }
  | { kind: 'consents'; inputs: ConsentInput[] }
  | { kind: 'create'; condition: Json }
  | { kind: 'edit'; segment: number; condition: Json }
  | { kind: 'delete'; segment: number }
  | { kind: 'advance'; to: number }
  | { kind: 'restart'; what: 'evaluator' | 'ingest' | 'both'; rolling: boolean }
  | { kind: 'reconnect' };

export interface Situation {
  random: Random;
  model: Model;
  now: number;
  /** The account's. */
  timeZone: string;
  /** By ascending number; each refers to some of those before it. */
  segments: readonly { segment: number; id: string; condition: Condition; references: readonly number[] }[];
  /** Conditions that are to come before random ones. */
  certain: Json[];
  /** Records of one call may take effect in any order: the account is spread over partitions. */
  spread: boolean;
}

const SECOND = 1_000;
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WINDOWS = [
  ['PT1.5S', 1_500],
  ['PT1H', HOUR],
  ['P1D', DAY],
  ['P7D', 7 * DAY],
  ['P30D', 30 * DAY],
] as const;
/** No leap goes beyond: in 2106 the clock ends by which ClickHouse forgets future events, and all seeds share one time. */
const FARTHEST = Date.UTC(2080, 0, 1);
const PEOPLE = 7;
const SEGMENTS = 9;

export function nextStep(situation: Situation): Step {
  const { random, segments } = situation;
  // Something to work with.
  if (segments.length < 6) return create(situation);
  if (situation.model.uniqueIds().length < 25) return events(situation);
  const kinds: (() => Step)[] = [
    ...repeat(6, () => events(situation)),
    ...repeat(3, () => writes(situation)),
    ...repeat(3, () => links(situation)),
    ...repeat(3, () => risk(situation)),
    ...repeat(3, () => consents(situation)),
    ...repeat(3, () => nextAdvance(situation)),
    ...repeat(segments.length < SEGMENTS ? 2 : 0, () => create(situation)),
    ...repeat(1, () => edit(situation)),
    ...repeat(segments.length > 5 ? 1 : 0, () => ({
      kind: 'delete' as const,
      // The last one at least.
      segment: random.pick(segments.filter(({ segment }) => !isReferredTo(segments, segment))).segment,
    })),
    ...repeat(1, () => ({
      kind: 'restart' as const,
      what: random.pick(['evaluator', 'ingest', 'both'] as const),
      rolling: random.chance(0.3),
    })),
    ...repeat(1, () => ({ kind: 'reconnect' as const })),
  ];
  return random.pick(kinds)();
}

/** Events of people who are each named by one identifier, so that nobody is united with anybody. */
function events(situation: Situation): Step {
  const { random, model } = situation;
  const inputs: EventInput[] = [];
  const named = new Map<string, string>();
  const count = random.between(1, 10);
  while (inputs.length < count) {
    const again = random.pick([...inputs, undefined, undefined, undefined]);
    // The same call twice in one batch: sometimes the very same, sometimes with other contents, in the same stream.
    if (again && random.chance(0.4)) {
      inputs.push(random.chance(0.5) ? again : { ...again, value: random.pick(NUMBERS), properties: {} });
      continue;
    }
    const profile = consistent(model, named, oneIdentifier(random));
    const input = event(situation, profile, metric(random));
    const old = model.uniqueIds();
    if (old.length > 0 && random.chance(0.1)) input.uniqueId = random.pick(old);
    inputs.push(input);
  }
  return { kind: 'events', inputs };
}

/**
 * Streams overtake one another, and the last identifier of a kind is the one that is shown: within a call each person
 * goes by one of each kind.
 */
function consistent(
  model: Model,
  named: Map<string, string>,
  given: EventInput['profile'],
): EventInput['profile'] {
  const [[kind, value] = ['', '']] = Object.entries(given) as [IdentifierKind, string][];
  const profile = model.find(kind as IdentifierKind, value);
  if (!profile) return given;
  const key = `${kind}:${nameOf(profile)}`;
  const known = named.get(key) ?? value;
  named.set(key, known);
  return { [kind]: known };
}

const names = new WeakMap<ModelProfile, number>();
let nextName = 0;
function nameOf(profile: ModelProfile): number {
  const name = names.get(profile) ?? nextName++;
  names.set(profile, name);
  return name;
}

function writes(situation: Situation): Step {
  const { random, spread } = situation;
  const count = spread ? 1 : random.between(1, 4);
  return {
    kind: 'profiles',
    inputs: Array.from({ length: count }, () => write(situation, oneIdentifier(random))),
  };
}

/** Of few people, so that it rises and falls again. */
function risk({ random }: Situation): Step {
  const properties = { $predictions: { churnRisk: random.pick([0, 0.5, 1]) } };
  return {
    kind: 'profiles',
    inputs: [{ identifiers: { externalId: `p${random.between(1, 2)}` }, properties }],
  };
}

/** Writes with several identifiers: whoever they lead to is one person from now on. Chains come about by themselves. */
function links(situation: Situation): Step {
  const { random, spread } = situation;
  const count = spread ? 1 : random.pick([1, 1, 2, 3]);
  if (random.chance(0.6)) {
    return {
      kind: 'profiles',
      inputs: Array.from({ length: count }, () => write(situation, severalIdentifiers(situation))),
    };
  }
  // One stream keeps their order.
  const stream = streamOfMetric(metric(random));
  const same = METRICS.filter((other) => streamOfMetric(other) === stream);
  return {
    kind: 'events',
    inputs: Array.from({ length: count }, () =>
      event(situation, severalIdentifiers(situation), random.pick(same)),
    ),
  };
}

/** In any order of their own times, at the same times, and sometimes by writes that unite people. */
function consents(situation: Situation): Step {
  const { random, spread, now } = situation;
  const count = spread ? 1 : random.between(1, 5);
  const times = [timeOf(random, now), timeOf(random, now)].map((time) => Math.min(time, now + 5 * 60_000));
  const inputs = Array.from({ length: count }, () => {
    const identifiers = random.chance(0.25) ? severalIdentifiers(situation) : oneIdentifier(random);
    const { at, ...input } = consentInput(randomConsent(random, random.pick(times)), identifiers);
    return random.chance(0.2) ? input : { ...input, at };
  });
  return { kind: 'consents', inputs };
}

function create(situation: Situation): Step {
  const { random, segments, certain } = situation;
  // Two of the first ask for nothing but the membership of one that time turns, if there is one by then.
  const timed = segments.filter(({ condition }) => JSON.stringify(condition).includes('"kind":"last"'));
  if (timed.length > 0 && segments.length >= 4 && segments.length < 6) {
    const { id } = random.pick(timed);
    return { kind: 'create', condition: { segment: { id, member: segments.length === 4 } } };
  }
  const own = certain.shift() ?? condition(situation);
  return { kind: 'create', condition: referring(situation, segments, own) };
}

function edit(situation: Situation): Step {
  const { random, segments } = situation;
  const referredTo = segments.filter(({ segment }) => isReferredTo(segments, segment));
  const { segment } = random.pick(referredTo.length > 0 && random.chance(0.5) ? referredTo : segments);
  const earlier = segments.filter((other) => other.segment < segment);
  return { kind: 'edit', segment, condition: referring(situation, earlier, condition(situation)) };
}

function isReferredTo(segments: Situation['segments'], segment: number): boolean {
  return segments.some(({ references }) => references.includes(segment));
}

/** Often it asks for the membership of an earlier segment as well, which may do so itself. */
function referring({ random }: Situation, earlier: Situation['segments'], own: Json): Json {
  if (earlier.length === 0 || random.chance(0.5)) return own;
  const { id } = random.pick(earlier);
  const member = random.pick([{}, { member: true }, { member: false }]);
  const reference = { segment: { id, ...member } };
  if (random.chance(0.3)) return reference;
  const parts = [own, random.chance(0.2) ? { not: reference } : reference];
  return { [random.pick(['all', 'any'])]: random.shuffle(parts) };
}

/** To the very edge of something, around it, a little, or as far as after a night, a month, a season of downtime. */
export function nextAdvance(situation: Situation): Step {
  const { random, now } = situation;
  const edges = edgesAhead(situation).filter(({ at }) => at < FARTHEST);
  const turning = edges.filter(({ turns }) => turns);
  const ahead = (turning.length > 0 && random.chance(0.6) ? turning : edges)
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  if (ahead.length > 0 && random.chance(0.85)) {
    const edge = random.chance(0.6)
      ? ahead[random.between(0, Math.min(2, ahead.length - 1))]
      : random.pick(ahead);
    const to = (edge ?? now) + random.pick([-1, 0, 0, 1]);
    if (to > now) return { kind: 'advance', to };
  }
  const step = random.pick([1, 250, SECOND, HOUR, DAY, 2 * DAY, 8 * DAY, 31 * DAY, 70 * DAY]);
  return { kind: 'advance', to: now + random.between(1, step) };
}

/**
 * Instants after now at which something of somebody crosses an edge of a segment's condition, days among them; and
 * whether somebody then enters or leaves it, as far as is known now.
 */
function edgesAhead({ model, now, segments, timeZone }: Situation): { at: number; turns: boolean }[] {
  const people = model.living().map(factsAbout);
  return segments.flatMap(({ condition }) =>
    people.flatMap((facts) => {
      const points = criteriaOf(condition).map((leaf) => turningPoints(leaf, facts, timeZone));
      const instants = points.flatMap(({ once, yearly }) => [
        ...once,
        ...yearly.flatMap((each) => yearlyPoints(each, now, now, timeZone)),
      ]);
      const holds = (at: number) => evaluate(condition, facts, at, { timeZone });
      // Dates lie centuries ahead, too: nobody waits for them.
      return instants
        .filter((at) => at > now && at < now + 400 * DAY)
        .map((at) => ({ at, turns: holds(at) !== holds(at - 1) }));
    }),
  );
}

/** Many of them about a window: the others hardly ever change while time passes. */
function condition({ random, now }: Situation): Json {
  if (random.chance(0.1)) return randomProfileLeaf(random, randomNumberFilter);
  if (random.chance(0.35)) return randomCondition(random, [now, now + HOUR, now + 10 * DAY], 2);
  const windowed = (): Json => {
    const [text, ms] = random.pick(WINDOWS);
    const shorter = WINDOWS.filter(([, other]) => other < ms).map(([other]) => other);
    const window = random.pick<Json>([
      { last: text },
      { last: text },
      { moreThanAgo: text },
      { calendar: random.pick(PERIODS) },
      { ago: { from: text, to: random.pick(['PT0S', ...shorter]) } },
    ]);
    if (random.chance(0.25)) {
      const status = random.chance(0.6) ? { status: ['SUBSCRIBED'] } : {};
      return { consent: { channel: random.pick(CHANNELS), ...status, since: window } };
    }
    return {
      event: {
        metric: metric(random),
        is: { [random.pick(['atLeast', 'atLeast', 'lessThan', 'equals'])]: random.pick([1, 1, 2, 3]) },
        within: window,
      },
    };
  };
  const date = () => randomDateFilter(random, () => randomWindow(random, [now, now + HOUR, now + 10 * DAY]));
  const dated = () =>
    random.pick<() => Json>([
      () => ({ property: { path: 'properties.due', filter: { date: date() } } }),
      () => ({
        event: {
          metric: metric(random),
          where: [{ path: random.pick(['due', EVENT_TIME]), filter: { date: date() } }],
        },
      }),
      () => ({ prediction: { dimension: random.pick(DIMENSIONS), change: randomChange(random) } }),
    ])();
  const timely = () => (random.chance(0.4) ? dated() : windowed());
  if (random.chance(0.5)) return timely();
  const parts = [timely(), random.chance(0.5) ? { not: timely() } : timely()];
  return { [random.pick(['all', 'any'])]: parts };
}

function event(situation: Situation, profile: EventInput['profile'], metric: string): EventInput {
  const { random, now } = situation;
  return {
    uniqueId: `u${random.between(0, 2 ** 31)}`,
    metric,
    profile,
    time: Math.max(0, timeOf(random, now)),
    ...(random.chance(0.5) && { value: random.pick(NUMBERS) }),
    ...(random.chance(0.6) && { properties: randomProperties(random, [now]) }),
    ...(random.chance(0.1) && { backfill: true }),
  };
}

function timeOf(random: Random, now: number): number {
  const jitter = random.pick([-SECOND, -1, 0, 1, SECOND, random.between(0, HOUR)]);
  if (random.chance(0.35)) return now - random.pick([0, 0, 1, SECOND]);
  if (random.chance(0.5)) return now - random.pick(WINDOWS)[1] + jitter;
  if (random.chance(0.5)) return now - random.between(0, 70 * DAY);
  return now + random.pick([1, SECOND, HOUR, DAY, 8 * DAY]) + jitter;
}

/** Two of them most of the time, so that conditions and events meet. */
function metric(random: Random): string {
  return random.pick([...METRICS.slice(0, 2), ...METRICS]);
}

function write({ random, now }: Situation, identifiers: ProfileInput['identifiers']): ProfileInput {
  const maybe = <V>(chance: number, key: keyof ProfileInput, value: () => V) =>
    random.chance(chance) ? { [key]: value() } : {};
  const orNull = <V>(value: V): V | null => (random.chance(0.15) ? null : value);
  const tags = () => [random.pick(TEXTS), random.pick(TEXTS)];
  return {
    identifiers,
    ...maybe(0.3, 'firstName', () => orNull(random.pick(FIRST_NAMES))),
    ...maybe(0.2, 'lastName', () => orNull(random.pick(FIRST_NAMES))),
    ...maybe(0.4, 'location', () => ({
      city: orNull(random.pick(CITIES)),
      ...Object.fromEntries(
        Object.entries(randomPlace(random)).map(([name, value]) => [name, orNull(value)]),
      ),
    })),
    ...maybe(0.8, 'properties', () => {
      const { '': _, ...properties } = randomProperties(random, [now]);
      return {
        ...properties,
        ...(random.chance(0.2) && { plan: null }),
        ...(random.chance(0.6) && {
          $predictions: orNull({
            ...randomPredictions(random),
            ...(random.chance(0.6) && { expectedNextOrderAt: randomDate(random, [now]) }),
          }),
        }),
      };
    }),
    ...maybe(0.25, 'append', () => ({ tags: random.chance(0.5) ? tags() : random.pick(TEXTS) })),
    ...maybe(0.2, 'remove', () => ({ tags: random.chance(0.5) ? tags() : random.pick(TEXTS) })),
  };
}

function oneIdentifier(random: Random): Record<string, string> {
  const kind = random.pick(IDENTIFIER_KINDS);
  return { [kind]: identifier(random, kind) };
}

function severalIdentifiers({ random, model }: Situation): Record<string, string> {
  const kinds = random.shuffle(IDENTIFIER_KINDS).slice(0, random.pick([1, 2, 2, 2, 3]));
  const ids = model.ids();
  const byId = ids.length > 0 && random.chance(0.2) ? { id: random.pick(ids) } : {};
  return { ...byId, ...Object.fromEntries(kinds.map((kind) => [kind, identifier(random, kind)])) };
}

function identifier(random: Random, kind: IdentifierKind): string {
  const person = random.between(1, PEOPLE);
  switch (kind) {
    case 'externalId':
      return `p${person}`;
    case 'email':
      return `u${person}@x.com`;
    case 'phone':
      return `+4900${person}`;
    case 'anonymousId':
      return `cookie ${person}`;
  }
}

function repeat<T>(count: number, value: T): T[] {
  return Array.from({ length: count }, () => value);
}
