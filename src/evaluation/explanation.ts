/** Why a condition is true for someone or not: the facts of one profile, gathered for the pure `explain`. */
import type {
  Channel,
  Condition,
  ConsentFacts,
  EventFacts,
  Leaf,
  NormalCondition,
  Value,
} from '../segments/ast.ts';
import { timeEdgesOf } from '../segments/edges.ts';
import { explain, type Explanation as ExplanationNode } from '../segments/explain.ts';
import { profileFacts } from '../segments/facts.ts';
import { criteriaOf, criterionKey, normalise } from '../segments/normalise.ts';
import { evaluate } from '../segments/reference.ts';
import { describe } from '../segments/text.ts';
import { childrenOf, isLeaf } from '../segments/tree.ts';
import { countProfileEvents, readProfileEvents } from '../storage/clickhouse/profile-events.ts';
import { shardOfProfile } from '../storage/clickhouse/shards.ts';
import { readAccount } from '../storage/mysql/accounts.ts';
import { metricsOf, type AudienceDeps } from './audience.ts';
import { evaluateSubjects } from './changed-profiles.ts';
import { isTrue } from './diff.ts';
import { changesOf, gatherPredictions } from './past-predictions.ts';
import { inFull, readMeanings } from './references.ts';
import { eventsUsedBy } from './uses.ts';

export type { ExplanationNode };

export interface Explanation {
  /** False: some leaves, and what is made of them, have only a truth: no finding, and no flipsAt. */
  complete: boolean;
  root: ExplanationNode;
}

/** Someone, with the facts that conditions can ask for. */
export interface Explained {
  number: number;
  attributes: ReadonlyMap<string, Value>;
  /** The newest of each channel. */
  consents: ReadonlyMap<Channel, ConsentFacts>;
}

/** Events of one explanation that are held in memory. */
const MOST_EVENTS = 20_000;
/**
 * Events times instants at which one of them may flip a leaf: what the pure part looks at, in one go, while everything
 * else in the process waits. About half a second.
 */
const MOST_STEPS = 5_000_000;

/**
 * Explains the condition for the profile at the present instant. What rests on more events than can be looked at one
 * by one, or on facts that are not gathered here, is decided by ClickHouse instead, and nothing but its truth is said.
 */
export async function explainProfile(
  service: AudienceDeps,
  account: number,
  condition: Condition,
  { number, attributes, consents }: Explained,
): Promise<Explanation> {
  const deps = { ...service, clickhouse: shardOfProfile(service.clickhouse, account, number) };
  const at = deps.clock.now();
  const conditionOf = await readMeanings(deps.mysql, account, condition);
  const leaves = criteriaOf(condition);
  /** Of conditions on the membership of segments: what they mean. */
  const meanings = new Map<string, NormalCondition>();
  for (const leaf of leaves) meanings.set(criterionKey(leaf), inFull(leaf, conditionOf));
  const meaningOf = (leaf: Leaf) => meanings.get(criterionKey(leaf)) ?? normalise(leaf);
  const looks = leaves.flatMap((leaf): Leaf[] =>
    leaf.kind === 'segment' ? criteriaOf(meaningOf(leaf)) : [leaf],
  );
  const [row, metrics] = await Promise.all([
    readAccount(deps.mysql.db, account),
    metricsOf(deps.mysql.db, account, [{ kind: 'all', children: looks }]),
  ]);
  const context = { timeZone: row?.timezone ?? 'UTC' };
  const readable = await readableMetrics(deps, account, number, looks, metrics, at);
  const [events, predictions] = await Promise.all([
    eventsOf(deps, account, number, looks, metrics, readable),
    gatherPredictions(deps.clickhouse, { account, profile: number, at }, looks),
  ]);
  const isKnown = (leaf: Leaf) =>
    isGathered(leaf, predictions !== null) && eventsUsedBy(leaf).every(({ metric }) => readable.has(metric));
  const known = (leaf: Leaf) =>
    leaf.kind === 'segment' ? criteriaOf(meaningOf(leaf)).every(isKnown) : isKnown(leaf);
  const alone = profileFacts({
    ...{ number, attributes, consents, events },
    predictions: predictions ?? new Map(),
  });
  const memberships = new Set<string>();
  for (const leaf of leaves) {
    if (leaf.kind !== 'segment' || !known(leaf)) continue;
    if (evaluate(meaningOf(leaf), alone, at, context) === leaf.member) memberships.add(leaf.id);
  }
  const facts = { ...alone, memberships };

  const decided = leaves.filter((leaf) => !known(leaf));
  const subject = { profile: number, instant: at };
  const criteria = criteriaOf({ kind: 'all', children: decided.map(meaningOf) });
  const truths =
    criteria.length === 0
      ? null
      : await evaluateSubjects(deps.clickhouse, { account, metrics, ...context }, [subject], criteria);
  const truthOf = (criterion: string) => truths?.(subject, criterion) ?? false;

  const visit = (node: Condition): ExplanationNode => {
    if (criteriaOf(node).every(known)) return explain(node, facts, at, context);
    const children = childrenOf(node).map(visit);
    const satisfied = isLeaf(node)
      ? isTrue(meaningOf(node), truthOf)
      : combined(
          node,
          children.map((child) => child.satisfied),
        );
    return { text: describe(node), satisfied, finding: null, flipsAt: null, children };
  };
  return { complete: decided.length === 0, root: visit(condition) };
}

function combined({ kind }: Exclude<Condition, Leaf>, children: readonly boolean[]): boolean {
  switch (kind) {
    case 'all':
      return children.every(Boolean);
    case 'any':
      return children.some(Boolean);
    case 'not':
      return !children.some(Boolean);
  }
}

/** Whether what the leaf looks at is gathered here, its events aside. */
function isGathered(leaf: Leaf, withPredictions: boolean): boolean {
  switch (leaf.kind) {
    case 'event':
    case 'sequence':
    case 'property':
    case 'near':
    case 'region':
    case 'sample':
    case 'consent':
      return true;
    case 'prediction':
    case 'trend':
      return withPredictions || changesOf(leaf).length === 0;
    case 'segment':
      return false;
  }
}

/** The names of the metrics whose events can all be looked at, the cheapest first; those without events always can. */
async function readableMetrics(
  { clickhouse }: AudienceDeps,
  account: number,
  profile: number,
  leaves: readonly Leaf[],
  metrics: ReadonlyMap<string, number>,
  at: number,
): Promise<Set<string>> {
  const uses = leaves.flatMap((leaf) =>
    eventsUsedBy(leaf).map(({ metric }) => ({ metric, reach: reachOf(leaf, metric), power: powerOf(leaf) })),
  );
  const names = [...new Set(uses.map(({ metric }) => metric))];
  const asked = names.flatMap((name) => {
    const metric = metrics.get(name);
    const reach = Math.max(...uses.filter((use) => use.metric === name).map((use) => use.reach));
    return metric === undefined ? [] : [{ metric, since: Math.max(0, at - reach) }];
  });
  const counts = await countProfileEvents(clickhouse, account, profile, asked);
  const costs = names.map((name) => {
    const { events, recent } = counts.get(metrics.get(name) ?? 0) ?? { events: 0, recent: 0 };
    const once = uses
      .filter(({ metric }) => metric === name)
      .reduce((steps, { power }) => steps + events ** power, 0);
    return { name, events, steps: once * (1 + 2 * recent) };
  });
  costs.sort((a, b) => a.steps - b.steps);
  const readable = new Set<string>();
  let [events, steps] = [0, 0];
  for (const cost of costs) {
    events += cost.events;
    steps += cost.steps;
    if (events > MOST_EVENTS || steps > MOST_STEPS) break;
    readable.add(cost.name);
  }
  return readable;
}

/** How the work of one evaluation grows with the events: a sequence of limited length looks from each to each. */
function powerOf(leaf: Leaf): number {
  return leaf.kind === 'sequence' && leaf.completeWithinMs !== null ? 2 : 1;
}

/** Events of the metric that are older than this (milliseconds) cannot flip the leaf any more. */
function reachOf(leaf: Leaf, metric: string): number {
  const reaches = criteriaOf(normalise(leaf)).flatMap((criterion) => {
    const { crossings, midnights } = timeEdgesOf(criterion);
    if (midnights) return [Infinity];
    return crossings.flatMap(({ source, ages }) => {
      if (source.of === 'eventProperty' && source.metric === metric) return [Infinity];
      return source.of === 'event' && source.metric === metric ? ages : [];
    });
  });
  return Math.max(0, ...reaches);
}

async function eventsOf(
  { clickhouse }: AudienceDeps,
  account: number,
  profile: number,
  leaves: readonly Leaf[],
  metrics: ReadonlyMap<string, number>,
  readable: ReadonlySet<string>,
): Promise<EventFacts[]> {
  const names = new Map(
    [...readable].flatMap((name) => {
      const id = metrics.get(name);
      return id === undefined ? [] : [[id, name] as const];
    }),
  );
  const paths = leaves.flatMap(eventsUsedBy).flatMap((use) => use.paths);
  const rows = await readProfileEvents(clickhouse, account, profile, [...names.keys()], [...new Set(paths)]);
  return rows.map(({ metric, time, value, properties }) => ({
    metric: names.get(metric) ?? '',
    time,
    value,
    properties,
  }));
}
