/**
 * Conditions as sentences. What is said here in full can be typed: `query-*.ts` read it, and docs/segment-queries.md
 * has its grammar. Times, counts and the like have one way of being said here, and more there.
 */
import type {
  Condition,
  ConsentCriterion,
  EventCriterion,
  Leaf,
  NearCriterion,
  NumberFilter,
  PredictionLeaf,
  PropertyFilter,
  RegionLeaf,
  SampleCriterion,
  SequenceCriterion,
} from './ast.ts';
import { durationWords } from './duration.ts';
import { predictionOf } from './paths.ts';
import {
  amountText,
  dateText,
  measureFilterText,
  metricText,
  numberText,
  pathText,
  textText,
  valueText,
  windowText,
  type Style,
} from './text-values.ts';
import { isLeaf } from './tree.ts';
import { CHANNEL_WORDS, DIMENSION_WORDS, distanceWords, REGION_WORDS, STATUS_WORDS } from './words.ts';

/** Of a longer list, this many values are shown, and the number of the others. */
const VALUES_SHOWN = 20;
/** Of a longer text, this many characters are shown. */
const TEXT_SHOWN = 200;
const SHORT = { values: VALUES_SHOWN, text: TEXT_SHOWN };
const FULL: Style = { values: Infinity, text: Infinity, segmentName: (id) => id };

/**
 * The condition, or any node of it, as a person would say it: `has done Placed Order at least 3 times in the last
 * 30 days where price is more than 20 and email ends with "@x.com"`. Several filters of one event, and combinations
 * inside of combinations, stand in parentheses. Long lists and texts are shortened. `segmentName`: what to call a segment
 * of that id.
 */
export function describe(condition: Condition, segmentName = FULL.segmentName): string {
  return conditionText(condition, { ...SHORT, segmentName });
}

/** The same sentence with nothing left out: `parseQuery` reads it as a condition of the same meaning. */
export function toQuery(condition: Condition): string {
  return conditionText(condition, FULL);
}

function conditionText(condition: Condition, style: Style): string {
  if (isLeaf(condition)) return leafText(condition, style);
  switch (condition.kind) {
    case 'all':
      return combinationText(condition.children, ' and ', style);
    case 'any':
      return combinationText(condition.children, ' or ', style);
    case 'not':
      return `not (${conditionText(condition.child, style)})`;
  }
}

function combinationText(children: readonly Condition[], joint: string, style: Style): string {
  if (children.length === 1) return children.map((child) => conditionText(child, style)).join('');
  return children
    .map((child) => (isCombination(child) ? `(${conditionText(child, style)})` : conditionText(child, style)))
    .join(joint);
}

/** Whether "and" or "or" stands at the top of its text. */
function isCombination(condition: Condition): boolean {
  if (condition.kind !== 'all' && condition.kind !== 'any') return false;
  const [only] = condition.children;
  return condition.children.length > 1 || (only !== undefined && isCombination(only));
}

function leafText(leaf: Leaf, style: Style): string {
  switch (leaf.kind) {
    case 'event':
      return eventText(leaf, style);
    case 'sequence':
      return sequenceText(leaf, style);
    case 'property':
      return propertyText(leaf, style);
    case 'consent':
      return consentText(leaf, style);
    case 'segment':
      return `is ${leaf.member ? 'in' : 'not in'} segment ${JSON.stringify(style.segmentName(leaf.id))}`;
    case 'near':
      return nearText(leaf);
    case 'region':
      return regionText(leaf);
    case 'prediction':
      return predictionText(leaf);
    case 'trend':
      return `${DIMENSION_WORDS[predictionOf(leaf.path)]} ${changeText(leaf)}`;
    case 'sample':
      return sampleText(leaf);
  }
}

function eventText({ metric, where, measure, is, within }: EventCriterion, style: Style): string {
  const name = metricText(metric);
  const tail = [...(within ? [windowText(within)] : []), ...whereText(where, style)];
  switch (measure.kind) {
    case 'count':
      return [countText(name, is), ...tail].join(' ');
    case 'days':
      return [`has done ${name} on ${amountText(is, 'day')}`, ...tail].join(' ');
    case 'sum':
    case 'average':
    case 'min':
    case 'max':
    case 'distinct':
      return [`${measureFilterText(measure)} over ${name} ${numberText(is)}`, ...tail].join(' ');
  }
}

function whereText(where: readonly PropertyFilter[], style: Style): string[] {
  const filters = where.map((filter) => propertyText(filter, style));
  return filters.length === 0 ? [] : [`where ${grouped(filters)}`];
}

/** Several parts stand in parentheses. */
function grouped(parts: readonly string[]): string {
  return parts.length === 1 ? parts.join('') : `(${parts.join(' and ')})`;
}

function countText(metric: string, is: NumberFilter): string {
  if (is.op === 'between') return `has done ${metric} between ${is.from} and ${is.to} times`;
  const { op, value } = is;
  const times = value === 1 ? 'once' : `${value} times`;
  switch (op) {
    case 'equals':
      return value === 0 ? `has not done ${metric}` : `has done ${metric} exactly ${times}`;
    case 'notEquals':
      return `has done ${metric} any number of times but ${value}`;
    case 'moreThan':
      return `has done ${metric} more than ${times}`;
    case 'atLeast':
      return value === 1 ? `has done ${metric}` : `has done ${metric} at least ${times}`;
    case 'lessThan':
      return value === 1 ? `has not done ${metric}` : `has done ${metric} fewer than ${times}`;
    case 'atMost':
      return value === 0 ? `has not done ${metric}` : `has done ${metric} at most ${times}`;
  }
}

function sequenceText({ steps, completeWithinMs, within }: SequenceCriterion, style: Style): string {
  const list = steps.map(({ metric, where, negate }) =>
    [`${negate ? 'not ' : ''}${metricText(metric)}`, ...whereText(where, style)].join(' '),
  );
  return [
    `has done in order (${list.join(', then ')})`,
    ...(completeWithinMs === null ? [] : [`within ${durationWords(completeWithinMs)}`]),
    ...(within ? [windowText(within)] : []),
  ].join(' ');
}

function propertyText({ path, filter }: PropertyFilter, style: Style): string {
  return `${pathText(path)} ${valueText(filter, style)}`;
}

function consentText(leaf: ConsentCriterion, style: Style): string {
  const { status, canReceive, since, source } = leaf;
  const statuses = status?.map((one) => STATUS_WORDS[one]) ?? [];
  return `${CHANNEL_WORDS[leaf.channel]} consent ${grouped([
    ...(statuses.length > 0
      ? [statuses.length === 1 ? `is ${statuses.join('')}` : `is one of (${statuses.join(', ')})`]
      : []),
    ...(canReceive === null ? [] : [canReceive ? 'allows messages' : 'does not allow messages']),
    ...(since ? [`has changed ${windowText(since)}`] : []),
    ...(source ? [`source ${textText(source, style)}`] : []),
  ])}`;
}

function nearText({ latitude, longitude, postal, within, unit, beyond }: NearCriterion): string {
  const place = postal
    ? `postal code ${JSON.stringify(postal.postalCode)} in ${JSON.stringify(postal.country)}`
    : `(${latitude}, ${longitude})`;
  const distance = distanceWords(within, unit);
  return beyond ? `is more than ${distance} from ${place}` : `is within ${distance} of ${place}`;
}

function regionText({ region, inside }: RegionLeaf): string {
  return `is ${inside ? 'in' : 'outside'} ${REGION_WORDS[region]}`;
}

function predictionText({ dimension, number, date, change }: PredictionLeaf): string {
  return `${DIMENSION_WORDS[dimension]} ${grouped([
    ...(number ? [numberText(number)] : []),
    ...(date ? [dateText(date)] : []),
    ...(change ? [changeText(change)] : []),
  ])}`;
}

function changeText({ by, withinMs }: { by: number; withinMs: number }): string {
  return `has ${by > 0 ? 'risen' : 'fallen'} by at least ${Math.abs(by)} within ${durationWords(withinMs)}`;
}

function sampleText({ percent, salt }: SampleCriterion): string {
  return `is in the sample of ${percent}%${salt === '' ? '' : ` salted ${JSON.stringify(salt)}`}`;
}
