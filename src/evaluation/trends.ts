/** How predictions have changed: truths of trends over rows of `predictions`, which has one for each change of a value. */
import { LARGEST_SUMMAND, microUnits } from '../segments/numbers.ts';
import type { TrendCriterion } from '../segments/ast.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { momentAgo } from './compile.ts';
import type { Instant } from './calendars.ts';
import { micro } from './measures.ts';
import { createParameters, type Parameters } from './parameters.ts';
import {
  answers,
  instantOf,
  profilesOf,
  selectTruths,
  truthDigits,
  type Subject,
  type TruthRow,
  type Truths,
} from './truth-rows.ts';

/** The criterion's truth over the rows of a profile. A NULL comes to nothing: without a value there is no change. */
export function compileTrend(criterion: TrendCriterion, instant: Instant, parameters: Parameters): string {
  const path = parameters.add('String', criterion.path);
  // One number for time and revision: by pairs ClickHouse finds the newest ten times as slowly.
  const order = 'toUInt128(toUnixTimestamp64Milli(time)) * toUInt128(18446744073709551616) + revision';
  const valueBefore = (ms: number) => {
    const isBefore = `path = ${path} AND time <= ${momentAgo(ms, instant, parameters)}`;
    const newest = (value: string) => `argMaxIf(${value}, ${order}, ${isBefore})`;
    return `if(${newest('isNotNull(value)')}, ${newest('ifNull(value, 0)')}, NULL)`;
  };
  const [now, then] = [valueBefore(0), valueBefore(criterion.withinMs)];
  const by = parameters.add('Int128', microUnits(criterion.by).toString());
  return `ifNull(abs(${now}) <= ${LARGEST_SUMMAND} AND abs(${then}) <= ${LARGEST_SUMMAND}
    AND ${micro(now)} - ${micro(then)} ${criterion.by > 0 ? '>=' : '<='} ${by}, false)`;
}

/** Truths of trends, by subject and key. */
export async function evaluateTrends(
  clickhouse: ClickHouse,
  { account, timeZone }: { account: number; timeZone: string },
  subjects: readonly Subject[],
  criteria: readonly TrendCriterion[],
): Promise<Truths> {
  const parameters = createParameters();
  const instant = instantOf(subjects, timeZone);
  const truths = truthDigits(criteria.map((criterion) => compileTrend(criterion, instant, parameters)));
  const rows = `SELECT profile, path, time, revision, value
    FROM predictions_by_profile
    WHERE account = ${parameters.add('UInt32', account)}
      AND profile IN ${parameters.add('Array(UInt32)', profilesOf(subjects))}
      AND path IN ${parameters.add('Array(String)', [...new Set(criteria.map(({ path }) => path))])}`;
  const sql = selectTruths(rows, truths, instant, subjects, parameters);
  return answers(await query<TruthRow>(clickhouse, sql, parameters.values), criteria, instant);
}
