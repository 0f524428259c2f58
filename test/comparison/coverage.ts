/** What of the language a run has touched: "text.contains", "window.ago", "sum.atLeast" → how often. */
import type { Condition, NumberFilter, ValueFilter } from '../../src/segments/ast.ts';

export type Coverage = Map<string, number>;

const MEASURES = ['count', 'sum', 'average', 'min', 'max', 'distinct', 'days'];
const LISTS = ['contains', 'notContains', 'containsAny', 'containsAll', 'containsNone', 'length'].map(
  (op) => `list.${op}`,
);
const PLACES_AND_SAMPLES = [
  ...['near.within', 'near.beyond', 'near.MILES', 'sample', 'sample.salted'],
  ...['EUROPEAN_UNION', 'UNITED_STATES'].flatMap((region) => [`region.in.${region}`, `region.out.${region}`]),
  ...['CHURN_RISK', 'PREDICTED_LIFETIME_VALUE', 'HISTORIC_LIFETIME_VALUE', 'AVERAGE_DAYS_BETWEEN_ORDERS'].map(
    (dimension) => `prediction.${dimension}.number`,
  ),
];

/** Every part of the language that the random conditions are made of. A run that leaves one out proves less than it says. */
export const WHOLE_LANGUAGE: readonly string[] = [
  ...['all', 'any', 'not'],
  ...['last', 'moreThanAgo', 'ago', 'dates', 'ever'].map((window) => `window.${window}`),
  ...['equals', 'in', 'contains', 'startsWith', 'endsWith', 'matches'].flatMap((op) => [
    `text.${op}`,
    `text.not${op.charAt(0).toUpperCase()}${op.slice(1)}`,
  ]),
  ...[...MEASURES, 'number', 'length'].flatMap((what) =>
    ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost', 'between'].map(
      (op) => `${what}.${op}`,
    ),
  ),
  ...LISTS,
  ...PLACES_AND_SAMPLES,
  ...['boolean.true', 'boolean.false', 'exists.true', 'exists.false'],
];

export function cover(coverage: Coverage, condition: Condition): void {
  const touch = (name: string) => coverage.set(name, (coverage.get(name) ?? 0) + 1);
  const number = (what: string, filter: NumberFilter) => touch(`${what}.${filter.op}`);
  const value = (filter: ValueFilter) => {
    if (filter.kind === 'text') touch(`text.${filter.text.op}`);
    else if (filter.kind === 'number') number('number', filter.number);
    else if (filter.kind === 'boolean') touch(`boolean.${filter.equals}`);
    else if (filter.kind === 'exists') touch(`exists.${filter.exists}`);
    else if (filter.kind === 'list') {
      touch(`list.${filter.list.op}`);
      if (filter.list.op === 'length') number('length', filter.list.length);
    } else touch(filter.kind);
  };
  switch (condition.kind) {
    case 'all':
    case 'any':
      touch(condition.kind);
      for (const child of condition.children) cover(coverage, child);
      return;
    case 'not':
      touch('not');
      return cover(coverage, condition.child);
    case 'property':
      if (condition.filter.kind === 'list') touch('list.property');
      return value(condition.filter);
    case 'event':
      touch(`window.${condition.within?.kind ?? 'ever'}`);
      touch(`measure.${condition.measure.kind}`);
      number(condition.measure.kind, condition.is);
      for (const { filter } of condition.where) {
        if (filter.kind === 'list') touch('list.where');
        value(filter);
      }
      return;
    case 'near':
      touch('near');
      touch(condition.beyond ? 'near.beyond' : 'near.within');
      if (condition.unit === 'MILES') touch('near.MILES');
      return;
    case 'region':
      touch('region');
      touch(`region.${condition.inside ? 'in' : 'out'}.${condition.region}`);
      return;
    case 'prediction':
      touch('prediction');
      if (condition.number) touch(`prediction.${condition.dimension}.number`);
      return;
    case 'sample':
      touch('sample');
      if (condition.salt !== '') touch('sample.salted');
      return;
    case 'sequence':
    case 'consent':
    case 'segment':
    case 'trend':
      touch(condition.kind);
  }
}

export function describeCoverage(coverage: Coverage): string {
  return [...coverage]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
