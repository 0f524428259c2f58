/**
 * The segment language as a tree. A condition is what `ConditionInput` of the public API says, after validation: every
 * default is filled in, durations are milliseconds, instants are epoch milliseconds.
 *
 * The leaves (`Criterion`) are what ClickHouse computes; `all`, `any` and `not` are boolean algebra over their sets.
 */

export type Condition = AllCondition | AnyCondition | NotCondition | Criterion;
export type Criterion = EventCriterion | PropertyCriterion;

export interface AllCondition {
  kind: 'all';
  children: Condition[];
}
export interface AnyCondition {
  kind: 'any';
  children: Condition[];
}
export interface NotCondition {
  kind: 'not';
  child: Condition;
}

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

/** A fact about the profile itself: "email", "location.city", "properties.plan". */
export interface PropertyCriterion {
  kind: 'property';
  path: string;
  filter: ValueFilter;
}

/** `sum` of "$value" (the event's own value) or of a property path; what is not a number adds nothing. */
export type Measure = { kind: 'count' } | { kind: 'sum'; path: string };

export interface PropertyFilter {
  /** Inside the event's properties, levels joined by dots. */
  path: string;
  filter: ValueFilter;
}

/** Holds only for a value of its own type; an unset value satisfies nothing but `exists: false`. */
export type ValueFilter =
  | { kind: 'text'; text: TextFilter }
  | { kind: 'number'; number: NumberFilter }
  | { kind: 'boolean'; equals: boolean }
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
 * With E the instant of evaluation and t the event's time, always t <= E, and:
 * last D: t > E - D. moreThanAgo D: t <= E - D. ago F..T: E - F < t <= E - T. dates: from <= t < to.
 */
export type TimeWindow =
  | { kind: 'last'; ms: number }
  | { kind: 'moreThanAgo'; ms: number }
  | { kind: 'ago'; fromMs: number; toMs: number }
  | { kind: 'dates'; from: number | null; to: number | null };

/** What a profile is made of, as far as conditions can see: the input of the reference evaluator. */
export interface ProfileFacts {
  /** Attribute path → value; unset attributes are absent. Objects are flattened into dotted paths. */
  attributes: ReadonlyMap<string, Value>;
  events: readonly EventFacts[];
}
export interface EventFacts {
  metric: string;
  /** Epoch milliseconds. */
  time: number;
  value: number | null;
  /** Flattened like attributes. */
  properties: ReadonlyMap<string, Value>;
}
export type Value = string | number | boolean | readonly Value[];
