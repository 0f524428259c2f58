/** What has become of profiles while the first members of a segment were being computed, by what is stored. */
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { goneProfiles } from '../storage/mysql/profiles.ts';
import { evaluateSubjects, type ChangedScope } from './changed-profiles.ts';
import { findCrossings } from './crossings.ts';
import { midnightsIn } from './midnights.ts';
import type { AccountIndex, SegmentInForce } from './registry.ts';
import { holds } from './turnings.ts';

const PROFILES_PER_ROUND = 5_000;

/**
 * The profiles of the account that time alone may have turned in the indexed segments, after `after` and up to `until`
 * (epoch milliseconds); null: everybody, because a day has begun.
 */
export async function turnedMeanwhile(
  clickhouse: ClickHouse,
  scope: ChangedScope,
  index: AccountIndex,
  [after, until]: [number, number],
): Promise<Set<number> | null> {
  const isDaily = [...index.withMidnights()].length > 0;
  if (isDaily && midnightsIn(after, until, scope.timeZone).length > 0) return null;
  const turned = new Set<number>();
  const slice = { ...scope, edges: index.edges(), after, through: until };
  for await (const page of findCrossings(clickhouse, [slice])) {
    for (const { profile } of page) turned.add(profile);
  }
  return turned;
}

/** Which of the profiles satisfy the segment's condition. Not by what an evaluator knows: that is of segments in force. */
export async function holdingNow(
  { mysql, clickhouse }: { mysql: MySql; clickhouse: ClickHouse },
  scope: ChangedScope,
  segment: SegmentInForce,
  profiles: readonly number[],
  instant: number,
): Promise<Set<number>> {
  const found = new Set<number>();
  for (let start = 0; start < profiles.length; start += PROFILES_PER_ROUND) {
    const page = profiles.slice(start, start + PROFILES_PER_ROUND);
    const subjects = page.map((profile) => ({ profile, instant }));
    const [truths, gone] = await Promise.all([
      evaluateSubjects(clickhouse, scope, subjects, segment.criteria),
      goneProfiles(mysql.db, scope.account, page),
    ]);
    for (const subject of subjects) {
      if (!gone.has(subject.profile) && holds(segment, truths, subject)) found.add(subject.profile);
    }
  }
  return found;
}
