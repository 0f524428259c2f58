/** What of the language a run has touched: "text.contains", "window.ago", "sum.atLeast" → how often. */
import type { Condition, NumberFilter, ValueFilter } from '../../src/segments/ast.ts';

export type Coverage = Map<string, number>;

/** Every part of the language that the random conditions are made of. A run that leaves one out proves less than it says. */
export const WHOLE_LANGUAGE: readonly string[] = [
  ...['all', 'any', 'not'],
  ...['last', 'moreThanAgo', 'ago', 'dates', 'ever'].map((window) => `window.${window}`),
  ...['equals', 'in', 'contains', 'startsWith', 'endsWith', 'matches'].flatMap((op) => [
    `text.${op}`,
    `text.not${op.charAt(0).toUpperCase()}${op.slice(1)}`,
  ]),
  ...['count', 'sum', 'number'].flatMap((what) =>
    ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost', 'between'].map(
      (op) => `${what}.${op}`,
    ),
  ),
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
    else touch(filter.kind);
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
      return value(condition.filter);
    case 'event':
      touch(`window.${condition.within?.kind ?? 'ever'}`);
      number(condition.measure.kind, condition.is);
      for (const { filter } of condition.where) value(filter);
      return;
    case 'sequence':
    case 'consent':
    case 'segment':
    case 'near':
    case 'region':
    case 'prediction':
    case 'trend':
    case 'sample':
      touch(condition.kind);
  }
}

export function describeCoverage(coverage: Coverage): string {
  return [...coverage]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}
