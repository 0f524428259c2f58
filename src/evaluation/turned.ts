/** Whether time alone may have changed who satisfies a condition: far cheaper to know than who does. */
import type { Condition } from '../segments/ast.ts';
import { timeEdgesOf } from '../segments/edges.ts';
import { criteriaOf } from '../segments/normalise.ts';
import { query } from '../storage/clickhouse/connect.ts';
import { metricsOf, scopeOf, type AudienceDeps } from './audience.ts';
import { moment } from './compile.ts';
import { findCrossings } from './crossings.ts';
import { midnightsIn } from './midnights.ts';
import { createParameters } from './parameters.ts';
import { meaningOf } from './references.ts';

/** At an instant after `after` and not later than `through` (epoch milliseconds), by what is known now. */
export async function mayHaveTurned(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
  after: number,
  through: number,
): Promise<boolean> {
  const meaning = await meaningOf(deps.mysql, account, condition);
  const scope = await scopeOf(deps.mysql.db, account, meaning);
  const found = criteriaOf(meaning).map(timeEdgesOf);
  if (found.some(({ midnights }) => midnights) && midnightsIn(after, through, scope.timeZone).length > 0)
    return true;
  const edges = found.flatMap(({ crossings }) =>
    crossings.flatMap(({ source, ages }) => ages.map((offset) => ({ source, offset }))),
  );
  const pages = findCrossings(deps.clickhouse, [{ ...scope, edges, after, through }], through);
  return (await pages.next()).done !== true;
}

/** When the next event of the condition's metrics comes of age that was sent ahead of its time: after `after`, or null. */
export async function nextEventAhead(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
  after: number,
): Promise<number | null> {
  const metrics = await metricsOf(deps.mysql.db, account, [await meaningOf(deps.mysql, account, condition)]);
  const parameters = createParameters();
  const rows = await query<{ events: string; next: string }>(
    deps.clickhouse,
    `SELECT count() AS events, toUnixTimestamp64Milli(min(time)) AS next
     FROM future_events
     WHERE account = ${parameters.add('UInt32', account)}
       AND metric IN ${parameters.add('Array(UInt32)', [...metrics.values()])}
       AND time > ${moment(after, parameters)}`,
    parameters.values,
  );
  return rows[0] && rows[0].events !== '0' ? Number(rows[0].next) : null;
}
