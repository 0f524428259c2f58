/**
 * Looking for crossings for all partitions of a process at once: they look for the same edges of the same accounts, and
 * a look costs nearly the same for one as for all.
 *
 * Each partition asks when ClickHouse has all that it has taken, and from then on notes what it takes: so it does not
 * matter how much later the look begins.
 */
import { gathered } from '../runtime/gathered.ts';
import type { ClickHouse, QueryOptions } from '../storage/clickhouse/connect.ts';
import { findCrossings, type CrossingProfile } from './crossings.ts';
import { edgeName, type Edge } from './registry.ts';
import type { Slice } from './slice.ts';

export interface Wanted {
  /** Of one stretch of time, which is still to come. */
  slices: readonly Slice[];
  /** Whatever others want is among it. False: no more. */
  take: (page: readonly CrossingProfile[]) => boolean;
  /** Somebody waits for it. */
  isUrgent: boolean;
}

/** Resolves when everything has been handed over. */
export type Looks = (wanted: Wanted) => Promise<void>;

const MOST_TOGETHER = 64;
/** Ahead of its time it must not keep from ClickHouse what others wait for. */
const AT_LEISURE = { timeoutSeconds: 120, settings: { max_threads: 1 } };
/** After an outage it may be much that has come to pass. */
export const URGENT = { timeoutSeconds: 600 };

export function createLooks(clickhouse: ClickHouse): Looks {
  const asking = (options: QueryOptions) =>
    gathered({ atOnce: 1, most: MOST_TOGETHER }, async (all: readonly Wanted[]) => {
      for (const group of ofSameTime(all)) {
        let takers = group.map(({ take }) => take);
        const slices = unionOf(group);
        for await (const page of findCrossings(clickhouse, slices, slices[0]?.after ?? 0, options)) {
          takers = takers.filter((take) => take(page));
          if (takers.length === 0) break;
        }
      }
      return all.map(() => undefined);
    });
  const [urgent, atLeisure] = [asking(URGENT), asking(AT_LEISURE)];
  return async (wanted) => void (await (wanted.isUrgent ? urgent : atLeisure)([wanted]));
}

function ofSameTime(all: readonly Wanted[]): Wanted[][] {
  const groups = new Map<string, Wanted[]>();
  for (const wanted of all) {
    const [first] = wanted.slices;
    if (!first) continue;
    const name = `${first.after} ${first.through}`;
    const group = groups.get(name) ?? [];
    groups.set(name, group);
    group.push(wanted);
  }
  return [...groups.values()];
}

/** Definitions do not come into force everywhere at once. */
function unionOf(group: readonly Wanted[]): Slice[] {
  const slices = new Map<number, { slice: Slice; edges: Map<string, Edge>; metrics: Map<string, number> }>();
  for (const slice of group.flatMap((wanted) => wanted.slices)) {
    const { account } = slice;
    const union = slices.get(account) ?? { slice, edges: new Map(), metrics: new Map() };
    slices.set(account, union);
    for (const edge of slice.edges) union.edges.set(edgeName(edge), edge);
    for (const [name, id] of slice.metrics) union.metrics.set(name, id);
  }
  return [...slices.values()].map(({ slice, edges, metrics }) => ({
    ...slice,
    edges: [...edges.values()],
    metrics,
  }));
}
