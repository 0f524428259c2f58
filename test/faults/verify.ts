/** What must hold when all is quiet again, whatever has happened. */
import assert from 'node:assert/strict';
import { eq, min } from 'drizzle-orm';
import { listMembers } from '../../src/evaluation/memberships.ts';
import { KINDS } from '../../src/ingest/identify.ts';
import { groupBy } from '../../src/runtime/group-by.ts';
import { evaluate, parseCondition } from '../../src/segments/index.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { evaluatorPartitions, identifiers } from '../../src/storage/mysql/schema.ts';
import {
  DEAD_LETTERS,
  EVALUATOR_GROUP,
  INGEST_GROUP,
  ingestTopics,
  MEMBERSHIP_CHANGES,
  PROFILE_CHANGES,
} from '../../src/storage/topics.ts';
import { decodeEntries } from '../../src/storage/clickhouse/membership-log.ts';
import { readLogPage, type MembershipChange } from '../../src/streaming/feed.ts';
import { factsAbout, type ModelProfile } from '../comparison/model.ts';
import { caughtUp, isAllWritten, until } from '../comparison/world.ts';
import { populationBefore, replay } from '../comparison/pipeline.ts';
import type { Traffic } from './traffic.ts';

export interface Stores {
  mysql: MySql;
  clickhouse: ClickHouse;
  log: Log;
}

/** The longest window that is crossed while a test runs. */
const SETTLES_AFTER_MS = 6_000;

/** Waits until everything is evaluated and no window is about to be crossed. */
export async function settle({ log, mysql }: Stores, withinMs: number): Promise<void> {
  await until(
    'everything is evaluated',
    async () => {
      for (const topic of ingestTopics()) if (!(await caughtUp(log, INGEST_GROUP, topic))) return false;
      return caughtUp(log, EVALUATOR_GROUP, PROFILE_CHANGES);
    },
    withinMs,
  );
  const quiet = Date.now() + SETTLES_AFTER_MS;
  await until(
    'the clocks are past it',
    async () => {
      const [row] = await mysql.db
        .select({ watermark: min(evaluatorPartitions.watermark) })
        .from(evaluatorPartitions);
      return Number(row?.watermark ?? 0) > quiet;
    },
    withinMs,
  );
  await until('ClickHouse has what was published', () => isAllWritten(mysql), withinMs);
}

export async function verify(
  stores: Stores,
  account: number,
  { model, segments }: Traffic,
  received: readonly MembershipChange[],
): Promise<{ events: number; changes: number; members: number }> {
  assert.deepEqual(await stores.log.ends(DEAD_LETTERS), [0], 'a record went to dead-letters');
  const numbers = await numbersOf(stores, account, model.identifiers());
  await checkEvents(stores, account, numbers, model.uniqueIds().length);

  const log = await wholeLog(stores, account);
  await checkNumbering(stores);
  const now = Date.now();
  let members = 0;
  for (const [segment, input] of segments) {
    const parsed = parseCondition(input);
    assert(parsed.ok);
    const stored = (await listMembers(stores.clickhouse, account, segment, null, 10_000)).map(
      (one) => one.profile,
    );
    const wanted = [...numbers]
      .filter(([profile, number]) => evaluate(parsed.condition, factsAbout(profile, number), now))
      .map(([, number]) => number)
      .sort((a, b) => a - b);
    const mine = log.filter((change) => change.segment === segment);
    const wrong = [...numbers].filter(([, one]) => stored.includes(one) !== wanted.includes(one));
    assert.deepEqual(
      stored,
      wanted,
      `at ${now}, the members of ${JSON.stringify(input)}\n${wrong.map(([profile, number]) => about(profile, number, mine)).join('\n')}`,
    );
    const replayed = populationBefore(
      stored.map((profile) => ({ profile })),
      mine,
    );
    replay(replayed, mine);
    assert.deepEqual(
      [...replayed.keys()].sort((a, b) => a - b),
      stored,
      'the log, replayed',
    );
    members += stored.length;
  }
  const idsOf = (changes: readonly MembershipChange[]) => changes.map(({ id }) => id).sort();
  assert.deepEqual(idsOf(received), idsOf(log), 'a subscription delivers each change of the log once');
  await checkPublished(stores);
  return { events: model.uniqueIds().length, changes: log.length, members };
}

function about(
  { properties, events }: ModelProfile,
  profile: number,
  log: readonly MembershipChange[],
): string {
  const changes = log.filter((change) => change.profile === profile);
  return `${profile} has ${JSON.stringify({ properties, events })}, its changes are ${JSON.stringify(changes)}`;
}

async function numbersOf(
  { mysql }: Stores,
  account: number,
  wanted: ReturnType<Traffic['model']['identifiers']>,
): Promise<Map<ModelProfile, number>> {
  const rows = await mysql.db.select().from(identifiers).where(eq(identifiers.account, account));
  const stored = new Map(rows.map(({ kind, value, profile }) => [`${kind}:${value}`, profile]));
  assert.equal(stored.size, wanted.length, 'identifiers');
  const numbers = new Map<ModelProfile, number>();
  for (const { kind, value, profile } of wanted) {
    const number = stored.get(`${KINDS[kind]}:${value}`);
    assert(number !== undefined, `${kind} ${value} leads to nobody`);
    assert.equal(numbers.get(profile) ?? number, number, `${kind} ${value} leads to another profile`);
    numbers.set(profile, number);
  }
  assert.equal(new Set(numbers.values()).size, numbers.size, 'two people share a profile');
  return numbers;
}

async function checkEvents(
  { clickhouse }: Stores,
  account: number,
  numbers: ReadonlyMap<ModelProfile, number>,
  accepted: number,
): Promise<void> {
  for (const table of ['events', 'events_by_profile']) {
    const rows = await query<{ profile: number; events: string; distinct: string; own: string }>(
      clickhouse,
      `SELECT profile, count() AS events, uniqExact(id) AS distinct, countIf(NOT copied) AS own
       FROM ${table} WHERE account = {account:UInt32} GROUP BY profile`,
      { account },
    );
    const own = rows.reduce((sum, row) => sum + Number(row.own), 0);
    assert.equal(own, accepted, `${table}: every accepted event once`);
    const byProfile = new Map(rows.map((row) => [row.profile, row]));
    for (const [profile, number] of numbers) {
      const { events, distinct } = byProfile.get(number) ?? { events: 0, distinct: 0 };
      const counts = [Number(events), Number(distinct)];
      assert.deepEqual(counts, [profile.events.length, profile.events.length], `${table}: profile ${number}`);
    }
  }
}

async function wholeLog(stores: Stores, account: number): Promise<MembershipChange[]> {
  const changes: MembershipChange[] = [];
  let after: string | null = null;
  for (let hasMore = true; hasMore;) {
    const page = await readLogPage(stores, account, {
      first: 500,
      after,
      segments: null,
    });
    changes.push(...page.changes);
    ({ position: after, hasMore } = page);
  }
  return changes;
}

/** Dense from 1 on, each number once. Evaluations never go back in time. */
async function checkNumbering({ clickhouse }: Stores): Promise<void> {
  const rows = await query<{
    partition_no: number;
    rows: string;
    distinct: string;
    last: string;
    sorted: boolean;
  }>(
    clickhouse,
    `SELECT partition_no, count() AS rows, uniqExact(sequence) AS distinct, max(sequence) AS last,
       arraySort(groupArray((sequence, evaluated_at))) AS pairs,
       pairs.2 = arraySort(pairs.2) AS sorted
     FROM membership_log GROUP BY partition_no`,
  );
  for (const { partition_no, rows: count, distinct, last, sorted } of rows) {
    assert.deepEqual([count, distinct], [last, last], `partition ${partition_no}: a gap or a repeat`);
    assert(sorted, `partition ${partition_no}: an evaluation is older than the one before it`);
  }
}

/** What was published, repeats left out, is the log, in its order. */
async function checkPublished({ log, clickhouse }: Stores): Promise<void> {
  const published = new Map<number, number[]>();
  const ends = await log.ends(MEMBERSHIP_CHANGES);
  let seen = 0;
  const total = ends.reduce((sum, end) => sum + end, 0);
  const tail = await log.tail({
    topic: MEMBERSHIP_CHANGES,
    from: ends.map(() => 0),
    onRecords: async (partition, records) => {
      for (const { value } of records) {
        for (const { sequence } of decodeEntries(value)) {
          const list = published.get(partition) ?? [];
          if (sequence > (list.at(-1) ?? 0)) list.push(sequence);
          published.set(partition, list);
        }
      }
      seen += records.length;
    },
  });
  await until('the topic is read', () => Promise.resolve(seen >= total), 20_000);
  await tail.close();
  const rows = await query<{ partition_no: number; sequence: string }>(
    clickhouse,
    'SELECT partition_no, sequence FROM membership_log ORDER BY partition_no, sequence',
  );
  const stored = groupBy(rows, ({ partition_no }) => partition_no);
  for (const [partition, entries] of stored) {
    assert.deepEqual(
      published.get(partition),
      entries.map(({ sequence }) => Number(sequence)),
      `partition ${partition}: what was published is not the log`,
    );
  }
}
