/**
 * Scope two: many criteria for some profiles, one look-up per table. The tables are in the order of the profile, the
 * criteria are conditional aggregates, so that another criterion costs arithmetic and no further reading.
 */
import { criterionKey } from '../segments/normalise.ts';
import type { Criterion, SampleCriterion } from '../segments/ast.ts';
import { isInSample } from '../segments/sample.ts';
import { metricsOf } from '../segments/touch.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { evaluateNear, evaluateTraits } from './changed-traits.ts';
import { compileEvents, notWrittenOut } from './compile.ts';
import { createParameters } from './parameters.ts';
import { compileRules, splitRules, type RuleRow } from './rules.ts';
import { compileSequence } from './sequences.ts';
import { evaluateTrends } from './trends.ts';
import {
  answers,
  instantOf,
  isDigitSet,
  profilesOf,
  selectTruths,
  truthDigits,
  type Subject,
  type Truth,
  type TruthRow,
  type Truths,
} from './truth-rows.ts';
import { looksAtEvents, type HistoryCriterion } from './uses.ts';

export type { Subject, Truths } from './truth-rows.ts';

export interface ChangedScope {
  account: number;
  metrics: ReadonlyMap<string, number>;
  /** The account's, as the IANA names it. */
  timeZone: string;
}

/** Criteria of one query, their filters included: more are split, so that no statement grows without bound. */
const CRITERIA_PER_QUERY = 500;
/** What a step of a sequence takes of ClickHouse's analysis, in criteria. */
const STEP_SIZE = 10;
/** A row meets every rule: rows per block are limited so that their product, a few columns of it, fits into memory. */
const RULES_PER_BLOCK = 2_000_000;

/**
 * Truth of every criterion (of normalised conditions) for every subject. Traits are what they are now, whatever the
 * instant; events count up to the subject's instant.
 */
export async function evaluateSubjects(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  subjects: readonly Subject[],
  criteria: readonly Criterion[],
): Promise<Truths> {
  const truths = new Map<string, Truth>();
  const events = criteria.filter(looksAtEvents);
  const traits = criteria.filter(
    (criterion) => criterion.kind === 'property' || criterion.kind === 'consent',
  );
  const near = criteria.filter((criterion) => criterion.kind === 'near');
  const trends = criteria.filter((criterion) => criterion.kind === 'trend');
  for (const criterion of criteria) {
    if (criterion.kind === 'sample') truths.set(criterionKey(criterion), sampleTruth(criterion));
    else if (criterion.kind === 'segment') throw notWrittenOut(criterion);
  }
  const found = await Promise.all([
    ...pages(events).map((page) => evaluateEvents(clickhouse, scope, subjects, page)),
    ...pages(traits).map((page) => evaluateTraits(clickhouse, scope, subjects, page)),
    ...pages(near).map((page) => evaluateNear(clickhouse, scope, subjects, page)),
    ...pages(trends).map((page) => evaluateTrends(clickhouse, scope, subjects, page)),
  ]);
  for (const [key, truth] of found.flatMap((ofPage) => [...ofPage])) truths.set(key, truth);
  return (subject, criterion) => {
    const truth = truths.get(criterion);
    if (!truth) throw new Error('a criterion was not evaluated');
    return truth(subject);
  };
}

async function evaluateEvents(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  subjects: readonly Subject[],
  criteria: HistoryCriterion[],
): Promise<Map<string, Truth>> {
  const parameters = createParameters();
  const instant = instantOf(subjects, scope.timeZone);
  const metricOf = (name: string) => scope.metrics.get(name) ?? 0;
  const metrics = new Set(
    criteria
      .flatMap(metricsOf)
      .map(metricOf)
      .filter((id) => id > 0),
  );
  if (metrics.size === 0) return new Map(criteria.map((one) => [criterionKey(one), () => false]));

  const sequences = criteria.filter((criterion) => criterion.kind === 'sequence');
  const [ruled, others] = splitRules(
    criteria.filter((criterion) => criterion.kind === 'event'),
    instant,
  );
  const rules = compileRules(ruled, metricOf, instant, parameters);
  const further = [
    ...others.map((one) => compileEvents(one, metricOf(one.metric), instant, parameters).truth),
    ...sequences.map((one) => {
      const { match, moment, ofExtremes, truthOf } = compileSequence(one, metricOf, instant, parameters);
      return ofExtremes?.(match) ?? truthOf(`groupArrayIf(${moment}, ${match})`);
    }),
  ];
  const columns = `${rules.aggregates}, ${truthDigits(further)} AS truths`;
  // The metric is looked at of theirs only, not of all the rows around them.
  const rows = `SELECT ${further.length > 0 ? '*' : 'profile, metric'}, toUnixTimestamp64Milli(time) AS t, ${rules.columns}
    FROM events_by_profile
    PREWHERE account = ${parameters.add('UInt32', scope.account)}
      AND profile IN ${parameters.add('Array(UInt32)', profilesOf(subjects))}
    WHERE metric IN ${parameters.add('Array(UInt32)', [...metrics])}`;
  const sql = selectTruths(rows, columns, instant, subjects, parameters);
  const found = await query<TruthRow & RuleRow>(clickhouse, sql, parameters.values, {
    settings: {
      max_block_size: Math.max(256, Math.floor(RULES_PER_BLOCK / (rules.length + further.length))),
      // For a few rows, finding out which parts of a map are needed costs more than reading it whole.
      optimize_functions_to_subcolumns: 0,
    },
  });
  return answers(found, [...ruled, ...others, ...sequences], instant, [
    ...rules.truths,
    ...further.map((_, place) => isDigitSet(place)),
  ]);
}

function sampleTruth({ salt, percent }: SampleCriterion): Truth {
  return ({ profile }) => isInSample(profile, salt, percent);
}

function pages<T extends Criterion>(criteria: T[]): T[][] {
  const result: T[][] = [];
  let room = 0;
  for (const criterion of criteria) {
    const size = sizeOf(criterion);
    if (size > room) {
      result.push([]);
      room = CRITERIA_PER_QUERY;
    }
    result.at(-1)?.push(criterion);
    room -= size;
  }
  return result;
}

function sizeOf(criterion: Criterion): number {
  if (criterion.kind === 'event') return 1 + criterion.where.length;
  if (criterion.kind !== 'sequence') return 1;
  return criterion.steps.reduce((size, { where }) => size + STEP_SIZE + where.length, 0);
}
