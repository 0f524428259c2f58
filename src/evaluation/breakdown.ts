/** How many profiles satisfy each part of a condition: every criterion is scanned once, the rest is algebra. */
import type { Condition, Criterion } from '../segments/ast.ts';
import type { ConditionOf } from '../segments/expand.ts';
import { criteriaOf } from '../segments/normalise.ts';
import { describe } from '../segments/text.ts';
import { childrenOf, isLeaf } from '../segments/tree.ts';
import { queryEach } from '../storage/clickhouse/connect.ts';
import {
  EVERYBODY,
  balanced,
  collectSets,
  scanAll,
  scanSettings,
  setAlgebra,
  setOf,
  type ChunkScan,
  type Scope,
} from './all-profiles.ts';
import { scopeOf, type AudienceDeps } from './audience.ts';
import { createParameters } from './parameters.ts';
import { countParts, EMPTY, treeOver, type ProfileSet, type SetTree } from './profile-sets.ts';
import { inFull, readMeanings } from './references.ts';

export interface NodeCount {
  /** The node, as a sentence. */
  text: string;
  /** Profiles that satisfy it. */
  count: number;
  /** Of all, any and not, in their order. */
  children: NodeCount[];
}

/** The size of every node at this moment, all from one query at most. */
export async function countNodes(
  deps: AudienceDeps,
  account: number,
  condition: Condition,
): Promise<NodeCount> {
  const conditionOf = await readMeanings(deps.mysql, account, condition);
  const meaning = inFull(condition, conditionOf);
  const scope = await scopeOf(deps.mysql.db, account, meaning);
  const criteria = criteriaOf(meaning);
  const sets = await deps.criterionSets?.use(scope, criteria);
  const sizes = sets
    ? await countInMemory(condition, conditionOf, criteria, sets)
    : await countInClickHouse(deps, condition, conditionOf, scope);
  const counts = sizes.values();
  const named = (node: Condition): NodeCount => ({
    text: describe(node),
    count: counts.next().value ?? 0,
    children: childrenOf(node).map(named),
  });
  return named(condition);
}

/** Of all nodes, each before its children, as in the next. */
async function countInMemory(
  condition: Condition,
  conditionOf: ConditionOf,
  criteria: readonly Criterion[],
  sets: readonly ProfileSet[],
): Promise<number[]> {
  const parts: SetTree[] = [];
  const treeOf = treeOver(criteria, sets);
  const visit = (node: Condition): SetTree => {
    const place = parts.length++;
    const tree = treeOfNode(node);
    parts[place] = tree;
    return tree;
  };
  const treeOfNode = (node: Condition): SetTree => {
    if (isLeaf(node)) return treeOf(inFull(node, conditionOf));
    if (node.kind === 'not') return { kind: 'not', child: visit(node.child) };
    return { kind: node.kind, children: node.children.map(visit) };
  };
  const tree = visit(condition);
  return countParts(sets[EVERYBODY] ?? EMPTY, tree, parts);
}

async function countInClickHouse(
  { clickhouse, clock }: AudienceDeps,
  condition: Condition,
  conditionOf: ConditionOf,
  scope: Omit<Scope, 'at' | 'chunks'>,
): Promise<number[]> {
  const present = { ...scope, at: clock.now(), chunks: null };
  const { sql, parameters, settings } = selectNodeCounts(condition, present, conditionOf);
  const rows = await queryEach<{ counts: string[] }>(clickhouse, sql, parameters.values, { settings });
  // Of a shard without anybody there are none.
  const nodes = Math.max(0, ...rows.map(({ counts }) => counts.length));
  return Array.from({ length: nodes }, (_, i) =>
    rows.reduce((sum, { counts }) => sum + Number(counts[i] ?? 0), 0),
  );
}

/** A SELECT of one row: `counts` of all nodes, each before its children; none where there is nobody. */
export function selectNodeCounts(condition: Condition, scope: Scope, conditionOf: ConditionOf): ChunkScan {
  const parameters = createParameters();
  const criteria = criteriaOf(inFull(condition, conditionOf));
  const algebra = setAlgebra(criteria, setOf);
  const counts: string[] = [];
  const visit = (node: Condition): string => {
    const place = counts.push('') - 1;
    const children = childrenOf(node).map(visit);
    const set = setOfNode(node, children);
    counts[place] = `bitmapCardinality(bitmapAnd(${setOf(EVERYBODY)}, ${set}))`;
    return set;
  };
  const setOfNode = (node: Condition, children: string[]): string => {
    if (isLeaf(node)) return algebra(inFull(node, conditionOf));
    switch (node.kind) {
      case 'all':
        return balanced('bitmapAnd', children);
      case 'any':
        return balanced('bitmapOr', children);
      case 'not':
        return `bitmapAndnot(${setOf(EVERYBODY)}, ${children.join('')})`;
    }
  };
  visit(condition);
  const sql = `
    SELECT sumForEach([${counts.join(', ')}]) AS counts
    FROM (${collectSets(scanAll(criteria, scope, parameters))})`;
  return { sql, parameters, settings: scanSettings(criteria, scope) };
}
