import type { Warning } from '../resolvers/segments.ts';
import { builder } from './builder.ts';

const ConditionWarningCode = builder.enumType('ConditionWarningCode', {
  description: 'What is the matter with a part of a condition.',
  values: {
    CONTRADICTORY: { description: 'It is true for nobody, at no time.' },
    ALWAYS_TRUE: { description: 'It is true for everybody, at all times.' },
    DUPLICATE: { description: 'It says the same as a part beside it.' },
    COSTLY: { description: 'The same can be had faster.' },
  } as const,
});

export const ConditionWarning = builder.objectRef<Warning>('ConditionWarning').implement({
  description: 'Something in a condition that is valid and probably not meant.',
  fields: (t) => ({
    code: t.field({
      type: ConditionWarningCode,
      description: 'What is the matter.',
      resolve: (warning) => warning.code,
    }),
    message: t.exposeString('message', { description: 'What is the matter and what to do, for people.' }),
    path: t.exposeStringList('path', {
      description:
        'Which part, from the root of `condition` on: ["all", "1", "event"]. Empty: the whole condition.',
    }),
  }),
});
