import * as resolve from '../resolvers/metrics.ts';
import { encodeId } from '../runtime/global-ids.ts';
import { builder, Node } from './builder.ts';
import { connectionOf, pageArgs } from './connections.ts';

const PropertyKind = builder.enumType('PropertyKind', {
  description: 'The type of a value, as filters distinguish them.',
  values: {
    TEXT: { value: 'text', description: 'A text.' },
    NUMBER: { value: 'number', description: 'A number.' },
    BOOLEAN: { value: 'boolean', description: 'true or false.' },
    LIST: { value: 'list', description: 'A list.' },
  } as const,
});

export const PropertyName = builder.objectRef<resolve.PropertyNameRow>('PropertyName').implement({
  description: 'A property that has been seen, for choosing it in a condition.',
  fields: (t) => ({
    path: t.exposeString('path', {
      description: 'Its path; the levels of nested objects are joined by dots.',
    }),
    kinds: t.field({
      type: [PropertyKind],
      description: 'The types of value that it has had.',
      resolve: (row) => resolve.propertyKinds(row),
    }),
  }),
});

export const Metric = builder.objectRef<resolve.MetricRow>('Metric').implement({
  description: 'A kind of event, such as "Placed Order". It exists from its first event on.',
  interfaces: [Node],
  fields: (t) => ({
    id: t.id({ description: 'The global id.', resolve: (row) => encodeId('Metric', row.account, row.id) }),
    name: t.exposeString('name', { description: 'The name, exactly as it was first sent.' }),
    firstSeenAt: t.field({
      type: 'DateTime',
      description: 'When its first event arrived.',
      resolve: (row) => row.firstSeenAt,
    }),
    lastSeenAt: t.field({
      type: 'DateTime',
      description: 'When its latest event arrived.',
      resolve: (row, _, ctx) => resolve.metricLastSeenAt(ctx, row),
    }),
    eventCount: t.float({
      description: 'How many events of it are stored.',
      resolve: (row, _, ctx) => resolve.metricEventCount(ctx, row),
    }),
    properties: t.field({
      type: [PropertyName],
      description: 'The properties that its events have had, by name.',
      resolve: (row, _, ctx) => resolve.metricProperties(ctx, row),
    }),
  }),
});

const MetricConnection = connectionOf('Metric', Metric);

builder.queryField('metrics', (t) =>
  t.field({
    type: MetricConnection,
    description: 'All metrics, in the order in which they were first seen.',
    args: pageArgs,
    resolve: (_, args, ctx) => resolve.metrics(ctx, args),
  }),
);
