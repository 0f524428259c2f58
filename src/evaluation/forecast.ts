/** What time alone will do to a segment: the all-profiles scope at two instants, compared. */
import type { Condition } from '../segments/ast.ts';
import { queryEach } from '../storage/clickhouse/connect.ts';
import { selectMembers } from './all-profiles.ts';
import { scopeOf, type AudienceDeps } from './audience.ts';
import { createParameters } from './parameters.ts';
import { meaningOf } from './references.ts';

export interface Forecast {
  leaving: number;
  joining: number;
}

/**
 * Who satisfies the condition now and will not after `withinMs`, and the other way round, if nothing but time happens.
 * Events that have been sent ahead of their time come of age meanwhile. Who leaves and is back by then is not counted.
 */
export async function forecastMembers(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
  withinMs: number,
): Promise<Forecast> {
  const meaning = await meaningOf(deps.mysql, account, condition);
  const scope = await scopeOf(deps.mysql.db, account, meaning);
  const parameters = createParameters();
  const now = deps.clock.now();
  const membersAt = (at: number) => selectMembers(meaning, { ...scope, at, chunks: null }, parameters);
  const [before, after] = [membersAt(now), membersAt(now + withinMs)];
  const rows = await queryEach<{ leaving: string; joining: string }>(
    deps.clickhouse,
    `SELECT
       sum(bitmapAndnotCardinality(before, after)) AS leaving,
       sum(bitmapAndnotCardinality(after, before)) AS joining
     FROM (
       SELECT
         groupBitmapMergeStateIf(members, NOT is_after) AS before,
         groupBitmapMergeStateIf(members, is_after) AS after
       FROM (
         SELECT chunk, false AS is_after, members FROM (${before.sql})
         UNION ALL
         SELECT chunk, true AS is_after, members FROM (${after.sql})
       )
       GROUP BY chunk
     )`,
    parameters.values,
    { settings: after.settings },
  );
  const sumOf = (column: 'leaving' | 'joining') => rows.reduce((sum, row) => sum + Number(row[column]), 0);
  return { leaving: sumOf('leaving'), joining: sumOf('joining') };
}
