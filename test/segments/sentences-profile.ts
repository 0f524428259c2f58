/** What each sentence of the documentation about consents, segments, places, predictions and samples means, tried. */
import { expect } from 'vitest';
import type { Channel, ConsentFacts, ConsentStatus, ProfileFacts } from '../../src/segments/ast.ts';
import { expand } from '../../src/segments/expand.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { distanceKm } from '../../src/segments/geo.ts';
import { LIMITS } from '../../src/segments/limits.ts';
import { hashOf } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { COUNTRIES_OF } from '../../src/segments/places.ts';
import { toInput } from '../../src/segments/print.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { readStored, toStored } from '../../src/segments/stored.ts';
import { findCycle } from '../../src/segments/touch.ts';
import { mistakes, NOW, parsed, postalCodesWith, profile, trueFor } from './helpers.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const STATUSES = ['SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED'] as const;

/** Someone with an address of each kind, and this consent. */
function consenting(
  channel: Channel,
  consent: Partial<ConsentFacts> | null,
  attributes: object,
): ProfileFacts {
  const full: ConsentFacts = { status: 'SUBSCRIBED', time: NOW - DAY, source: null, ...consent };
  return { ...profile(attributes), consents: new Map(consent ? [[channel, full]] : []) };
}
const REACHABLE = { email: 'ada@x.com', phone: '+491' };
const consent = (
  details: object,
  given: Partial<ConsentFacts> | null,
  channel: Channel = 'EMAIL',
  who = REACHABLE,
) => trueFor({ consent: { channel, ...details } }, consenting(channel, given, who));
/** The statuses (null: none recorded) for which messages can be received. */
const receiving = (channel: Channel, canReceive: boolean, who: object = REACHABLE) =>
  [...STATUSES, null].filter((status: ConsentStatus | null) =>
    trueFor({ consent: { channel, canReceive } }, consenting(channel, status && { status }, who)),
  );

const at = (latitude: unknown, longitude: unknown) => profile({ location: { latitude, longitude } });
const near = (details: object, facts: ProfileFacts) =>
  trueFor({ near: { latitude: 52.52, longitude: 13.405, ...details } }, facts);
const MUNICH = at(48.137, 11.575);

const region = (name: string, inside: boolean, country: unknown) =>
  trueFor({ region: { region: name, inside } }, profile({ location: { country } }));

const predicted = ($predictions: object) => profile({ properties: { $predictions } });
const risk = (details: object) => ({ prediction: { dimension: 'CHURN_RISK', ...details } });
/** Values of the churn risk, each from so many hours ago on. */
const risks = (...points: [hoursAgo: number, value: number | null][]) =>
  profileFacts({
    predictions: new Map([
      [
        'properties.$predictions.churnRisk',
        points.map(([hours, value]) => ({ time: NOW - hours * HOUR, value })),
      ],
    ]),
  });
const changed = (by: number, facts: ProfileFacts, now = NOW) =>
  trueFor(risk({ change: { by, within: 'PT1H' } }), facts, now);

const numbers = Array.from({ length: 4_000 }, (_, number) => number);
const sampled = (percent: number, salt = '') =>
  numbers.filter((number) => trueFor({ sample: { percent, salt } }, profileFacts({ number })));

export const PROFILE_SENTENCES: Record<string, () => void> = {
  'What counts is the newest consent of the channel by its own time; all parts that are given must hold for it.':
    () => {
      const details = { status: ['SUBSCRIBED'], since: { last: 'P7D' }, source: { equals: 'form' } };
      expect(consent(details, { source: 'form' })).toBe(true);
      expect(consent(details, { source: 'import' })).toBe(false);
      expect(consent(details, { source: 'form', time: NOW - 7 * DAY })).toBe(false);
      expect(consent(details, { source: 'form', status: 'UNSUBSCRIBED' })).toBe(false);
      const other = consenting('SMS', { source: 'form' }, REACHABLE);
      expect(trueFor({ consent: { channel: 'EMAIL', ...details } }, other)).toBe(false);
    },
  'Who has no consent of a channel is NEVER_SUBSCRIBED there.': () => {
    expect(consent({ status: ['NEVER_SUBSCRIBED'] }, null)).toBe(true);
    expect(consent({ status: ['SUBSCRIBED', 'UNSUBSCRIBED'] }, null)).toBe(false);
    expect(consent({ status: [...STATUSES] }, null)).toBe(true);
  },
  '`status` holds for any of the statuses listed.': () => {
    for (const status of STATUSES) {
      expect(consent({ status: [status] }, { status })).toBe(true);
      expect(consent({ status: STATUSES.filter((other) => other !== status) }, { status })).toBe(false);
    }
    expect(consent({ status: ['UNSUBSCRIBED', 'SUBSCRIBED'] }, { status: 'SUBSCRIBED' })).toBe(true);
  },
  '`canReceive` by e-mail: there is an address, and nobody has unsubscribed.': () => {
    expect(receiving('EMAIL', true)).toEqual(['SUBSCRIBED', 'NEVER_SUBSCRIBED', null]);
    expect(receiving('EMAIL', true, { phone: '+491' })).toEqual([]);
  },
  '`canReceive` by SMS: there is a number, and a subscription. By push: a subscription.': () => {
    expect(receiving('SMS', true)).toEqual(['SUBSCRIBED']);
    expect(receiving('SMS', true, { email: 'ada@x.com' })).toEqual([]);
    expect(receiving('PUSH', true, {})).toEqual(['SUBSCRIBED']);
  },
  '`canReceive: false` holds for everyone else.': () => {
    expect(receiving('EMAIL', false)).toEqual(['UNSUBSCRIBED']);
    expect(receiving('EMAIL', false, {})).toEqual([...STATUSES, null]);
    expect(receiving('SMS', false)).toEqual(['UNSUBSCRIBED', 'NEVER_SUBSCRIBED', null]);
    expect(receiving('PUSH', false, {})).toEqual(['UNSUBSCRIBED', 'NEVER_SUBSCRIBED', null]);
  },
  '`since` and `source` hold only for a consent that was recorded; `source` only for one that has a source.':
    () => {
      for (const details of [{ since: { last: 'P3650D' } }, { source: { notEquals: 'form' } }]) {
        expect(consent(details, null)).toBe(false);
        expect(consent({ ...details, status: ['NEVER_SUBSCRIBED'] }, null)).toBe(false);
        expect(consent(details, { source: 'import' })).toBe(true);
      }
      expect(consent({ source: { notEquals: 'form' } }, { source: null })).toBe(false);
      expect(consent({ source: { equals: '' } }, { source: '' })).toBe(true);
    },
  'A consent whose time has not come yet has its status, but lies in no window.': () => {
    const ahead = { time: NOW + 1 };
    expect(consent({ status: ['SUBSCRIBED'] }, ahead)).toBe(true);
    for (const since of [
      { last: 'P1D' },
      { calendar: 'THIS_YEAR' },
      { dates: { from: '2026-01-01T00:00:00Z' } },
    ]) {
      expect(consent({ since }, ahead)).toBe(false);
      expect(consent({ since }, { time: NOW })).toBe(true);
    }
  },
  'A consent condition says at least one thing besides the channel.': () => {
    expect(mistakes({ consent: { channel: 'EMAIL' } })).toEqual(['REQUIRED consent']);
    expect(mistakes({ consent: { channel: 'EMAIL', canReceive: false } })).toEqual([]);
  },

  '`segment` holds for the members of the other segment, `member: false` for everyone else.': () => {
    const facts = profileFacts({ memberships: new Set(['S1']) });
    expect(trueFor({ segment: { id: 'S1' } }, facts)).toBe(true);
    expect(trueFor({ segment: { id: 'S1', member: false } }, facts)).toBe(false);
    expect(trueFor({ segment: { id: 'S2' } }, facts)).toBe(false);
    expect(trueFor({ segment: { id: 'S2', member: false } }, facts)).toBe(true);
  },
  'A segment that does not exist has no members.': () => {
    expect(trueFor({ segment: { id: 'nowhere' } }, profile({}))).toBe(false);
    expect(trueFor({ segment: { id: 'nowhere', member: false } }, profile({}))).toBe(true);
  },
  '`segment` means what the condition of that segment means at the same instant, with the segments that it refers to itself.':
    () => {
      const bought = parsed({ event: { metric: 'Placed Order', within: { last: 'P1D' } } });
      const conditions = new Map([
        ['A', bought],
        ['B', parsed({ segment: { id: 'A', member: false } })],
      ]);
      const written = expand(parsed({ not: { segment: { id: 'B' } } }), (id) => conditions.get(id) ?? null);
      if (!written.ok) throw new Error(written.problem);
      expect(hashOf(written.condition)).toBe(hashOf(bought));
      const facts = profile({}, [{ time: NOW }]);
      const day = 86_400_000;
      const truths = [NOW - 1, NOW, NOW + day - 1, NOW + day].map((at) =>
        evaluate(written.condition, facts, at),
      );
      expect(truths).toEqual([false, true, true, false]);
    },
  'With the conditions of all segments it refers to, a condition has at most 500 conditions, 100 levels of nesting, and 4,000,000 characters of JSON; references lead over at most 10 segments, one to the next.':
    () => {
      // Each limit is tried in expand.test.ts, from both sides.
      expect(LIMITS).toMatchObject({
        expandedConditions: 500,
        expandedDepth: 100,
        expandedCharacters: 4_000_000,
        references: 10,
      });
      const own = parsed({ property: { path: 'email', filter: { exists: true } } });
      const refersTo = (id: string) => parsed({ segment: { id } });
      const chain = (id: string) => (id === '0' ? own : refersTo(`${Number(id) - 1}`));
      expect(expand(refersTo('9'), chain).ok).toBe(true);
      expect(expand(refersTo('10'), chain).ok).toBe(false);
    },
  'Segments that refer to one another in a circle are found, whatever its length.': () => {
    const refersTo = (...ids: string[]) => parsed({ all: ids.map((id) => ({ not: { segment: { id } } })) });
    const plain = parsed({ property: { path: 'email', filter: { exists: true } } });
    const graph = (edges: Record<string, readonly string[]>) =>
      findCycle(
        new Map(Object.entries(edges).map(([id, to]) => [id, to.length > 0 ? refersTo(...to) : plain])),
      );
    expect(graph({ a: ['a'] })).toEqual(['a', 'a']);
    expect(graph({ a: ['b'], b: ['c'], c: ['b'] })).toEqual(['b', 'c', 'b']);
    expect(graph({ a: ['b', 'c'], b: ['d'], c: ['d'], d: [], e: ['gone'] })).toBeNull();
    const chain = Array.from({ length: 1_000 }, (_, i) => [`s${i}`, [`s${i + 1}`]] as const);
    expect(graph(Object.fromEntries(chain))).toBeNull();
    expect(graph({ ...Object.fromEntries(chain), s1000: ['s0'] })).toHaveLength(1_002);
  },

  "A profile's place is its location.latitude and location.longitude, both numbers on the globe.": () => {
    expect(near({ within: 1 }, at(52.52, 13.405))).toBe(true);
    expect(near({ within: 505 }, MUNICH)).toBe(true);
    for (const facts of [at('52.52', '13.405'), at(52.52, null), at(91, 13), at(52.52, 181)]) {
      expect(near({ within: 20_000 }, facts)).toBe(false);
    }
  },
  'A profile without a place is neither within a distance nor beyond it.': () => {
    for (const facts of [profile({}), at(91, 13), at(52.52, null)]) {
      expect(near({ within: 1 }, facts)).toBe(false);
      expect(near({ within: 1, beyond: true }, facts)).toBe(false);
    }
  },
  '`within` includes the distance itself; `beyond: true` holds for every place farther away.': () => {
    const exact = distanceKm({ latitude: 52.52, longitude: 13.405 }, { latitude: 48.137, longitude: 11.575 });
    for (const within of [exact * (1 - 1e-9), exact * (1 + 1e-9)]) {
      expect(near({ within }, MUNICH)).toBe(within > exact);
      expect(near({ within, beyond: true }, MUNICH)).toBe(within < exact);
    }
    expect(near({ within: 20_000, latitude: 0, longitude: 0 }, at(0, 180))).toBe(false);
    expect(near({ within: 20_000, beyond: true, latitude: 0, longitude: 0 }, at(0, 180))).toBe(true);
  },
  'Distances are great circles on a sphere of radius 6,371.0088 km; a mile is 1.609344 km.': () => {
    const quarter = (Math.PI / 2) * 6_371.0088;
    expect(distanceKm({ latitude: 90, longitude: 0 }, { latitude: 0, longitude: 77 })).toBeCloseTo(
      quarter,
      6,
    );
    expect(distanceKm({ latitude: 0, longitude: 179 }, { latitude: 0, longitude: -179 })).toBeCloseTo(
      quarter / 45,
      6,
    );
    const miles = (within: number) => near({ within, unit: 'MILES', latitude: 90 }, at(0, 0));
    expect([miles(quarter / 1.609344 - 0.001), miles(quarter / 1.609344 + 0.001)]).toEqual([false, true]);
  },
  'A postal code stands for the centre of its area.': () => {
    const input = { near: { postalCode: '10115', country: 'DE', within: 5 } };
    const result = parseCondition(
      input,
      postalCodesWith({ ...input.near, latitude: 52.53, longitude: 13.38 }),
    );
    const byCentre = parsed({ near: { latitude: 52.53, longitude: 13.38, within: 5 } });
    expect(result.ok && evaluate(result.condition, at(52.52, 13.405), NOW)).toBe(true);
    expect(result.ok && hashOf(result.condition)).toBe(hashOf(byCentre));
  },
  'A segment keeps the centre that its postal code had when the condition was given.': () => {
    const near = { postalCode: '10115', country: 'DE', within: 5 };
    const input = {
      not: { any: [{ near }, { near: { ...near, beyond: true } }, { sample: { percent: 1 } }] },
    };
    const result = parseCondition(input, postalCodesWith({ ...near, latitude: 52.53, longitude: 13.38 }));
    const condition = result.ok && result.condition;
    const stored = condition && toStored(condition);
    expect(stored && readStored(stored)).toEqual(condition);
    expect(stored && toInput(readStored(stored))).toEqual(input);
    const byCentre = { near: { latitude: 52.53, longitude: 13.38, within: 5 } };
    expect(JSON.parse(toStored(parsed(byCentre)))).toEqual(byCentre);
    expect(() => readStored(JSON.stringify(input))).toThrow('cannot be read');
  },
  'A region holds for the countries in it by location.country: ISO codes of two and three letters, or English names.':
    () => {
      for (const country of ['DE', 'DEU', 'Germany', 'HR', 'Czechia']) {
        expect(region('EUROPEAN_UNION', true, country)).toBe(true);
        expect(region('UNITED_STATES', true, country)).toBe(false);
      }
      for (const country of ['US', 'USA', 'United States'])
        expect(region('UNITED_STATES', true, country)).toBe(true);
      for (const country of ['GB', 'CH', 'NO', 'de', ''])
        expect(region('EUROPEAN_UNION', true, country)).toBe(false);
      expect(COUNTRIES_OF.EUROPEAN_UNION.filter((name) => name.length === 2)).toHaveLength(27);
      expect(COUNTRIES_OF.EUROPEAN_UNION.filter((name) => /^[A-Z]{3}$/.test(name))).toHaveLength(27);
    },
  '`inside: false` holds for any other text in location.country; an unset country is neither inside nor outside.':
    () => {
      for (const country of ['GB', 'Narnia', 'de', ''])
        expect(region('EUROPEAN_UNION', false, country)).toBe(true);
      expect(region('EUROPEAN_UNION', false, 'FR')).toBe(false);
      for (const country of [undefined, null, 49]) {
        expect(region('EUROPEAN_UNION', false, country)).toBe(false);
        expect(region('EUROPEAN_UNION', true, country)).toBe(false);
      }
    },

  'Predictions are properties under `$predictions`: expectedNextOrderAt, predictedLifetimeValue, historicLifetimeValue, churnRisk, averageDaysBetweenOrders.':
    () => {
      const dimensions = {
        PREDICTED_LIFETIME_VALUE: 'predictedLifetimeValue',
        HISTORIC_LIFETIME_VALUE: 'historicLifetimeValue',
        CHURN_RISK: 'churnRisk',
        AVERAGE_DAYS_BETWEEN_ORDERS: 'averageDaysBetweenOrders',
      };
      for (const [dimension, name] of Object.entries(dimensions)) {
        const number = { equals: 0.5 };
        const asProperty = { property: { path: `properties.$predictions.${name}`, filter: { number } } };
        expect(trueFor({ prediction: { dimension, number } }, predicted({ [name]: 0.5 }))).toBe(true);
        expect(trueFor({ prediction: { dimension, number } }, predicted({ other: 0.5 }))).toBe(false);
        expect(hashOf(parsed({ prediction: { dimension, number } }))).toBe(hashOf(parsed(asProperty)));
      }
      const next = { prediction: { dimension: 'EXPECTED_NEXT_ORDER', date: { next: 'P7D' } } };
      expect(trueFor(next, predicted({ expectedNextOrderAt: '2026-02-12T00:00:00Z' }))).toBe(true);
      expect(trueFor(next, predicted({ expectedNextOrderAt: '2026-02-10T00:00:00Z' }))).toBe(false);
    },
  '`number` and `date` mean what they mean for properties, and all that is given must hold.': () => {
    expect(trueFor(risk({ number: { notEquals: 1 } }), predicted({}))).toBe(false);
    expect(trueFor(risk({ number: { atLeast: 0 } }), predicted({ churnRisk: '0.5' }))).toBe(false);
    const both = risk({ number: { atLeast: 0.5 }, change: { by: 0.2, within: 'PT1H' } });
    const rising = { ...risks([2, 0.1], [0, 0.5]), attributes: predicted({ churnRisk: 0.5 }).attributes };
    expect(trueFor(both, rising)).toBe(true);
    expect(trueFor(both, { ...rising, predictions: new Map() })).toBe(false);
    expect(trueFor(both, { ...rising, attributes: new Map() })).toBe(false);
  },
  'EXPECTED_NEXT_ORDER takes `date`; the others take `number` and `change`.': () => {
    const next = (details: object) => ({ prediction: { dimension: 'EXPECTED_NEXT_ORDER', ...details } });
    const change = { by: 1, within: 'P1D' };
    expect(mistakes(next({ date: { month: 1 } }))).toEqual([]);
    expect(mistakes(next({ number: { atLeast: 1 } }))).toEqual(['INVALID prediction.number']);
    expect(mistakes(next({ change }))).toEqual(['INVALID prediction.change']);
    expect(mistakes(risk({ number: { atLeast: 1 }, change }))).toEqual([]);
    expect(mistakes(risk({ date: { month: 1 } }))).toEqual(['INVALID prediction.date']);
  },
  '`change` compares the value now with the value that was in force `within` ago: up by at least `by`, or down if it is negative.':
    () => {
      const rising = risks([5, 0.9], [3, 0.3], [0.5, 0.5]);
      expect(changed(0.2, rising)).toBe(true);
      expect(changed(0.21, rising)).toBe(false);
      expect(changed(-0.2, rising)).toBe(false);
      expect(changed(-0.6, rising, NOW - 2.5 * HOUR)).toBe(true);
      // The instant at which the older value is no longer an hour old, and the one at which the newer one is.
      expect(changed(0.2, rising, NOW - 0.5 * HOUR - 1)).toBe(false);
      expect([changed(0.2, rising, NOW + 0.5 * HOUR - 1), changed(0.2, rising, NOW + 0.5 * HOUR)]).toEqual([
        true,
        false,
      ]);
    },
  'Without a value at either instant there is no change.': () => {
    expect(changed(0.1, risks([0.5, 0.9]))).toBe(false);
    expect(changed(-0.1, risks([2, 0.9], [0.5, null]))).toBe(false);
    expect(changed(0.1, risks([3, 0.1], [2, null], [0.5, 0.9]))).toBe(false);
    expect(changed(0.1, profile({}))).toBe(false);
  },
  'Changes are compared in millionths, like sums.': () => {
    expect(changed(0.2, risks([2, 0.1], [0, 0.3]))).toBe(true);
    expect(changed(-0.1, risks([2, 0.3], [0, 0.2]))).toBe(true);
    expect(changed(0.200001, risks([2, 0.1], [0, 0.3]))).toBe(false);
    expect(changed(1, risks([2, 0], [0, 2e12]))).toBe(false);
  },

  "A sample depends on nothing but the profile's number, the percent and the salt.": () => {
    const someone = { ...profile(REACHABLE, [{}]), number: 7 };
    for (const percent of [10, 50, 90]) {
      expect(trueFor({ sample: { percent } }, someone)).toBe(sampled(percent).includes(7));
      expect(trueFor({ sample: { percent } }, someone, NOW + 400 * DAY)).toBe(sampled(percent).includes(7));
    }
    // Written down, so that no release puts people on the other side.
    expect(sampled(1).slice(0, 5)).toEqual(FIRST_PERCENT);
  },
  'Who is in a sample is in every larger one with the same salt.': () => {
    const larger = new Set(sampled(30));
    expect(sampled(10).every((number) => larger.has(number))).toBe(true);
    expect(larger.size / numbers.length).toBeCloseTo(0.3, 1);
    expect(sampled(10).length / numbers.length).toBeCloseTo(0.1, 1);
  },
  'Samples with different salts are independent of one another.': () => {
    const other = new Set(sampled(50, 'other'));
    const both = sampled(50).filter((number) => other.has(number));
    expect(both.length / numbers.length).toBeCloseTo(0.25, 1);
  },
  '0 percent is nobody, 100 percent is everybody.': () => {
    expect(sampled(0)).toEqual([]);
    expect(sampled(100)).toEqual(numbers);
  },
  'Distances lie above 0 and are at most 20,000 kilometers or 12,400 miles; anniversaries at most 365 days away.':
    () => {
      const place = (details: object) => mistakes({ near: { latitude: 1, longitude: 1, ...details } });
      expect(place({ within: 20_000 })).toEqual([]);
      expect(place({ within: 12_400, unit: 'MILES' })).toEqual([]);
      for (const within of [0, -1, 20_000.1]) expect(place({ within })).toEqual(['INVALID near.within']);
      expect(place({ within: 12_400.1, unit: 'MILES' })).toEqual(['INVALID near.within']);
      const anniversary = (last: number) =>
        mistakes({ property: { path: 'email', filter: { date: { anniversary: { last } } } } });
      expect(anniversary(365)).toEqual([]);
      expect(anniversary(366)).toEqual(['INVALID property.filter.date.anniversary.last']);
      expect(anniversary(0)).toEqual(['INVALID property.filter.date.anniversary.last']);
    },
};

const FIRST_PERCENT = [74, 208, 242, 509, 519];
