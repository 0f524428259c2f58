/** An audience that nobody saved: the all-profiles scope, asked on the spot. */
import type { Clock } from '../runtime/clock.ts';
import { criteriaOf } from '../segments/normalise.ts';
import { dependenciesOf } from '../segments/touch.ts';
import type { Condition } from '../segments/ast.ts';
import { queryEach, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { readAccount } from '../storage/mysql/accounts.ts';
import type { MySql, Queries } from '../storage/mysql/connect.ts';
import { readMetricIds } from '../storage/mysql/names.ts';
import { CHUNK_BITS } from '../storage/topics.ts';
import { EVERYBODY, selectMembers, type Scope } from './all-profiles.ts';
import type { CriterionSets } from './criterion-sets.ts';
import { countParts, EMPTY, treeOver } from './profile-sets.ts';
import { meaningOf } from './references.ts';

export interface AudienceDeps {
  mysql: MySql;
  clickhouse: ClickHouse;
  clock: Clock;
  /** Absent: every count reads everything anew. */
  criterionSets?: CriterionSets;
}

/** How many profiles satisfy the condition at this moment. */
export async function countAudience(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
): Promise<number> {
  const meaning = await meaningOf(deps.mysql, account, condition);
  const scope = await scopeOf(deps.mysql.db, account, meaning);
  const criteria = criteriaOf(meaning);
  const sets = await deps.criterionSets?.use(scope, criteria);
  if (sets) {
    const tree = treeOver(criteria, sets)(meaning);
    const [size = 0] = await countParts(sets[EVERYBODY] ?? EMPTY, tree, [tree]);
    return size;
  }
  const { sql, parameters, settings } = selectMembers(meaning, {
    ...scope,
    at: deps.clock.now(),
    chunks: null,
  });
  const rows = await queryEach<{ size: string }>(
    deps.clickhouse,
    `SELECT sum(bitmapCardinality(members)) AS size FROM (${sql})`,
    parameters.values,
    { settings },
  );
  return rows.reduce((sum, { size }) => sum + Number(size), 0);
}

/** A page of profile numbers, ascending, behind `afterProfile`. */
export async function listAudience(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
  afterProfile: number | null,
  limit: number,
): Promise<number[]> {
  const { sql, parameters, settings } = await membersNow(deps, account, condition);
  const rows = await queryEach<{ profile: number }>(
    deps.clickhouse,
    `SELECT toUInt32(chunk * ${2 ** CHUNK_BITS} + arrayJoin(bitmapToArray(members))) AS profile
     FROM (${sql})
     WHERE profile >= ${parameters.add('UInt32', afterProfile === null ? 0 : afterProfile + 1)}
     ORDER BY profile
     LIMIT ${parameters.add('UInt32', limit)}`,
    parameters.values,
    { settings },
  );
  return rows
    .map((row) => row.profile)
    .sort((a, b) => a - b)
    .slice(0, limit);
}

async function membersNow(deps: AudienceDeps, account: number, condition: Condition) {
  const meaning = await meaningOf(deps.mysql, account, condition);
  const scope = await scopeOf(deps.mysql.db, account, meaning);
  return selectMembers(meaning, { ...scope, at: deps.clock.now(), chunks: null });
}

/** What a condition's evaluation, written out, has to know of the account, whoever is evaluated and when. */
export async function scopeOf(
  db: Queries,
  account: number,
  condition: Condition,
): Promise<Pick<Scope, 'account' | 'metrics' | 'timeZone'>> {
  const [metrics, timeZone] = await Promise.all([
    metricsOf(db, account, [condition]),
    timeZoneOf(db, account),
  ]);
  return { account, metrics, timeZone };
}

/** Ids of the metrics that the conditions name; those that never had an event are absent. */
export async function metricsOf(
  db: Queries,
  account: number,
  conditions: readonly Condition[],
): Promise<Map<string, number>> {
  const names = conditions.flatMap((condition) => [...dependenciesOf(condition).metrics]);
  const rows = await readMetricIds(db, account, [...new Set(names)]);
  return new Map(rows.map(({ name, id }) => [name, id]));
}

/** On whose calendar an account's days begin. */
export async function timeZoneOf(db: Queries, account: number): Promise<string> {
  const row = await readAccount(db, account);
  if (row === null) throw new Error(`account ${account} does not exist`);
  return row.timezone;
}
