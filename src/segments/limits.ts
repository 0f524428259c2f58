/** What a condition may be at most. Stated in docs/segment-language.md; the API's messages name them. */
export const LIMITS = {
  /** Nesting of all, any and not; the outermost node is level 1. */
  depth: 20,
  /** Conditions besides all, any and not in one condition, wherever they stand. */
  conditions: 500,
  /** Property filters of one event condition or step. */
  whereFilters: 50,
  /** Steps of a sequence. */
  sequenceSteps: 10,
  /** Values of `in`, `notIn`, `containsAny`, `containsAll` and `containsNone`. */
  listValues: 5_000,
  /** UTF-16 units of one text value. */
  text: 4_096,
  /** UTF-16 units of a regular expression. */
  regex: 512,
  /** UTF-16 units of a property path. */
  path: 1_024,
  metricName: 256,
  segmentId: 256,
  /**
   * Segments that refer to one another, one after the other; and what they are together, written out as one: computing
   * it takes as long as if it had been said so.
   */
  references: 10,
  expandedConditions: 500,
  expandedDepth: 100,
  expandedCharacters: 4_000_000,
  /** A sample's. */
  salt: 256,
  postalCode: 16,
  /** Of `near`; half way around the Earth is 20,015 km. */
  kilometers: 20_000,
  miles: 12_400,
  /** Any number in a condition lies within ± this. */
  number: 1e18,
  shortestDurationMs: 1_000,
  /** 3,650 days: ten years. */
  longestDurationMs: 3_650 * 86_400_000,
  /** UTF-16 units of a typed condition. */
  query: 500_000,
  /** Mistakes reported at once. */
  errors: 20,
} as const;
