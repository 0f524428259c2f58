/** A consent criterion, over one row of `traits`: status, time and source of one consent. */
import type { ConsentCriterion } from '../segments/ast.ts';
import { compileDate, perInstant, type Instant } from './calendars.ts';
import { compareText } from './compare.ts';
import type { Parameters } from './parameters.ts';

/** Whether a row of the channel's attribute, the newest of its profile, satisfies the criterion. */
export function compileConsent(
  { status, since, source }: ConsentCriterion,
  instant: Instant,
  parameters: Parameters,
): string {
  const date = { kind: 'date_kind', number: 'date' };
  const parts = [
    ...(status === null ? [] : [`has(${parameters.add('Array(String)', status)}, text)`]),
    ...(since === null
      ? []
      : [
          `date <= ${perInstant(instant, parameters, (at) => at)}`,
          compileDate({ op: 'within', window: since }, date, instant, parameters),
        ]),
    ...(source === null ? [] : [`notEmpty(list) AND ${compareText('list[1]', source, parameters)}`]),
  ];
  return `(${parts.join(' AND ')})`;
}
