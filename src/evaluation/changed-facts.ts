/**
 * Dates and consents of some profiles: few, so that they are read beside the truths of the other traits and held against
 * the language's own rules.
 */
import type { Channel, ConsentCriterion, ConsentFacts, PropertyCriterion } from '../segments/ast.ts';
import { dateHolds, instantOfDate, type WrittenDate } from '../segments/dates.ts';
import { profileFacts } from '../segments/facts.ts';
import { criterionKey } from '../segments/normalise.ts';
import { consentAttribute } from '../segments/paths.ts';
import { evaluate } from '../segments/reference.ts';
import type { Parameters } from './parameters.ts';
import type { Truths } from './truth-rows.ts';

/** Property criteria have date filters. */
export type FactCriterion = PropertyCriterion | ConsentCriterion;

export interface FactsRow {
  profile: number;
  /** Of each attribute that `factAttributes` gives. Kind 'none': it is no date, nor a consent. */
  facts: [text: string, source: string[], kind: WrittenDate['kind'] | 'none', number: string][];
}

const attributeOf = (criterion: FactCriterion) =>
  criterion.kind === 'consent' ? consentAttribute(criterion.channel) : criterion.path;

/** What the criteria look at. */
export function factAttributes(criteria: readonly FactCriterion[]): string[] {
  return [...new Set(criteria.map(attributeOf))];
}

/** The newest of each attribute: an aggregate over the rows of traits of a profile, for `FactsRow.facts`. */
export function selectFacts(attributes: readonly string[], parameters: Parameters): string {
  const newest = attributes.map(
    (attribute) => `argMaxIf((text, arraySlice(list, 1, 1), date_kind, date), revision,
        attribute = ${parameters.add('String', attribute)})`,
  );
  return `[${newest.join(', ')}]`;
}

/** Truths by subject and key of the criterion. `attributes` as `rows` were asked for. */
export function factTruths(
  rows: readonly FactsRow[],
  attributes: readonly string[],
  criteria: readonly FactCriterion[],
  timeZone: string,
): Truths {
  const byProfile = new Map(
    rows.map(({ profile, facts }) => [
      profile,
      facts.map(([text, [source = null], kind, number]): ConsentFacts | null => {
        if (kind === 'none') return null;
        // Of a date only the time is looked at.
        const time = instantOfDate({ kind, number: Number(number) }, timeZone);
        return { status: text, time, source } as ConsentFacts;
      }),
    ]),
  );
  const byKey = new Map(
    criteria.map((criterion) => [
      criterionKey(criterion),
      { criterion, place: attributes.indexOf(attributeOf(criterion)) },
    ]),
  );
  return ({ profile, instant }, key) => {
    const asked = byKey.get(key);
    const fact = asked && byProfile.get(profile)?.[asked.place];
    if (!asked || !fact) return false;
    const { criterion } = asked;
    if (criterion.kind === 'consent') {
      const consents = new Map<Channel, ConsentFacts>([[criterion.channel, fact]]);
      return evaluate(criterion, profileFacts({ consents }), instant, { timeZone });
    }
    return criterion.filter.kind === 'date' && dateHolds(criterion.filter.date, fact.time, instant, timeZone);
  };
}
