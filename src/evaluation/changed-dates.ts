/** Date filters of some profiles: few dates, so that they are read and held against the language's own rules. */
import type { PropertyCriterion } from '../segments/ast.ts';
import { dateHolds, instantOfDate, type WrittenDate } from '../segments/dates.ts';
import { criterionKey } from '../segments/normalise.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';

interface DateRow {
  profile: number;
  attribute: string;
  date: [kind: WrittenDate['kind'], number: string];
}

/** Truths of property criteria with date filters, by subject and key. */
export async function evaluateDates(
  clickhouse: ClickHouse,
  { account, timeZone }: { account: number; timeZone: string },
  subjects: readonly { profile: number }[],
  criteria: readonly PropertyCriterion[],
): Promise<(subject: { profile: number; instant: number }, criterion: string) => boolean> {
  if (criteria.length === 0) return () => false;
  const rows = await query<DateRow>(
    clickhouse,
    `SELECT profile, attribute, argMax((date_kind, date), revision) AS date
     FROM traits_by_profile
     WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
       AND attribute IN {attributes:Array(String)}
     GROUP BY profile, attribute
     HAVING date.1 != 'none'`,
    {
      account,
      profiles: [...new Set(subjects.map(({ profile }) => profile))],
      attributes: [...new Set(criteria.map(({ path }) => path))],
    },
  );
  const instants = new Map(
    rows.map(({ profile, attribute, date: [kind, number] }) => [
      `${profile}:${attribute}`,
      instantOfDate({ kind, number: Number(number) }, timeZone),
    ]),
  );
  const byKey = new Map(criteria.map((criterion) => [criterionKey(criterion), criterion]));
  return ({ profile, instant }, key) => {
    const criterion = byKey.get(key);
    const date = criterion && instants.get(`${profile}:${criterion.path}`);
    return (
      date !== undefined &&
      criterion?.filter.kind === 'date' &&
      dateHolds(criterion.filter.date, date, instant, timeZone)
    );
  };
}
