import { describe, expect, test } from 'vitest';
import { veteranMemberships } from '../../bench/latency/latency.ts';
import { castOf, sharesOf, STORY_EVERY_MS } from '../../bench/latency/load.ts';
import { SEGMENTS } from '../../bench/latency/segments.ts';
import {
  attributesOf,
  factsOf,
  flipsOf,
  membershipsOf,
  STORIES,
  VETERAN,
} from '../../bench/latency/stories.ts';

const story = (name: string) => {
  const found = STORIES.find((one) => one.name === name);
  if (!found) throw new Error(`no story ${name}`);
  return found;
};

describe('the stories of the latency benchmark', () => {
  test('a single search enters, enters by time, leaves by time twice', () => {
    const flips = flipsOf(story('searcher')).map(
      ({ segment, kind, cause, delay }) => `${kind} ${segment} ${cause} ${delay}`,
    );
    expect(flips).toEqual([
      'ENTERED prospect EVENT 0',
      'ENTERED search EVENT 0',
      'ENTERED searchAgo TIME 3000',
      'EXITED search TIME 7000',
      'EXITED searchAgo TIME 9000',
    ]);
  });

  test('an order after a cart leaves the cart, and is nobody’s prospect any more', () => {
    const flips = flipsOf(story('buyer'));
    expect(flips.filter(({ segment }) => segment === 'cart').map(({ kind, step }) => [kind, step])).toEqual([
      ['ENTERED', 0],
      ['EXITED', 1],
    ]);
    expect(flips).toContainEqual({ segment: 'prospect', kind: 'EXITED', cause: 'EVENT', step: 1, delay: 0 });
    expect(flips).toContainEqual({ segment: 'spender', kind: 'ENTERED', cause: 'EVENT', step: 2, delay: 0 });
  });

  test('known people are prospects before their story: they do not become it in it', () => {
    expect(flipsOf(story('gold'))).not.toContainEqual(
      expect.objectContaining({ segment: 'prospect', kind: 'ENTERED' }),
    );
  });

  test('a story that leaves the order of two things open is refused', () => {
    const steps = [
      { after: 0, metric: 'Searched Site' },
      { after: 7_100, metric: 'Searched Site' },
    ];
    expect(() => flipsOf({ name: 'unclear', known: null, steps })).toThrow(/two things at about 7100 ms/);
  });

  test('together they flip every segment, and by time as well as by events', () => {
    const flips = STORIES.flatMap(flipsOf);
    expect(SEGMENTS).toHaveLength(20);
    expect(new Set(flips.map(({ segment }) => segment))).toEqual(new Set(SEGMENTS.map(({ key }) => key)));
    expect(new Set(flips.map(({ cause, kind }) => `${cause} ${kind}`))).toEqual(
      new Set(['EVENT ENTERED', 'EVENT EXITED', 'TIME ENTERED', 'TIME EXITED']),
    );
  });

  test('nothing that a veteran does flips anything', () => {
    const at = Date.UTC(2026, 5, 1);
    const attributes = attributesOf({ name: 'veteran', known: { plan: 'gold', country: 'DE' }, steps: [] });
    const history = VETERAN.map((action, i) => factsOf(action, at - 3_600_000 - i * 60_000));
    const before = veteranMemberships(0, at);
    expect(before.size).toBeGreaterThan(5);
    VETERAN.forEach((action) => {
      const events = [...history, factsOf(action, at)];
      for (const later of [0, 5_000, 60_000]) {
        expect(membershipsOf(attributes, events, at + later)).toEqual(before);
      }
    });
  });
});

describe('the load', () => {
  test.each([500, 333, 100, 10_000])('of %d events a second carries just as many in any second', (rate) => {
    const shares = Array.from({ length: 500 }, (_, tick) => sharesOf(rate, tick));
    for (let second = 0; second < 10; second++) {
      const carried = shares.slice(second * 50, second * 50 + 50).reduce((sum, n) => sum + n, 0);
      expect(carried).toBe(rate);
    }
  });

  test('stories begin through the warm-up and the measured time, under names of their own', () => {
    const cast = castOf({ run: 'r', rate: 500, warmUpSeconds: 5, seconds: 10, veterans: 10 });
    expect(cast).toHaveLength(15_000 / STORY_EVERY_MS);
    expect(new Set(cast.map(({ externalId }) => externalId)).size).toBe(cast.length);
    expect(new Set(cast.map(({ story: { name } }) => name)).size).toBe(STORIES.length);
  });
});
