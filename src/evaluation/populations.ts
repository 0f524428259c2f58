/**
 * Who the first members of segments are, computed beside all else that a process does: one statement for all of its
 * partitions that have people of the account, a few statements at once, accounts by turns.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../runtime/clock.ts';
import { createFairQueue } from '../runtime/fair-queue.ts';
import { gathered } from '../runtime/gathered.ts';
import { hashOf } from '../segments/index.ts';
import type { NormalCondition } from '../segments/ast.ts';
import { command, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { readAccountStates } from '../storage/mysql/accounts.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { PartitionOwner } from '../storage/mysql/evaluators.ts';
import { putInForce, type InForceStep } from '../storage/mysql/membership-ahead.ts';
import { chunksIn } from '../storage/topics.ts';
import { scopeOf } from './audience.ts';
import { crossedBetween, type Crossed } from './crossings.ts';
import { copyMembers } from './population-copies.ts';
import { populationQuery } from './population-progress.ts';
import type { Edge } from './registry.ts';
import { stageMembers } from './staged-members.ts';

export interface PopulationRequest {
  owner: PartitionOwner;
  account: number;
  segment: number;
  version: number;
  condition: NormalCondition;
  /** Of the condition. */
  edges: readonly Edge[];
  /** From here on the partition notes what changes; epoch milliseconds. */
  at: number;
  /** The account's chunks that lie in the partition. */
  chunks: readonly number[];
}

/** The members at `at`, which is not before the request's, lie in `staged_members` under `run`. */
export interface Staged {
  run: string;
  at: number;
  /** They are stored in `memberships` too, in the chunks of all who have asked together. */
  isCopied: boolean;
  crossed: Crossed;
}

export interface Populations {
  /** A partition that this process owns; returns what ends that. */
  join(partition: number): () => void;
  /** Waits a moment for the other partitions that ask the same. Throws what the statement fails with. */
  compute(request: PopulationRequest, signal: AbortSignal): Promise<Staged>;
  /** Writes down that a segment is in force in a partition, together with others; tells whether it has. */
  putInForce: (step: InForceStep) => Promise<boolean>;
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
/** From the beginning of the statement. Whoever has the turn of its partition within that time need not ask again. */
const LOOKS_AHEAD_MS = 2_000;
/** From the end of the statement to the turn of the last partition, mostly. */
const TURN_TAKES_MS = 1_000;
const TOGETHER = { atOnce: 1, most: 100 };

export function createPopulations(deps: { mysql: MySql; clickhouse: ClickHouse; clock: Clock }): Populations {
  const partitions = new Set<number>();
  /** By segment, the end of the copying that is under way or waits last. */
  const copying = new Map<number, Promise<unknown>>();
  const profilesOf = gathered<number, number>(TOGETHER, async (accounts) => {
    const states = await readAccountStates(deps.mysql.db, [...new Set(accounts)]);
    return accounts.map((account) => states.get(account)?.nextProfile ?? 0);
  });
  const steps = gathered<InForceStep, boolean>(TOGETHER, (all) => putInForce(deps.mysql, all));
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
    const crossedUntil = (through: number) =>
      crossedBetween(deps.clickhouse, { ...scope, edges: first.request.edges, after: at, through });
    // Beside the statement, which mostly takes less time than that; whoever comes from here on is noted.
    const soon = Math.max(at, deps.clock.now()) + LOOKS_AHEAD_MS;
    const crossedSoon = crossedUntil(soon).catch(() => null);
    try {
      await stageMembers(deps.clickhouse, { account, run }, condition, { ...scope, at, chunks }, queryId);
    } finally {
      for (const { signal } of requests) signal.removeEventListener('abort', kill);
    }
    const [isCopied, crossed] = await Promise.all([
      copy(first.request, run, left()),
      crossedSoon.then((found) => {
        const now = Math.max(at, deps.clock.now());
        return found && now + TURN_TAKES_MS < soon ? found : crossedUntil(now + LOOKS_AHEAD_MS);
      }),
    ]);
    return { run, at, isCopied, crossed };
  }

  /** One after the other for each segment: another version of it may have been on its way. */
  function copy(
    { account, segment }: PopulationRequest,
    run: string,
    requests: readonly Asked[],
  ): Promise<boolean> {
    if (requests.length === 0) throw new Error('nobody needs it any more');
    const owners = requests.map(({ request }) => request.owner);
    const chunks = requests.flatMap(({ request }) => request.chunks);
    const before = copying.get(segment) ?? Promise.resolve();
    const next = before.then(() => copyMembers(deps, owners, { account, segment, run }, chunks));
    const end = next
      .catch(() => undefined)
      .then(() => {
        if (copying.get(segment) === end) copying.delete(segment);
      });
    copying.set(segment, end);
    return next;
  }

  function gather({ account, segment, version, condition, at }: PopulationRequest): Together {
    const alike = `${segment}:${version}:${hashOf(condition)}`;
    const begun = gathering.get(alike);
    const first = begun?.requests[0]?.request.at ?? at;
    const isApart = Math.abs(first - at) > INSTANTS_DIFFER_BY_MS;
    const key = isApart ? `${alike}:${at}` : alike;
    const same = gathering.get(key);
    if (same) return same;
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
      const [profiles = 0] = await profilesOf([account]);
      const are = new Set(together.requests.map((one) => one.request.owner.partition));
      const others = [...partitions].filter((partition) => !are.has(partition));
      if (others.every((partition) => chunksIn(partition, account, profiles).length === 0)) together.start();
      return together.staged;
    },
    async putInForce(step) {
      const [isDone = false] = await steps([step]);
      return isDone;
    },
  };
}

async function killQuery(clickhouse: ClickHouse, queryId: string): Promise<void> {
  // It ends by itself before long.
  await command(clickhouse, 'KILL QUERY WHERE query_id = {queryId:String} ASYNC', { queryId }).catch(
    () => {},
  );
}
