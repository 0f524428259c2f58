/**
 * Reference = all-profiles scope = changed-profiles scope, over data that is written straight into ClickHouse.
 */
import assert from 'node:assert/strict';
import { evaluateSubjects, type Subject } from '../../src/evaluation/changed-profiles.ts';
import { BLOCK } from '../../src/evaluation/blocks.ts';
import { isTrue } from '../../src/evaluation/diff.ts';
import { selectMembers } from '../../src/evaluation/all-profiles.ts';
import {
  consentLine,
  eventKey,
  eventLine,
  predictionLine,
  profileLine,
  traitLine,
  uuidOf,
} from '../../src/ingest/rows.ts';
import type { Condition, Leaf, ProfileFacts, Value } from '../../src/segments/ast.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { dayOf, startOfDay } from '../../src/segments/calendar.ts';
import { turningPoints, yearlyPoints } from '../../src/segments/turning-points.ts';
import { criteriaOf, evaluate, flatten, normalise, parseCondition } from '../../src/segments/index.ts';
import { insertLines, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { everyConsentCondition, randomConsent } from './consents.ts';
import { cover, type Coverage } from './coverage.ts';
import { everyDateCondition, everyWindow, ZONES } from './dates.ts';
import { certainComparisons } from './generate-certain.ts';
import {
  factsOf,
  randomCase,
  randomWindow,
  sequenceMakers,
  type CaseEvent,
  type CaseOptions,
  type RandomCase,
} from './generate.ts';
import { everyChangeCondition } from './predictions.ts';
import { seededRandom, type Random } from './random.ts';
import { everySequence } from './sequences.ts';

export interface ScopesResult {
  /** (condition, profile, instant, way of asking) that were compared with the reference. */
  cases: number;
  /** Of these, how many the reference holds for true. */
  trueCases: number;
}

/** Metric names are registered in this order, from id 1 on; the last two stay unknown. */
function metricIds(events: readonly CaseEvent[]): Map<string, number> {
  return new Map([...new Set(events.map(({ metric }) => metric))].map((metric, i) => [metric, i + 1]));
}

/** In the odd seeds the profiles lie on both sides of the border between two chunks, in the others between two blocks. */
const BORDER = 65_536;

/** Compares one seed's case, in account `account`; its data stays behind. Throws an AssertionError with the seed. */
export async function compareScopes(
  clickhouse: ClickHouse,
  account: number,
  seed: number,
  options: CaseOptions,
  coverage: Coverage,
): Promise<ScopesResult> {
  const one = randomCase(seed, options);
  const random = seededRandom(seed ^ 0x5c09e5);
  const timeZone = ZONES[seed % ZONES.length] ?? 'UTC';
  const first = (seed % 2 === 1 ? BORDER : BLOCK) - Math.floor(one.profiles.length / 2);
  const numbers = new Map(one.profiles.map(({ identifiers }, i) => [identifiers.externalId, first + i]));
  const gone = new Set([...numbers.values()].filter(() => random.chance(0.06)));
  const metrics = metricIds(one.events);
  await writeCase(clickhouse, account, one, { numbers, gone, metrics, random });
  // Somebody else's data under the same numbers and names.
  const other = randomCase(seed ^ 0x0ddacc, { ...options, conditions: 0 });
  await writeCase(clickhouse, account + 1, other, { numbers, gone: new Set(), metrics, random });

  const facts = new Map(
    [...factsOf(one)].map(([id, known]) => {
      const number = numbers.get(id) ?? 0;
      return [number, { ...known, number }];
    }),
  );
  const place: Place = { account, metrics, timeZone };
  // Shared out among six seeds.
  const window = () => randomWindow(random, one.instants);
  const every = [
    ...everyDateCondition(random, window),
    ...everyConsentCondition(random, window),
    ...everyChangeCondition(random),
    ...everySequence(random, sequenceMakers(random, one.instants), everyWindow(window)),
  ];
  const inputs = [
    ...one.conditions,
    ...certainComparisons(random, one.instants, seed),
    ...every.filter((_, i) => i % 6 === seed % 6),
  ];
  const conditions = inputs.map((input) => {
    const parsed = parseCondition(input);
    assert(parsed.ok, `seed ${seed}: a random condition is not valid: ${JSON.stringify(input)}`);
    cover(coverage, parsed.condition);
    return parsed.condition;
  });
  const tally: ScopesResult = { cases: 0, trueCases: 0 };
  const check = (way: string, condition: Condition, profile: number, at: number, said: boolean) => {
    const known = facts.get(profile) ?? profileFacts({ number: profile });
    const alive = way !== 'all profiles' || !gone.has(profile);
    const expected = alive && evaluate(condition, known, at, { timeZone });
    tally.cases += 1;
    if (expected) tally.trueCases += 1;
    if (said !== expected) {
      throw new assert.AssertionError({
        message: mismatch(seed, options, way, condition, profile, at, known, said),
      });
    }
  };
  const instants = [...one.instants, ...edgeInstants(conditions, facts, timeZone, one.instants, random)];
  await checkAllProfiles(clickhouse, place, conditions, instants, [...facts.keys()], check);
  await checkChangedProfiles(clickhouse, place, conditions, instants, [...facts.keys()], random, check);
  return tally;
}

type Check = (way: string, condition: Condition, profile: number, at: number, said: boolean) => void;
interface Place {
  account: number;
  metrics: ReadonlyMap<string, number>;
  timeZone: string;
}

/** A condition costs a query per instant: each is asked at some of them. */
async function checkAllProfiles(
  clickhouse: ClickHouse,
  place: Place,
  conditions: readonly Condition[],
  instants: readonly number[],
  profiles: readonly number[],
  check: Check,
): Promise<void> {
  const questions = conditions.flatMap((condition, i) => {
    const at = [0, 1, 2].map((k) => instants[(i * 3 + k) % instants.length] ?? 0);
    return [...new Set(at)].map((instant, k) => ({ condition, instant, turn: i + k }));
  });
  const there = [...new Set(profiles.map((profile) => Math.floor(profile / BORDER)))];
  // All there are; in one range; in more ranges than are compared one by one.
  const scattered = [...there.filter((_, i) => i % 2 === 0), 65_535, 40_000, 40_002, 40_004, 40_006];
  const choices = [null, Array.from({ length: Math.max(...there) + 1 }, (_, i) => i), scattered];
  await inParallel(4, questions, async ({ condition, instant, turn }) => {
    const chunks = choices[turn % choices.length] ?? null;
    const { sql, parameters, settings } = selectMembers(normalise(condition), {
      ...place,
      at: instant,
      chunks,
    });
    const rows = await query<{ chunk: number; lows: number[] }>(
      clickhouse,
      `SELECT chunk, bitmapToArray(members) AS lows FROM (${sql})`,
      parameters.values,
      { settings },
    );
    const members = new Set(rows.flatMap(({ chunk, lows }) => lows.map((low) => chunk * BORDER + low)));
    const asked = profiles.filter((profile) => chunks?.includes(Math.floor(profile / BORDER)) ?? true);
    for (const profile of asked) check('all profiles', condition, profile, instant, members.has(profile));
    for (const member of members)
      if (!asked.includes(member)) check('all profiles', condition, member, instant, true);
  });
}

async function checkChangedProfiles(
  clickhouse: ClickHouse,
  place: Place,
  conditions: readonly Condition[],
  instants: readonly number[],
  profiles: readonly number[],
  random: Random,
  check: Check,
): Promise<void> {
  const normal = conditions.map((condition) => ({ condition, normal: normalise(condition) }));
  const criteria = [
    ...new Map(
      normal
        .flatMap((one) => criteriaOf(one.normal))
        .map((criterion) => [JSON.stringify(criterion), criterion]),
    ).values(),
  ];
  const ask = async (way: string, subjects: Subject[]) => {
    const truths = await evaluateSubjects(clickhouse, place, subjects, criteria);
    for (const subject of subjects) {
      for (const one of normal) {
        const said = isTrue(one.normal, (criterion) => truths(subject, criterion));
        check(way, one.condition, subject.profile, subject.instant, said);
      }
    }
  };
  await inParallel(2, instants, (instant) =>
    ask(
      'changed profiles, one instant',
      profiles.map((profile) => ({ profile, instant })),
    ),
  );
  // Several instants of one profile in one query, as when differences are dated.
  const mixed = profiles.flatMap((profile) =>
    random
      .shuffle([...new Set(instants)])
      .slice(0, 3)
      .map((instant) => ({ profile, instant })),
  );
  await ask('changed profiles, mixed instants', mixed);
}

/**
 * Instants at which something is just about to happen, happens, or has just happened: of each kind of condition, and
 * days that begin.
 */
function edgeInstants(
  conditions: readonly Condition[],
  facts: ReadonlyMap<number, ProfileFacts>,
  timeZone: string,
  around: readonly number[],
  random: Random,
): number[] {
  const [first = 0, last = first] = [around[0], around.at(-1)];
  const kindOf = ({ kind }: Leaf) =>
    kind === 'event' || kind === 'sequence' || kind === 'prediction' ? kind : 'date';
  const edges = (kind: 'event' | 'sequence' | 'prediction' | 'date') =>
    conditions.flatMap(criteriaOf).flatMap((criterion) => {
      if (kindOf(criterion) !== kind) return [];
      const within = criterion.kind === 'event' ? criterion.within : null;
      const dates = within?.kind === 'dates' ? [within.from, within.to].filter((at) => at !== null) : [];
      const points = [...facts.values()].flatMap((known) => {
        const { once, yearly } = turningPoints(criterion, known, timeZone);
        return [...once, ...yearly.flatMap((each) => yearlyPoints(each, first, last, timeZone))];
      });
      return [...dates, ...points];
    });
  const midnights = around.map((at) => startOfDay(dayOf(at, timeZone) + random.between(0, 1), timeZone));
  const some = (instants: number[], count: number) => random.shuffle(instants).slice(0, count);
  const chosen = [edges('event'), edges('sequence'), edges('prediction'), edges('date'), midnights];
  return chosen.flatMap((each) => some(each, 1)).flatMap((edge) => [edge - 1, edge, edge + 1]);
}

interface Writing {
  numbers: ReadonlyMap<string, number>;
  gone: ReadonlySet<number>;
  metrics: Map<string, number>;
  random: Random;
}

/** As the ingest worker would leave it, in several inserts, newer ones not always later. */
async function writeCase(
  clickhouse: ClickHouse,
  account: number,
  one: RandomCase,
  { numbers, gone, metrics, random }: Writing,
): Promise<void> {
  const numberOf = (id: string) => numbers.get(id) ?? 0;
  const profiles: string[] = [];
  const traits: string[] = [];
  const values: string[] = [];
  for (const [id, { attributes, consents, predictions }] of factsOf(one)) {
    const profile = numberOf(id);
    profiles.push(profileLine(account, profile, 1, true));
    if (gone.has(profile)) profiles.push(profileLine(account, profile, 2, false));
    const trait = (revision: number, path: string, value: Value | null) =>
      traits.push(traitLine(account, profile, revision, path, value));
    for (const [path, value] of attributes) {
      if (random.chance(0.3)) trait(1, path, random.pick<Value | null>([null, 'gold', 5, true, ['gold']]));
      trait(2, path, value);
    }
    for (const [channel, consent] of consents) {
      if (random.chance(0.3)) {
        traits.push(consentLine(account, profile, 1, channel, randomConsent(random, consent.time)));
      }
      traits.push(consentLine(account, profile, 2, channel, consent));
    }
    for (const [path, history] of predictions) {
      for (const point of history) {
        const value = (revision: number, of: number | null) =>
          values.push(predictionLine(account, profile, revision, { path, time: point.time, value: of }));
        if (random.chance(0.3)) value(1, random.pick([null, 0.2, 7]));
        value(2, point.value);
      }
    }
    for (const path of ['properties.plan', 'properties.price', 'firstName']) {
      if (attributes.has(path) || random.chance(0.5)) continue;
      trait(1, path, random.pick<Value>(['gold', 'Ada', 5]));
      trait(2, path, null);
    }
  }
  const known = new Set<string>();
  const events = one.events.flatMap((event) => {
    if (known.has(event.uniqueId)) return [];
    known.add(event.uniqueId);
    const metric = metrics.get(event.metric);
    // The other account's metrics are its own.
    if (metric === undefined) return [];
    const ids = {
      event: uuidOf(eventKey(event.uniqueId)),
      metric,
      profile: numberOf(event.profile.externalId),
    };
    const record = {
      kind: 'event' as const,
      account,
      arrivedAt: Date.parse(event.time),
      uniqueId: event.uniqueId,
      metric: event.metric,
      identifiers: event.profile,
      time: Date.parse(event.time),
      value: event.value ?? null,
      currency: event.currency ?? null,
      properties: event.properties ?? {},
      backfill: false,
    };
    return [eventLine(record, ids, flatten(record.properties))];
  });
  let inserts = 0;
  const write = async (table: 'events' | 'traits' | 'predictions' | 'profiles', lines: string[]) => {
    const half = lines.length >> 1;
    for (const part of random.shuffle([lines.slice(0, half), lines.slice(half)])) {
      await insertLines(clickhouse, table, part, `case:${account}:${table}:${inserts++}`);
    }
  };
  await write('profiles', profiles);
  await write('traits', random.shuffle(traits));
  await write('predictions', random.shuffle(values));
  await write('events', events);
}

function mismatch(
  seed: number,
  options: CaseOptions,
  way: string,
  condition: Condition,
  profile: number,
  at: number,
  facts: ProfileFacts,
  said: boolean,
): string {
  const shown = {
    condition,
    number: facts.number,
    attributes: Object.fromEntries(facts.attributes),
    consents: [...facts.consents],
    predictions: [...facts.predictions],
    events: facts.events.map((event) => ({ ...event, properties: Object.fromEntries(event.properties) })),
  };
  return [
    `seed ${seed}: ${way} says ${said} for profile ${profile} at ${at} (${new Date(at).toISOString()})`,
    JSON.stringify(shown),
    `options ${JSON.stringify(options)}`,
    `reproduce: npm run fuzz -- --part scopes --seed ${seed} --cases 1`,
  ].join('\n');
}

export async function inParallel<T>(
  width: number,
  items: readonly T[],
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of left) await work(item);
    }),
  );
}
