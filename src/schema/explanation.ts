import type * as resolve from '../resolvers/explanations.ts';
import { builder } from './builder.ts';

const ExplanationNode = builder.objectRef<resolve.ExplanationNode>('ExplanationNode');
ExplanationNode.implement({
  description: 'A part of a condition, and what is true of someone there.',
  fields: (t) => ({
    text: t.exposeString('text', { description: 'The part as a person would say it.' }),
    satisfied: t.exposeBoolean('satisfied', { description: 'Whether it is true now.' }),
    found: t.string({
      nullable: true,
      description:
        'What was found where it looks, in words: "2 times, the last 31 days ago". Null for `all`, `any` and `not`.',
      resolve: (node) => node.finding?.text ?? null,
    }),
    actual: t.field({
      type: 'JSON',
      nullable: true,
      description:
        'The value that was found: the measure, the property, the distance in the unit asked for. Null: there is none.',
      resolve: (node) => node.finding?.actual ?? null,
    }),
    missing: t.float({
      nullable: true,
      description:
        'What must be added to the number found (negative: taken away) to come to the number asked for; 0 when it is there. Null where this has no meaning.',
      resolve: (node) => node.finding?.missing ?? null,
    }),
    flipsAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When the opposite becomes true if nothing but time passes. Null: never.',
      resolve: (node) => node.flipsAt,
    }),
    children: t.field({
      type: [ExplanationNode],
      description: 'The parts of `all`, `any` and `not`, in their order.',
      resolve: (node) => node.children,
    }),
  }),
});

export const Explanation = builder.objectRef<resolve.Explanation>('Explanation').implement({
  description: 'Why a condition is true for someone now, or not.',
  fields: (t) => ({
    member: t.boolean({
      description: 'Whether the whole condition is true now.',
      resolve: ({ root }) => root.satisfied,
    }),
    complete: t.exposeBoolean('complete', {
      description:
        'False: someone has done too much to look at event by event. Everything that is said is true all the same, but `found`, `actual`, `missing` and `flipsAt` are null wherever they depend on it.',
    }),
    root: t.field({
      type: ExplanationNode,
      description: 'The whole condition.',
      resolve: ({ root }) => root,
    }),
  }),
});

export const EXPLAIN =
  "Each part's truth at this moment, what was found, and when time alone would next flip it. An error with code NOT_FOUND when there is no such profile.";
