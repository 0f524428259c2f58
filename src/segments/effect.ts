import type { Condition, EventCriterion } from './ast.ts';

/** Which way one more event of a metric can turn a condition, at one and the same instant. */
export interface Effect {
  canBecomeTrue: boolean;
  canBecomeFalse: boolean;
}

/**
 * One more event can make a count larger, never smaller: "at least 3 times" cannot become false by it, nor "not at
 * least once" true. What is not certain counts as possible.
 */
export function effectOfEvent(condition: Condition, metric: string): Effect {
  switch (condition.kind) {
    case 'all':
    case 'any': {
      const effects = condition.children.map((child) => effectOfEvent(child, metric));
      return {
        canBecomeTrue: effects.some((effect) => effect.canBecomeTrue),
        canBecomeFalse: effects.some((effect) => effect.canBecomeFalse),
      };
    }
    case 'not': {
      const { canBecomeTrue, canBecomeFalse } = effectOfEvent(condition.child, metric);
      return { canBecomeTrue: canBecomeFalse, canBecomeFalse: canBecomeTrue };
    }
    case 'event': {
      const isTouched = condition.metric === metric;
      return { canBecomeTrue: isTouched, canBecomeFalse: isTouched && !onlyGrows(condition) };
    }
    case 'property':
      return { canBecomeTrue: false, canBecomeFalse: false };
  }
}

function onlyGrows({ measure, is }: EventCriterion): boolean {
  return measure.kind === 'count' && (is.op === 'atLeast' || is.op === 'moreThan');
}
