/**
 * Dates of some profiles, those of consents included: few, so that they are read beside the truths of the other traits
 * and held against the language's own rules.
 */
import type { Channel, ConsentCriterion, ConsentFacts, PropertyCriterion } from '../segments/ast.ts';
import { dateHolds, instantOfDate, type WrittenDate } from '../segments/dates.ts';
import { profileFacts } from '../segments/facts.ts';
import { evaluate } from '../segments/reference.ts';

/** Property criteria have date filters, consents a time. */
export type FactCriterion = PropertyCriterion | ConsentCriterion;

/** Whether the criterion turns with time. */
export function looksAtDate(criterion: FactCriterion): boolean {
  return criterion.kind === 'consent' ? criterion.since !== null : criterion.filter.kind === 'date';
}

/** What such criteria look at in a row of their attribute, as text: a JSON array, or nothing where there is no date. */
export function selectFact(criteria: readonly FactCriterion[]): string {
  const date = '[toString(date_kind), toString(date)';
  const fact = criteria.some(({ kind }) => kind === 'consent')
    ? `arrayConcat(${date}, text], arraySlice(list, 1, 1))`
    : `${date}]`;
  return `if(date_kind = 'none', '', toJSONString(${fact}))`;
}

/** Null: it is no date, nor a consent. Of a date only the time is there. */
export function readFact(text: string, timeZone: string): ConsentFacts | null {
  if (text === '') return null;
  const [kind, number, status, source = null] = JSON.parse(text) as [
    WrittenDate['kind'],
    string,
    string?,
    string?,
  ];
  return { status, time: instantOfDate({ kind, number: Number(number) }, timeZone), source } as ConsentFacts;
}

export function factHolds(
  criterion: FactCriterion,
  fact: ConsentFacts,
  instant: number,
  timeZone: string,
): boolean {
  if (criterion.kind === 'consent') {
    const consents = new Map<Channel, ConsentFacts>([[criterion.channel, fact]]);
    return evaluate(criterion, profileFacts({ consents }), instant, { timeZone });
  }
  return criterion.filter.kind === 'date' && dateHolds(criterion.filter.date, fact.time, instant, timeZone);
}
