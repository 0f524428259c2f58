/**
 * `units`: what one of everything costs, for the capacity model (bench/simulate/costs.ts): CPU of each role in a process
 * of its own, of ClickHouse and of MariaDB, for small calls and for large ones; bytes on the disks and in the log; what
 * the clock costs for accounts where nothing happens; memory of a segment in force.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { insertSegment } from '../../src/storage/mysql/definitions.ts';
import { accounts, metrics } from '../../src/storage/mysql/schema.ts';
import { createApi, createSegments, waitUntilEvaluated, type Api } from '../lib/api.ts';
import { withEngines, type Engines } from '../lib/engines.ts';
import { describeMachine } from '../lib/machine.ts';
import { usageBetween, usageOf } from '../lib/processes.ts';
import type { Outcome } from '../lib/report.ts';
import { startService } from '../lib/service.ts';
import { median, round } from '../lib/stats.ts';
import { SEGMENTS } from '../latency/segments.ts';
import { SEND, type SendAnswer } from '../latency/load.ts';
import { criterionMicros, segmentInForce } from './in-memory.ts';
import { clickHouseBytes, logBytes, mysqlBytes } from './sizes.ts';

export interface UnitsOptions {
  /** Of each phase that lasts a while. */
  seconds: number;
  /** Of the bulk phase. */
  events: number;
}

const RATE = 500;
const PER_CALL = 10;
const PER_BULK_CALL = 1_000;
const PROFILES = 20_000;
const QUIET_ACCOUNTS = 100;
const ROLES = ['api', 'ingest', 'evaluate'] as const;

/** CPU seconds. */
type Used = Record<(typeof ROLES)[number] | 'ClickHouse' | 'MariaDB', number>;

const UPSERT = `mutation Put($profiles: [ProfileInput!]!) {
  profilesUpsert(profiles: $profiles) { receipt userErrors { message } }
}`;

export async function runUnits({ seconds, events }: UnitsOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withEngines(async (engines) => {
    const env = { MYSQL_URL: engines.mysqlUrl, CLICKHOUSE_URL: engines.clickhouseUrl };
    const processes: { role: (typeof ROLES)[number]; pid: number }[] = [];
    let api: Api | undefined;
    let evaluator = '';
    for (const role of ROLES) {
      // Each serves health too: an API that nobody asks for anything else.
      const ROLES = role === 'api' ? 'api' : `api,${role}`;
      const service = await startService({
        folder: engines.folder,
        command: 'node',
        env: { ...env, ROLES, BOOTSTRAP_API_KEY: 'benchmark-of-unit-costs' },
      });
      engines.later(() => service.stop());
      api ??= createApi({ url: service.url, apiKey: 'benchmark-of-unit-costs' });
      processes.push({ role, pid: service.pid });
      if (role === 'evaluate') evaluator = service.url;
    }
    if (!api) throw new Error('there is no API');
    await createSegments(api, SEGMENTS);

    const during = async (work: () => Promise<unknown>) => {
      const look = () => [...processes.map(({ pid }) => usageOf(pid)), usageOf(process.pid)];
      const before = look();
      const begun = performance.now();
      await work();
      const after = look();
      const cpu = (i: number, name: string) =>
        usageBetween(before[i] ?? null, after[i] ?? null)?.[name]?.cpuSeconds ?? Number.NaN;
      const used = Object.fromEntries([
        ...processes.map(({ role }, i) => [role, cpu(i, 'Tidemark')]),
        ...['ClickHouse', 'MariaDB'].map((name) => [name, cpu(processes.length, name)]),
      ]) as Used;
      return { seconds: round((performance.now() - begun) / 1000, 2), used };
    };

    const client = api;
    await sendSteadily(client, 2);
    const idle = await during(() => sleep(seconds * 1000));
    const steady = await during(() => sendSteadily(client, seconds));
    const bulk = await during(() => sendInBulk(client, events));
    const traits = await during(() => putProfiles(client));
    await quietAccounts(engines);
    const lags: number[] = [];
    const quiet = await during(async () => {
      for (let i = 0; i < seconds; i++) {
        await sleep(1000);
        lags.push(await clockLagMs(evaluator));
      }
    });

    const figures = {
      idle,
      steady: { ...steady, events: seconds * RATE, perCall: PER_CALL },
      bulk: { ...bulk, events, perCall: PER_BULK_CALL },
      traits: { ...traits, profiles: PROFILES },
      quiet: { ...quiet, accounts: QUIET_ACCOUNTS, lookMs: round(median(lags), 1) },
      clickHouseBytes: await clickHouseBytes(engines.clickhouse),
      mysqlBytes: await mysqlBytes(engines.mysql),
      logBytes: await logBytes(engines.mysql),
      segmentInForce: segmentInForce(),
      criterionMicros: criterionMicros(),
    };
    const micros = (used: Used, count: number, of: keyof Used) => round((used[of] / count) * 1e6, 1);
    const parts = [...ROLES, 'ClickHouse', 'MariaDB'] as const;
    return {
      name: 'units',
      machine,
      parameters: { seconds, events, rate: RATE, segments: SEGMENTS.length },
      lines: [
        ...parts.map((of) => ({
          label: `idle: ${of}`,
          value: round(idle.used[of] / idle.seconds, 3),
          unit: 'cores',
        })),
        ...parts.map((of) => ({
          label: `${RATE} events/s: ${of}`,
          value: round(steady.used[of] / steady.seconds, 3),
          unit: 'cores',
        })),
        ...parts.map((of) => ({
          label: `bulk: ${of}`,
          value: micros(bulk.used, events, of),
          unit: 'µs/event',
        })),
        ...parts.map((of) => ({
          label: `profile writes: ${of}`,
          value: micros(traits.used, PROFILES, of),
          unit: 'µs each',
        })),
        ...parts.map((of) => ({
          label: `idle with ${QUIET_ACCOUNTS} more accounts: ${of}`,
          value: round(quiet.used[of] / quiet.seconds, 3),
          unit: 'cores',
        })),
        { label: 'a look of all clocks at these accounts', value: figures.quiet.lookMs, unit: 'ms' },
        { label: 'memory of a segment in force', value: figures.segmentInForce.bytes, unit: 'bytes' },
        { label: 'bringing it there', value: figures.segmentInForce.micros, unit: 'µs' },
        { label: 'a criterion of a profile in memory', value: figures.criterionMicros, unit: 'µs' },
      ],
      figures,
      faults: [],
    };
  });
}

/** The same at every run. */
function eventOf(number: number) {
  const [metric = '', device = ''] = [
    ['Viewed Product', 'Opened Email', 'Active on Site', 'Viewed Product', 'Placed Order'][number % 5],
    ['ios', 'android', 'desktop'][number % 3],
  ];
  const person = (number * 7_919) % PROFILES;
  return {
    metric,
    uniqueId: `units-${number}`,
    profile: { externalId: `person-${person}` },
    value: number % 5 === 4 ? (number % 200) + 0.5 : null,
    properties: {
      sku: `SKU-${(number * 31) % 5_000}`,
      name: `Product number ${(number * 31) % 5_000}`,
      category: ['shoes', 'shirts', 'hats', 'bags'][number % 4],
      price: number % 300,
      device,
      url: `https://shop.example.com/products/${(number * 31) % 5_000}?campaign=spring-${number % 40}`,
    },
  };
}

let next = 0;
async function send(api: Api, count: number): Promise<string> {
  const events = Array.from({ length: count }, () => eventOf(next++));
  const { eventsIngest } = await api.request<SendAnswer>(SEND, { events });
  const [error] = eventsIngest.userErrors;
  if (error) throw new Error(error.message);
  return eventsIngest.receipt;
}

async function sendSteadily(api: Api, seconds: number): Promise<void> {
  const begun = performance.now();
  const calls: Promise<string>[] = [];
  for (let i = 0; i < (seconds * RATE) / PER_CALL; i++) {
    const wait = begun + (i * 1000 * PER_CALL) / RATE - performance.now();
    if (wait > 0) await sleep(wait);
    calls.push(send(api, PER_CALL));
  }
  for (const receipt of await Promise.all(calls)) await waitUntilEvaluated(api, receipt);
}

async function sendInBulk(api: Api, events: number): Promise<void> {
  for (let sent = 0; sent < events;) {
    const batch: Promise<string>[] = [];
    for (; batch.length < 4 && sent < events; sent += PER_BULK_CALL) batch.push(send(api, PER_BULK_CALL));
    const receipts = await Promise.all(batch);
    if (sent >= events) for (const receipt of receipts) await waitUntilEvaluated(api, receipt);
  }
}

async function putProfiles(api: Api): Promise<void> {
  for (let first = 0; first < PROFILES; first += PER_BULK_CALL) {
    const profiles = Array.from({ length: PER_BULK_CALL }, (_, i) => ({
      identifiers: { externalId: `person-${first + i}`, email: `person-${first + i}@example.com` },
      firstName: `First${first + i}`,
      location: { country: ['DE', 'US', 'FR'][i % 3] },
      properties: { plan: ['free', 'gold', 'pro'][i % 3], points: i },
    }));
    const { profilesUpsert } = await api.request<{
      profilesUpsert: { receipt: string; userErrors: { message: string }[] };
    }>(UPSERT, { profiles });
    const [error] = profilesUpsert.userErrors;
    if (error) throw new Error(error.message);
    if (first + PER_BULK_CALL >= PROFILES) await waitUntilEvaluated(api, profilesUpsert.receipt);
  }
}

/** How long a look of each partition's clock has taken, all partitions together: one begins at the instant up to which it looks. */
async function clockLagMs(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lags = [...text.matchAll(/^tidemark_clock_lag_seconds\{[^}]*\} (\S+)$/gm)].map(([, lag]) =>
    Number(lag),
  );
  return lags.reduce((sum, lag) => sum + lag, 0) * 1000;
}

/** Accounts of one profile to whom nothing happens, with two windowed segments each; resolves when these are in force. */
async function quietAccounts({ mysql, clickhouse }: Engines): Promise<void> {
  const now = Date.now();
  const window = (days: number) =>
    JSON.stringify({ event: { metric: 'Viewed Product', within: { last: `P${days}D` } } });
  const ids: number[] = [];
  for (let i = 0; i < QUIET_ACCOUNTS; i++) {
    const [made] = await mysql.db
      .insert(accounts)
      .values({ name: `quiet ${i}`, timezone: 'UTC', nextProfile: 2, createdAt: now });
    ids.push(made.insertId);
    await mysql.db
      .insert(metrics)
      .values({ account: made.insertId, name: 'Viewed Product', firstSeenAt: now });
    for (const days of [7, 30]) await insertSegment(mysql.db, made.insertId, `${days}`, window(days), now);
  }
  const deadline = performance.now() + 120_000;
  for (;;) {
    const [rows] = await mysql.pool.query(
      'SELECT COUNT(*) AS n FROM segment_partitions WHERE account >= ? AND account <= ?',
      [ids[0], ids.at(-1)],
    );
    if (Number((rows as { n: number }[])[0]?.n) >= ids.length * 2 * 8) break;
    if (performance.now() > deadline) throw new Error('the quiet accounts were not in force within 120 s');
    await sleep(200);
  }
  // What their populations left to merge.
  for (let quiet = 0; quiet < 5;) {
    const [row] = await query<{ n: string }>(clickhouse, 'SELECT count() AS n FROM system.merges');
    quiet = row?.n === '0' ? quiet + 1 : 0;
    await sleep(200);
    if (performance.now() > deadline) break;
  }
}
