/**
 * The segment language as a tree. A condition is what `ConditionInput` of the public API says, after validation: every
 * default is filled in, durations are milliseconds, instants are epoch milliseconds.
 *
 * The leaves of a normalised condition (`Criterion`) are what ClickHouse computes, for all profiles or for some; `all`,
 * `any` and `not` are boolean algebra over their sets.
 */

/** Boolean algebra over leaves. */
export type Tree<Leaf> = AllOf<Leaf> | AnyOf<Leaf> | NotOf<Leaf> | Leaf;
export interface AllOf<Leaf> {
  kind: 'all';
  children: Tree<Leaf>[];
}
export interface AnyOf<Leaf> {
  kind: 'any';
  children: Tree<Leaf>[];
}
export interface NotOf<Leaf> {
  kind: 'not';
  child: Tree<Leaf>;
}

/** As it was said. */
export type Condition = Tree<Leaf>;
/** As `normalise` gives it: fewer kinds of leaves, and fewer forms of each, as noted at the types. */
export type NormalCondition = Tree<Criterion>;

export type Leaf = Criterion | RegionLeaf | PredictionLeaf;
/** Each is false for a profile of which nothing is known; but `sample` and `segment` do not look at what is known. */
export type Criterion =
  | EventCriterion
  | SequenceCriterion
  | PropertyCriterion
  | ConsentCriterion
  | SegmentCriterion
  | NearCriterion
  | TrendCriterion
  | SampleCriterion;

/** A measure over someone's events of one metric, in a window, compared with a number. */
export interface EventCriterion {
  kind: 'event';
  /** The metric's name, exactly as it was sent. */
  metric: string;
  /** All of them must hold for an event to be measured. */
  where: PropertyFilter[];
  measure: Measure;
  is: NumberFilter;
  /** Null: ever. An event whose time has not come yet never counts, whatever the window. */
  within: TimeWindow | null;
}

/**
 * Events in an order: one per step that is not negated, each strictly later than the one before, all in the window.
 * A negated step forbids its event strictly between its neighbours; as the first, before the first event (from the
 * window's beginning on); as the last, after the last event (until now).
 */
export interface SequenceCriterion {
  kind: 'sequence';
  /** At least one is not negated. */
  steps: SequenceStep[];
  /**
   * From the first event to the last at most this long. If the last step is negated, its event must be missing until
   * this long after the first event, and the criterion holds only from then on. Null: no limit.
   */
  completeWithinMs: number | null;
  /** Null: ever. */
  within: TimeWindow | null;
}
export interface SequenceStep {
  metric: string;
  where: PropertyFilter[];
  negate: boolean;
}

/**
 * A fact about the profile itself: "email", "location.city", "properties.plan". In the normal form never
 * `exists: false`. Regions and the present values of predictions are property criteria in the normal form.
 */
export interface PropertyCriterion {
  kind: 'property';
  path: string;
  filter: ValueFilter;
}

/** The newest consent of a channel; all that is given must hold. Who has none counts as NEVER_SUBSCRIBED. */
export interface ConsentCriterion {
  kind: 'consent';
  channel: Channel;
  /**
   * Null: any. In the normal form not empty, sorted, and never with NEVER_SUBSCRIBED but where `since` or `source` is
   * given, which only a consent that was recorded can satisfy.
   */
  status: ConsentStatus[] | null;
  /** Whether messages may be sent. Null: does not matter. In the normal form null: it becomes other criteria. */
  canReceive: boolean | null;
  /** The consent's own time. */
  since: TimeWindow | null;
  /** Holds only for a source that is set. */
  source: TextFilter | null;
}

/** In the normal form `member` is true. Its id is the public one, opaque here. */
export interface SegmentCriterion {
  kind: 'segment';
  id: string;
  member: boolean;
}

/**
 * Great-circle distance from a place to the profile's location.latitude and location.longitude; a profile without both
 * is neither within nor beyond. See `geo.ts` for the formula.
 */
export interface NearCriterion {
  kind: 'near';
  latitude: number;
  longitude: number;
  /** What the coordinates were found by. In the normal form null. */
  postal: { postalCode: string; country: string } | null;
  within: number;
  /** In the normal form KILOMETERS. */
  unit: DistanceUnit;
  /** true: farther away than `within`, instead of at most so far. */
  beyond: boolean;
}

/** Inside: the country is one of the region's. Outside: it is set and none of them. Normal form: property criteria. */
export interface RegionLeaf {
  kind: 'region';
  region: Region;
  inside: boolean;
}

/** All that is given must hold, at least one is. Normal form: property criteria on `predictionPath`, and a trend. */
export interface PredictionLeaf {
  kind: 'prediction';
  dimension: PredictionDimension;
  number: NumberFilter | null;
  /** Only for EXPECTED_NEXT_ORDER, which has nothing else. */
  date: DateFilter | null;
  change: { by: number; withinMs: number } | null;
}

/**
 * How a prediction has changed: its value at the instant E, less its value at E - withinMs, both in millionths, is at
 * least `by` (at most `by`, where that is negative). False if one of the two is missing or beyond ±1e12.
 */
export interface TrendCriterion {
  kind: 'trend';
  /** A `predictionPath`. */
  path: string;
  by: number;
  withinMs: number;
}

/** Depends on nothing but the profile's number. See `sample.ts` for the formula. */
export interface SampleCriterion {
  kind: 'sample';
  /** From 0 to 100. */
  percent: number;
  salt: string;
}

/**
 * Paths may be "$value", the event's own value. A number beyond ±1e12, or what is no number, is left out of sums and
 * averages; min and max take every number. Without any number, sum is 0, and average, min and max satisfy nothing.
 * `distinct` counts different values, those of a list one by one; `days` counts days in the account's time zone.
 */
export type Measure =
  | { kind: 'count' }
  | { kind: 'days' }
  | { kind: 'sum' | 'average' | 'min' | 'max' | 'distinct'; path: string };

export interface PropertyFilter {
  /** Inside the event's properties, levels joined by dots; or "$value", or "$time". */
  path: string;
  filter: ValueFilter;
}

/** Holds only for a value of its own type; an unset value satisfies nothing but `exists: false`. */
export type ValueFilter =
  | { kind: 'text'; text: TextFilter }
  | { kind: 'number'; number: NumberFilter }
  | { kind: 'boolean'; equals: boolean }
  | { kind: 'date'; date: DateFilter }
  | { kind: 'list'; list: ListFilter }
  | { kind: 'exists'; exists: boolean };

/** Case-sensitive. `matches` is RE2, searched anywhere in the text, the dot matching line breaks too. */
export type TextFilter =
  | {
      op:
        | 'equals'
        | 'notEquals'
        | 'contains'
        | 'notContains'
        | 'startsWith'
        | 'notStartsWith'
        | 'endsWith'
        | 'notEndsWith'
        | 'matches'
        | 'notMatches';
      value: string;
    }
  | { op: 'in' | 'notIn'; values: string[] };

export type NumberFilter =
  | { op: 'equals' | 'notEquals' | 'moreThan' | 'atLeast' | 'lessThan' | 'atMost'; value: number }
  | { op: 'between'; from: number; to: number };

/**
 * Over elements, as `elementText` writes them: whole, or by a text filter that some satisfy, or none. In the normal form
 * contains and notContains are Any and None, and so are text filters for one of certain texts.
 */
export type ListFilter =
  | { op: 'contains' | 'notContains'; value: string }
  | { op: 'containsAny' | 'containsAll' | 'containsNone'; values: string[] }
  | { op: 'someElement' | 'noElement'; text: TextFilter }
  | { op: 'length'; length: NumberFilter };

/**
 * Over a text that `parseDate` reads as a date: an instant t, which on the account's calendar falls on a day.
 * within: as TimeWindow says. next D: E < t <= E + D.
 * anniversary: the day comes back between `from` and `to` days from today (negative: ago), whatever the year; today is
 * 0..0, the last n days are -n..0, the next n days 1..n. 29 February comes back on 28 February in a common year.
 * month: of any year; 1 is January. thisMonth: the month of any year that it is now.
 */
export type DateFilter =
  | { op: 'within'; window: TimeWindow }
  | { op: 'next'; ms: number }
  | { op: 'anniversary'; from: number; to: number }
  | { op: 'month'; month: number }
  | { op: 'thisMonth' };

/**
 * With E the instant of evaluation and t the time in question:
 * last D: E - D < t <= E. moreThanAgo D: t <= E - D. ago F..T: E - F < t <= E - T. dates: from <= t < to.
 * calendar: t lies in the period of the account's calendar that holds E, or in the one before; weeks begin on Monday.
 * For the times of events and consents t <= E besides; a date may lie ahead in `dates` and `calendar`.
 */
export type TimeWindow =
  | { kind: 'last'; ms: number }
  | { kind: 'moreThanAgo'; ms: number }
  | { kind: 'ago'; fromMs: number; toMs: number }
  | { kind: 'dates'; from: number | null; to: number | null }
  | { kind: 'calendar'; period: CalendarPeriod };

export type CalendarPeriod =
  'TODAY' | 'YESTERDAY' | 'THIS_WEEK' | 'THIS_MONTH' | 'THIS_YEAR' | 'LAST_WEEK' | 'LAST_MONTH' | 'LAST_YEAR';
export type Channel = 'EMAIL' | 'SMS' | 'PUSH';
export type ConsentStatus = 'SUBSCRIBED' | 'UNSUBSCRIBED' | 'NEVER_SUBSCRIBED';
export type DistanceUnit = 'KILOMETERS' | 'MILES';
export type Region = 'EUROPEAN_UNION' | 'UNITED_STATES';
export type PredictionDimension =
  | 'EXPECTED_NEXT_ORDER'
  | 'PREDICTED_LIFETIME_VALUE'
  | 'HISTORIC_LIFETIME_VALUE'
  | 'CHURN_RISK'
  | 'AVERAGE_DAYS_BETWEEN_ORDERS';

/** What the meaning of a condition depends on besides the profile and the instant. */
export interface Context {
  /** The account's, as the IANA names it: "Europe/Berlin". */
  timeZone: string;
}

/** What a profile is made of, as far as conditions can see: the input of the reference evaluator. */
export interface ProfileFacts {
  /** The number within its account: from 0 to 2^32 - 1. */
  number: number;
  /** Attribute path → value; unset attributes are absent. Objects are flattened into dotted paths. */
  attributes: ReadonlyMap<string, Value>;
  events: readonly EventFacts[];
  /** The newest consent of each channel, by the consent's own time. */
  consents: ReadonlyMap<Channel, ConsentFacts>;
  /** Ids of the segments that the profile is in. */
  memberships: ReadonlySet<string>;
  /** `predictionPath` → its values over time, in any order; the newest is also the attribute of this path. */
  predictions: ReadonlyMap<string, readonly PredictionFacts[]>;
}
export interface EventFacts {
  metric: string;
  /** Epoch milliseconds. */
  time: number;
  value: number | null;
  /** Flattened like attributes. */
  properties: ReadonlyMap<string, Value>;
}
export interface ConsentFacts {
  status: ConsentStatus;
  /** Epoch milliseconds. */
  time: number;
  source: string | null;
}
export interface PredictionFacts {
  /** Epoch milliseconds since which this is the value. No two of a prediction have the same. */
  time: number;
  /** Null: since then there is none. */
  value: number | null;
}
/** A text that `parseDate` reads is a date, too. */
export type Value = string | number | boolean | readonly Value[];
