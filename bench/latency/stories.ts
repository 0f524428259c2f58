/**
 * What people do while the benchmark runs, and which changes that must bring. Nothing is declared by hand: the
 * reference evaluator of the segment language, slow and obvious, says what each step and each passing second flips.
 */
import {
  criteriaOf,
  evaluate,
  flatten,
  parseCondition,
  profileFacts,
  timeEdges,
  type Condition,
  type EventFacts,
  type Value,
} from '../../src/segments/index.ts';
import { SEGMENTS } from './segments.ts';

export interface Action {
  metric: string;
  value?: number;
  properties?: Record<string, unknown>;
}

export interface Step extends Action {
  /** Milliseconds after the story's beginning. */
  after: number;
}

export interface Story {
  name: string;
  /** Known people have a profile with these properties before the story begins; others begin to exist in it. */
  known: { plan: string; country: string } | null;
  steps: Step[];
}

/** A flip that must be seen: brought by a step itself, or by time alone, exactly `delay` after that step's event. */
export interface Flip {
  /** The key of the segment. */
  segment: string;
  kind: 'ENTERED' | 'EXITED';
  cause: 'EVENT' | 'TIME';
  /** Index of the step. */
  step: number;
  /** Milliseconds; 0 for EVENT. */
  delay: number;
}

const view = (after: number, category: string, price: number, device: string): Step => ({
  after,
  metric: 'Viewed Product',
  properties: { category, price, device },
});
const order = (after: number, value: number): Step => ({ after, metric: 'Placed Order', value });

export const STORIES: readonly Story[] = [
  {
    name: 'visitor',
    known: null,
    steps: [view(0, 'shoes', 80, 'ios'), view(2_500, 'hats', 250, 'web'), view(5_000, 'shoes', 60, 'ios')],
  },
  {
    name: 'buyer',
    known: null,
    steps: [
      { after: 0, metric: 'Added to Cart', properties: { sku: 'A-1' } },
      order(3_000, 60),
      order(6_500, 70),
    ],
  },
  {
    name: 'checkout',
    known: null,
    steps: [
      { after: 0, metric: 'Started Checkout' },
      { after: 1_700, metric: 'Started Checkout' },
    ],
  },
  {
    name: 'reader',
    known: null,
    steps: [
      { after: 0, metric: 'Opened Email', properties: { campaign: 'spring-sale' } },
      { after: 3_000, metric: 'Clicked Email', properties: { campaign: 'spring-sale' } },
    ],
  },
  {
    name: 'gold',
    known: { plan: 'gold', country: 'DE' },
    steps: [view(0, 'bags', 120, 'web'), order(3_000, 150)],
  },
  {
    name: 'searcher',
    known: null,
    steps: [{ after: 0, metric: 'Searched Site', properties: { query: 'boots' } }],
  },
  {
    name: 'returner',
    known: null,
    steps: [
      { after: 0, metric: 'Active on Site' },
      { after: 3_500, metric: 'Started Checkout' },
    ],
  },
];

/** Someone with so much history that nothing they do during the benchmark flips anything: the bulk of the load. */
export const VETERAN: readonly Action[] = [
  ...[1, 2, 3].map((n) => ({
    metric: 'Viewed Product',
    properties: { category: 'shoes', price: 200 + n, device: 'ios' },
  })),
  ...[1, 2].map(() => ({ metric: 'Placed Order', value: 80, properties: {} })),
  { metric: 'Added to Cart', properties: { sku: 'B-2' } },
  { metric: 'Opened Email', properties: { campaign: 'spring-sale' } },
  { metric: 'Clicked Email', properties: { campaign: 'spring-sale' } },
];

/** Closer together than this, a step and a passing second could be taken in either order. */
export const CLEARANCE_MS = 400;

const CONDITIONS: [key: string, Condition][] = SEGMENTS.map(({ key, condition }) => {
  const parsed = parseCondition(condition);
  if (!parsed.ok)
    throw new Error(`segment ${key}: ${parsed.errors.map(({ message }) => message).join('; ')}`);
  return [key, parsed.condition];
});

/** The keys of the segments that hold for someone at the instant. */
export function membershipsOf(
  attributes: ReadonlyMap<string, Value>,
  events: readonly EventFacts[],
  at: number,
): Set<string> {
  return new Set(
    CONDITIONS.filter(([, condition]) => evaluate(condition, profileFacts({ attributes, events }), at)).map(
      ([key]) => key,
    ),
  );
}

export function factsOf(action: Action, time: number): EventFacts {
  const properties = flatten(action.properties ?? {});
  return { metric: action.metric, time, value: action.value ?? null, properties };
}

export function attributesOf(story: Story): Map<string, Value> {
  const attributes = new Map<string, Value>([['externalId', 'someone']]);
  if (story.known) {
    attributes.set('properties.plan', story.known.plan);
    attributes.set('location.country', story.known.country);
  }
  return attributes;
}

/** The first instant of the made-up time in which flips are found out; only distances matter. */
const EPOCH = Date.UTC(2026, 0, 1);
/** Edges further away than this do not happen while the benchmark runs. */
const HORIZON_MS = 60_000;

/** Every flip of the story, in order of time. Throws when a story is not clear about its order. */
export function flipsOf(story: Story): Flip[] {
  const attributes = attributesOf(story);
  const events = story.steps.map((step) => factsOf(step, EPOCH + step.after));
  const instants = instantsOf(story);
  instants.forEach((instant, i) => {
    const next = instants[i + 1];
    if (next && next.at - instant.at < CLEARANCE_MS)
      throw new Error(`the story ${story.name} has two things at about ${next.at} ms`);
  });
  // Who does not exist yet is a member of nothing, not even of those who never did something.
  let before = story.known ? membershipsOf(attributes, [], EPOCH - 1) : new Set<string>();
  return instants.flatMap(({ at, step, delay }): Flip[] => {
    const past = events.filter(({ time }) => time <= EPOCH + at);
    const now = membershipsOf(attributes, past, EPOCH + at);
    const changed = SEGMENTS.filter(({ key }) => now.has(key) !== before.has(key));
    const flips = changed.map(({ key }): Flip => ({
      segment: key,
      kind: now.has(key) ? 'ENTERED' : 'EXITED',
      cause: delay === 0 ? 'EVENT' : 'TIME',
      step,
      delay,
    }));
    before = now;
    return flips;
  });
}

/** When something can change: each step, and each window's edge after a step that the window can see. */
function instantsOf(story: Story): { at: number; step: number; delay: number }[] {
  const criteria = CONDITIONS.flatMap(([, condition]) => criteriaOf(condition));
  const instants = story.steps.flatMap(({ after, metric }, step) => {
    const edges = criteria.flatMap((criterion) =>
      criterion.kind === 'event' && criterion.metric === metric ? timeEdges(criterion) : [],
    );
    const delays = [...new Set([0, ...edges])].filter((delay) => delay <= HORIZON_MS);
    return delays.map((delay) => ({ at: after + delay, step, delay }));
  });
  return instants.sort((a, b) => a.at - b.at);
}
