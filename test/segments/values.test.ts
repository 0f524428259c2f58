import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDuration, printDuration } from '../../src/segments/duration.ts';
import { timeEdges } from '../../src/segments/edges.ts';
import { flatten } from '../../src/segments/flatten.ts';
import { LARGEST_SUMMAND, microUnits, roundToMicros } from '../../src/segments/numbers.ts';
import { criteriaOf } from '../../src/segments/normalise.ts';
import { measureOf } from '../../src/segments/measures.ts';
import { dependenciesOf } from '../../src/segments/touch.ts';
import { factsOf, randomCase } from '../comparison/generate.ts';
import { NOW, parsed, profile } from './helpers.ts';

describe('microUnits', () => {
  it.each([
    [0, 0n],
    [1, 1_000_000n],
    [-19.99, -19_990_000n],
    [0.1 + 0.2, 300_000n],
    [0.0000005, 0n],
    [0.0000015, 2n],
    [0.0000025, 2n],
    [-0.0000025, -2n],
    [-0.0000035, -4n],
    [1.0000005, 1_000_001n], // the product as a double lies just above the half
    [4503599627.370497, 4_503_599_627_370_497n],
    [1e18, 10n ** 24n - 16_777_216n], // the double nearest to 1e24
  ])('%d is %s millionths', (x, micros) => {
    expect(microUnits(x)).toBe(micros);
  });

  it('keeps the largest summand within 64 bits', () => {
    expect(microUnits(LARGEST_SUMMAND)).toBe(10n ** 18n);
  });

  it('is what roundToMicros keeps', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e18, max: 1e18, noNaN: true }), (x) => {
        expect(microUnits(roundToMicros(x))).toBe(microUnits(x));
        expect(roundToMicros(roundToMicros(x))).toBe(roundToMicros(x));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(fc.double({ min: -2e9, max: 2e9, noNaN: true }), (x) => {
        expect(microUnits(roundToMicros(x))).toBe(microUnits(x));
      }),
      { numRuns: 2_000 },
    );
    expect(roundToMicros(1e-9)).toBe(0);
    expect(Object.is(roundToMicros(-1e-9), 0)).toBe(true);
  });
});

describe('durations', () => {
  it.each([
    [0, 'PT0S'],
    [1, 'PT0.001S'],
    [1_500, 'PT1.5S'],
    [60_000, 'PT1M'],
    [2_419_200_000, 'P28D'],
    [93_784_050, 'P1DT2H3M4.05S'],
  ])('prints %d ms as %s', (ms, text) => {
    expect(printDuration(ms)).toBe(text);
  });

  it('reads what it prints', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3_650 * 86_400_000 }), (ms) => {
        expect(parseDuration(printDuration(ms))).toEqual({ ok: true, ms });
      }),
    );
  });
});

describe('flatten', () => {
  it('gives the set values by their paths', () => {
    const values = flatten({
      a: 1,
      b: { c: 'x', d: { e: false } },
      f: null,
      g: [1, [2]],
      h: {},
      i: [],
      j: '',
    });
    expect(Object.fromEntries(values)).toEqual({
      a: 1,
      'b.c': 'x',
      'b.d.e': false,
      g: [1, [2]],
      i: [],
      j: '',
    });
  });

  it('takes anything, and finds values in objects only', () => {
    for (const input of [null, undefined, 5, 'a', [], [{ a: 1 }]]) expect(flatten(input).size).toBe(0);
    expect(flatten({ a: NaN, b: Infinity, c: undefined, d: () => 1 }).size).toBe(0);
    expect(flatten(JSON.parse('{"__proto__": {"a": 1}, "constructor": 2}'))).toEqual(
      new Map<string, unknown>([
        ['__proto__.a', 1],
        ['constructor', 2],
      ]),
    );
  });

  it('does not depend on the order of keys, also where paths collide', () => {
    const sources = [
      { 'a.b.c': 1 },
      { 'a.b': { c: 2 } },
      { a: { 'b.c': 3 } },
      { a: { b: { c: 4 } } },
      { 'a.b': { c: null } },
    ];
    expect(flatten({ 'a.b': { c: 2 }, a: { 'b.c': 3 } }).get('a.b.c')).toBe(3);
    expect(flatten({ a: { 'b.c': 3 }, 'a.b': { c: 2 } }).get('a.b.c')).toBe(3);
    fc.assert(
      fc.property(fc.uniqueArray(fc.constantFrom(...sources), { minLength: 1 }), (chosen) => {
        const forwards = Object.assign({}, ...chosen.filter(distinctKeys())) as object;
        const backwards = Object.fromEntries(Object.entries(forwards).reverse());
        expect(flatten(backwards)).toEqual(flatten(forwards));
      }),
    );
  });

  it('keeps a value that collides with null', () => {
    expect(flatten({ 'a.b': 1, a: { b: null } }).get('a.b')).toBe(1);
  });
});

/** Lets the first object with each top-level key pass. */
function distinctKeys(): (source: object) => boolean {
  const seen = new Set<string>();
  return (source) => {
    const key = Object.keys(source).join();
    return !seen.has(key) && Boolean(seen.add(key));
  };
}

describe('timeEdges', () => {
  const edges = (within: object) =>
    criteriaOf(parsed({ event: { metric: 'Placed Order', within } })).map(timeEdges);
  it.each([
    [{ last: 'PT1S' }, [1_000]],
    [{ moreThanAgo: 'PT1M' }, [60_000]],
    [{ ago: { from: 'PT5S', to: 'PT3S' } }, [3_000, 5_000]],
    [{ ago: { from: 'PT5S', to: 'PT0S' } }, [5_000]],
    [{ dates: { from: '2026-01-01T00:00:00Z' } }, []],
  ])('of %j are %j', (within, expected) => {
    expect(edges(within)).toEqual([expected]);
  });

  it('are none without a window, and none of a property', () => {
    const criteria = criteriaOf(
      parsed({
        all: [{ event: { metric: 'A' } }, { property: { path: 'email', filter: { exists: true } } }],
      }),
    );
    expect(criteria.map(timeEdges)).toEqual([[], []]);
  });
});

describe('dependenciesOf', () => {
  it('names metrics and attributes once, however deep they stand', () => {
    const property = { property: { path: 'properties.a.b', filter: { exists: true } } };
    const condition = parsed({
      all: [
        property,
        { not: { any: [{ event: { metric: 'A' } }, { event: { metric: 'A', is: { equals: 0 } } }] } },
        property,
      ],
    });
    expect(dependenciesOf(condition)).toEqual({
      metrics: new Set(['A']),
      attributes: new Set(['properties.a.b']),
      consents: new Set(),
      segments: new Set(),
      predictions: new Set(),
    });
  });
});

describe('measureOf', () => {
  const facts = profile({}, [
    { value: 1.5 },
    { value: 2, time: NOW + 1 },
    { value: 0.25 },
    { metric: 'Other' },
  ]);
  const measure = (details: object) =>
    criteriaOf(parsed({ event: { metric: 'Placed Order', ...details } })).map((criterion) =>
      criterion.kind === 'event' ? measureOf(criterion, facts.events, { at: NOW, timeZone: 'UTC' }) : null,
    );
  it('counts, and sums in millionths', () => {
    expect(measure({})).toEqual([{ kind: 'number', value: 2 }]);
    expect(measure({ measure: { sum: '$value' } })).toEqual([{ kind: 'ratio', micros: 1_750_000n, over: 1 }]);
  });
});

describe('random cases', () => {
  it('are the same for the same seed, and others for another', () => {
    expect(randomCase(7)).toEqual(randomCase(7));
    expect(randomCase(7)).not.toEqual(randomCase(8));
  });

  it('contain what makes them hard: repeats, future events, exact edges, every kind of condition', () => {
    const cases = Array.from({ length: 50 }, (_, seed) => randomCase(seed));
    const events = cases.flatMap((one) => one.events);
    const all = JSON.stringify(cases.flatMap((one) => one.conditions));
    for (const word of 'all any not where sum last moreThanAgo ago dates between in notIn matches exists'.split(
      ' ',
    )) {
      expect(all).toContain(`"${word}":`);
    }
    for (const one of cases) {
      expect(one.conditions.map(parsed)).toHaveLength(20);
      expect(factsOf(one).size).toBe(12);
    }
    const repeated = cases.filter(
      (one) => new Set(one.events.map((e) => e.uniqueId)).size < one.events.length,
    );
    expect(repeated.length).toBeGreaterThan(40);
    const future = cases.filter((one) =>
      one.events.some((e) => Date.parse(e.time) > Math.max(...one.instants)),
    );
    expect(future.length).toBeGreaterThan(30);
    const month = 30 * 86_400_000;
    const onEdge = cases.filter((one) =>
      one.events.some((e) => one.instants.includes(Date.parse(e.time) + month)),
    );
    expect(onEdge.length).toBeGreaterThan(40);
    expect(events.some((e) => e.value === undefined)).toBe(true);
  });
});
