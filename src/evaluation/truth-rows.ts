/** Truths of many criteria for some profiles, as rows of an answer: a digit per criterion. */
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
  return `concat(${[`''`, `''`, ...truths.map((truth) => `toString(toUInt8(${truth}))`)].join(', ')})`;
}

/** `instant` as the rows were asked for. `holds`: whether the criterion at this place does. */
export function answers<Row extends TruthRow>(
  rows: readonly Row[],
  criteria: readonly Criterion[],
  instant: Instant | null,
  holds: (row: Row, place: number) => boolean = (row, place) => row.truths[place] === '1',
): Truths {
  const places = new Map(criteria.map((criterion, i) => [criterionKey(criterion), i]));
  const isShared = instant === null || 'at' in instant;
  const nameOf = (profile: number, at: number | string) => (isShared ? String(profile) : `${profile}@${at}`);
  const byName = new Map(rows.map((row) => [nameOf(row.profile, row.subject_instant ?? ''), row]));
  return (subject, criterion) => {
    const row = byName.get(nameOf(subject.profile, subject.instant));
    return row !== undefined && holds(row, places.get(criterion) ?? -1);
  };
}
