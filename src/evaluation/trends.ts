/** How predictions have changed: truths of trends over rows of `predictions`, which has one for each change of a value. */
import { LARGEST_SUMMAND, microUnits } from '../segments/numbers.ts';
import type { TrendCriterion } from '../segments/ast.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { moment, momentAgo } from './compile.ts';
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
  type Truth,
  type TruthRow,
} from './truth-rows.ts';

// One number for time and revision: by pairs ClickHouse finds the newest ten times as slowly.
const ORDER = 'toUInt128(toUnixTimestamp64Milli(time)) * toUInt128(18446744073709551616) + revision';
// Without a value it is NaN, which no comparison holds for.
const VALUE = 'ifNull(value, nan)';

/** The criterion's truth over the rows of a profile, of which there is one at least. */
function compileTrend(criterion: TrendCriterion, instant: Instant, parameters: Parameters): string {
  const path = parameters.add('String', criterion.path);
  const valueBefore = (ms: number) =>
    newestOf(`path = ${path} AND time <= ${momentAgo(ms, instant, parameters)}`);
  return hasChanged(criterion, valueBefore(0), valueBefore(criterion.withinMs), parameters);
}

/** The value of the newest row that is `among` them, as an aggregate. */
function newestOf(among: string): string {
  return `argMax(if(${among}, ${VALUE}, nan), if(${among}, ${ORDER}, 0))`;
}

/** `now` and `then`: aggregates, NaN where there is no value. */
function hasChanged(criterion: TrendCriterion, now: string, then: string, parameters: Parameters): string {
  const by = parameters.add('Int128', microUnits(criterion.by).toString());
  return `(abs(${now}) <= ${LARGEST_SUMMAND} AND abs(${then}) <= ${LARGEST_SUMMAND}
    AND ${micro(now)} - ${micro(then)} ${criterion.by > 0 ? '>=' : '<='} ${by})`;
}

/**
 * A SELECT of `profile`, of those for whom the criterion holds. `place`: which rows are the account's. Who has had no
 * new value since then has had no change: the slice of time says who is to be looked at.
 */
export function selectByTrend(
  criterion: TrendCriterion,
  instant: { at: number; timeZone: string },
  place: string,
  parameters: Parameters,
): string {
  const rows = `FROM predictions
      WHERE ${place} AND path = ${parameters.add('String', criterion.path)}
        AND time <= ${moment(instant.at, parameters)}`;
  const before = momentAgo(criterion.withinMs, instant, parameters);
  // All of these rows are of the path and of the past.
  const now = `argMax(${VALUE}, ${ORDER})`;
  const then = newestOf(`time <= ${before}`);
  return `SELECT profile
      ${rows}
        AND profile IN (SELECT profile ${rows} AND time > ${before})
      GROUP BY profile
      HAVING ${hasChanged(criterion, now, then, parameters)}`;
}

/** Truths of trends, by their keys. */
export async function evaluateTrends(
  clickhouse: ClickHouse,
  { account, timeZone }: { account: number; timeZone: string },
  subjects: readonly Subject[],
  criteria: readonly TrendCriterion[],
): Promise<Map<string, Truth>> {
  const parameters = createParameters();
  const instant = instantOf(subjects, timeZone);
  const truths = truthDigits(criteria.map((criterion) => compileTrend(criterion, instant, parameters)));
  const rows = `SELECT profile, path, time, revision, value
    FROM predictions_by_profile
    WHERE account = ${parameters.add('UInt32', account)}
      AND profile IN ${parameters.add('Array(UInt32)', profilesOf(subjects))}
      AND path IN ${parameters.add('Array(String)', [...new Set(criteria.map(({ path }) => path))])}`;
  const sql = selectTruths(rows, `${truths} AS truths`, instant, subjects, parameters);
  return answers(await query<TruthRow>(clickhouse, sql, parameters.values), criteria, instant);
}
