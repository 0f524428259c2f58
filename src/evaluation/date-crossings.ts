/** Dates of profiles, their consents and their events that are just as far away, or as long ago, as a filter says: slices of `dates`. */
import { dayOf, startOfDay } from '../segments/calendar.ts';
import { consentAttribute } from '../segments/paths.ts';
import type { Parameters } from './parameters.ts';
import { sourceIn, type Part, type Slice } from './slice.ts';

/** One SELECT for all edges of the slice, which are of attributes, consents and event properties. */
export function dateDepartures({ account, metrics, timeZone, edges, after, through }: Slice): Part {
  const slices = edges.flatMap(({ source, offset }, number) => {
    if (source.of === 'event' || source.of === 'prediction') return [];
    const metric = source.of === 'eventProperty' ? metrics.get(source.metric) : 0;
    if (metric === undefined) return [];
    const path = source.of === 'consent' ? consentAttribute(source.channel) : source.path;
    const place = { metric, path, offset, number };
    const [from, to] = [after - offset, through - offset];
    const days = [dayOf(from, timeZone), dayOf(to, timeZone)] as const;
    return [
      { ...place, kind: 'instant', from, to },
      // Days that have begun between the two: most of the time none.
      ...(days[0] < days[1] ? [{ ...place, kind: 'day', from: days[0], to: days[1] }] : []),
    ];
  });
  const select = (parameters: Parameters) => {
    const text = (value: string) => parameters.add('String', value);
    const integer = (value: number) => parameters.add('Int64', value);
    const ranges = slices.map(
      ({
        metric,
        path,
        kind,
        from,
        to,
      }) => `(metric = ${parameters.add('UInt32', metric)} AND path = ${text(path)}
          AND kind = ${text(kind)} AND date > ${integer(from)} AND date <= ${integer(to)})`,
    );
    const integers = (values: number[]) => parameters.add('Array(Int64)', values);
    const texts = (values: string[]) => parameters.add('Array(String)', values);
    const days = [
      ...new Set(
        slices.flatMap(({ kind, from, to }) =>
          kind === 'day' ? Array.from({ length: to - from }, (_, i) => from + 1 + i) : [],
        ),
      ),
    ];
    const starts = days.map((day) => startOfDay(day, timeZone));
    return `SELECT account, profile, crossed.1 AS source, crossed.2 AS offset,
        if(form = 'day', transform(date, ${integers(days)}, ${integers(starts)}, toInt64(0)), date) + crossed.2 AS instant
      FROM (
        SELECT account, profile, metric, path, toString(kind) AS form, date
        FROM dates
        WHERE account = ${parameters.add('UInt32', account)} AND (${ranges.join(' OR ') || 'false'})
      )
      ARRAY JOIN arrayFilter(
        (edge, of_metric, of_path, of_form, low, high) ->
          metric = of_metric AND path = of_path AND form = of_form AND date > low AND date <= high,
        arrayZip(${parameters.add(
          'Array(UInt32)',
          slices.map(({ number }) => number),
        )}, ${integers(slices.map(({ offset }) => offset))}),
        ${integers(slices.map(({ metric }) => metric))},
        ${texts(slices.map(({ path }) => path))},
        ${texts(slices.map(({ kind }) => kind))},
        ${integers(slices.map(({ from }) => from))},
        ${integers(slices.map(({ to }) => to))}) AS crossed`;
  };
  return { select, sourceOf: sourceIn(edges) };
}
