import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

const registry = new Registry();
collectDefaultMetrics({ register: registry });

const registers = [registry];
const FAST = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Every metric of the service. Labels are few and bounded: never ids of accounts, profiles or segments. */
export const metrics = {
  requests: new Counter({
    name: 'tidemark_graphql_operations_total',
    help: 'GraphQL operations answered',
    labelNames: ['transport', 'outcome'] as const,
    registers,
  }),
  requestSeconds: new Histogram({
    name: 'tidemark_graphql_operation_seconds',
    help: 'Time to answer a query or mutation',
    buckets: FAST,
    registers,
  }),
  subscribers: new Gauge({
    name: 'tidemark_subscribers',
    help: 'Open subscriptions of this process',
    registers,
  }),
  criterionSets: new Counter({
    name: 'tidemark_criterion_sets_total',
    help: 'Sets of profiles that counts of audiences needed: kept in memory and brought up to date, or read anew',
    labelNames: ['outcome'] as const,
    registers,
  }),
  accepted: new Counter({
    name: 'tidemark_records_accepted_total',
    help: 'Records appended to the ingest log',
    labelNames: ['stream'] as const,
    registers,
  }),
  stored: new Counter({
    name: 'tidemark_records_stored_total',
    help: 'Records acknowledged by both stores',
    labelNames: ['stream'] as const,
    registers,
  }),
  duplicates: new Counter({
    name: 'tidemark_records_duplicate_total',
    help: 'Events dropped because their uniqueId had arrived before',
    registers,
  }),
  deadLetters: new Counter({
    name: 'tidemark_dead_letters_total',
    help: 'Records put aside because they could not be processed',
    labelNames: ['topic'] as const,
    registers,
  }),
  ingestBatchSeconds: new Histogram({
    name: 'tidemark_ingest_batch_seconds',
    help: 'Time to store one batch of records',
    buckets: FAST,
    registers,
  }),
  evaluationBatchSeconds: new Histogram({
    name: 'tidemark_evaluation_batch_seconds',
    help: 'Time to evaluate one batch of profile changes and publish the differences',
    buckets: FAST,
    registers,
  }),
  membershipChanges: new Counter({
    name: 'tidemark_membership_changes_total',
    help: 'Entries and exits published',
    labelNames: ['kind', 'cause'] as const,
    registers,
  }),
  changeSeconds: new Histogram({
    name: 'tidemark_change_latency_seconds',
    help: 'From accepting an event to publishing the membership change it caused',
    buckets: FAST,
    registers,
  }),
  clockLookSeconds: new Histogram({
    name: 'tidemark_clock_look_seconds',
    help: 'Time of one look at the clock: who is found, evaluated and told',
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2, 3, 5, 10, 30],
    registers,
  }),
  clockLagSeconds: new Gauge({
    name: 'tidemark_clock_lag_seconds',
    help: 'How far the evaluation of passing time is behind the present',
    labelNames: ['partition'] as const,
    registers,
  }),
  audits: new Counter({
    name: 'tidemark_audits_total',
    help: 'Comparisons of the stored members of a segment, over a chunk of profiles, with a computation anew',
    labelNames: ['outcome'] as const,
    registers,
  }),
  drift: new Counter({
    name: 'tidemark_drift_total',
    help: 'Memberships that the audit found wrong',
    labelNames: ['kind'] as const,
    registers,
  }),
  consumerLag: new Gauge({
    name: 'tidemark_consumer_lag_records',
    help: 'Records of the partition not yet processed',
    labelNames: ['topic', 'partition'] as const,
    registers,
  }),
  engineRestarts: new Counter({
    name: 'tidemark_engine_restarts_total',
    help: 'Restarts of an embedded engine that ended unexpectedly',
    labelNames: ['engine'] as const,
    registers,
  }),
};

export const metricsContentType = registry.contentType;

/** The page for Prometheus. */
export function metricsText(): Promise<string> {
  return registry.metrics();
}
