/**
 * Scope two: many criteria for some profiles, one look-up per table. The tables are in the order of the profile, the
 * criteria are conditional aggregates, so that another criterion costs arithmetic and no further reading.
 */
import { criterionKey } from '../segments/normalise.ts';
import type { Criterion, EventCriterion, PropertyCriterion } from '../segments/ast.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { compileEvents, compileTrait, type Instant } from './compile.ts';
import { createParameters } from './parameters.ts';

/** A profile at an instant (epoch milliseconds). */
export interface Subject {
  profile: number;
  instant: number;
}

/** Whether a criterion (by its key) is true for a subject. */
export type Truths = (subject: Subject, criterion: string) => boolean;

export interface ChangedScope {
  account: number;
  metrics: ReadonlyMap<string, number>;
}

/** Criteria of one query, their filters included: more are split, so that no statement grows without bound. */
const CRITERIA_PER_QUERY = 500;

/**
 * Truth of every criterion (of normalised conditions) for every subject. Traits are what they are now, whatever the instant; events count up to
 * the subject's instant.
 */
export async function evaluateSubjects(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  subjects: readonly Subject[],
  criteria: readonly Criterion[],
): Promise<Truths> {
  const truths = new Map<string, Truths>();
  const events = criteria.filter((criterion) => criterion.kind === 'event');
  const traits = criteria.filter((criterion) => criterion.kind === 'property');
  await Promise.all([
    ...pages(events).map(async (page) => {
      const answer = await evaluateEvents(clickhouse, scope, subjects, page);
      for (const criterion of page) truths.set(criterionKey(criterion), answer);
    }),
    ...pages(traits).map(async (page) => {
      const answer = await evaluateTraits(clickhouse, scope, subjects, page);
      for (const criterion of page) truths.set(criterionKey(criterion), answer);
    }),
  ]);
  return (subject, criterion) => {
    const answer = truths.get(criterion);
    if (!answer) throw new Error('a criterion was not evaluated');
    return answer(subject, criterion);
  };
}

interface TruthRow {
  profile: number;
  /** Epoch milliseconds as text, where the subjects have different ones. */
  subject_instant?: string;
  /** A digit per criterion, in their order. */
  truths: string;
}

async function evaluateEvents(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  subjects: readonly Subject[],
  criteria: EventCriterion[],
): Promise<Truths> {
  const parameters = createParameters();
  const instants = new Set(subjects.map(({ instant }) => instant));
  const [only] = instants;
  const shared = instants.size === 1 && only !== undefined;
  const instant: Instant = shared ? { at: only } : 'column';
  const metrics = new Set<number>();
  const compiled = criteria.map((criterion) => {
    const metric = scope.metrics.get(criterion.metric) ?? 0;
    if (metric > 0) metrics.add(metric);
    return compileEvents(criterion, metric, instant, parameters).truth;
  });
  if (metrics.size === 0) return () => false;

  const profiles = parameters.add('Array(UInt32)', [...new Set(subjects.map(({ profile }) => profile))]);
  const where = `account = ${parameters.add('UInt32', scope.account)}
      AND profile IN ${profiles}
      AND metric IN ${parameters.add('Array(UInt32)', [...metrics])}`;
  const truths = `concat('', ${compiled.map((truth) => `toString(toUInt8(${truth}))`).join(', ')}) AS truths`;
  const sql = shared
    ? `SELECT profile, ${truths}
       FROM events_by_profile
       WHERE ${where}
       GROUP BY profile`
    : // Another name than the column's: an alias would take its place in every expression.
      `SELECT profile, toString(instant) AS subject_instant, ${truths}
       FROM events_by_profile
       INNER JOIN (
         SELECT pair.1 AS profile, pair.2 AS instant
         FROM (
           SELECT arrayJoin(arrayZip(
             ${parameters.add(
               'Array(UInt32)',
               subjects.map(({ profile }) => profile),
             )},
             ${parameters.add(
               'Array(Int64)',
               subjects.map((subject) => subject.instant),
             )}
           )) AS pair
         )
       ) AS subjects USING (profile)
       WHERE ${where}
       GROUP BY profile, instant`;
  return answers(await query<TruthRow>(clickhouse, sql, parameters.values), criteria, shared);
}

async function evaluateTraits(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  subjects: readonly Subject[],
  criteria: PropertyCriterion[],
): Promise<Truths> {
  const parameters = createParameters();
  const compiled = criteria.map((criterion) => {
    const match = compileTrait(criterion, parameters);
    return `argMaxIf(${match}, revision, attribute = ${parameters.add('String', criterion.path)})`;
  });
  const rows = await query<TruthRow>(
    clickhouse,
    `SELECT profile, concat('', ${compiled.map((truth) => `toString(toUInt8(${truth}))`).join(', ')}) AS truths
     FROM traits_by_profile
     WHERE account = ${parameters.add('UInt32', scope.account)}
       AND profile IN ${parameters.add('Array(UInt32)', [...new Set(subjects.map(({ profile }) => profile))])}
       AND attribute IN ${parameters.add('Array(String)', [...new Set(criteria.map(({ path }) => path))])}
     GROUP BY profile`,
    parameters.values,
  );
  return answers(rows, criteria, true);
}

function answers(rows: TruthRow[], criteria: readonly Criterion[], shared: boolean): Truths {
  const places = new Map(criteria.map((criterion, i) => [criterionKey(criterion), i]));
  const nameOf = (profile: number, instant: number | string) =>
    shared ? String(profile) : `${profile}@${instant}`;
  const byName = new Map(rows.map((row) => [nameOf(row.profile, row.subject_instant ?? ''), row.truths]));
  return ({ profile, instant }, criterion) => {
    const place = places.get(criterion) ?? -1;
    return byName.get(nameOf(profile, instant))?.[place] === '1';
  };
}

function pages<T extends Criterion>(criteria: T[]): T[][] {
  const result: T[][] = [];
  let room = 0;
  for (const criterion of criteria) {
    const size = criterion.kind === 'event' ? 1 + criterion.where.length : 1;
    if (size > room) {
      result.push([]);
      room = CRITERIA_PER_QUERY;
    }
    result.at(-1)?.push(criterion);
    room -= size;
  }
  return result;
}
