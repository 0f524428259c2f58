import * as resolve from '../resolvers/history.ts';
import { builder } from './builder.ts';
import { Segment } from './segment.ts';

const SegmentSize = builder.objectRef<resolve.SizePoint>('SegmentSize').implement({
  description: 'The size of a segment at an instant, and how it got there.',
  fields: (t) => ({
    at: t.field({ type: 'DateTime', description: 'The instant.', resolve: (point) => point.at }),
    count: t.exposeInt('count', {
      description: 'How many members it had: the count of the point before, plus `entered`, minus `exited`.',
    }),
    entered: t.exposeInt('entered', {
      description:
        'How many have entered since the point before. Those whom the segment began with are among them; 0 at the first point.',
    }),
    exited: t.exposeInt('exited', {
      description: 'How many have left since the point before; 0 at the first point.',
    }),
  }),
});

const SegmentForecast = builder.objectRef<resolve.Forecast>('SegmentForecast').implement({
  description: 'What time alone will do to a segment.',
  fields: (t) => ({
    leaving: t.exposeInt('leaving', {
      description: 'How many satisfy the condition now, and will not at the end of the time.',
    }),
    joining: t.exposeInt('joining', {
      description: 'How many do not satisfy the condition now, and will at the end of the time.',
    }),
  }),
});

builder.objectFields(Segment, (t) => ({
  history: t.field({
    type: [SegmentSize],
    description:
      'Size over time: a point at `from`, at every step behind it, and at `to`, at most 1,000; up to the present. 0 before the segment was made. An entry or exit counts from when it was found, as it did in `count`.',
    args: {
      from: t.arg({ type: 'DateTime', required: true, description: 'The first point.' }),
      to: t.arg({ type: 'DateTime', required: true, description: 'The last point; after `from`.' }),
      every: t.arg({
        type: 'Duration',
        required: true,
        defaultValue: 'PT1H',
        description: 'The length of a step, at least PT1S.',
      }),
    },
    resolve: (row, args, ctx) => resolve.segmentHistory(ctx, row, args),
  }),
  forecast: t.field({
    type: SegmentForecast,
    description:
      'Who will leave or join within the time from now, if nothing but time happens: the members by the condition now, compared with those at the end of the time. Events with a time ahead are counted when it comes. Whoever leaves and is back by then is in neither number.',
    args: {
      within: t.arg({
        type: 'Duration',
        required: true,
        description: 'How far to look ahead, PT1S to P3650D.',
      }),
    },
    resolve: (row, args, ctx) => resolve.segmentForecast(ctx, row, args),
  }),
}));
