/** The 20 segments of the latency benchmark: what marketing people really ask, with windows from seconds to months. */
import type { SegmentSpec } from '../lib/api.ts';

export interface BenchSegment extends SegmentSpec {
  /** Short, for expectations and messages. */
  key: string;
}

type Condition = Record<string, unknown>;

const all = (...conditions: Condition[]): Condition => ({ all: conditions });
const any = (...conditions: Condition[]): Condition => ({ any: conditions });
const not = (condition: Condition): Condition => ({ not: condition });
const event = (metric: string, rest: Record<string, unknown> = {}): Condition => ({
  event: { metric, ...rest },
});
const last = (duration: string) => ({ within: { last: duration } });
const atLeast = (count: number) => ({ is: { atLeast: count } });
const where = (path: string, filter: Record<string, unknown>) => ({ where: [{ path, filter }] });
const profile = (path: string, equals: string): Condition => ({
  property: { path, filter: { text: { equals } } },
});

const viewed = (rest: Record<string, unknown> = {}) => event('Viewed Product', rest);
const ordered = (rest: Record<string, unknown> = {}) => event('Placed Order', rest);

const definitions: Record<string, [name: string, condition: Condition]> = {
  viewed: ['Viewed in 30 days', viewed(last('P30D'))],
  viewed3: ['Viewed 3 times in 7 days', viewed({ ...atLeast(3), ...last('P7D') })],
  shoes: [
    'Viewed shoes in 30 days',
    viewed({ ...where('category', { text: { equals: 'shoes' } }), ...last('P30D') }),
  ],
  pricey: [
    'Viewed something from 200 up in 7 days',
    viewed({ ...where('price', { number: { atLeast: 200 } }), ...last('P7D') }),
  ],
  mobile: [
    'Viewed on a phone in 30 days',
    viewed({ ...where('device', { text: { in: ['ios', 'android'] } }), ...last('P30D') }),
  ],
  buyer: ['Ordered ever', ordered()],
  buyer2: ['Ordered twice in 90 days', ordered({ ...atLeast(2), ...last('P90D') })],
  spender: [
    'Spent 100 in 30 days',
    ordered({ measure: { sum: '$value' }, ...atLeast(100), ...last('P30D') }),
  ],
  prospect: ['Never ordered', ordered({ is: { equals: 0 } })],
  cart: ['Cart without order in a day', all(event('Added to Cart', last('P1D')), not(ordered(last('P1D'))))],
  silent: [
    'Viewed but opened nothing in 30 days',
    all(viewed(last('P30D')), not(event('Opened Email', last('P30D')))),
  ],
  engaged: [
    'Opened or clicked in 7 days',
    any(event('Opened Email', last('P7D')), event('Clicked Email', last('P7D'))),
  ],
  spring: [
    'Opened a spring campaign in 14 days',
    event('Opened Email', {
      ...where('campaign', { text: { startsWith: 'spring-' } }),
      ...last('P14D'),
    }),
  ],
  goldBuyer: ['Gold and ordered', all(profile('properties.plan', 'gold'), ordered())],
  german: ['German viewers', all(profile('location.country', 'DE'), viewed(last('P30D')))],
  checkout: ['In the checkout (5 s)', event('Started Checkout', last('PT5S'))],
  checkout2: ['Two checkouts in 6 s', event('Started Checkout', { ...atLeast(2), ...last('PT6S') })],
  idle: [
    'Active, but no checkout (10 s)',
    all(event('Active on Site', last('PT10S')), not(event('Started Checkout', last('PT10S')))),
  ],
  search: ['Searched (7 s)', event('Searched Site', last('PT7S'))],
  searchAgo: [
    'Searched 3 to 9 s ago',
    event('Searched Site', { within: { ago: { from: 'PT9S', to: 'PT3S' } } }),
  ],
};

export const SEGMENTS: readonly BenchSegment[] = Object.entries(definitions).map(
  ([key, [name, condition]]) => ({
    key,
    name,
    condition,
  }),
);
