/** The words of the sentences that more than one place must know: printing and reading them. */
import type {
  CalendarPeriod,
  Channel,
  ConsentStatus,
  DistanceUnit,
  ListFilter,
  Measure,
  PredictionDimension,
  Region,
} from './ast.ts';

export const CHANNEL_WORDS: Readonly<Record<Channel, string>> = { EMAIL: 'email', SMS: 'sms', PUSH: 'push' };

export const STATUS_WORDS: Readonly<Record<ConsentStatus, string>> = {
  SUBSCRIBED: 'subscribed',
  UNSUBSCRIBED: 'unsubscribed',
  NEVER_SUBSCRIBED: 'never subscribed',
};

export const REGION_WORDS: Readonly<Record<Region, string>> = {
  EUROPEAN_UNION: 'the European Union',
  UNITED_STATES: 'the United States',
};

export const DIMENSION_WORDS: Readonly<Record<PredictionDimension, string>> = {
  EXPECTED_NEXT_ORDER: 'the expected next order',
  PREDICTED_LIFETIME_VALUE: 'the predicted lifetime value',
  HISTORIC_LIFETIME_VALUE: 'the historic lifetime value',
  CHURN_RISK: 'the churn risk',
  AVERAGE_DAYS_BETWEEN_ORDERS: 'the average days between orders',
};

export const PERIOD_WORDS: Readonly<Record<CalendarPeriod, string>> = {
  TODAY: 'today',
  YESTERDAY: 'yesterday',
  THIS_WEEK: 'this week',
  THIS_MONTH: 'this month',
  THIS_YEAR: 'this year',
  LAST_WEEK: 'last week',
  LAST_MONTH: 'last month',
  LAST_YEAR: 'last year',
};

export const MEASURE_WORDS: Readonly<Record<Extract<Measure, { path: string }>['kind'], string>> = {
  sum: 'the sum of',
  average: 'the average of',
  min: 'the minimum of',
  max: 'the maximum of',
  distinct: 'the number of different values of',
};

/** Said behind "has", before what the element's text must be. */
export const ELEMENT_WORDS: Readonly<Record<Extract<ListFilter, { text: unknown }>['op'], string>> = {
  someElement: 'an element that',
  noElement: 'no element that',
};

export const MONTH_WORDS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
] as const;

/** Words that begin something where a path could stand: a property of such a name is quoted. */
export const RESERVED: ReadonlySet<string> = new Set(
  'all and any at before between by did done exactly false from has in is not of on or over source than the then true where within'.split(
    ' ',
  ),
);

/** What is a metric's name without quotes: words that begin with a capital; after the first, numbers too. */
export const CAPITALISED_WORDS = /^\p{Lu}[\p{L}\p{N}_-]*(?: [\p{Lu}\p{N}][\p{L}\p{N}_-]*)*$/u;
/** What is a path without quotes. */
export const PLAIN_PATH = /^[\p{L}_$][\p{L}\p{N}_$-]*(?:\.[\p{L}\p{N}_$-]+)*$/u;

/** "1 mile", "50 kilometers". */
export function distanceWords(distance: number, unit: DistanceUnit): string {
  const one = unit === 'MILES' ? 'mile' : 'kilometer';
  return `${distance} ${one}${distance === 1 ? '' : 's'}`;
}

/** For reading: what each phrase means. */
export const inverse = (words: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(words).map(([meaning, phrase]) => [phrase, meaning]));
