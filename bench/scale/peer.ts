/**
 * `peer`: what Dittofeed was measured on. Creating four segments, beside plain SQL that computes the same and writes
 * the members down; then one event, and a thousand, until their changes have arrived at a subscriber.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { command, query } from '../../src/storage/clickhouse/connect.ts';
import { profiles } from '../../src/storage/mysql/schema.ts';
import { SEND, type SendAnswer } from '../latency/load.ts';
import { subscribe } from '../latency/subscriber.ts';
import { countMembers, deleteSegments } from '../lib/api.ts';
import { describeMachine } from '../lib/machine.ts';
import type { Outcome } from '../lib/report.ts';
import { median, round } from '../lib/stats.ts';
import { createUntilLive, secondsOf } from './ask.ts';
import { all, event, plainCount, trait, type Asked } from './conditions.ts';
import type { ScaleOptions } from './create.ts';
import { makeScaleData, PEER, type ScaleAccount } from './data.ts';
import { withRig, type Rig } from './rig.ts';

const KEYS = ['a', 'b', 'c', 'd'] as const;
type Key = (typeof KEYS)[number];

const SINGLE_EVENTS = 25;
/** The first ones find code that Node has not compiled yet: they are told apart. */
const COLD_ROUNDS = 5;
const BULK_ROUNDS = 10;
const BULK_EVENTS = 1_000;
const ARRIVE_WITHIN_MS = 60_000;

export async function runPeer({ runs, ...size }: ScaleOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withRig(async (rig) => {
    console.log(`Making ${size.profiles} profiles and ${size.events} events …`);
    const owner = await makeScaleData(
      rig,
      rig.account,
      { ...size, ...PEER, mergesHistories: true },
      rig.folder,
    );
    const { create, plainSql, members, faults, segments } = await measureCreations(rig, owner, runs);
    const news = await measureNews(rig, owner, segments, {
      single: SINGLE_EVENTS,
      cold: COLD_ROUNDS,
      rounds: BULK_ROUNDS,
      bulk: BULK_EVENTS,
    });
    const { oneEventMs, oneEventFromAcceptedMs, thousandEventsColdMs, thousandEventsMs } = news;
    return {
      name: 'peer',
      machine,
      parameters: { ...size, runs, rows: owner.events },
      lines: [
        ...KEYS.flatMap((key) => [
          { label: `create.${key}`, value: create[key], unit: 's', bar: 1 },
          { label: `plainSql.${key}`, value: plainSql[key], unit: 's' },
          {
            label: `create.${key}, of plain SQL`,
            value: round(create[key] / plainSql[key], 2),
            unit: '×',
            bar: 2,
          },
        ]),
        { label: 'oneEventMs.p50', value: oneEventMs.p50, unit: 'ms', bar: 50 },
        { label: 'oneEventFromAcceptedMs.p50', value: oneEventFromAcceptedMs.p50, unit: 'ms' },
        { label: 'thousandEventsColdMs.p50', value: thousandEventsColdMs.p50, unit: 'ms' },
        { label: 'thousandEventsMs.p50', value: thousandEventsMs.p50, unit: 'ms', bar: 250 },
      ],
      figures: {
        ...{ create, plainSql, members },
        ...{ oneEventMs, oneEventFromAcceptedMs, thousandEventsColdMs, thousandEventsMs },
      },
      faults: [...faults, ...news.faults],
    };
  });
}

function tasksOf(owner: ScaleAccount): Record<Key, Asked> {
  const viewed = event(owner, 'Viewed', { days: 30 });
  return {
    a: viewed,
    b: event(owner, 'Viewed', { days: 30, atLeast: 3 }),
    c: trait(owner, 'properties.plan', 'text', 'pro'),
    d: all(viewed, event(owner, 'Order', { days: 30, none: true })),
  };
}

/** Medians, by turns. The segments of the last turn stay: `segments` are their ids. */
export async function measureCreations(rig: Rig, owner: ScaleAccount, runs: number) {
  await command(
    rig.clickhouse,
    'CREATE TABLE IF NOT EXISTS plain_members (segment UInt32, profile UInt32) ENGINE = MergeTree ORDER BY (segment, profile)',
  );
  const perKey = <Value>(value: Value): Record<Key, Value> => ({ a: value, b: value, c: value, d: value });
  const [create, plainSql, members, segments] = [perKey(0), perKey(0), perKey(0), perKey('')];
  const faults: string[] = [];
  for (const [i, key] of KEYS.entries()) {
    const asked = tasksOf(owner)[key];
    const [creations, plains]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      const { id, seconds } = await createUntilLive(rig.api, `${key} ${run}`, asked.condition);
      creations.push(seconds);
      plains.push(
        await secondsOf(() =>
          command(
            rig.clickhouse,
            `INSERT INTO plain_members SELECT DISTINCT {segment:UInt32}, profile FROM (${asked.sql})`,
            { segment: i * 1_000 + run },
            { timeoutSeconds: 600 },
          ),
        ),
      );
      const [size = 0] = await countMembers(rig.api, [id]);
      members[key] = size;
      if (run < runs - 1) await deleteSegments(rig.api, [id]);
      else segments[key] = id;
    }
    const plain = await plainCount(rig, asked);
    if (members[key] !== plain) faults.push(`${key} has ${members[key]} members, by plain SQL ${plain}`);
    create[key] = round(median(creations), 3);
    plainSql[key] = round(median(plains), 3);
    console.log(`${key}: ${create[key]} s, plain SQL ${plainSql[key]} s, ${members[key]} members`);
  }
  return { create, plainSql, members, faults, segments };
}

/** From sending until the change of everyone has arrived: people who have not viewed anything for 30 days, and do. */
export async function measureNews(
  rig: Rig,
  owner: ScaleAccount,
  segments: Record<Key, string>,
  { single, cold, rounds, bulk }: { single: number; cold: number; rounds: number; bulk: number },
) {
  const people = await strangers(rig, owner, single + (cold + rounds) * bulk);
  const next = (count: number) => people.splice(0, count).map((id) => ({ id }));
  const faults: string[] = [];
  const { position } = await rig.api.request<{ position: string }>('{ position }');
  const subscriber = subscribe(rig.target, [segments.a], position);
  /** Milliseconds from sending, and from the answer, to the last change. */
  const send = async (whom: { id: string }[]) => {
    const before = subscriber.changes.length;
    const sent = performance.now();
    const events = whom.map((profile) => ({
      metric: 'Viewed',
      profile,
      uniqueId: randomBytes(9).toString('hex'),
    }));
    const { eventsIngest } = await rig.api.request<SendAnswer>(SEND, { events });
    const accepted = performance.now();
    if (eventsIngest.accepted !== whom.length) throw new Error('an event was not accepted');
    const wanted = before + whom.length;
    while (subscriber.changes.length < wanted && performance.now() - sent < ARRIVE_WITHIN_MS) await sleep(1);
    const arrived = subscriber.changes[wanted - 1]?.received;
    const found = new Set(subscriber.changes.slice(before).map(({ profile }) => profile));
    if (arrived === undefined || whom.some(({ id }) => !found.has(id))) {
      faults.push(`of ${whom.length} changes ${subscriber.changes.length - before} arrived`);
      return null;
    }
    return { fromSent: arrived - sent, fromAccepted: Math.max(0, arrived - accepted) };
  };
  try {
    // The subscription is up, and everything has been used once.
    await send(next(1));
    const ones = [];
    for (let i = 1; i < single; i++) {
      await sleep(100);
      ones.push(await send(next(1)));
    }
    const thousands = [];
    for (let i = 0; i < cold + rounds; i++) {
      await sleep(500);
      thousands.push(await send(next(bulk)));
    }
    const failure = subscriber.failure();
    if (failure !== null) faults.push(`the subscription: ${failure}`);
    const p50 = (
      values: ({ fromSent: number; fromAccepted: number } | null)[],
      of: 'fromSent' | 'fromAccepted',
    ) => ({
      p50: round(median(values.flatMap((value) => (value ? [value[of]] : []))), 1),
      count: values.length,
    });
    return {
      oneEventMs: p50(ones, 'fromSent'),
      oneEventFromAcceptedMs: p50(ones, 'fromAccepted'),
      thousandEventsColdMs: p50(thousands.slice(0, cold), 'fromSent'),
      thousandEventsMs: p50(thousands.slice(cold), 'fromSent'),
      faults,
    };
  } finally {
    await subscriber.close();
  }
}

/** Global ids of people without any view in the last 30 days, spread over all chunks; MySQL gets to know them. */
async function strangers(rig: Rig, owner: ScaleAccount, count: number): Promise<string[]> {
  const { sql } = event(owner, 'Viewed', { days: 30 });
  const rows = await query<{ profile: number }>(
    rig.clickhouse,
    `SELECT profile FROM profiles
     WHERE account = {account:UInt32} AND alive AND profile NOT IN (${sql})
     ORDER BY sipHash64(profile) LIMIT {count:UInt32}`,
    { account: rig.account, count },
    { timeoutSeconds: 600 },
  );
  if (rows.length < count) throw new Error(`there are only ${rows.length} people without views`);
  for (let start = 0; start < rows.length; start += 1_000) {
    const page = rows.slice(start, start + 1_000).map(({ profile }) => ({
      account: rig.account,
      number: profile,
      location: '{}',
      properties: '{}',
      consents: '{}',
      createdAt: owner.now,
      updatedAt: owner.now,
      revision: 1,
    }));
    await rig.mysql.db.insert(profiles).values(page.sort((a, b) => a.number - b.number));
  }
  return rows.map(({ profile }) => encodeId('Profile', rig.account, profile));
}
