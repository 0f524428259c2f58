/** What of the language a run has touched: "text.contains", "window.ago", "sum.atLeast" → how often. */
import type {
  Condition,
  DateFilter,
  NumberFilter,
  PropertyFilter,
  TimeWindow,
  ValueFilter,
} from '../../src/segments/ast.ts';
import { EVENT_TIME } from '../../src/segments/paths.ts';
import { linksOf } from '../../src/segments/sequences.ts';
import { PERIODS } from './dates.ts';

export type Coverage = Map<string, number>;

const MEASURES = ['count', 'sum', 'average', 'min', 'max', 'distinct', 'days'];
const TEXTS = ['equals', 'in', 'contains', 'startsWith', 'endsWith', 'matches'].flatMap((op) => [
  op,
  `not${op.charAt(0).toUpperCase()}${op.slice(1)}`,
]);
const LISTS = [
  ...['contains', 'notContains', 'containsAny', 'containsAll', 'containsNone', 'length'].map(
    (op) => `list.${op}`,
  ),
  ...['property', 'where'].flatMap((of) =>
    ['someElement', 'noElement'].flatMap((list) => TEXTS.map((op) => `${of}.${list}.${op}`)),
  ),
];
const PLACES_AND_SAMPLES = [
  ...['near.within', 'near.beyond', 'near.MILES', 'sample', 'sample.salted'],
  ...['EUROPEAN_UNION', 'UNITED_STATES'].flatMap((region) => [`region.in.${region}`, `region.out.${region}`]),
  ...[
    'CHURN_RISK',
    'PREDICTED_LIFETIME_VALUE',
    'HISTORIC_LIFETIME_VALUE',
    'AVERAGE_DAYS_BETWEEN_ORDERS',
  ].flatMap((dimension) =>
    ['number', 'change.up', 'change.down'].map((part) => `prediction.${dimension}.${part}`),
  ),
];

const SEQUENCES = [
  ...['plain', 'first', 'middle', 'last', 'several', 'repeated'].map((part) => `sequence.${part}`),
  ...['where', 'where.date', 'where.time', 'where.element'].map((part) => `sequence.${part}`),
  ...['first', 'middle', 'last', 'plain'].map((part) => `sequence.limited.${part}`),
  ...['last', 'moreThanAgo', 'ago', 'dates', 'calendar', 'ever'].map((window) => `sequence.window.${window}`),
];

/** Every part of the language that the random conditions are made of. A run that leaves one out proves less than it says. */
export const WHOLE_LANGUAGE: readonly string[] = [
  ...['all', 'any', 'not'],
  ...['last', 'moreThanAgo', 'ago', 'dates', 'ever'].map((window) => `window.${window}`),
  ...TEXTS.map((op) => `text.${op}`),
  ...[...MEASURES, 'number', 'length'].flatMap((what) =>
    ['equals', 'notEquals', 'moreThan', 'atLeast', 'lessThan', 'atMost', 'between'].map(
      (op) => `${what}.${op}`,
    ),
  ),
  ...LISTS,
  ...PLACES_AND_SAMPLES,
  ...['boolean.true', 'boolean.false', 'exists.true', 'exists.false'],
  ...SEQUENCES,
  ...['property', 'where', 'time', 'prediction'].flatMap((of) => [
    ...['next', 'anniversary', 'month', 'thisMonth'].map((op) => `${of}.date.${op}`),
    ...['last', 'moreThanAgo', 'ago', 'dates', 'calendar'].map((window) => `${of}.date.within.${window}`),
  ]),
  ...['window', 'date'].flatMap((of) => PERIODS.map((period) => `${of}.calendar.${period}`)),
  ...['EMAIL', 'SMS', 'PUSH', 'status', 'canReceive.true', 'canReceive.false', 'source'].map(
    (part) => `consent.${part}`,
  ),
  ...['last', 'moreThanAgo', 'ago', 'dates', 'calendar'].map((window) => `consent.since.${window}`),
];

/** What the scripts of the pipeline must have had of segments that refer to one another; the scopes know none. */
export const REFERENCES: readonly string[] = ['member', 'other', 'chain', 'edited'].map(
  (part) => `segment.${part}`,
);

export function cover(coverage: Coverage, condition: Condition): void {
  const touch = (name: string) => coverage.set(name, (coverage.get(name) ?? 0) + 1);
  const number = (what: string, filter: NumberFilter) => touch(`${what}.${filter.op}`);
  const within = (of: string, window: TimeWindow | null) => {
    if (window?.kind === 'calendar') touch(`${of}.calendar.${window.period}`);
  };
  const date = (of: string, filter: DateFilter) => {
    touch(`${of}.date.${filter.op}${filter.op === 'within' ? `.${filter.window.kind}` : ''}`);
    if (filter.op === 'within') within('date', filter.window);
  };
  const value = (of: 'property' | 'where' | 'time', filter: ValueFilter) => {
    if (filter.kind === 'text') touch(`text.${filter.text.op}`);
    else if (filter.kind === 'number') number('number', filter.number);
    else if (filter.kind === 'boolean') touch(`boolean.${filter.equals}`);
    else if (filter.kind === 'exists') touch(`exists.${filter.exists}`);
    else if (filter.kind === 'date') date(of, filter.date);
    else {
      touch(`list.${of}`);
      touch(`list.${filter.list.op}`);
      if ('text' in filter.list) touch(`${of}.${filter.list.op}.${filter.list.text.op}`);
      if (filter.list.op === 'length') number('length', filter.list.length);
    }
  };
  const where = ({ path, filter }: PropertyFilter) => value(path === EVENT_TIME ? 'time' : 'where', filter);
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
      return value('property', condition.filter);
    case 'event':
      touch(`window.${condition.within?.kind ?? 'ever'}`);
      within('window', condition.within);
      touch(`measure.${condition.measure.kind}`);
      number(condition.measure.kind, condition.is);
      for (const filter of condition.where) where(filter);
      return;
    case 'consent':
      touch(`consent.${condition.channel}`);
      if (condition.status) touch('consent.status');
      if (condition.canReceive !== null) touch(`consent.canReceive.${condition.canReceive}`);
      if (condition.since) touch(`consent.since.${condition.since.kind}`);
      if (condition.source) touch('consent.source');
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
      if (condition.date) date('prediction', condition.date);
      if (condition.change)
        touch(`prediction.${condition.dimension}.change.${condition.change.by > 0 ? 'up' : 'down'}`);
      return;
    case 'sample':
      touch('sample');
      if (condition.salt !== '') touch('sample.salted');
      return;
    case 'sequence': {
      const { steps, completeWithinMs, within } = condition;
      const { links, after } = linksOf(steps);
      const negated = [
        ...(links[0]?.unless.length ? ['first'] : []),
        ...(links.slice(1).some(({ unless }) => unless.length > 0) ? ['middle'] : []),
        ...(after.length > 0 ? ['last'] : []),
      ];
      for (const part of negated.length > 0 ? negated : ['plain']) {
        touch(`sequence.${part}`);
        if (completeWithinMs !== null && steps.length > 2) touch(`sequence.limited.${part}`);
      }
      if (links.some(({ unless }) => unless.length > 1) || after.length > 1) touch('sequence.several');
      const metrics = links.map(({ step }) => step.metric);
      if (new Set(metrics).size < metrics.length) touch('sequence.repeated');
      touch(`sequence.window.${within?.kind ?? 'ever'}`);
      for (const filter of steps.flatMap((step) => step.where)) {
        const date = filter.path === EVENT_TIME ? '.time' : '.date';
        touch(`sequence.where${filter.filter.kind === 'date' ? date : ''}`);
        if (filter.filter.kind === 'list' && 'text' in filter.filter.list) touch('sequence.where.element');
        where(filter);
      }
      return;
    }
    case 'segment':
      touch(`segment.${condition.member ? 'member' : 'other'}`);
      return;
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
