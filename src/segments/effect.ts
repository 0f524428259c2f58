import type { EventCriterion, NormalCondition } from './ast.ts';

/** Which way one more event of a metric can turn a condition, at one and the same instant. */
export interface Effect {
  canBecomeTrue: boolean;
  canBecomeFalse: boolean;
}

/**
 * One more event can make a count larger, never smaller: "at least 3 times" cannot become false by it, nor "not at
 * least once" true. What is not certain counts as possible.
 */
export function effectOfEvent(condition: NormalCondition, metric: string): Effect {
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
    case 'sequence': {
      const isTouched = condition.steps.some((step) => step.metric === metric);
      const isForbidden = condition.steps.some((step) => step.negate && step.metric === metric);
      return { canBecomeTrue: isTouched, canBecomeFalse: isForbidden };
    }
    case 'property':
    case 'consent':
    case 'segment':
    case 'near':
    case 'trend':
    case 'sample':
      return { canBecomeTrue: false, canBecomeFalse: false };
  }
}

function onlyGrows({ measure, is }: EventCriterion): boolean {
  const isCount = measure.kind === 'count' || measure.kind === 'distinct' || measure.kind === 'days';
  return isCount && (is.op === 'atLeast' || is.op === 'moreThan');
}
