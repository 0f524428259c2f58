/**
 * Traits and consents of some profiles. A row of an attribute meets only the criteria of that attribute: held against all
 * of them, a few attributes with many criteria cost more than all events.
 */
import { groupBy } from '../runtime/group-by.ts';
import type { ConsentCriterion, NearCriterion, PropertyCriterion } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { factHolds, looksAtDate, readFact, selectFact } from './changed-facts.ts';
import { compileTrait } from './compile.ts';
import { compileConsent } from './consents.ts';
import { compileNear, COORDINATES } from './near.ts';
import { createParameters, type Parameters } from './parameters.ts';
import { answers, profilesOf, truthDigits, type Subject, type Truth, type TruthRow } from './truth-rows.ts';

interface TraitScope {
  account: number;
  timeZone: string;
}

type AttributeCriterion = PropertyCriterion | ConsentCriterion;

interface AttributeRow {
  profile: number;
  attribute: string;
  answer: string;
}

/** What is asked of one attribute: criteria whose truth is the same at every instant, and those that look at its date. */
interface Asked {
  attribute: string;
  fixed: AttributeCriterion[];
  dated: AttributeCriterion[];
}

/** Each block that is read is computed with by itself, however few of its rows are of these profiles: large ones. */
const BLOCKS = { max_block_size: 262_144, preferred_block_size_bytes: 4_000_000 };

/** By the criterion's key. Of an attribute that a profile does not have, each is false. */
export async function evaluateTraits(
  clickhouse: ClickHouse,
  scope: TraitScope,
  subjects: readonly Subject[],
  criteria: readonly AttributeCriterion[],
): Promise<Map<string, Truth>> {
  const parameters = createParameters();
  const asked = [...groupBy(criteria, attributeOf)].map(([attribute, its]): Asked => ({
    attribute,
    fixed: its.filter((criterion) => !looksAtDate(criterion)),
    dated: its.filter(looksAtDate),
  }));
  const cases = asked.map(
    (one) => `attribute = ${parameters.add('String', one.attribute)}, ${answerOf(one, scope, parameters)}`,
  );
  const rows = await query<AttributeRow>(
    clickhouse,
    `SELECT profile, attribute, argMax(multiIf(${cases.join(', ')}, ''), revision) AS answer
     FROM traits_by_profile
     ${rowsOf(
       scope,
       subjects,
       asked.map(({ attribute }) => attribute),
       parameters,
     )}
     GROUP BY profile, attribute`,
    parameters.values,
    { settings: BLOCKS },
  );
  const byAttribute = groupBy(rows, ({ attribute }) => attribute);
  return new Map(asked.flatMap((one) => truthsOf(one, byAttribute.get(one.attribute) ?? [], scope)));
}

/** A digit for each fixed criterion, and then what the others need. */
function answerOf({ fixed, dated }: Asked, { timeZone }: TraitScope, parameters: Parameters): string {
  const always = { among: [], timeZone };
  const matches = fixed.map((criterion) =>
    criterion.kind === 'consent'
      ? compileConsent(criterion, always, parameters)
      : compileTrait(criterion, always, parameters),
  );
  return `concat(${truthDigits(matches)}, ${dated.length > 0 ? selectFact(dated) : `''`})`;
}

function truthsOf({ fixed, dated }: Asked, rows: readonly AttributeRow[], { timeZone }: TraitScope) {
  const found = new Map(rows.map(({ profile, answer }) => [profile, answer]));
  const facts = new Map(
    dated.length === 0
      ? []
      : rows.map(({ profile, answer }) => [profile, readFact(answer.slice(fixed.length), timeZone)]),
  );
  return [
    ...fixed.map((criterion, place): [string, Truth] => [
      criterionKey(criterion),
      ({ profile }) => found.get(profile)?.[place] === '1',
    ]),
    ...dated.map((criterion): [string, Truth] => [
      criterionKey(criterion),
      ({ profile, instant }) => {
        const fact = facts.get(profile);
        return fact ? factHolds(criterion, fact, instant, timeZone) : false;
      },
    ]),
  ];
}

function attributeOf(criterion: AttributeCriterion): string {
  return criterion.kind === 'consent' ? consentAttribute(criterion.channel) : criterion.path;
}

/** A place consists of several attributes, which have to be side by side. By the criterion's key. */
export async function evaluateNear(
  clickhouse: ClickHouse,
  scope: TraitScope,
  subjects: readonly Subject[],
  criteria: readonly NearCriterion[],
): Promise<Map<string, Truth>> {
  const parameters = createParameters();
  const truths = truthDigits(criteria.map((criterion) => compileNear(criterion, parameters)));
  const rows = await query<TruthRow>(
    clickhouse,
    `SELECT profile, ${truths} AS truths
     FROM traits_by_profile
     ${rowsOf(scope, subjects, COORDINATES, parameters)}
     GROUP BY profile`,
    parameters.values,
  );
  return answers(rows, criteria, null);
}

/** The attribute is looked at of theirs only, not of all the rows around them. */
function rowsOf(
  { account }: TraitScope,
  subjects: readonly Subject[],
  attributes: readonly string[],
  parameters: Parameters,
): string {
  return `PREWHERE account = ${parameters.add('UInt32', account)}
       AND profile IN ${parameters.add('Array(UInt32)', profilesOf(subjects))}
     WHERE attribute IN ${parameters.add('Array(String)', [...attributes])}`;
}
