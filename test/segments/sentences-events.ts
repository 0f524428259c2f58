/** What each sentence of the documentation about measures and sequences means, tried. */
import { expect } from 'vitest';
import { did, mistakes, NOW, profile, trueFor, type SimpleEvent } from './helpers.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const measured = (measure: object, is: object, events: readonly SimpleEvent[], zone = 'UTC') =>
  did({ measure, is }, events, NOW, zone);
const values = (...list: (number | null)[]) => list.map((value) => ({ value }));

const step = (metric: string, more: object = {}) => ({ metric, ...more });
const not = (metric: string) => step(metric, { negate: true });
/** "A3" is an event A, three hours from the beginning. */
const history = (...events: string[]): SimpleEvent[] =>
  events.map((event) => ({ metric: event.charAt(0), time: START + Number(event.slice(1)) * HOUR }));
const START = NOW - 10 * DAY;
const inOrder = (steps: object[], events: string[], more: object = {}, at = NOW) =>
  trueFor({ sequence: { steps, ...more } }, profile({}, history(...events)), at);
const [A, B, C] = ['A', 'B', 'C'].map((metric) => step(metric)) as [object, object, object];

export const EVENT_SENTENCES: Record<string, () => void> = {
  '`average`, `min` and `max` over no numbers have no value, which satisfies neither a filter nor its negation.':
    () => {
      const nothing = [[], values(null), [{ properties: { price: '5' } }]];
      for (const kind of ['average', 'min', 'max']) {
        for (const is of [{ equals: 0 }, { notEquals: 7 }, { atMost: 5 }, { moreThan: -1 }]) {
          for (const events of nothing) {
            expect(measured({ [kind]: '$value' }, is, events)).toBe(false);
            expect(measured({ [kind]: 'price' }, is, events)).toBe(false);
          }
        }
      }
    },
  'An average is exact like a sum: the sum is compared with the number times the count of what was added.':
    () => {
      expect(measured({ average: '$value' }, { equals: 0.2 }, values(0.1, 0.2, 0.3))).toBe(true);
      expect(measured({ average: '$value' }, { equals: 1 }, values(1, null, 1, 2e12))).toBe(true);
      expect(measured({ average: '$value' }, { moreThan: 0.333333 }, values(1, 0, 0))).toBe(true);
      expect(measured({ average: '$value' }, { lessThan: 0.333334 }, values(1, 0, 0))).toBe(true);
      const between = { between: { from: 1.5, to: 1.5 } };
      expect(measured({ average: '$value' }, between, values(1, 2))).toBe(true);
      expect(measured({ average: '$value' }, between, values(1, 2, 2))).toBe(false);
    },
  '`min` and `max` take numbers of any size and leave out what is no number.': () => {
    const events = [
      { properties: { x: -5e15 } },
      { properties: { x: '-6e15' } },
      { properties: { x: 1e17 } },
      {},
    ];
    expect(measured({ min: 'x' }, { equals: -5e15 }, events)).toBe(true);
    expect(measured({ max: 'x' }, { equals: 1e17 }, events)).toBe(true);
    expect(measured({ max: '$value' }, { lessThan: 3 }, values(1, 2.5, null))).toBe(true);
  },
  '`distinct` counts the different values of a property; a number and its text are two, and a list counts by its elements.':
    () => {
      const x = (...list: unknown[]) => list.map((value) => ({ properties: { x: value } }));
      const distinct = (count: number, events: SimpleEvent[]) =>
        measured({ distinct: 'x' }, { equals: count }, events);
      expect(distinct(2, x('a', 'b', 'a', null))).toBe(true);
      expect(distinct(3, x('5', 5, true, 5, true))).toBe(true);
      expect(distinct(3, x(['a', 'b'], 'a', [3], '3', []))).toBe(true);
      expect(distinct(1, x('', ''))).toBe(true);
      expect(measured({ distinct: '$value' }, { equals: 2 }, values(1, 1, 2, null))).toBe(true);
    },
  "`days` counts the days on the account's calendar on which there was an event.": () => {
    // 23:30 and 00:30 in UTC are one day in Berlin.
    const events = ['2026-02-01T23:30:00Z', '2026-02-02T00:30:00Z', '2026-02-02T00:40:00Z'];
    const times = events.map((time) => ({ time: Date.parse(time) }));
    expect(measured({ days: true }, { equals: 2 }, times)).toBe(true);
    expect(measured({ days: true }, { equals: 1 }, times, 'Europe/Berlin')).toBe(true);
  },
  '`distinct` and `days` are zero without events, like a count.': () => {
    for (const measure of [{ distinct: 'x' }, { days: true }]) {
      expect(measured(measure, { equals: 0 }, [])).toBe(true);
      expect(measured(measure, { lessThan: 1 }, [])).toBe(true);
      expect(measured(measure, { notEquals: 0 }, [])).toBe(false);
    }
    expect(measured({ distinct: 'x' }, { atMost: 0 }, [{}])).toBe(true);
  },

  'A sequence holds when there is one event for each step that is not negated, each strictly later than the one before.':
    () => {
      expect(inOrder([A, B], ['A1', 'B2'])).toBe(true);
      expect(inOrder([A, B], ['B1', 'A2'])).toBe(false);
      expect(inOrder([A, B, C], ['A1', 'C2', 'B3'])).toBe(false);
      expect(inOrder([A, A], ['A1'])).toBe(false);
      expect(inOrder([A, A], ['A1', 'A2'])).toBe(true);
      const gift = step('B', { where: [{ path: 'gift', filter: { boolean: true } }] });
      expect(inOrder([A, gift], ['A1', 'B2'])).toBe(false);
    },
  'Events at the same millisecond are not one after the other.': () => {
    expect(inOrder([A, B], ['A1', 'B1'])).toBe(false);
    expect(inOrder([A, A], ['A1', 'A1'])).toBe(false);
    expect(inOrder([A, not('B')], ['A1', 'B1'])).toBe(true);
    const close = [
      { metric: 'A', time: NOW - 1 },
      { metric: 'B', time: NOW },
    ];
    expect(trueFor({ sequence: { steps: [A, B] } }, profile({}, close))).toBe(true);
  },
  'Other events in between do not matter, and any choice of events will do.': () => {
    expect(inOrder([A, B], ['A1', 'C2', 'A3', 'B4', 'C5'])).toBe(true);
    expect(inOrder([A, B], ['B0', 'A1', 'B2'])).toBe(true);
    // The second A is the one that no C follows in time.
    expect(inOrder([A, not('C'), B], ['A1', 'C2', 'A3', 'B4'])).toBe(true);
    expect(inOrder([A, B], ['A1', 'A5', 'B6'], { completeWithin: 'PT1H' })).toBe(true);
  },
  'All events of a sequence, negated ones too, are looked for in `within` only.': () => {
    const within = (from: number, to: number) => ({
      within: {
        dates: {
          from: new Date(START + from * HOUR).toISOString(),
          to: new Date(START + to * HOUR).toISOString(),
        },
      },
    });
    expect(inOrder([A, B], ['A1', 'B3'], within(1, 4))).toBe(true);
    expect(inOrder([A, B], ['A1', 'B3'], within(1, 3))).toBe(false);
    expect(inOrder([A, B], ['A1', 'B3'], within(2, 4))).toBe(false);
    expect(inOrder([A, not('B')], ['A1', 'B3'], within(1, 3))).toBe(true);
    expect(inOrder([A, B], ['A1', 'B3'], {}, START + 2 * HOUR)).toBe(false);
  },
  'A negated step holds when its event did not happen strictly between the events before and after it.':
    () => {
      const steps = [A, not('B'), C];
      expect(inOrder(steps, ['A1', 'C3'])).toBe(true);
      expect(inOrder(steps, ['A1', 'B2', 'C3'])).toBe(false);
      expect(inOrder(steps, ['B0', 'A1', 'B1', 'B3', 'C3', 'B4'])).toBe(true);
      expect(inOrder([A, not('B'), not('D'), C], ['A1', 'D2', 'C3'])).toBe(false);
    },
  'A negated first step: not before the first event. A negated last step: not after the last event until now.':
    () => {
      expect(inOrder([not('B'), A], ['A1', 'B2'])).toBe(true);
      expect(inOrder([not('B'), A], ['B0', 'A1'])).toBe(false);
      expect(inOrder([not('B'), A], ['B1', 'A1'])).toBe(true);
      expect(inOrder([A, not('B')], ['B0', 'A1'])).toBe(true);
      expect(inOrder([A, not('B')], ['A1', 'B2'])).toBe(false);
      expect(inOrder([A, not('B')], ['A1', 'B2'], {}, START + 2 * HOUR - 1)).toBe(true);
      expect(inOrder([A, not('B')], ['A1', 'B2', 'A3'])).toBe(true);
    },
  '`completeWithin` is the longest time from the first event to the last, that length included.': () => {
    expect(inOrder([A, C, B], ['A1', 'C2', 'B4'], { completeWithin: 'PT3H' })).toBe(true);
    expect(inOrder([A, C, B], ['A1', 'C2', 'B4'], { completeWithin: 'PT2H59M59.999S' })).toBe(false);
    expect(inOrder([not('C'), A, B], ['A1', 'B4'], { completeWithin: 'PT3H' })).toBe(true);
  },
  'With `completeWithin`, a negated last step holds once that time has passed since the first event without its event.':
    () => {
      const abandoned = (events: string[], hours: number, ms = 0) =>
        inOrder([A, not('B')], events, { completeWithin: 'PT2H' }, START + hours * HOUR + ms);
      expect(abandoned(['A1'], 3, -1)).toBe(false);
      expect(abandoned(['A1'], 3)).toBe(true);
      expect(abandoned(['A1', 'B3'], 3)).toBe(false);
      expect(abandoned(['A1', 'B4'], 5)).toBe(true);
      expect(abandoned(['A1', 'B2', 'A3'], 4)).toBe(false);
      expect(abandoned(['A1', 'B2', 'A3'], 5)).toBe(true);
      // From the first event on, not from the last one.
      const both = (hours: number) =>
        inOrder([A, C, not('B')], ['A1', 'C2'], { completeWithin: 'PT2H' }, START + hours * HOUR);
      expect([both(2), both(3)]).toEqual([false, true]);
    },
  'A sequence has at least two steps, one of them not negated.': () => {
    expect(mistakes({ sequence: { steps: [A] } })).toEqual(['REQUIRED sequence.steps']);
    expect(mistakes({ sequence: { steps: [not('A'), not('B')] } })).toEqual(['INVALID sequence.steps']);
    expect(mistakes({ sequence: { steps: [not('A'), B] } })).toEqual([]);
  },
  'At most 10 steps in a sequence.': () => {
    const steps = (count: number) => ({ sequence: { steps: Array.from({ length: count }, () => A) } });
    expect(mistakes(steps(10))).toEqual([]);
    expect(mistakes(steps(11))).toEqual(['TOO_MANY sequence.steps']);
  },
};
