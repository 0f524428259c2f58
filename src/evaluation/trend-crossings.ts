/** Values of predictions that have been there for just as long as a trend looks back: slices of `predictions`. */
import { moment } from './compile.ts';
import type { Parameters } from './parameters.ts';
import { sourceIn, type Part, type Slice } from './slice.ts';

/** One SELECT for all edges of the slice, which are of predictions. */
export function trendDepartures({ account, edges, after, through }: Slice): Part {
  const paths = edges.map(({ source }) => (source.of === 'prediction' ? source.path : ''));
  const offsets = edges.map(({ offset }) => offset);
  const select = (parameters: Parameters) => {
    const slices = edges.map(
      ({ offset }, i) => `(path = ${parameters.add('String', paths[i] ?? '')}
          AND time > ${moment(after - offset, parameters)} AND time <= ${moment(through - offset, parameters)})`,
    );
    const numbers = parameters.add('Array(UInt32)', [...edges.keys()]);
    return `SELECT account, profile, crossed.1 AS source, crossed.2 AS offset, t + crossed.2 AS instant
      FROM (
        SELECT account, profile, path, toUnixTimestamp64Milli(time) AS t
        FROM predictions
        WHERE account = ${parameters.add('UInt32', account)} AND (${slices.join(' OR ')})
      )
      ARRAY JOIN arrayFilter(
        (edge, of) -> path = of
          AND t + edge.2 > ${parameters.add('Int64', after)}
          AND t + edge.2 <= ${parameters.add('Int64', through)},
        arrayZip(${numbers}, ${parameters.add('Array(Int64)', offsets)}),
        ${parameters.add('Array(String)', paths)}) AS crossed`;
  };
  return { select, sourceOf: sourceIn(edges) };
}
