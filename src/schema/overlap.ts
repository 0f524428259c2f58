import * as resolve from '../resolvers/overlap.ts';
import { builder } from './builder.ts';
import { Segment } from './segment.ts';

const SegmentIntersection = builder.objectRef<resolve.Overlap>('SegmentIntersection').implement({
  description: 'A combination of segments, and how many profiles are in all of them.',
  fields: (t) => ({
    segments: t.field({
      type: [Segment],
      description: 'The combination: one or more of the segments that were named.',
      resolve: (overlap, _, ctx) => resolve.overlapSegments(ctx, overlap),
    }),
    count: t.exposeInt('count', {
      description: 'How many profiles are in each of these segments, whatever others they are in besides.',
    }),
  }),
});

builder.queryField('segmentOverlap', (t) =>
  t.field({
    type: [SegmentIntersection],
    description:
      'How many profiles any combination of the given segments shares: every combination that has any, single segments first.',
    args: {
      segments: t.arg.idList({ required: true, description: 'Which segments, 1 to 6.' }),
    },
    resolve: (_, args, ctx) => resolve.segmentOverlap(ctx, args),
  }),
);
