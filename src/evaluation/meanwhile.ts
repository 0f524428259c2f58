/** What has become of profiles while the first members of a segment were being computed, by what is stored. */
import { inPages } from '../runtime/in-pages.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { goneProfiles } from '../storage/mysql/profiles.ts';
import { evaluateSubjects, type ChangedScope, type Subject } from './changed-profiles.ts';
import { crossedBetween, type Crossed } from './crossings.ts';
import type { Noted } from './forming.ts';
import { midnightsIn } from './midnights.ts';
import type { AccountIndex, SegmentInForce } from './registry.ts';
import { stagedMembers, type StagedRun } from './staged-members.ts';
import { holds } from './turnings.ts';

/** Their instants may differ, which costs more of a query. */
const PROFILES_PER_ROUND = 1_000;

/**
 * The profiles of the account that time alone may have turned in the indexed segments, after `after` and up to `until`
 * (epoch milliseconds); null: everybody, because a day has begun. `crossed` is what is known of those after `after`.
 */
export async function turnedMeanwhile(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  index: AccountIndex,
  [after, until]: [number, number],
  crossed: Crossed,
): Promise<Set<number> | null> {
  const isDaily = [...index.withMidnights()].length > 0;
  if (isDaily && midnightsIn(after, until, scope.timeZone).length > 0) return null;
  const slice = { ...scope, edges: index.edges(), after, through: until };
  const { first } = until <= crossed.through ? crossed : await crossedBetween(clickhouse, slice);
  return new Set([...first].flatMap(([profile, instant]) => (instant <= until ? [profile] : [])));
}

/**
 * Which of the subjects, one for each profile, satisfy the segment's condition. Not by what an evaluator knows: that is of
 * segments in force.
 */
export async function holdingAt(
  { mysql, clickhouse }: { mysql: MySql; clickhouse: ClickHouse },
  scope: ChangedScope,
  segment: SegmentInForce,
  subjects: readonly Subject[],
): Promise<Set<number>> {
  const found = new Set<number>();
  for (const page of inPages(subjects, PROFILES_PER_ROUND)) {
    const [truths, gone] = await Promise.all([
      evaluateSubjects(clickhouse, scope, page, segment.criteria),
      goneProfiles(mysql.db, new Map([[scope.account, page.map(({ profile }) => profile)]])),
    ]);
    for (const subject of page) {
      if (gone.get(scope.account)?.has(subject.profile) !== true && holds(segment, truths, subject))
        found.add(subject.profile);
    }
  }
  return found;
}

/**
 * Which of those to whom something has happened were members before. The statement that computed the first members may
 * have seen it already: whoever is new was none, what events have brought was not there the moment before them, and of
 * the others it is what the statement says.
 */
export async function membersBefore(
  deps: { mysql: MySql; clickhouse: ClickHouse },
  scope: ChangedScope,
  segment: SegmentInForce,
  run: StagedRun,
  noted: ReadonlyMap<number, Noted>,
): Promise<Set<number>> {
  const old = [...noted].filter(([, { isNew }]) => !isNew);
  const byEvents = old.filter(([, { onlyEvents }]) => onlyEvents);
  const others = old.filter(([, { onlyEvents }]) => !onlyEvents);
  const [asked, computed] = await Promise.all([
    holdingAt(
      deps,
      scope,
      segment,
      byEvents.map(([profile, { since }]) => ({ profile, instant: since - 1 })),
    ),
    stagedMembers(
      deps.clickhouse,
      run,
      others.map(([profile]) => profile),
    ),
  ]);
  return new Set([...asked, ...computed]);
}
