/**
 * What conditions mean: slow and obvious. Every other evaluation must agree with this one; docs/segment-language.md
 * says the same in words.
 */
import type {
  Condition,
  ConsentCriterion,
  Context,
  Leaf,
  NearCriterion,
  PredictionFacts,
  PredictionLeaf,
  ProfileFacts,
  TrendCriterion,
} from './ast.ts';
import { isWithin } from './dates.ts';
import { textHolds, valueHolds, type When } from './filters.ts';
import { haversine, haversineLimit, isPlace } from './geo.ts';
import { measureHolds, measureOf } from './measures.ts';
import { LARGEST_SUMMAND, microUnits } from './numbers.ts';
import { predictionPath } from './paths.ts';
import { COUNTRIES_OF } from './places.ts';
import { isInSample } from './sample.ts';
import { sequenceHolds } from './sequences.ts';
import { isLeaf } from './tree.ts';

/** Whether the condition is true for the profile at the instant (epoch milliseconds). */
export function evaluate(
  condition: Condition,
  facts: ProfileFacts,
  at: number,
  { timeZone }: Context = { timeZone: 'UTC' },
): boolean {
  return holds(condition, facts, { at, timeZone });
}

function holds(condition: Condition, facts: ProfileFacts, when: When): boolean {
  if (isLeaf(condition)) return leafHolds(condition, facts, when);
  switch (condition.kind) {
    case 'all':
      return condition.children.every((child) => holds(child, facts, when));
    case 'any':
      return condition.children.some((child) => holds(child, facts, when));
    case 'not':
      return !holds(condition.child, facts, when);
  }
}

function leafHolds(leaf: Leaf, facts: ProfileFacts, when: When): boolean {
  switch (leaf.kind) {
    case 'event':
      return measureHolds(leaf.is, measureOf(leaf, facts.events, when));
    case 'sequence':
      return sequenceHolds(leaf, facts.events, when);
    case 'property':
      return valueHolds(leaf.filter, facts.attributes.get(leaf.path), when);
    case 'consent':
      return consentHolds(leaf, facts, when);
    case 'segment':
      return facts.memberships.has(leaf.id) === leaf.member;
    case 'near':
      return nearHolds(leaf, facts);
    case 'region': {
      const country = facts.attributes.get('location.country');
      return typeof country === 'string' && COUNTRIES_OF[leaf.region].includes(country) === leaf.inside;
    }
    case 'prediction':
      return predictionHolds(leaf, facts, when);
    case 'trend':
      return trendHolds(leaf, facts, when);
    case 'sample':
      return isInSample(facts.number, leaf.salt, leaf.percent);
  }
}

function consentHolds(leaf: ConsentCriterion, facts: ProfileFacts, { at, timeZone }: When): boolean {
  const consent = facts.consents.get(leaf.channel);
  const status = consent?.status ?? 'NEVER_SUBSCRIBED';
  const time = consent?.time ?? Infinity;
  const source = consent?.source ?? undefined;
  return (
    (leaf.status === null || leaf.status.includes(status)) &&
    (leaf.canReceive === null || canReceive(leaf.channel, facts) === leaf.canReceive) &&
    (leaf.since === null || (time <= at && isWithin(leaf.since, time, at, timeZone))) &&
    (leaf.source === null || (source !== undefined && textHolds(leaf.source, source)))
  );
}

/** E-mail may be sent until someone unsubscribes; everything else only to subscribers. Both need an address. */
function canReceive(channel: ConsentCriterion['channel'], facts: ProfileFacts): boolean {
  const status = facts.consents.get(channel)?.status;
  switch (channel) {
    case 'EMAIL':
      return facts.attributes.has('email') && status !== 'UNSUBSCRIBED';
    case 'SMS':
      return facts.attributes.has('phone') && status === 'SUBSCRIBED';
    case 'PUSH':
      return status === 'SUBSCRIBED';
  }
}

function nearHolds(leaf: NearCriterion, facts: ProfileFacts): boolean {
  const latitude = facts.attributes.get('location.latitude');
  const longitude = facts.attributes.get('location.longitude');
  if (typeof latitude !== 'number' || typeof longitude !== 'number') return false;
  if (!isPlace(latitude, longitude)) return false;
  return haversine(leaf, { latitude, longitude }) > haversineLimit(leaf) === leaf.beyond;
}

function predictionHolds(
  { dimension, number, date, change }: PredictionLeaf,
  facts: ProfileFacts,
  when: When,
) {
  const path = predictionPath(dimension);
  const value = facts.attributes.get(path);
  return (
    (number === null || valueHolds({ kind: 'number', number }, value, when)) &&
    (date === null || valueHolds({ kind: 'date', date }, value, when)) &&
    (change === null || trendHolds({ kind: 'trend', path, ...change }, facts, when))
  );
}

function trendHolds({ path, by, withinMs }: TrendCriterion, facts: ProfileFacts, { at }: When): boolean {
  const points = facts.predictions.get(path) ?? [];
  const now = valueAt(points, at);
  const then = valueAt(points, at - withinMs);
  if (now === null || then === null || Math.max(Math.abs(now), Math.abs(then)) > LARGEST_SUMMAND)
    return false;
  const change = microUnits(now) - microUnits(then);
  return by > 0 ? change >= microUnits(by) : change <= microUnits(by);
}

/** The newest value up to an instant; null when there is none. */
export function valueAt(points: readonly PredictionFacts[], at: number): number | null {
  const past = points.filter(({ time }) => time <= at);
  return (
    past.reduce<PredictionFacts | null>(
      (newest, point) => (newest && newest.time > point.time ? newest : point),
      null,
    )?.value ?? null
  );
}
