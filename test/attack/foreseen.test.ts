/** What is looked for ahead of its time, and a look that turns out to be too much in the middle of another. */
import path from 'node:path';
import type { QueryParams } from '@clickhouse/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findCrossings, type CrossingProfile } from '../../src/evaluation/crossings.ts';
import { createForeseen, FORESIGHT_LIMITS } from '../../src/evaluation/foreseen.ts';
import { createLooks, type Wanted } from '../../src/evaluation/looks.ts';
import type { Edge } from '../../src/evaluation/registry.ts';
import { EVERYBODY, shareOf } from '../../src/evaluation/slice.ts';
import type { EventRecord } from '../../src/ingest/records.ts';
import { eventKey, eventLine, uuidOf } from '../../src/ingest/rows.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { connectClickHouse, insertLines, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { CHUNK_BITS, evaluatorPartition, EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const AHEAD_MS = 120_000;
/** A border of stretches. */
const NOW = Date.UTC(2040, 0, 1);
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
});
afterAll(() => clickhouse.close());

const edge: Edge = { source: { of: 'event', metric: 'Seen' }, offset: 3_600_000 };
/** The metric's id is the account's. */
const sliceOf = (account: number, after: number, through: number) => {
  return { account, metrics: new Map([['Seen', account]]), timeZone: 'UTC', edges: [edge], after, through };
};
function lineOf(account: number, profile: number, time: number): string {
  const id = uuidOf(eventKey(`${account} ${profile} ${time}`));
  const event = { account, uniqueId: id, value: null, currency: null, properties: {}, time, arrivedAt: time };
  return eventLine(event as unknown as EventRecord, { event: id, metric: account, profile }, new Map());
}

it('an account that has come is looked for although the coming stretch is given up meanwhile', async () => {
  const leaves = NOW + 181_000;
  await insertLines(clickhouse, 'events', [lineOf(2, 7, leaves - edge.offset)], 'seen');

  let coming: Wanted | null = null;
  const pages = (): CrossingProfile[] =>
    [1, 2].map((ms) => {
      const crossings = [{ edge, instant: NOW + 2 * AHEAD_MS + ms }];
      return { account: 1, profile: ms, crossings };
    });
  const client = Object.create(clickhouse.client, {
    query: {
      value: async (request: QueryParams) => {
        if (request.query.includes('events_by_profile')) coming?.take(pages());
        return clickhouse.client.query(request);
      },
    },
  }) as ClickHouse['client'];
  const first = createLooks(clickhouse);
  const looks = (wanted: Wanted) => {
    if (wanted.slices.some(({ after }) => after < NOW)) return first(wanted);
    coming = wanted;
    return new Promise<void>(() => {});
  };
  const limits = { ...FORESIGHT_LIMITS, aheadMs: AHEAD_MS, crossings: 1 };
  const foreseen = createForeseen(
    { ...clickhouse, client },
    looks,
    EVERYBODY,
    createLogger('silent'),
    limits,
  );
  const look = async (accounts: number[], after: number, through: number) => {
    const found: number[] = [];
    const slices = accounts.map((account) => sliceOf(account, NOW + after, NOW + through));
    for await (const page of foreseen.crossings(slices)) {
      for (const { account, crossings } of page)
        for (const { instant } of crossings) found.push(account, instant);
    }
    return found;
  };
  expect(await look([1], -1_000, 0)).toEqual([]);
  // So far that the next stretch is being looked at.
  expect(await look([1], 0, 170_000)).toEqual([]);
  expect(coming).not.toBeNull();
  foreseen.note(1, [{ profile: 3, cause: 'MERGE', at: NOW, whole: true }], NOW);
  expect(await look([1, 2], 170_000, 182_000)).toEqual([2, leaves]);
});

it('a partition that looks by itself reads its own people only', async () => {
  const accounts = [51, 52];
  const places = accounts.flatMap((account) =>
    Array.from({ length: 12 }, (_, chunk) => ({ account, profile: chunk * 2 ** CHUNK_BITS + account })),
  );
  const lines = places.map(({ account, profile }) => lineOf(account, profile, NOW - edge.offset));
  await insertLines(clickhouse, 'events', lines, 'of two accounts');
  const slices = accounts.map((account) => sliceOf(account, NOW - 1_000, NOW));
  for (let partition = 0; partition < EVALUATOR_PARTITIONS; partition++) {
    const found: string[] = [];
    for await (const page of findCrossings(clickhouse, slices, NOW, {}, shareOf(partition)))
      for (const { account, profile } of page) found.push(`${account}:${profile}`);
    const mine = places.filter(({ account, profile }) => evaluatorPartition(account, profile) === partition);
    expect(mine.length).toBeGreaterThan(0);
    expect(found).toEqual(mine.map(({ account, profile }) => `${account}:${profile}`));
  }
});
