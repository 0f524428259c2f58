/** What each sentence of the documentation about now, warnings and explanations means, tried. */
import { expect } from 'vitest';
import { explain } from '../../src/segments/explain.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { lint } from '../../src/segments/lint.ts';
import { did, NOW, parsed, profile, trueFor } from './helpers.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;
const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const plan = (filter: object) => ({ property: { path: 'properties.plan', filter } });
const gold = plan({ text: { equals: 'gold' } });
const silver = plan({ text: { equals: 'silver' } });
const told = (input: unknown) =>
  lint(parsed(input)).map(({ code, path }) => `${code} ${path.join('.')}`.trim());

export const USE_SENTENCES: Record<string, () => void> = {
  'A condition is asked at an instant: events count up to it, and windows are measured from it.': () => {
    const events = [{ time: NOW }];
    expect([did({}, events, NOW - 1), did({}, events, NOW)]).toEqual([false, true]);
    const last = { within: { last: 'P1D' } };
    expect([did(last, events, NOW + DAY - 1), did(last, events, NOW + DAY)]).toEqual([true, false]);
  },
  'Attributes, consents, places and memberships are those of now; only events and predictions have a past.':
    () => {
      const facts = profileFacts({
        attributes: profile({ properties: { plan: 'gold' }, location: { latitude: 1, longitude: 1 } })
          .attributes,
        consents: new Map([['PUSH', { status: 'SUBSCRIBED', time: NOW, source: null }]]),
        memberships: new Set(['S']),
        events: profile({}, [{ time: NOW }]).events,
      });
      const now = [
        gold,
        { consent: { channel: 'PUSH', status: ['SUBSCRIBED'] } },
        { near: { latitude: 1, longitude: 1, within: 1 } },
        { segment: { id: 'S' } },
      ];
      for (const at of [NOW - YEAR, NOW, NOW + YEAR]) {
        for (const condition of now) expect(trueFor(condition, facts, at)).toBe(true);
        expect(trueFor(order(), facts, at)).toBe(at >= NOW);
      }
    },
  'An attribute that has just been set or taken away counts at once, and so does a profile that has just been created.':
    () => {
      const set = profile({ properties: { plan: 'gold' } });
      expect([trueFor(gold, set), trueFor({ not: gold }, set)]).toEqual([true, false]);
      expect([trueFor(gold, profile({})), trueFor({ not: gold }, profile({}))]).toEqual([false, true]);
      expect(trueFor(order({ is: { equals: 0 } }), profileFacts({}))).toBe(true);
    },

  '`CONTRADICTORY`: the part is true for nobody, at no time.': () => {
    expect(told({ all: [gold, silver] })).toEqual(['CONTRADICTORY']);
    expect(told({ any: [gold, silver] })).toEqual([]);
  },
  '`ALWAYS_TRUE`: the part is true for everybody, at all times.': () => {
    expect(told({ any: [gold, { not: gold }] })).toEqual(['ALWAYS_TRUE']);
    expect(
      told({ any: [plan({ text: { equals: 'gold' } }), plan({ text: { notEquals: 'gold' } })] }),
    ).toEqual([]);
  },
  '`DUPLICATE`: the part says the same as one beside it.': () => {
    expect(told({ all: [order(), gold, order({ is: { moreThan: 0 } })] })).toEqual(['DUPLICATE all.2']);
    expect(told({ all: [order(), { any: [order(), gold] }] })).toEqual([]);
  },
  '`COSTLY`: the same can be had faster, by `in` for many `equals`, or by `startsWith` and the like for a regular expression.':
    () => {
      expect(told({ any: [gold, silver, plan({ text: { equals: 'none' } })] })).toEqual(['COSTLY any']);
      expect(told(plan({ text: { matches: '^go' } }))).toEqual(['COSTLY property.filter.text.matches']);
    },
  'A warning names the innermost part; if the whole condition is constant, the whole is named too.': () => {
    const never = { all: [gold, silver] };
    expect(told({ any: [order(), never] })).toEqual(['CONTRADICTORY any.1']);
    expect(told({ all: [order(), { any: [never] }] })).toEqual([
      'CONTRADICTORY',
      'CONTRADICTORY all.1.any.0',
    ]);
  },

  'An explanation says whether a part is true, what was found where it looks, and how much is missing.':
    () => {
      const input = { all: [order({ is: { atLeast: 3 } }), { not: gold }] };
      const facts = profile({ properties: { plan: 'gold' } }, [
        { time: NOW - 31 * DAY },
        { time: NOW - 40 * DAY },
      ]);
      const { satisfied, finding, children } = explain(parsed(input), facts, NOW, { timeZone: 'UTC' });
      expect({ satisfied, finding }).toEqual({ satisfied: false, finding: null });
      expect(children[0]).toMatchObject({
        satisfied: false,
        finding: { text: '2 times, the last 31 days ago', actual: 2, missing: 1 },
      });
      expect(children[1]?.children[0]).toMatchObject({
        satisfied: true,
        finding: { text: '"gold"', actual: 'gold' },
      });
    },
  '`flipsAt` is the very millisecond at which time alone next makes the opposite true; without it, time never does.':
    () => {
      const flipsAt = (input: unknown) =>
        explain(parsed(input), profile({}, [{ time: NOW - DAY }]), NOW, { timeZone: 'UTC' }).flipsAt;
      expect(flipsAt(order({ within: { last: 'P3D' } }))).toBe(NOW + 2 * DAY);
      expect(flipsAt({ any: [gold, order({ within: { moreThanAgo: 'P3D' } })] })).toBe(NOW + 2 * DAY);
      expect(flipsAt(order())).toBeNull();
      expect(flipsAt(gold)).toBeNull();
    },
  'Membership of other segments is taken as it is: `flipsAt` does not look into them.': () => {
    const facts = profileFacts({ memberships: new Set(['S']) });
    const { satisfied, flipsAt } = explain(parsed({ segment: { id: 'S' } }), facts, NOW, { timeZone: 'UTC' });
    expect({ satisfied, flipsAt }).toEqual({ satisfied: true, flipsAt: null });
  },
};
