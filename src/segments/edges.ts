import type { Criterion } from './ast.ts';

/**
 * Ages in milliseconds at which an event can flip the criterion: an event at t can do so at t + age. Ascending.
 * Age 0, at which an event sent ahead of its time begins to count, is not listed: it holds for every criterion.
 */
export function timeEdges(criterion: Criterion): number[] {
  if (criterion.kind === 'property') return [];
  const { within } = criterion;
  switch (within?.kind) {
    case 'last':
    case 'moreThanAgo':
      return [within.ms];
    case 'ago':
      return [within.toMs, within.fromMs].filter((ms) => ms > 0);
    case 'dates':
    case undefined:
      return [];
  }
}
