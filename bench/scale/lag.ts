/**
 * `lag`: many small accounts at once. How long after its acceptance an event's change arrives at a subscriber, while
 * all of them send; and whether that stays so.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeId } from '../../src/runtime/global-ids.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { hashSecret, newSecret } from '../../src/storage/mysql/accounts.ts';
import { insertSegment } from '../../src/storage/mysql/definitions.ts';
import { insertKey } from '../../src/storage/mysql/keys.ts';
import { accounts, segmentPartitions } from '../../src/storage/mysql/schema.ts';
import { EVALUATOR_PARTITIONS } from '../../src/storage/topics.ts';
import { SEND, sharesOf, TICK_MS, type SendAnswer } from '../latency/load.ts';
import { subscribe, type Subscriber } from '../latency/subscriber.ts';
import { createApi, type Api } from '../lib/api.ts';
import { withEngines } from '../lib/engines.ts';
import { describeMachine } from '../lib/machine.ts';
import { usageBetween, usageOf } from '../lib/processes.ts';
import type { Outcome } from '../lib/report.ts';
import { startService, type Target } from '../lib/service.ts';
import { distribution, round } from '../lib/stats.ts';

export interface LagPlan {
  accounts: number;
  segmentsPerAccount: number;
  /** Events a second, of all accounts together. */
  rate: number;
  warmUpSeconds: number;
  seconds: number;
  /** Accounts that somebody listens to. */
  listened: number;
}

export const FULL: Omit<LagPlan, 'seconds' | 'rate'> = {
  accounts: 500,
  segmentsPerAccount: 10,
  warmUpSeconds: 5,
  listened: 50,
};

/** One account sends at a time: a call of some events. */
const EVENTS_PER_CALL = 20;
const MAX_CALLS = 200;
const ARRIVE_WITHIN_MS = 30_000;
/** Whose first event it is enters; the others have done it before. */
const NEWCOMERS = 0.2;
const PEOPLE = 50;

interface Tenant {
  api: Api;
  target: Target;
  /** Of "has viewed at least once", which every newcomer enters. */
  segment: string;
  newcomers: number;
}

export async function runLag(plan: LagPlan): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withEngines(async ({ folder, mysqlUrl, clickhouseUrl, mysql, later }) => {
    console.log(`Making ${plan.accounts} accounts with ${plan.segmentsPerAccount} segments each …`);
    const made = await makeAccounts(mysql, plan);
    const env = { MYSQL_URL: mysqlUrl, CLICKHOUSE_URL: clickhouseUrl };
    const service = await startService({ folder, command: 'node', env });
    later(() => service.stop());
    const tenants = made.map(({ apiKey, segment }): Tenant => {
      const target = { url: service.url, apiKey, pid: service.pid };
      return { api: createApi(target), target, segment, newcomers: 0 };
    });
    const before = usageOf(process.pid);
    const { lags, faults } = await measureLag(tenants, plan);
    const batches = await Promise.all(
      ['ingest', 'evaluation'].map(async (work) => ({
        label: `a batch of ${work}, on average`,
        value: await meanMs(service.url, `tidemark_${work}_batch_seconds`),
        unit: 'ms',
      })),
    );
    const usage = usageBetween(before, usageOf(process.pid));
    const third = Math.ceil(lags.length / 3);
    const lagMs = distribution(lags);
    const [early, late] = [distribution(lags.slice(0, third)), distribution(lags.slice(-third))];
    return {
      name: 'lag',
      machine,
      parameters: { ...plan },
      lines: [
        { label: 'lagMs.p50', value: lagMs?.p50 ?? '-', unit: 'ms' },
        { label: 'lagMs.p99', value: lagMs?.p99 ?? '-', unit: 'ms', bar: 1_000 },
        { label: 'p99 in the first third', value: early?.p99 ?? '-', unit: 'ms' },
        { label: 'p99 in the last third', value: late?.p99 ?? '-', unit: 'ms' },
        { label: 'changes', value: lags.length },
        ...batches,
        ...Object.entries(usage ?? {}).map(([name, { cpuSeconds }]) => ({
          label: `CPU of ${name}`,
          value: round(cpuSeconds, 1),
          unit: 's',
        })),
      ],
      figures: { lagMs, early, late },
      faults,
    };
  });
}

/** Of a histogram of seconds, since the service began. */
async function meanMs(url: string, histogram: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const [sum, count] = ['sum', 'count'].map((name) =>
    Number(new RegExp(`^${histogram}_${name} (\\S+)$`, 'm').exec(text)?.[1]),
  );
  return round((1_000 * (sum ?? NaN)) / (count ?? NaN), 1);
}

/** Before anybody is there, so that the segments are in force from the beginning: nobody is in them. */
async function makeAccounts(
  mysql: MySql,
  { accounts: count, segmentsPerAccount }: LagPlan,
): Promise<{ apiKey: string; segment: string }[]> {
  const now = Date.now();
  const tenants: { apiKey: string; segment: string }[] = [];
  for (let i = 0; i < count; i++) {
    const [{ insertId: account }] = await mysql.db
      .insert(accounts)
      .values({ name: `Tenant ${i}`, timezone: 'UTC', nextProfile: 0, createdAt: now });
    const apiKey = newSecret();
    const key = {
      account,
      name: 'Benchmark',
      secretHash: hashSecret(apiKey),
      scopes: 'ADMIN',
      createdAt: now,
    };
    await insertKey(mysql.db, key);
    const segments: number[] = [];
    for (const [k, condition] of conditionsOf(segmentsPerAccount).entries()) {
      const definition = JSON.stringify(condition);
      segments.push(await insertSegment(mysql.db, account, `Segment ${k}`, definition, now));
    }
    const partitions = Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => partition);
    await mysql.db
      .insert(segmentPartitions)
      .values(
        segments.flatMap((segment) =>
          partitions.map((partition) => ({ segment, partition, account, version: 1, populatedAt: now })),
        ),
      );
    tenants.push({ apiKey, segment: encodeId('Segment', account, segments[0] ?? 0) });
  }
  return tenants;
}

/** The first is entered by everybody who views something; the others count, sum, look back, and at properties. */
function conditionsOf(count: number): Record<string, unknown>[] {
  const kinds: ((k: number) => Record<string, unknown>)[] = [
    (k) => ({ event: { metric: 'Viewed', is: { atLeast: 2 + k }, within: { last: `P${7 + k}D` } } }),
    (k) => ({
      all: [
        { event: { metric: 'Viewed', within: { last: `P${1 + k}D` } } },
        { not: { event: { metric: 'Bought', within: { last: `P${30 + k}D` } } } },
      ],
    }),
    (k) => ({ event: { metric: 'Bought', measure: { sum: '$value' }, is: { atLeast: 50 * (k + 1) } } }),
    (k) => ({
      event: {
        metric: 'Viewed',
        where: [{ path: 'category', filter: { text: { equals: `category ${k}` } } }],
        within: { last: 'PT1H' },
      },
    }),
  ];
  const others = Array.from({ length: count - 1 }, (_, k) => kinds[k % kinds.length]?.(k) ?? {});
  return [{ event: { metric: 'Viewed' } }, ...others];
}

/** Milliseconds from acceptance to arrival, in the order of acceptance. */
export async function measureLag(
  tenants: readonly Tenant[],
  plan: LagPlan,
): Promise<{ lags: number[]; faults: string[] }> {
  const listened = tenants.slice(0, plan.listened);
  const subscribers: Subscriber[] = [];
  const faults: string[] = [];
  for (const { api, target, segment } of listened) {
    const { position } = await api.request<{ position: string }>('{ position }');
    subscribers.push(subscribe(target, [segment], position));
  }
  try {
    const measuredFrom = await send(tenants, plan);
    const missing = () =>
      listened.filter(({ newcomers }, i) => (subscribers[i]?.changes.length ?? 0) < newcomers).length;
    const deadline = performance.now() + ARRIVE_WITHIN_MS;
    while (missing() > 0 && performance.now() < deadline) await sleep(20);
    if (missing() > 0) faults.push(`${missing()} accounts have not heard of all who entered`);
    for (const subscriber of subscribers) {
      const failure = subscriber.failure();
      if (failure !== null) faults.push(`a subscription: ${failure}`);
    }
    const found = subscribers
      .flatMap(({ changes }) => changes)
      .map(({ at, receivedAt }) => ({ at: Date.parse(at), receivedAt }))
      .filter(({ at }) => at >= measuredFrom)
      .sort((a, b) => a.at - b.at);
    return { lags: found.map(({ at, receivedAt }) => Math.max(0, receivedAt - at)), faults };
  } finally {
    await Promise.all(subscribers.map((subscriber) => subscriber.close()));
  }
}

/** Accounts by turns. Returns since when it counts, epoch milliseconds. */
async function send(tenants: readonly Tenant[], plan: LagPlan): Promise<number> {
  const ticks = Math.round(((plan.warmUpSeconds + plan.seconds) * 1_000) / TICK_MS);
  const underWay = new Set<Promise<void>>();
  const begun = performance.now();
  let failure: unknown = null;
  let waiting = 0;
  let turn = 0;
  let number = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const wait = begun + tick * TICK_MS - performance.now();
    if (wait > 0) await sleep(wait);
    if (failure) throw failure instanceof Error ? failure : new Error('a call failed');
    if (underWay.size > MAX_CALLS) throw new Error('the server does not keep up');
    for (waiting += sharesOf(plan.rate, tick); waiting >= EVENTS_PER_CALL; waiting -= EVENTS_PER_CALL) {
      const tenant = tenants[turn++ % tenants.length];
      if (!tenant) throw new Error('there are no accounts');
      const events = Array.from({ length: EVENTS_PER_CALL }, (_, i) => eventOf(tenant, i, ++number));
      const call = accept(tenant.api, events).catch((error: unknown) => void (failure ??= error));
      underWay.add(call);
      void call.then(() => underWay.delete(call));
    }
  }
  await Promise.all(underWay);
  if (failure) throw failure instanceof Error ? failure : new Error('a call failed');
  return Date.now() - (performance.now() - begun) + plan.warmUpSeconds * 1_000;
}

function eventOf(tenant: Tenant, i: number, number: number) {
  const isNew = i < EVENTS_PER_CALL * NEWCOMERS;
  if (isNew) tenant.newcomers += 1;
  const known = Math.min(PEOPLE, tenant.newcomers);
  return {
    metric: isNew || number % 5 > 0 ? 'Viewed' : 'Bought',
    profile: { externalId: `person-${isNew ? tenant.newcomers : 1 + (number % known)}` },
    uniqueId: `event-${number}`,
    value: number % 90,
    properties: { category: `category ${number % 12}` },
  };
}

async function accept(api: Api, events: readonly unknown[]): Promise<void> {
  const { eventsIngest } = await api.request<SendAnswer>(SEND, { events });
  if (eventsIngest.accepted !== events.length)
    throw new Error(`events were refused: ${eventsIngest.userErrors[0]?.message}`);
}
