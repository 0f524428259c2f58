/**
 * `clock`: thousands of segments with windows over millions of people, of whom some hundred cross an edge each second,
 * and a midnight at which hundreds of thousands turn at once. Every change is known beforehand.
 */
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { decodeNumber } from '../../src/runtime/global-ids.ts';
import { newSecret } from '../../src/storage/mysql/accounts.ts';
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { encodePosition } from '../../src/streaming/position.ts';
import { subscribe, type Noted } from '../latency/subscriber.ts';
import { withEngines } from '../lib/engines.ts';
import { DAY_MS } from '../lib/generate.ts';
import { describeMachine } from '../lib/machine.ts';
import { usageBetween, usageOf } from '../lib/processes.ts';
import type { Outcome } from '../lib/report.ts';
import { ROOT, startService, type Target } from '../lib/service.ts';
import { distribution, round, type Distribution } from '../lib/stats.ts';
import { makeClockData, type ClockAccount, type ClockPlan } from './clock-data.ts';
import { expectedFlips, keyOf, type Flip } from './clock-expected.ts';

export interface ClockOptions {
  profiles: number;
  events: number;
  segments: number;
  /** Between a clock that has caught up and midnight. */
  seconds: number;
}

/** From the instant of the members to that at which seconds count: starting takes its time. */
const CATCH_UP_MS = 60_000;
const AFTER_MIDNIGHT_MS = 15_000;
const ARRIVE_WITHIN_MS = 180_000;
const ROUND_MS = 2_000;
const QUIET_ROUNDS = 8;
/** What one look may see at once it tells as one. */
const ONE_LOOK_MS = 5_000;
const LATEST_CLOCK_SECONDS = 2;
const METRICS = 100;

export async function runClock({ seconds, ...size }: ClockOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  const plan: ClockPlan = { ...size, metrics: METRICS, historyMs: 365 * DAY_MS };
  return withEngines(async ({ folder, mysqlUrl, clickhouseUrl, mysql, clickhouse, later }) => {
    console.log(`Making ${size.profiles} profiles, ${size.events} events and ${size.segments} segments …`);
    const midnight = Math.ceil(Date.now() / DAY_MS) * DAY_MS;
    const apiKey = newSecret();
    const now = midnight - CATCH_UP_MS - seconds * 1_000;
    const owner = await makeClockData({ mysql, clickhouse }, plan, now, apiKey, folder);
    const aheadMs = owner.now - Date.now();
    const preload = pathToFileURL(path.join(ROOT, 'bench/lib/shifted-time.mjs')).href;
    const service = await startService({
      folder,
      command: 'node',
      env: {
        MYSQL_URL: mysqlUrl,
        CLICKHOUSE_URL: clickhouseUrl,
        NODE_OPTIONS: `--import ${preload}`,
        BENCH_AHEAD_MS: String(aheadMs),
      },
    });
    later(() => service.stop());
    console.log(`Ready after ${round(service.readySeconds, 1)} s; waiting for the clock …`);
    const target = { url: service.url, apiKey, pid: service.pid };
    const { faults, ...figures } = await measureClock(target, clickhouse, owner, {
      aheadMs,
      countedMs: seconds * 1_000,
      afterMidnightMs: AFTER_MIDNIGHT_MS,
    });
    const { tickMs, lateMs, midnightMs, besidesMidnightMs, changes, midnightChanges, unclear } = figures;
    return {
      name: 'clock',
      machine,
      parameters: { ...plan, seconds },
      lines: [
        { label: 'clock.tickMs.p50', value: tickMs.p50, unit: 'ms' },
        { label: 'clock.tickMs.p99', value: tickMs.p99, unit: 'ms', bar: 1_000 },
        { label: 'clock.lateMs.p50', value: lateMs?.p50 ?? '-', unit: 'ms' },
        { label: 'clock.lateMs.p99', value: lateMs?.p99 ?? '-', unit: 'ms', bar: 2_000 },
        { label: 'changes', value: changes },
        { label: 'caught up after', value: figures.caughtUpSeconds, unit: 's' },
        { label: 'changes at midnight', value: midnightChanges },
        { label: 'midnight, received later by p50', value: midnightMs?.p50 ?? '-', unit: 'ms' },
        { label: 'midnight, received later by at most', value: midnightMs?.max ?? '-', unit: 'ms' },
        { label: 'others meanwhile, p99', value: besidesMidnightMs?.p99 ?? '-', unit: 'ms' },
        { label: 'told as one, or not at all', value: unclear },
        ...Object.entries(figures.cpu).map(([name, { cpuSeconds, peakMb }]) => ({
          label: `CPU of ${name}, a second; peak memory ${peakMb} MB`,
          value: round(cpuSeconds, 2),
          unit: 's',
        })),
      ],
      figures: { clock: figures },
      faults,
    };
  });
}

/** Over a Tidemark that has just started, by a clock that is so much ahead of ours, at the account's `now` or a little later. */
export async function measureClock(
  target: Target,
  clickhouse: ClickHouse,
  owner: ClockAccount,
  { aheadMs, countedMs, afterMidnightMs }: { aheadMs: number; countedMs: number; afterMidnightMs: number },
) {
  const { account, midnight } = owner;
  const clock = () => Date.now() + aheadMs;
  const subscriber = subscribe(target, null, encodePosition(account, new Map()));
  try {
    while ((await clockLag(target)) > LATEST_CLOCK_SECONDS) await sleep(200);
    const caughtUp = clock();
    // What was missed before the start has been looked at, by code that was cold.
    await sleep(Math.max(0, midnight - countedMs - caughtUp));
    const steady = clock();
    const [first, usedFirst] = [await looks(target), usageOf(process.pid)];
    if (steady > midnight - 1_000) console.log('The clock has not caught up before midnight.');
    await sleep(midnight - clock() - 500);
    const [second, usedSecond] = [await looks(target), usageOf(process.pid)];
    const measured = Math.max(1, midnight - 500 - steady) / 1_000;
    const end = midnight + afterMidnightMs;
    await sleep(end - clock());
    const expected = await expectedFlips(clickhouse, owner, end);
    const total = [...expected.values()].reduce((sum, { length }) => sum + length, 0);
    const deadline = performance.now() + ARRIVE_WITHIN_MS;
    const arrived = () => subscriber.changes.length;
    // Some are told as one: what is missing is looked for below.
    for (let quiet = 0; quiet < QUIET_ROUNDS && arrived() < total && performance.now() < deadline;) {
      const before = arrived();
      await sleep(ROUND_MS);
      quiet = arrived() === before ? quiet + 1 : 0;
    }
    const failure = subscriber.failure();
    const { faults, unclear } = compare(owner, expected, subscriber.changes, steady, end);
    const lateOf = (which: (at: number) => boolean) =>
      distribution(
        subscriber.changes.flatMap(({ at: text, receivedAt }) => {
          const at = Date.parse(text);
          return which(at) ? [receivedAt + aheadMs - at] : [];
        }),
      );
    const isSteady = (at: number) => at >= steady && at < midnight - 1_000;
    const lateMs = lateOf(isSteady);
    const midnightMs = lateOf((at) => at === midnight);
    const used = usageBetween(usedFirst, usedSecond) ?? {};
    return {
      tickMs: percentilesBetween(first, second),
      lateMs,
      midnightMs,
      besidesMidnightMs: lateOf((at) => at > midnight && at <= end),
      changes: lateMs?.count ?? 0,
      midnightChanges: midnightMs?.count ?? 0,
      unclear,
      expected: total,
      caughtUpSeconds: round((caughtUp - owner.now) / 1_000, 1),
      cpu: Object.fromEntries(
        Object.entries(used).map(([name, { cpuSeconds, peakMb }]) => [
          name,
          { cpuSeconds: cpuSeconds / measured, peakMb },
        ]),
      ),
      faults: [...faults, ...(failure === null ? [] : [`the subscription: ${failure}`])],
    };
  } finally {
    await subscriber.close();
  }
}

/** Missing, too many, or at another instant. What one look may have seen twice has to end where it should. */
function compare(
  { account }: ClockAccount,
  expected: ReadonlyMap<string, Flip[]>,
  changes: readonly Noted[],
  steady: number,
  end: number,
): { faults: string[]; unclear: number } {
  const received = new Map<string, Flip[]>();
  for (const { segment, profile, kind, at } of changes) {
    if (Date.parse(at) > end) continue;
    const key = keyOf(segment, decodeNumber(profile, 'Profile', account) ?? 0);
    const list = received.get(key) ?? [];
    received.set(key, list);
    list.push({ kind: kind as Flip['kind'], at: Date.parse(at) });
  }
  const wrong: string[] = [];
  let unclear = 0;
  for (const key of new Set([...expected.keys(), ...received.keys()])) {
    const [wanted, found] = [expected.get(key) ?? [], received.get(key) ?? []];
    if (JSON.stringify(wanted) === JSON.stringify(found)) continue;
    const isUnclear = wanted.some(
      ({ at }, i) => i > 0 && at - Math.max(steady, wanted[i - 1]?.at ?? 0) < ONE_LOOK_MS,
    );
    if (isUnclear && (wanted.length - found.length) % 2 === 0) unclear += 1;
    else wrong.push(`${key}: expected ${JSON.stringify(wanted)}, received ${JSON.stringify(found)}`);
  }
  const faults = wrong.slice(0, 5);
  if (wrong.length > faults.length) faults.push(`and ${wrong.length - faults.length} more`);
  return { faults, unclear };
}

async function clockLag(target: Target): Promise<number> {
  const lags = [...(await scrape(target)).matchAll(/^tidemark_clock_lag_seconds\{.*\} (\S+)$/gm)];
  return lags.length === 0 ? Infinity : Math.max(...lags.map(([, value]) => Number(value)));
}

async function scrape({ url }: Target): Promise<string> {
  return (await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(30_000) })).text();
}

/** How many looks of the clock took at most so many seconds. */
async function looks(target: Target): Promise<[atMost: number, count: number][]> {
  const rows = [
    ...(await scrape(target)).matchAll(/^tidemark_clock_look_seconds_bucket\{le="(\S+)"\} (\d+)$/gm),
  ];
  return rows.map(([, le, count]) => [le === '+Inf' ? Infinity : Number(le), Number(count)]);
}

/** Between two looks at the histogram: even within a bucket, as Prometheus has it. */
export function percentilesBetween(
  before: readonly [number, number][],
  after: readonly [number, number][],
): Pick<Distribution, 'count' | 'p50' | 'p99'> {
  const buckets = after.map(([atMost, count], i) => [atMost, count - (before[i]?.[1] ?? 0)] as const);
  const count = buckets.at(-1)?.[1] ?? 0;
  const at = (share: number) => {
    const rank = share * count;
    let [from, below] = [0, 0];
    for (const [atMost, through] of buckets) {
      if (through >= rank && through > below) {
        const end = atMost === Infinity ? from : atMost;
        return round(1_000 * (from + (end - from) * ((rank - below) / (through - below))), 1);
      }
      [from, below] = [atMost, through];
    }
    return Number.NaN;
  };
  return { count, p50: at(0.5), p99: at(0.99) };
}
