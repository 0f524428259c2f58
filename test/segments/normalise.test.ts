import { describe, expect, it } from 'vitest';
import { hashOf, normalise } from '../../src/segments/normalise.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { NOW, parsed, profile } from './helpers.ts';

const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const count = (is: object) => order({ is });
const sum = (is: object) => order({ measure: { sum: '$value' }, is });
const email = (filter: object) => ({ property: { path: 'email', filter } });
const text = (filter: object) => email({ text: filter });
const list = (filter: object) => email({ list: filter });
const consent = (...status: string[]) => ({ consent: { channel: 'SMS', status } });
const hash = (input: unknown) => hashOf(parsed(input));

describe('normalise', () => {
  it.each([
    [count({ moreThan: 0 }), count({ atLeast: 1 })],
    [count({ atLeast: 0.5 }), order()],
    [count({ moreThan: 2.5 }), count({ atLeast: 3 })],
    [count({ equals: 0 }), { not: order() }],
    [count({ lessThan: 1 }), count({ atMost: 0.9 })],
    [count({ notEquals: 0 }), order()],
    [count({ lessThan: 3 }), { not: count({ atLeast: 3 }) }],
    [count({ between: { from: 0.5, to: 2.5 } }), count({ between: { from: 1, to: 2 } })],
    [count({ between: { from: -3, to: 2 } }), count({ atMost: 2 })],
    [count({ between: { from: 2, to: 2 } }), count({ equals: 2 })],
    [count({ between: { from: 1.2, to: 1.8 } }), count({ equals: 1.5 })],
    [count({ atLeast: -5 }), count({ atLeast: 0 })],
    [count({ notEquals: 1.5 }), count({ atLeast: 0 })],
    [count({ lessThan: 1e17 }), count({ atLeast: 0 })],
    [count({ lessThan: -1 }), count({ atLeast: 1e17 })],
    [sum({ atMost: 5 }), { not: sum({ moreThan: 5 }) }],
    [sum({ between: { from: -1, to: 1 } }), { not: { any: [sum({ lessThan: -1 }), sum({ moreThan: 1 })] } }],
    [email({ exists: false }), { not: email({ exists: true }) }],
    [text({ in: ['b', 'a', 'b'] }), text({ in: ['a', 'b'] })],
    [text({ in: ['a'] }), text({ equals: 'a' })],
    [text({ notIn: ['a', 'a'] }), text({ notEquals: 'a' })],
    [email({ number: { between: { from: 1, to: 1 } } }), email({ number: { equals: 1 } })],
    [list({ someElement: { equals: 'a' } }), list({ contains: 'a' })],
    [list({ someElement: { in: ['b', 'a', 'b'] } }), list({ containsAny: ['a', 'b'] })],
    [list({ noElement: { in: ['a', 'a'] } }), list({ notContains: 'a' })],
    [list({ noElement: { in: ['b', 'a'] } }), list({ containsNone: ['a', 'b'] })],
    [list({ someElement: { notIn: ['a'] } }), list({ someElement: { notEquals: 'a' } })],
    [order({ within: { ago: { from: 'P7D', to: 'PT0S' } } }), order({ within: { last: 'P1W' } })],
    [consent('SUBSCRIBED', 'SUBSCRIBED'), consent('SUBSCRIBED')],
    [{ all: [order()] }, order()],
    [
      { all: [order(), { all: [order(), email({ exists: true })] }] },
      { all: [email({ exists: true }), order()] },
    ],
    [{ not: { not: { not: order() } } }, { any: [{ not: order() }] }],
  ])('%j is %j', (a, b) => {
    expect(hash(a)).toBe(hash(b));
  });

  it('unifies repeated and reordered filters of an event', () => {
    const one = { path: 'a', filter: { exists: true } };
    const two = { path: 'b', filter: { exists: false } };
    expect(hash(order({ where: [two, one, two] }))).toBe(hash(order({ where: [one, two] })));
  });

  it.each([
    [order(), { event: { metric: 'placed order' } }],
    [count({ atLeast: 1 }), count({ atLeast: 2 })],
    [sum({ moreThan: 0 }), sum({ atLeast: 1 })],
    [sum({ moreThan: 0 }), count({ moreThan: 0 })],
    [text({ notEquals: 'a' }), { not: text({ equals: 'a' }) }],
    [email({ boolean: true }), { not: email({ boolean: false }) }],
    [text({ equals: '1' }), email({ number: { equals: 1 } })],
    [list({ someElement: { contains: 'a' } }), list({ contains: 'a' })],
    [list({ noElement: { contains: 'a' } }), { not: list({ someElement: { contains: 'a' } }) }],
    [list({ noElement: { notEquals: 'a' } }), list({ contains: 'a' })],
    [order({ within: { last: 'P1D' } }), order({ within: { moreThanAgo: 'P1D' } })],
    [{ all: [order(), email({ exists: true })] }, { any: [order(), email({ exists: true })] }],
  ])('%j is not %j', (a, b) => {
    expect(hash(a)).not.toBe(hash(b));
  });

  it('keeps the truth of count filters for every count, at and between whole numbers', () => {
    const values = [-1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5, 3, 2 ** 53, 1e17];
    const ops = ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost'];
    const filters = [
      ...ops.flatMap((op) => values.map((value) => ({ [op]: value }))),
      ...values.flatMap((from) => values.filter((to) => from <= to).map((to) => ({ between: { from, to } }))),
    ];
    for (const is of filters) {
      const condition = parsed(count(is));
      for (let events = 0; events <= 4; events += 1) {
        const facts = profile(
          {},
          Array.from({ length: events }, () => ({})),
        );
        const truth = evaluate(condition, facts, NOW);
        expect([is, events, evaluate(normalise(condition), facts, NOW)]).toEqual([is, events, truth]);
      }
    }
  });

  it('gives hashes that stay the same from release to release', () => {
    expect(hash(order())).toBe('d6979ae12f28f0217b4be3a9c855a769');
    expect(hash({ all: [order({ within: { last: 'P30D' } }), text({ endsWith: '@x.com' })] })).toBe(
      '072abd3906bd2e4cd1ffce2041ade274',
    );
  });
});
