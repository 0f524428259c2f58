/** Every kind of condition once, and what ClickHouse must read to know who satisfies it. */
import { predictionPath } from '../../src/segments/paths.ts';
import { NOW, SEGMENT_METRIC, type MetricName } from './data.ts';

/** The columns that a condition looks at, in the rows that the primary key, or the month of events, narrows it down to. */
export type Scan =
  | { table: 'events'; metrics: MetricName[]; columns: string[]; after?: number; through?: number }
  | { table: 'traits'; attributes: string[]; columns: string[] }
  | { table: 'predictions'; path: string; columns: string[] }
  | { table: 'profiles' };

export interface MeasuredCondition {
  name: string;
  /** As ConditionInput; of the membership in a segment, by its id. */
  condition: Record<string, unknown> | ((segment: string) => Record<string, unknown>);
  scan: Scan;
}

const DAY_MS = 86_400_000;
const isoDay = (ms: number) => new Date(ms).toISOString();

const ORDER = 'Placed Order';
const VIEW = 'Viewed Product';

function event(
  name: string,
  metric: MetricName,
  rest: Record<string, unknown>,
  columns: string[] = [],
  window: { after?: number; through?: number } = {},
): MeasuredCondition {
  const scan: Scan = {
    table: 'events',
    metrics: [metric],
    columns: ['profile', 'time', ...columns],
    ...window,
  };
  return { name: `event: ${name}`, condition: { event: { metric, ...rest } }, scan };
}

const where = (path: string, filter: unknown) => ({ where: [{ path, filter }] });

function property(name: string, path: string, filter: unknown, columns: string[]): MeasuredCondition {
  return {
    name: `property: ${name}`,
    condition: { property: { path, filter } },
    scan: traits([path], columns),
  };
}

const traits = (attributes: string[], columns: string[]): Scan => ({
  table: 'traits',
  attributes,
  columns: ['profile', 'revision', ...columns],
});

/** Views and orders: of them a sequence is made. */
function sequence(
  name: string,
  second: { negate?: boolean },
  rest: Record<string, unknown> = {},
): MeasuredCondition {
  return {
    name: `sequence: ${name}`,
    condition: { sequence: { steps: [{ metric: VIEW }, { metric: ORDER, ...second }], ...rest } },
    scan: { table: 'events', metrics: [VIEW, ORDER], columns: ['metric', 'profile', 'time'] },
  };
}

function membership(member: boolean): MeasuredCondition {
  return {
    name: `segment: ${member ? 'member' : 'not a member'}`,
    condition: (id) => ({ segment: { id, member } }),
    scan: { table: 'events', metrics: [SEGMENT_METRIC], columns: ['profile', 'time'] },
  };
}

const LAST_MONTH = { within: { last: 'P30D' } };
const lastMonth = { after: NOW - 30 * DAY_MS };
const DATE = ['kind', 'date_kind', 'date'];
const CONSENT = '$consent.EMAIL';

export const CONDITIONS: readonly MeasuredCondition[] = [
  event('count at least 1', VIEW, {}),
  event('count at least 5', VIEW, { is: { atLeast: 5 } }),
  event('count at least 5, last 30 days', VIEW, { is: { atLeast: 5 }, ...LAST_MONTH }, [], lastMonth),
  event(
    'count 0, more than 180 days ago',
    VIEW,
    { is: { equals: 0 }, within: { moreThanAgo: 'P180D' } },
    [],
    {
      through: NOW - 180 * DAY_MS,
    },
  ),
  event('count, 60 to 30 days ago', VIEW, { within: { ago: { from: 'P60D', to: 'P30D' } } }, [], {
    after: NOW - 60 * DAY_MS,
    through: NOW - 30 * DAY_MS,
  }),
  event(
    'count, between dates',
    VIEW,
    { within: { dates: { from: isoDay(NOW - 200 * DAY_MS), to: isoDay(NOW - 100 * DAY_MS) } } },
    [],
    { after: NOW - 200 * DAY_MS - 1, through: NOW - 100 * DAY_MS - 1 },
  ),
  event('count, this month', VIEW, { within: { calendar: 'THIS_MONTH' } }, [], {
    after: Date.UTC(2026, 3, 30, 22) - 1,
  }),
  event('sum', ORDER, { measure: { sum: '$value' }, is: { atLeast: 100 } }, ['value']),
  event(
    'sum, last 30 days',
    ORDER,
    { measure: { sum: '$value' }, is: { atLeast: 100 }, ...LAST_MONTH },
    ['value'],
    lastMonth,
  ),
  event('sum of a property', ORDER, { measure: { sum: 'items' }, is: { atLeast: 5 } }, ['numbers']),
  event('average', ORDER, { measure: { average: '$value' }, is: { moreThan: 60 } }, ['value']),
  event('minimum', ORDER, { measure: { min: '$value' }, is: { lessThan: 10 } }, ['value']),
  event('maximum', ORDER, { measure: { max: '$value' }, is: { moreThan: 100 } }, ['value']),
  event('distinct values', VIEW, { measure: { distinct: 'category' }, is: { atLeast: 3 } }, [
    'texts',
    'numbers',
    'booleans',
    'lists',
  ]),
  event('distinct days', VIEW, { measure: { days: true }, is: { atLeast: 3 } }),
  event(
    'distinct days, last 30 days',
    VIEW,
    { measure: { days: true }, is: { atLeast: 3 }, ...LAST_MONTH },
    [],
    lastMonth,
  ),
  event('where text', VIEW, where('category', { text: { equals: 'hats' } }), ['texts']),
  event('where text contains', VIEW, where('brand', { text: { contains: '17' } }), ['texts']),
  event('where text matches', VIEW, where('brand', { text: { matches: '1[0-9]$' } }), ['texts']),
  event('where number', VIEW, where('items', { number: { atLeast: 6 } }), ['numbers']),
  event('where boolean', ORDER, where('gift', { boolean: true }), ['booleans']),
  event('where list', ORDER, where('tags', { list: { containsAny: ['tag7', 'tag8'] } }), ['lists']),
  event('where date', ORDER, where('deliverOn', { date: { next: 'P10D' } }), ['dates']),
  event('where exists', VIEW, where('category', { exists: true }), ['texts', 'numbers', 'booleans', 'lists']),
  event('where its own value', ORDER, where('$value', { number: { atLeast: 100 } }), ['value']),
  event(
    'where text, last 30 days',
    VIEW,
    { ...where('category', { text: { equals: 'hats' } }), ...LAST_MONTH },
    ['texts'],
    lastMonth,
  ),
  sequence('one after the other', {}),
  sequence('and not the other', { negate: true }),
  sequence('within a day', {}, { completeWithin: 'P1D' }),
  sequence('and not the other within a day', { negate: true }, { completeWithin: 'P1D' }),
  membership(true),
  membership(false),
  property('text', 'properties.plan', { text: { equals: 'pro' } }, ['kind', 'text']),
  property('text contains', 'email', { text: { contains: '77@' } }, ['kind', 'text']),
  property('text matches', 'email', { text: { matches: '^person[0-9]*7@' } }, ['kind', 'text']),
  property('number', 'properties.points', { number: { atLeast: 2_000 } }, ['kind', 'number']),
  property('boolean', 'properties.vip', { boolean: true }, ['kind', 'number']),
  property('list', 'properties.tags', { list: { containsAll: ['tag1', 'tag2'] } }, ['kind', 'list']),
  property('exists', 'properties.plan', { exists: true }, ['kind']),
  property('does not exist', 'properties.plan', { exists: false }, ['kind']),
  property('date within', 'properties.renewal', { date: { within: { last: 'P30D' } } }, DATE),
  property('date next', 'properties.renewal', { date: { next: 'P30D' } }, DATE),
  property('date anniversary', 'properties.birthday', { date: { anniversary: { next: 7 } } }, DATE),
  property('date month', 'properties.birthday', { date: { month: 5 } }, DATE),
  {
    name: 'consent: status',
    condition: { consent: { channel: 'EMAIL', status: ['SUBSCRIBED'] } },
    scan: traits([CONSENT], ['text']),
  },
  {
    name: 'consent: since',
    condition: { consent: { channel: 'EMAIL', status: ['SUBSCRIBED'], since: { last: 'P90D' } } },
    scan: traits([CONSENT], ['text', 'date_kind', 'date']),
  },
  {
    name: 'consent: can receive',
    condition: { consent: { channel: 'EMAIL', canReceive: true } },
    scan: traits([CONSENT, 'email'], ['kind', 'text']),
  },
  {
    name: 'near',
    condition: { near: { latitude: 48.137, longitude: 11.575, within: 300 } },
    scan: traits(['location.latitude', 'location.longitude'], ['attribute', 'kind', 'number']),
  },
  {
    name: 'region',
    condition: { region: { region: 'EUROPEAN_UNION', inside: true } },
    scan: traits(['location.country'], ['kind', 'text']),
  },
  {
    name: 'prediction: number',
    condition: { prediction: { dimension: 'PREDICTED_LIFETIME_VALUE', number: { atLeast: 300 } } },
    scan: traits([predictionPath('PREDICTED_LIFETIME_VALUE')], ['kind', 'number']),
  },
  {
    name: 'prediction: date',
    condition: { prediction: { dimension: 'EXPECTED_NEXT_ORDER', date: { next: 'P14D' } } },
    scan: traits([predictionPath('EXPECTED_NEXT_ORDER')], DATE),
  },
  {
    name: 'prediction: change',
    condition: {
      prediction: { dimension: 'PREDICTED_LIFETIME_VALUE', change: { by: 100, within: 'P30D' } },
    },
    scan: {
      table: 'predictions',
      path: predictionPath('PREDICTED_LIFETIME_VALUE'),
      columns: ['profile', 'time', 'revision', 'value'],
    },
  },
  { name: 'sample', condition: { sample: { percent: 10 } }, scan: { table: 'profiles' } },
];

/** Four conditions, as somebody puts an audience together. */
export const DRAFT: readonly Record<string, unknown>[] = [
  { event: { metric: ORDER, is: { atLeast: 2 } } },
  { event: { metric: VIEW, ...where('category', { text: { equals: 'shoes' } }) } },
  { property: { path: 'location.country', filter: { text: { in: ['US', 'DE', 'GB'] } } } },
  { event: { metric: 'Opened Email', ...LAST_MONTH } },
];

/** The one that comes next, another one each time. */
export function nextCondition(turn: number): Record<string, unknown> {
  return { event: { metric: VIEW, ...where('brand', { text: { equals: `brand ${turn}` } }) } };
}
