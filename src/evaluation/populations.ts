/**
 * Who the first members of segments are, computed beside all else that a process does: one statement for all of its
 * partitions that have people of the account, a few statements at once, accounts by turns.
 */
import { randomUUID } from 'node:crypto';
import { createFairQueue } from '../runtime/fair-queue.ts';
import { hashOf } from '../segments/index.ts';
import type { NormalCondition } from '../segments/ast.ts';
import { command, type ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { nextProfileNumber } from '../storage/mysql/profiles.ts';
import { chunksIn } from '../storage/topics.ts';
import { scopeOf } from './audience.ts';
import { populationQuery } from './population-progress.ts';
import { stageMembers } from './staged-members.ts';

export interface PopulationRequest {
  partition: number;
  account: number;
  segment: number;
  version: number;
  condition: NormalCondition;
  /** From here on the partition notes what changes; epoch milliseconds. */
  at: number;
  /** The account's chunks that lie in the partition. */
  chunks: readonly number[];
}

/** The members at `at`, which is not before the request's, lie in `staged_members` under `run`. */
export interface Staged {
  run: string;
  at: number;
}

export interface Populations {
  /** A partition that this process owns; returns what ends that. */
  join(partition: number): () => void;
  /** Waits a moment for the other partitions that ask the same. Throws what the statement fails with. */
  compute(request: PopulationRequest, signal: AbortSignal): Promise<Staged>;
}

interface Asked {
  request: PopulationRequest;
  signal: AbortSignal;
}

/** Requests that one statement serves. */
interface Together {
  requests: Asked[];
  staged: Promise<Staged>;
  /** No more are waited for. */
  start: () => void;
}

/** Partitions learn of a segment nearly at once, unless one is busy: that one does it alone. */
const OTHERS_WAIT_MS = 100;
/** Partitions whose time is further apart than that do not share an instant. */
const INSTANTS_DIFFER_BY_MS = 5_000;
/** Each may use all processors. */
const STATEMENTS_AT_ONCE = 2;

export function createPopulations(deps: { mysql: MySql; clickhouse: ClickHouse }): Populations {
  const partitions = new Set<number>();
  const gathering = new Map<string, Together>();
  const queue = createFairQueue<number>({ atOnce: STATEMENTS_AT_ONCE });

  async function computeFor(requests: readonly Asked[]): Promise<Staged> {
    const left = () => requests.filter(({ signal }) => !signal.aborted);
    const [first] = requests;
    if (!first) throw new Error('nobody has asked');
    const { account, condition } = first.request;
    const scope = await scopeOf(deps.mysql.db, account, condition);
    if (left().length === 0) throw new Error('nobody needs it any more');
    const run = randomUUID();
    const at = Math.max(...requests.map(({ request }) => request.at));
    const chunks = left().flatMap(({ request }) => request.chunks);
    const queryId = populationQuery(deps.clickhouse, first.request, run);
    const kill = () => {
      if (left().length === 0) void killQuery(deps.clickhouse, queryId);
    };
    for (const { signal } of requests) signal.addEventListener('abort', kill);
    try {
      await stageMembers(deps.clickhouse, { account, run }, condition, { ...scope, at, chunks }, queryId);
    } finally {
      for (const { signal } of requests) signal.removeEventListener('abort', kill);
    }
    return { run, at };
  }

  function gather({ account, segment, version, condition, at }: PopulationRequest): Together {
    const alike = `${segment}:${version}:${hashOf(condition)}`;
    const begun = gathering.get(alike);
    const first = begun?.requests[0]?.request.at ?? at;
    const isApart = Math.abs(first - at) > INSTANTS_DIFFER_BY_MS;
    if (begun && !isApart) return begun;
    const key = isApart ? `${alike}:${at}` : alike;
    const requests: Asked[] = [];
    let start = () => {};
    const staged = new Promise<Staged>((resolve, reject) => {
      start = () => {
        clearTimeout(wait);
        // Who comes later begins anew.
        if (gathering.get(key) !== together) return;
        gathering.delete(key);
        queue.run(account, () => computeFor(requests)).then(resolve, reject);
      };
    });
    const wait = setTimeout(start, OTHERS_WAIT_MS);
    const together = { requests, staged, start };
    gathering.set(key, together);
    return together;
  }

  return {
    join(partition) {
      partitions.add(partition);
      return () => void partitions.delete(partition);
    },
    async compute(request, signal) {
      const { account } = request;
      const together = gather(request);
      together.requests.push({ request, signal });
      const profiles = await nextProfileNumber(deps.mysql.db, account);
      const are = new Set(together.requests.map((one) => one.request.partition));
      const others = [...partitions].filter((partition) => !are.has(partition));
      if (others.every((partition) => chunksIn(partition, account, profiles).length === 0)) together.start();
      return together.staged;
    },
  };
}

async function killQuery(clickhouse: ClickHouse, queryId: string): Promise<void> {
  // It ends by itself before long.
  await command(clickhouse, 'KILL QUERY WHERE query_id = {queryId:String} ASYNC', { queryId }).catch(
    () => {},
  );
}
