import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseCondition } from '../../src/segments/parse.ts';

import { toInput } from '../../src/segments/print.ts';
import { messageOf, mistakes, parsed, postalCodesWith } from './helpers.ts';

const order = (details: object) => ({ event: { metric: 'Placed Order', ...details } });
const email = (filter: unknown) => ({ property: { path: 'email', filter } });

describe('parseCondition', () => {
  it('reads every field', () => {
    const input = {
      any: [
        {
          all: [
            order({
              where: [{ path: 'item.price', filter: { number: { between: { from: 1, to: 2 } } } }],
              measure: { sum: '$value' },
              is: { moreThan: 100 },
              within: { ago: { from: 'P5D', to: 'P3D' } },
            }),
            { not: email({ text: { notIn: ['a', 'b'] } }) },
          ],
        },
        order({ within: { dates: { from: '2026-01-01T00:00:00.5+02:00' } } }),
        email({ exists: false }),
        email({ boolean: true }),
      ],
    };
    expect(parsed(input)).toEqual({
      kind: 'any',
      children: [
        {
          kind: 'all',
          children: [
            {
              kind: 'event',
              metric: 'Placed Order',
              where: [
                { path: 'item.price', filter: { kind: 'number', number: { op: 'between', from: 1, to: 2 } } },
              ],
              measure: { kind: 'sum', path: '$value' },
              is: { op: 'moreThan', value: 100 },
              within: { kind: 'ago', fromMs: 432_000_000, toMs: 259_200_000 },
            },
            {
              kind: 'not',
              child: {
                kind: 'property',
                path: 'email',
                filter: { kind: 'text', text: { op: 'notIn', values: ['a', 'b'] } },
              },
            },
          ],
        },
        {
          kind: 'event',
          metric: 'Placed Order',
          where: [],
          measure: { kind: 'count' },
          is: { op: 'atLeast', value: 1 },
          within: { kind: 'dates', from: Date.UTC(2025, 11, 31, 22, 0, 0, 500), to: null },
        },
        { kind: 'property', path: 'email', filter: { kind: 'exists', exists: false } },
        { kind: 'property', path: 'email', filter: { kind: 'boolean', equals: true } },
      ],
    });
  });

  it('keeps a status that is given twice once, in the order of the first', () => {
    const status = ['UNSUBSCRIBED', 'SUBSCRIBED', 'UNSUBSCRIBED'];
    const given = { consent: { channel: 'SMS', status, since: { last: 'P1D' } } };
    expect(parsed(given)).toMatchObject({ status: ['UNSUBSCRIBED', 'SUBSCRIBED'] });
    expect(toInput(parsed(given))).toMatchObject({ consent: { status: ['UNSUBSCRIBED', 'SUBSCRIBED'] } });
  });

  it('takes null for a field that was left out', () => {
    const nulls = { where: null, measure: null, is: null, within: null };
    expect(parsed(order(nulls))).toEqual(parsed(order({})));
    expect(parsed({ all: null, ...order({}) })).toEqual(parsed(order({})));
  });

  it.each([
    ['nothing', undefined, 'INVALID '],
    ['null', null, 'INVALID '],
    ['a list', [], 'INVALID '],
    ['no field', {}, 'REQUIRED '],
    ['two fields', { ...order({}), ...email({ exists: true }) }, 'INVALID '],
    ['an unknown field', { maybe: {} }, 'INVALID '],
    ['a field of Object', JSON.parse('{"__proto__": {}, "constructor": {}}'), 'INVALID '],
    ['no metric', { event: {} }, 'REQUIRED event.metric'],
    ['an empty filter', email({}), 'REQUIRED property.filter'],
    ['an empty list', email({ text: { in: [] } }), 'REQUIRED property.filter.text.in'],
    ['text for a number', order({ is: { equals: '1' } }), 'INVALID event.is.equals'],
    ['count: false', order({ measure: { count: false } }), 'INVALID event.measure.count'],
    ['an empty sum', order({ measure: { sum: '' } }), 'REQUIRED event.measure.sum'],
    ['half a range', order({ is: { between: { from: 1 } } }), 'REQUIRED event.is.between.to'],
    ['a range backwards', order({ is: { between: { from: 2, to: 1 } } }), 'INVALID event.is.between'],
    ['no dates', order({ within: { dates: {} } }), 'REQUIRED event.within.dates'],
    ['a date alone', order({ within: { dates: { from: '2026-01-01' } } }), 'INVALID event.within.dates.from'],
    [
      'the 30th of February',
      order({ within: { dates: { from: '2026-02-30T00:00:00Z' } } }),
      'INVALID event.within.dates.from',
    ],
    [
      'dates backwards',
      order({ within: { dates: { from: '2026-01-02T00:00:00Z', to: '2026-01-02T00:00:00Z' } } }),
      'INVALID event.within.dates',
    ],
    ['ago backwards', order({ within: { ago: { from: 'P3D', to: 'P3D' } } }), 'INVALID event.within.ago'],
  ])('refuses %s', (_name, input, first) => {
    expect(mistakes(input)[0]).toBe(first);
  });

  it.each([
    'P',
    'PT',
    'P1DT',
    '1D',
    'p1d',
    '-P1D',
    'P1.5D',
    'PT1.5H',
    'P1H',
    'PT1D',
    'P1D ',
    '',
    'PT1.0001S',
  ])('refuses the duration "%s"', (last) => {
    expect(mistakes(order({ within: { last } }))).toEqual(['INVALID event.within.last']);
  });

  it.each([
    ['P4W', 2_419_200_000],
    ['P1DT2H3M4.5S', 93_784_500],
    ['PT90S', 90_000],
    ['PT1,25S', 1_250],
    ['P1W1D', 691_200_000],
  ])('reads the duration %s', (last, ms) => {
    expect(parsed(order({ within: { last } }))).toMatchObject({ within: { kind: 'last', ms } });
  });

  const step = (metric: string, negate = false) => ({ metric, negate });
  it.each([
    ['one step', { sequence: { steps: [step('A')] } }, 'REQUIRED sequence.steps'],
    [
      'no step that happens',
      { sequence: { steps: [step('A', true), step('B', true)] } },
      'INVALID sequence.steps',
    ],
    ['a step without a metric', { sequence: { steps: [step('A'), {}] } }, 'REQUIRED sequence.steps.1.metric'],
    ['days: false', order({ measure: { days: false } }), 'INVALID event.measure.days'],
    ['a period of no calendar', order({ within: { calendar: 'SOON' } }), 'INVALID event.within.calendar'],
    ['month 13', email({ date: { month: 13 } }), 'INVALID property.filter.date.month'],
    ['half a month', email({ date: { month: 1.5 } }), 'INVALID property.filter.date.month'],
    [
      'an anniversary a year away',
      email({ date: { anniversary: { next: 366 } } }),
      'INVALID property.filter.date.anniversary.next',
    ],
    [
      'an anniversary that is not today',
      email({ date: { anniversary: { today: false } } }),
      'INVALID property.filter.date.anniversary.today',
    ],
    [
      'a month that is not this one',
      email({ date: { anniversary: { thisMonth: false } } }),
      'INVALID property.filter.date.anniversary.thisMonth',
    ],
    [
      'an empty list of elements',
      email({ list: { containsAny: [] } }),
      'REQUIRED property.filter.list.containsAny',
    ],
    [
      'no filter of elements',
      email({ list: { someElement: {} } }),
      'REQUIRED property.filter.list.someElement',
    ],
    [
      'a wrong expression for elements',
      email({ list: { noElement: { matches: '(' } } }),
      'INVALID property.filter.list.noElement.matches',
    ],
    [
      'an expression for elements that grows too large',
      email({ list: { someElement: { matches: '(a{50}){50}' } } }),
      'INVALID property.filter.list.someElement.matches',
    ],
    ['only a channel', { consent: { channel: 'EMAIL' } }, 'REQUIRED consent'],
    ['an unknown channel', { consent: { channel: 'FAX', canReceive: true } }, 'INVALID consent.channel'],
    ['no status', { consent: { channel: 'SMS', status: [] } }, 'REQUIRED consent.status'],
    ['an empty segment', { segment: { id: '' } }, 'REQUIRED segment.id'],
    ['no place', { near: { within: 5 } }, 'REQUIRED near'],
    [
      'two places',
      { near: { latitude: 1, longitude: 1, postalCode: '1', country: 'DE', within: 5 } },
      'INVALID near',
    ],
    ['half a place', { near: { latitude: 1, within: 5 } }, 'REQUIRED near.longitude'],
    ['a place beyond the pole', { near: { latitude: 91, longitude: 0, within: 5 } }, 'INVALID near.latitude'],
    ['no distance at all', { near: { latitude: 1, longitude: 0, within: 0 } }, 'INVALID near.within'],
    [
      'a distance around the Earth',
      { near: { latitude: 1, longitude: 0, within: 20_001 } },
      'INVALID near.within',
    ],
    ['an unknown region', { region: { region: 'MARS' } }, 'INVALID region.region'],
    ['only a dimension', { prediction: { dimension: 'CHURN_RISK' } }, 'REQUIRED prediction'],
    [
      'a date of a number',
      { prediction: { dimension: 'CHURN_RISK', date: { month: 1 } } },
      'INVALID prediction.date',
    ],
    [
      'a number of a date',
      { prediction: { dimension: 'EXPECTED_NEXT_ORDER', number: { atLeast: 1 } } },
      'INVALID prediction.number',
    ],
    [
      'a change of nothing',
      { prediction: { dimension: 'CHURN_RISK', change: { by: 0.0000001, within: 'PT1H' } } },
      'INVALID prediction.change.by',
    ],
    ['more than all', { sample: { percent: 100.1 } }, 'INVALID sample.percent'],
  ])('refuses %s', (_name, input, first) => {
    expect(mistakes(input)[0]).toBe(first);
  });

  it('finds the centre of a postal code, and keeps the code', () => {
    const near = { near: { postalCode: '10115', country: 'DE', within: 5 } };
    const codes = postalCodesWith({ ...near.near, latitude: 52.53, longitude: 13.38 });
    const result = parseCondition(near, codes);
    expect(result).toMatchObject({ ok: true, condition: { latitude: 52.53, longitude: 13.38 } });
    expect(result.ok && toInput(result.condition)).toEqual(near);
    const mistake = (changed: object) => {
      const other = parseCondition({ near: { ...near.near, ...changed } }, codes);
      return other.ok ? null : other.errors.map(({ message }) => message);
    };
    expect(mistake({ postalCode: '1' })).toEqual([
      'near.postalCode: "1" in "DE" is not known; correct it, or give latitude and longitude',
    ]);
    expect(mistake({ country: 'US' })).toEqual([
      'near.country: is "US"; postal codes are known only of DE: give latitude and longitude',
    ]);
    expect(mistakes(near)).toEqual(['INVALID near.country']);
  });

  it('names place, problem and remedy in every message', () => {
    const messages = [
      [order({ within: { last: 'P1Y' } }), 'event.within.last: "P1Y" has no fixed length; say P365D'],
      [
        { all: [{}] },
        'all.0: needs exactly one of all, any, not, event, sequence, property, consent, segment, near, region, prediction, sample',
      ],
      [
        { all: [order({ is: { atLeast: 1, atMost: 2 } })] },
        'all.0.event.is: takes exactly one field, not atLeast and atMost together; keep one of them',
      ],
      [order({ metrik: 'x' }), 'event: has no field "metrik"; it takes metric, where, measure, is or within'],
    ] as const;
    for (const [input, message] of messages) expect(messageOf(input)).toBe(message);
  });

  it.each(['\\p{Alphabetic}', '\\P{Garay}', '[\\p{^LC}]', '\\pL\\p{lu}'])(
    'refuses the class of %s, which ClickHouse does not know',
    (matches) => {
      expect(mistakes(email({ text: { matches } }))).toEqual(['INVALID property.filter.text.matches']);
    },
  );

  it.each(['\\p{Greek}', '\\P{Lu}', '[\\p{^Han}x]', '\\pL', '\\p{Any}', '\\\\p{2}'])(
    'takes the class of %s',
    (matches) => {
      expect(mistakes(email({ text: { matches } }))).toEqual([]);
    },
  );

  it('stops early at what is far too large', () => {
    const leaf = email({ exists: true });
    const wide = {
      any: Array.from({ length: 500 }, () => ({ all: Array.from({ length: 500 }, () => leaf) })),
    };
    expect(mistakes(wide)).toEqual(['TOO_MANY any.1.all.0.property']);
    const cyclic: { not?: unknown } = {};
    cyclic.not = cyclic;
    expect(mistakes(cyclic)).toHaveLength(1);
  });

  it('answers any JSON at all without throwing, and what it takes it prints and takes again', () => {
    const key = fc.constantFrom(
      ...'all any not event property metric where measure is within path filter text number boolean exists'.split(
        ' ',
      ),
      ...'count sum equals in matches between from to last ago dates moreThan sequence x'.split(' '),
    );
    const { json } = fc.letrec((tie) => ({
      json: fc.oneof(
        { maxDepth: 6 },
        fc.constantFrom('email', 'P1D', 'PT1S', '2026-01-01T00:00:00Z', '(', '', '\ud800', null, true),
        fc.double(),
        fc.array(tie('json'), { maxLength: 3 }),
        fc.dictionary(key, tie('json'), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(json, (input) => {
        const result = parseCondition(input);
        if (result.ok) expect(parsed(toInput(result.condition))).toEqual(result.condition);
        else expect(result.errors.length).toBeGreaterThan(0);
      }),
      { numRuns: 2_000 },
    );
  });
});
