import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/segments/ast.ts';
import { lint, type Warning } from '../../src/segments/lint.ts';
import { toInput } from '../../src/segments/print.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { seededRandom, type Random } from '../comparison/random.ts';
import { holds, parsed } from './helpers.ts';
import { wholeCase } from './whole.ts';

const order = (details: object = {}) => ({ event: { metric: 'Placed Order', ...details } });
const count = (is: object) => order({ is });
const property = (path: string, filter: object) => ({ property: { path, filter } });
const x = (filter: object) => property('properties.x', filter);
const text = (filter: object) => x({ text: filter });
const number = (filter: object) => x({ number: filter });
const list = (filter: object) => x({ list: filter });
const where = (...filters: [string, object][]) =>
  order({ where: filters.map(([path, filter]) => ({ path, filter })) });
const status = (...statuses: string[]) => ({ consent: { channel: 'SMS', status: statuses } });
const sample = (percent: number, salt = '') => ({ sample: { percent, salt } });
const told = (input: unknown) =>
  lint(parsed(input)).map(({ code, path }) => `${code} ${path.join('.')}`.trim());

describe('lint', () => {
  it.each<[string, object]>([
    ['fewer events than none', count({ lessThan: 0 })],
    ['half an event', count({ equals: 1.5 })],
    ['something and its opposite', { all: [order(), { not: order() }] }],
    ['more and fewer', { all: [count({ atLeast: 3 }), count({ atMost: 2 })] }],
    [
      'more and none, deep inside',
      { all: [{ all: [count({ moreThan: 3 })] }, { not: count({ atLeast: 1 }) }] },
    ],
    ['two values at once', { all: [text({ equals: 'a' }), text({ in: ['b', 'c'] })] }],
    ['a value that it must not be', { all: [text({ in: ['a', 'ab'] }), text({ notStartsWith: 'a' })] }],
    ['two types at once', { all: [text({ notEquals: 'a' }), number({ notEquals: 1 })] }],
    ['a value of what is not set', { all: [x({ exists: false }), number({ atLeast: 1 })] }],
    ['numbers that do not meet', { all: [number({ lessThan: 1 }), number({ atLeast: 1 })] }],
    ['a number and any other', { all: [number({ equals: 1 }), number({ notEquals: 1 })] }],
    ['true and false', { all: [x({ boolean: true }), x({ boolean: false })] }],
    ['two months', { all: [x({ date: { month: 1 } }), x({ date: { month: 2 } })] }],
    ['an element and none of it', { all: [list({ containsAll: ['a', 'b'] }), list({ notContains: 'b' })] }],
    [
      'an element that none may be like',
      { all: [list({ containsAny: ['ab', 'b'] }), list({ noElement: { endsWith: 'b' } })] },
    ],
    [
      'an element like this and none of it',
      { all: [list({ noElement: { contains: 'b' } }), list({ someElement: { contains: 'b' } })] },
    ],
    ['a list shorter than empty', list({ length: { lessThan: 0 } })],
    [
      'filters that exclude each other',
      where(['a', { number: { moreThan: 2 } }], ['a', { number: { equals: 2 } }]),
    ],
    ['a text for $value', where(['$value', { text: { notEquals: '' } }])],
    ['a text for $time', where(['$time', { text: { notEquals: '' } }])],
    ['no time at all', where(['$time', { exists: false }])],
    ['a time still to come', where(['$time', { date: { next: 'P1D' } }])],
    ['two statuses at once', { all: [status('SUBSCRIBED'), status('UNSUBSCRIBED', 'NEVER_SUBSCRIBED')] }],
    [
      'inside and outside',
      {
        all: [
          { region: { region: 'UNITED_STATES' } },
          { region: { region: 'UNITED_STATES', inside: false } },
        ],
      },
    ],
    [
      'two regions',
      { all: [{ region: { region: 'UNITED_STATES' } }, { region: { region: 'EUROPEAN_UNION' } }] },
    ],
    ['nobody', sample(0)],
    ['a smaller sample without a larger one', { all: [sample(10), { not: sample(20) }] }],
  ])('says that nobody satisfies %s', (_name, input) => {
    expect(told(input)).toContain('CONTRADICTORY');
    expect(told({ not: input })).toContain('ALWAYS_TRUE');
  });

  it.each<[string, object]>([
    ['some events', { all: [count({ atLeast: 3 }), count({ atMost: 3 })] }],
    ['events of different windows', { all: [order(), { not: order({ within: { last: 'P1D' } }) }] }],
    [
      'the time of an event',
      where(['$time', { exists: true }], ['$time', { date: { anniversary: { next: 7 } } }]),
    ],
    ['a date that is also a text', { all: [x({ date: { month: 1 } }), text({ startsWith: '2026' })] }],
    [
      'a value that may be unset',
      { all: [{ not: text({ equals: 'a' }) }, { not: text({ notEquals: 'a' }) }] },
    ],
    [
      'averages that may be missing',
      {
        not: {
          any: ['atLeast', 'lessThan'].map((op) => order({ measure: { average: 'a' }, is: { [op]: 1 } })),
        },
      },
    ],
    [
      'one element that may be like this',
      { all: [list({ containsAny: ['a', 'b'] }), list({ noElement: { endsWith: 'b' } })] },
    ],
    [
      'elements of either kind, and neither',
      {
        all: [list({ noElement: { contains: 'b' } }), list({ noElement: { notContains: 'b' } })],
      },
    ],
    ['samples of different salts', { all: [sample(10), { not: sample(20, 'b') }] }],
    ['a bound beside a number', { all: [number({ lessThan: 2 }), number({ equals: 1 })] }],
    ['a number that touches', { all: [number({ atMost: 1 }), number({ atLeast: 1 })] }],
  ])('is silent about %s', (_name, input) => {
    expect(told(input)).toEqual([]);
  });

  it('says of what is true for everybody', () => {
    expect(told(count({ atLeast: 0 }))).toEqual(['ALWAYS_TRUE']);
    expect(told(status('SUBSCRIBED', 'UNSUBSCRIBED', 'NEVER_SUBSCRIBED'))).toEqual(['ALWAYS_TRUE']);
    expect(told({ any: [count({ atLeast: 2 }), count({ lessThan: 5 })] })).toEqual(['ALWAYS_TRUE']);
    expect(told(sample(100))).toEqual(['ALWAYS_TRUE']);
  });

  it('points at the part, and at the whole where that is constant', () => {
    expect(told({ any: [order(), { all: [text({ equals: 'a' }), sample(0)] }] })).toEqual([
      'CONTRADICTORY any.1.all.1',
    ]);
    expect(told({ all: [order(), sample(0)] })).toEqual(['CONTRADICTORY', 'CONTRADICTORY all.1']);
    expect(told({ all: [order(), sample(100)] })).toEqual(['ALWAYS_TRUE all.1']);
  });

  it('says of what is said twice', () => {
    expect(told({ any: [order(), sample(5), count({ moreThan: 0 })] })).toEqual(['DUPLICATE any.2']);
    const filter: [string, object] = ['a', { text: { in: ['b'] } }];
    expect(told(where(filter, ['a', { text: { equals: 'b' } }]))).toEqual(['DUPLICATE event.where.1']);
    expect(lint(parsed({ any: [order(), order()] }))[0]?.message).toBe(
      'says the same as any.0; leave one of them out',
    );
  });

  it('says of what can be had cheaper', () => {
    const equals = ['a', 'b', 'c'].map((value) => text({ equals: value }));
    expect(told({ any: equals })).toEqual(['COSTLY any']);
    expect(told({ any: equals.slice(1) })).toEqual([]);
    expect(told({ all: [order(), text({ matches: '^gold' })] })).toEqual([
      'COSTLY all.1.property.filter.text.matches',
    ]);
    expect(told(where(['a', { text: { notMatches: 'gold$' } }]))).toEqual([
      'COSTLY event.where.0.filter.text.notMatches',
    ]);
    expect(told(text({ matches: 'g.ld' }))).toEqual([]);
    expect(told(list({ someElement: { matches: '^gold' } }))).toEqual([
      'COSTLY property.filter.list.someElement.matches',
    ]);
  });

  it('recommends instead of a regular expression what means the same', () => {
    for (const pattern of ['gold', '^gold', 'gold$', '^gold$', '^', 'a b@c', '$']) {
      for (const op of ['matches', 'notMatches']) {
        const [warning] = lint(parsed(text({ [op]: pattern })));
        const [, instead, value] = /for what (\w+): (".*") says/.exec(warning?.message ?? '') ?? [];
        const cheaper = { text: { [instead ?? '']: JSON.parse(value ?? '') as string } };
        for (const tried of ['gold', 'golden', 'old gold', 'a gold b', 'Gold', 'gold\n', '', 'a b@c!']) {
          expect([pattern, tried, holds(cheaper, tried)]).toEqual([
            pattern,
            tried,
            holds({ text: { [op]: pattern } }, tried),
          ]);
        }
      }
    }
  });

  it('a part called contradictory is never true, one called always true is never false, a repeated part changes nothing', () => {
    const seen: Record<string, number> = {};
    for (let seed = 0; seed < 600; seed += 1) {
      const random = seededRandom(seed);
      const now = wholeCase(seed, { people: 6, conditions: 8 });
      const truths = (condition: Condition) =>
        now.instants.flatMap((at) => now.people.map((facts) => evaluate(condition, facts, at, now.context)));
      for (const condition of provocations(random, now.inputs.map(parsed))) {
        for (const warning of lint(condition)) {
          seen[warning.code] = (seen[warning.code] ?? 0) + 1;
          const message = `seed ${seed}: ${JSON.stringify(toInput(condition))} ${warning.path.join('.')}`;
          check(warning, condition, truths, message);
        }
      }
    }
    expect(seen['CONTRADICTORY']).toBeGreaterThan(200);
    expect(seen['ALWAYS_TRUE']).toBeGreaterThan(200);
    expect(seen['DUPLICATE']).toBeGreaterThan(100);
  });
});

/** Combinations of leaves that are about the same things, so that they get in each other's way. */
function provocations(random: Random, conditions: Condition[]): Condition[] {
  const leaves = conditions.flatMap((condition) => leavesOf(condition));
  return Array.from({ length: 12 }, () => {
    const first = random.pick(leaves);
    const others = leaves.filter(({ kind }) => kind === first.kind);
    const second = random.chance(0.3) ? altered(random, first) : random.pick(others);
    const children = [first, second, random.pick(leaves)].map((child): Condition =>
      random.chance(0.4) ? { kind: 'not', child } : child,
    );
    return { kind: random.pick(['all', 'any'] as const), children };
  });
}

function leavesOf(condition: Condition): Condition[] {
  if (condition.kind === 'not') return leavesOf(condition.child);
  return 'children' in condition ? condition.children.flatMap(leavesOf) : [condition];
}

/** The same measure, sample or property with another filter. */
function altered(random: Random, leaf: Condition): Condition {
  const value = random.pick([0, 1, 2]);
  const is = {
    op: random.pick(['atLeast', 'lessThan', 'equals', 'notEquals', 'moreThan', 'atMost'] as const),
    value,
  };
  if (leaf.kind === 'event') return { ...leaf, is };
  if (leaf.kind === 'sample') return { ...leaf, percent: random.pick([0, 10, 60, 100]) };
  if (leaf.kind === 'property') return { ...leaf, filter: { kind: 'number', number: is } };
  return leaf;
}

function check(
  { code, path }: Warning,
  condition: Condition,
  truths: (condition: Condition) => boolean[],
  message: string,
): void {
  let part: Condition = condition;
  let parent: Condition | null = null;
  let i = 0;
  while (i < path.length) {
    parent = part;
    if (part.kind === 'not') {
      part = part.child;
      i += 1;
    } else if ('children' in part) {
      part = part.children[Number(path[i + 1])] as Condition;
      i += 2;
    } else return checkFilter(part, Number(path.at(-1)), code, truths, message);
  }
  if (code === 'CONTRADICTORY') expect(truths(part), message).not.toContain(true);
  if (code === 'ALWAYS_TRUE') expect(truths(part), message).not.toContain(false);
  if (code === 'DUPLICATE' && parent && 'children' in parent && parent.children.includes(part)) {
    const without = { ...parent, children: parent.children.filter((_, i) => i !== Number(path.at(-1))) };
    expect(truths(without), message).toEqual(truths(parent));
  }
}

/** A warning about a filter of an event. */
function checkFilter(
  event: Condition,
  place: number,
  code: Warning['code'],
  truths: (condition: Condition) => boolean[],
  message: string,
): void {
  if (event.kind !== 'event' || code !== 'DUPLICATE') return;
  const without = { ...event, where: event.where.filter((_, i) => i !== place) };
  expect(truths(without), message).toEqual(truths(event));
}
