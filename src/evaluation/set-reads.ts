/** What sets that are kept ask ClickHouse: their members, who has crossed an edge since, and some profiles again. */
import { groupBy } from '../runtime/group-by.ts';
import type { Criterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { query, queryEach, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { shardOfProfile } from '../storage/clickhouse/shards.ts';
import { scanEach, scanSettings, type Scope } from './all-profiles.ts';
import { evaluateSubjects, type Subject, type Truths } from './changed-profiles.ts';
import { findCrossings } from './crossings.ts';
import type { KeptSet } from './kept-sets.ts';
import { createParameters } from './parameters.ts';
import { readBitmap, setMember, type ProfileSet } from './profile-sets.ts';
import type { Edge } from './registry.ts';

/** An account's, at any instant. */
export type SetScope = Pick<Scope, 'account' | 'metrics' | 'timeZone'>;

/** The sets of these criteria (null: everybody), in their order, from one statement. */
export async function readSets(
  clickhouse: ClickHouse,
  criteria: readonly (Criterion | null)[],
  scope: Scope,
): Promise<ProfileSet[]> {
  const parameters = createParameters();
  const rows = await queryEach<{ chunk: number; criterion: number; state: string }>(
    clickhouse,
    `SELECT chunk, criterion, base64Encode(CAST(members, 'String')) AS state
     FROM (${scanEach(criteria, scope, parameters)})`,
    parameters.values,
    { settings: scanSettings(criteria, scope) },
  );
  const sets = criteria.map((): ProfileSet => new Map());
  for (const { chunk, criterion, state } of rows) {
    sets[criterion]?.set(chunk, readBitmap(Buffer.from(state, 'base64')));
  }
  return sets;
}

/** Whom time alone may have moved into or out of each set since it was right. */
export async function findCrossers(
  clickhouse: ClickHouse,
  scope: SetScope,
  sets: readonly KeptSet[],
  through: number,
  limit: number,
): Promise<Map<KeptSet, Set<number> | 'many'>> {
  const timed = sets.filter(
    ({ at, edges, metrics }) => at < through && (edges.length > 0 || metrics.length > 0),
  );
  const found = new Map<KeptSet, Set<number>>();
  if (timed.length === 0) return found;
  const byEdge = new Map<string, Set<KeptSet>>();
  const edges = new Map<string, Edge>();
  const reach = (edge: Edge, set: KeptSet) => {
    const name = edgeName(edge);
    byEdge.set(name, (byEdge.get(name) ?? new Set()).add(set));
  };
  for (const set of timed) {
    found.set(set, new Set());
    for (const edge of set.edges) {
      reach(edge, set);
      edges.set(edgeName(edge), edge);
    }
    // Events that were sent ahead of their time reach whatever looks at them.
    for (const metric of set.metrics) reach({ source: { of: 'event', metric }, offset: 0 }, set);
  }
  const names = new Set(timed.flatMap(({ metrics }) => metrics));
  const slice = {
    ...scope,
    metrics: new Map([...scope.metrics].filter(([name]) => names.has(name))),
    edges: [...edges.values()],
    after: Math.min(...timed.map(({ at }) => at)),
    through,
  };
  const pages = findCrossings(clickhouse, [slice], through);
  let crossing = 0;
  for await (const page of pages) {
    crossing += page.length;
    if (crossing > limit) return new Map(timed.map((set) => [set, 'many']));
    for (const { profile, crossings } of page) {
      for (const { edge } of crossings) {
        for (const set of byEdge.get(edgeName(edge)) ?? []) found.get(set)?.add(profile);
      }
    }
  }
  return found;
}

function edgeName({ source, offset }: Edge): string {
  return `${offset}:${JSON.stringify(source)}`;
}

/** Looks at these profiles again, and puts them where they belong. */
export async function lookAgain(
  clickhouse: ClickHouse,
  scope: SetScope,
  asked: ReadonlyMap<KeptSet, ReadonlySet<number>>,
  instant: number,
): Promise<void> {
  const some = [...asked].filter(([, profiles]) => profiles.size > 0);
  const criteria = some.map(([{ criterion }]) => criterion).filter((criterion) => criterion !== null);
  const profilesOf = (ofEverybody: boolean) => [
    ...new Set(
      some.flatMap(([{ criterion }, profiles]) =>
        (criterion === null) === ofEverybody ? [...profiles] : [],
      ),
    ),
  ];
  const subjects = profilesOf(false).map((profile) => ({ profile, instant }));
  const [truths, present] = await Promise.all([
    criteria.length > 0 ? evaluateOnShards(clickhouse, scope, subjects, criteria) : null,
    readPresent(clickhouse, scope.account, profilesOf(true)),
  ]);
  for (const [{ criterion, members }, profiles] of some) {
    for (const profile of profiles) {
      const isMember =
        criterion === null
          ? present.has(profile)
          : (truths?.({ profile, instant }, criterionKey(criterion)) ?? false);
      setMember(members, profile, isMember);
    }
  }
}

async function evaluateOnShards(
  clickhouse: ClickHouse,
  scope: SetScope,
  subjects: readonly Subject[],
  criteria: readonly Criterion[],
): Promise<Truths> {
  const shardFor = ({ profile }: Pick<Subject, 'profile'>) =>
    shardOfProfile(clickhouse, scope.account, profile);
  const answers = new Map(
    await Promise.all(
      [...groupBy(subjects, shardFor)].map(
        async ([shard, its]) => [shard, await evaluateSubjects(shard, scope, its, criteria)] as const,
      ),
    ),
  );
  return (subject, criterion) => answers.get(shardFor(subject))?.(subject, criterion) ?? false;
}

/** Those of them who are there. Whoever is gone stays gone. */
async function readPresent(
  clickhouse: ClickHouse,
  account: number,
  profiles: readonly number[],
): Promise<Set<number>> {
  if (profiles.length === 0) return new Set();
  const rows = await query<{ profile: number }>(
    clickhouse,
    `SELECT profile
     FROM profiles
     WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
     GROUP BY profile
     HAVING min(alive)`,
    { account, profiles: [...profiles] },
  );
  return new Set(rows.map(({ profile }) => profile));
}
