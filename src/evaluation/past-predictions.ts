/** The past values of predictions that an explanation looks at. */
import type { Leaf, PredictionFacts } from '../segments/ast.ts';
import { predictionPath } from '../segments/paths.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import { readProfilePredictions } from '../storage/clickhouse/profile-predictions.ts';

/** Values of one prediction that are held in memory. */
const MOST_VALUES = 1_000;
/** Values times instants at which one of them may flip a leaf: what the pure part looks at in one go. */
const MOST_STEPS = 5_000_000;

/** The changes that a leaf asks about. */
export function changesOf(leaf: Leaf): { path: string; withinMs: number }[] {
  if (leaf.kind === 'trend') return [leaf];
  if (leaf.kind !== 'prediction' || leaf.change === null) return [];
  return [{ path: predictionPath(leaf.dimension), withinMs: leaf.change.withinMs }];
}

/** By path; null when there are too many to be looked at one by one. */
export async function gatherPredictions(
  clickhouse: ClickHouse,
  { account, profile, at }: { account: number; profile: number; at: number },
  leaves: readonly Leaf[],
): Promise<Map<string, PredictionFacts[]> | null> {
  const changes = leaves.flatMap(changesOf);
  const paths = [...new Set(changes.map(({ path }) => path))];
  const found = await readProfilePredictions(clickhouse, account, profile, paths, MOST_VALUES);
  let steps = 0;
  for (const { path, withinMs } of changes) {
    const values = found.get(path) ?? [];
    const recent = values.filter(({ time }) => time > at - withinMs).length;
    // Only the newest of those before them matters: when it is there, all are.
    if (recent === MOST_VALUES) return null;
    steps += values.length * (1 + 2 * recent);
  }
  return steps > MOST_STEPS ? null : found;
}
