/** Truths of many criteria for some profiles, as rows of an answer: a digit per criterion. */
import { groupBy } from '../runtime/group-by.ts';
import type { Criterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import type { Instant } from './calendars.ts';
import type { Parameters } from './parameters.ts';

/** A profile at an instant (epoch milliseconds). */
export interface Subject {
  profile: number;
  instant: number;
}

/** Whether a criterion (by its key) is true for a subject. */
export type Truths = (subject: Subject, criterion: string) => boolean;

/** The same of one criterion. */
export type Truth = (subject: Subject) => boolean;

export interface TruthRow {
  profile: number;
  /** Epoch milliseconds as text, where the subjects have different ones. */
  subject_instant?: string;
  /** A digit per criterion, in their order. */
  truths: string;
}

export function profilesOf(subjects: readonly Subject[]): number[] {
  return [...new Set(subjects.map(({ profile }) => profile))];
}

export function instantOf(subjects: readonly Subject[], timeZone: string): Instant {
  const instants = new Set(subjects.map(({ instant }) => instant));
  const [only] = instants;
  return instants.size === 1 && only !== undefined
    ? { at: only, timeZone }
    : { among: [...instants], timeZone };
}

/**
 * A SELECT of TruthRows: of profiles, or, where their instants differ, of pairs with a column `instant`. `columns`: all
 * further ones, aggregates over the rows.
 */
export function selectTruths(
  rows: string,
  columns: string,
  instant: Instant,
  subjects: readonly Subject[],
  parameters: Parameters,
): string {
  if ('at' in instant) {
    return `SELECT profile, ${columns}
       FROM (${rows})
       GROUP BY profile`;
  }
  // Another name than the column's: an alias would take its place in every expression.
  return `SELECT profile, toString(instant) AS subject_instant, ${columns}
       FROM (${rows}) AS facts
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
       GROUP BY profile, instant`;
}

export function truthDigits(truths: readonly string[]): string {
  return `arrayStringConcat(CAST([${truths.join(', ')}], 'Array(UInt8)'))`;
}

/**
 * By the criterion's key. `instant` as the rows were asked for, null: for all. `holds`, by criterion: whether it does, as a row says.
 * Millions are asked for after each statement: a truth costs one look into a map of numbers.
 */
export function answers<Row extends TruthRow>(
  rows: readonly Row[],
  criteria: readonly Criterion[],
  instant: Instant | null,
  holds: readonly ((row: Row) => boolean)[] = criteria.map((_, place) => isDigitSet(place)),
): Map<string, Truth> {
  const rowOf = finder(rows, instant);
  return new Map(
    criteria.map((criterion, i): [string, Truth] => [
      criterionKey(criterion),
      (subject) => {
        const row = rowOf(subject);
        return row !== undefined && holds[i]?.(row) === true;
      },
    ]),
  );
}

/** Of `TruthRow.truths`. */
export function isDigitSet(place: number): (row: TruthRow) => boolean {
  return ({ truths }) => truths[place] === '1';
}

function finder<Row extends TruthRow>(
  rows: readonly Row[],
  instant: Instant | null,
): (subject: Subject) => Row | undefined {
  const byProfile = (some: readonly Row[]) => new Map(some.map((row) => [row.profile, row]));
  if (instant === null || 'at' in instant) {
    const found = byProfile(rows);
    return ({ profile }) => found.get(profile);
  }
  const found = new Map(
    [...groupBy(rows, (row) => Number(row.subject_instant))].map(([at, its]) => [at, byProfile(its)]),
  );
  return ({ profile, instant: at }) => found.get(at)?.get(profile);
}
