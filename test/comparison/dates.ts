/** Random dates, filters on them and calendar periods, around the instants at which they are asked about. */
import type { Json } from './generate.ts';
import type { Random } from './random.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** Where dates lie, in profiles and in events. */
export const DATE_PATHS: ReadonlySet<string> = new Set(['due', 'item.since']);
/** Of the event itself. */
export const EVENT_TIME = '$time';
export const PERIODS = [
  ...['TODAY', 'YESTERDAY', 'THIS_WEEK', 'LAST_WEEK'],
  ...['THIS_MONTH', 'LAST_MONTH', 'THIS_YEAR', 'LAST_YEAR'],
] as const;
/** Ahead of UTC and behind it, some of which skip or repeat their midnight. */
export const ZONES = [
  'Europe/Berlin',
  'America/New_York',
  'UTC',
  'America/Santiago',
  'Asia/Kolkata',
  'Pacific/Apia',
] as const;
const LENGTHS = [
  ['PT1.5S', 1_500],
  ['PT1H', HOUR],
  ['P1D', DAY],
  ['P7D', 7 * DAY],
  ['P30D', 30 * DAY],
  ['P400D', 400 * DAY],
] as const;

/** As profiles and events have it: with a time and without, and what only looks like one. */
export function randomDate(random: Random, instants: readonly number[]): unknown {
  const [, ms] = random.pick(LENGTHS);
  const near = random.pick(instants) + random.pick([-1, 0, 1]) * ms + random.pick([-1, 0, 0, 1]);
  const at = random.chance(0.8) ? near : random.pick(instants) + random.between(-400 * DAY, 60 * DAY);
  const text = new Date(at).toISOString();
  const day = text.slice(0, 10);
  const year = String(random.pick([1901, 1914, 1936, 1960, 1984, 2000, 2099, 2150, 2200]));
  return random.pick([
    text,
    text,
    day,
    day,
    `${year}${text.slice(4)}`,
    `${year}-${day.slice(5)}`.replace(/^(?!1936|1960|1984|2000)(\d+)-02-29$/, '$1-02-28'),
    '2000-02-29',
    `${day}T23:30:00-05:00`,
    `${day} 10:00:00`,
    '2026-02-30',
    '1900-01-01',
    'soon',
    20_260_101,
    null,
    [day],
  ]);
}

export function randomDateFilter(random: Random, window: () => Json): Json {
  const days = () => random.pick([1, 2, 7, 30, 180, 365]);
  switch (random.pick(['within', 'within', 'next', 'next', 'anniversary', 'month', 'thisMonth'])) {
    case 'within':
      return { within: window() };
    case 'next':
      return { next: random.pick(LENGTHS)[0] };
    case 'anniversary':
      return { anniversary: random.pick<Json>([{ today: true }, { last: days() }, { next: days() }]) };
    case 'thisMonth':
      return { anniversary: { thisMonth: true } };
    default:
      return { month: random.between(1, 12) };
  }
}

/** A window of each kind. */
export function everyWindow(window: () => Json): Json[] {
  return ['last', 'moreThanAgo', 'ago', 'dates', 'calendar'].map((kind) => {
    for (;;) {
      const one = window();
      if (kind in one) return one;
    }
  });
}

/** One condition of every way in which dates and periods can be asked about, so that none depends on luck. */
export function everyDateCondition(random: Random, window: () => Json): Json[] {
  const filters = (): Json[] => [
    ...everyWindow(window).map((within) => ({ within })),
    { next: random.pick(LENGTHS)[0] },
    { anniversary: random.pick<Json>([{ today: true }, { last: 7 }, { next: 30 }]) },
    { anniversary: { thisMonth: true } },
    { month: random.between(1, 12) },
  ];
  const metric = 'Placed Order';
  const property = (date: Json) => ({ property: { path: 'properties.due', filter: { date } } });
  return [
    ...filters().map(property),
    ...PERIODS.map((calendar) => property({ within: { calendar } })),
    ...['due', EVENT_TIME].flatMap((path) =>
      filters().map((date) => ({ event: { metric, where: [{ path, filter: { date } }] } })),
    ),
    ...filters().map((date) => ({ prediction: { dimension: 'EXPECTED_NEXT_ORDER', date } })),
    ...PERIODS.map((calendar) => ({ event: { metric, within: { calendar } } })),
  ];
}
