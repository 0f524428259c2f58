/** Dates and consents of some profiles: few, so that they are read and held against the language's own rules. */
import type { Channel, ConsentCriterion, ConsentFacts, PropertyCriterion } from '../segments/ast.ts';
import { dateHolds, instantOfDate, type WrittenDate } from '../segments/dates.ts';
import { profileFacts } from '../segments/facts.ts';
import { criterionKey } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { evaluate } from '../segments/reference.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';

/** Property criteria have date filters. */
export type FactCriterion = PropertyCriterion | ConsentCriterion;

interface FactRow {
  profile: number;
  attribute: string;
  fact: [text: string, list: string[], kind: WrittenDate['kind'], number: string];
}

const attributeOf = (criterion: FactCriterion) =>
  criterion.kind === 'consent' ? consentAttribute(criterion.channel) : criterion.path;

/** Truths by subject and key of the criterion. */
export async function evaluateFacts(
  clickhouse: ClickHouse,
  { account, timeZone }: { account: number; timeZone: string },
  subjects: readonly { profile: number }[],
  criteria: readonly FactCriterion[],
): Promise<(subject: { profile: number; instant: number }, criterion: string) => boolean> {
  if (criteria.length === 0) return () => false;
  const rows = await query<FactRow>(
    clickhouse,
    `SELECT profile, attribute, argMax((text, list, date_kind, date), revision) AS fact
     FROM traits_by_profile
     WHERE account = {account:UInt32} AND profile IN {profiles:Array(UInt32)}
       AND attribute IN {attributes:Array(String)}
     GROUP BY profile, attribute
     HAVING fact.3 != 'none'`,
    {
      account,
      profiles: [...new Set(subjects.map(({ profile }) => profile))],
      attributes: [...new Set(criteria.map(attributeOf))],
    },
  );
  const facts = new Map(
    rows.map(({ profile, attribute, fact: [text, [source = null], kind, number] }) => {
      const time = instantOfDate({ kind, number: Number(number) }, timeZone);
      // Of a date only the time is looked at.
      return [`${profile}:${attribute}`, { status: text, time, source } as ConsentFacts];
    }),
  );
  const byKey = new Map(criteria.map((criterion) => [criterionKey(criterion), criterion]));
  return ({ profile, instant }, key) => {
    const criterion = byKey.get(key);
    const fact = criterion && facts.get(`${profile}:${attributeOf(criterion)}`);
    if (!criterion || !fact) return false;
    if (criterion.kind === 'consent') {
      const consents = new Map<Channel, ConsentFacts>([[criterion.channel, fact]]);
      return evaluate(criterion, profileFacts({ consents }), instant, { timeZone });
    }
    return criterion.filter.kind === 'date' && dateHolds(criterion.filter.date, fact.time, instant, timeZone);
  };
}
