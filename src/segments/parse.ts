import type { Condition, Leaf } from './ast.ts';
import { LIMITS } from './limits.ts';
import { eventCriterion, sequenceCriterion } from './parse-event.ts';
import {
  consentCriterion,
  nearCriterion,
  predictionLeaf,
  propertyCriterion,
  regionLeaf,
  sampleCriterion,
  segmentCriterion,
} from './parse-profile.ts';
import type { PostalCodes, ConditionError, Reader, Reading } from './read.ts';
import { complete, exhausted, items, oneOf, wrong } from './read.ts';

export type { PostalCodes, ConditionError, ConditionErrorCode } from './read.ts';
/** For conditions that name places by their coordinates. */
export const NO_POSTAL_CODES: PostalCodes = { countries: [], centreOf: () => null };
export type ParseResult = { ok: true; condition: Condition } | { ok: false; errors: ConditionError[] };

/**
 * Reads plain JSON in the shape of the API's ConditionInput, whatever it contains, and fills in every default.
 * All mistakes are reported at once, up to LIMITS.errors of them.
 */
export function parseCondition(input: unknown, postalCodes: PostalCodes = NO_POSTAL_CODES): ParseResult {
  const reading: Reading = { errors: [], conditions: 0, postalCodes };
  const condition = conditionReader(1)(reading, input, []);
  if (condition === undefined || reading.errors.length > 0) return { ok: false, errors: reading.errors };
  return { ok: true, condition };
}

function conditionReader(level: number): Reader<Condition> {
  return (reading, input, path) => {
    if (level > LIMITS.depth) {
      return wrong(reading, path, 'TOO_LARGE', `nests deeper than ${LIMITS.depth} levels; flatten it`);
    }
    return oneOf<Condition>(reading, input, path, {
      all: combination('all', level),
      any: combination('any', level),
      not: (r, value, at) => {
        const child = conditionReader(level + 1)(r, value, at);
        return child && { kind: 'not', child };
      },
      event: leaf(eventCriterion),
      sequence: leaf(sequenceCriterion),
      property: leaf(propertyCriterion),
      consent: leaf(consentCriterion),
      segment: leaf(segmentCriterion),
      near: leaf(nearCriterion),
      region: leaf(regionLeaf),
      prediction: leaf(predictionLeaf),
      sample: leaf(sampleCriterion),
    });
  };
}

function combination(kind: 'all' | 'any', level: number): Reader<Condition> {
  return (reading, input, path) => {
    const list = items(reading, input, path, LIMITS.conditions, 'conditions');
    if (!list) return undefined;
    const read = conditionReader(level + 1);
    const children: (Condition | undefined)[] = [];
    for (const [index, child] of list.entries()) {
      if (exhausted(reading)) return undefined;
      children.push(read(reading, child, [...path, `${index}`]));
    }
    return complete(children) ? { kind, children } : undefined;
  };
}

/** Counts a leaf and reports the first one too many. */
function leaf(read: Reader<Leaf>): Reader<Leaf> {
  return (reading, input, path) => {
    reading.conditions += 1;
    if (reading.conditions > LIMITS.conditions) {
      const most = `at most ${LIMITS.conditions} conditions besides all, any and not are allowed`;
      return wrong(reading, path, 'TOO_MANY', `${most}; split the segment, or use in with a list of values`);
    }
    return read(reading, input, path);
  };
}
