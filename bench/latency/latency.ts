/** `latency`: how long a change takes from the event's acceptance, and from the instant at which time makes it true. */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  countMembers,
  createApi,
  createSegments,
  deleteSegments,
  waitUntilEvaluated,
  type Api,
} from '../lib/api.ts';
import { describeMachine } from '../lib/machine.ts';
import { usageBetween, usageOf, type ProcessUsage } from '../lib/processes.ts';
import type { Outcome } from '../lib/report.ts';
import { withTarget, type Target } from '../lib/service.ts';
import { distribution, round } from '../lib/stats.ts';
import { compare, type ExpectedChange, type ReceivedChange } from './compare.ts';
import {
  castOf,
  eventOf,
  runLoad,
  SEND,
  veteranId,
  type LoadPlan,
  type LoadResult,
  type Person,
  type SendAnswer,
} from './load.ts';
import { SEGMENTS } from './segments.ts';
import { attributesOf, factsOf, flipsOf, membershipsOf, STORIES, VETERAN, type Story } from './stories.ts';
import { subscribe, type Noted, type Subscriber } from './subscriber.ts';

export interface LatencyOptions {
  seconds: number;
  rate: number;
  /** Null: a private Tidemark. */
  given: { url: string; apiKey: string } | null;
}

const WARM_UP_SECONDS = 5;
const VETERANS = 2_000;
const ITEMS_PER_CALL = 500;
/** How long after the last exact instant a change counts as missing. */
const PATIENCE_MS = 10_000;

export async function runLatency(options: LatencyOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: options.given === null });
  const plan: LoadPlan = {
    run: randomBytes(4).toString('hex'),
    rate: options.rate,
    warmUpSeconds: WARM_UP_SECONDS,
    seconds: options.seconds,
    veterans: VETERANS,
  };
  return withTarget(options.given, async (target) => {
    const api = createApi(target);
    const cast = castOf(plan);
    console.log(`Sending the history of ${VETERANS} profiles …`);
    await prepare(api, plan, cast);
    const segments = await createSegments(api, SEGMENTS);
    try {
      return await measure(target, api, plan, cast, segments, machine);
    } finally {
      if (options.given) await deleteSegments(api, segments);
    }
  });
}

async function measure(
  target: Target,
  api: Api,
  plan: LoadPlan,
  cast: Person[],
  segments: string[],
  machine: Outcome['machine'],
): Promise<Outcome> {
  const membersBefore = await countMembers(api, segments);
  const { position } = await api.request<{ position: string }>('{ position }');
  const subscriber = subscribe(target, segments, position);
  const usage: (ProcessUsage[] | null)[] = [];
  const ownCpu: NodeJS.CpuUsage[] = [];
  const loop = monitorEventLoopDelay({ resolution: 5 });
  console.log(`Sending ${plan.rate} events/s for ${plan.warmUpSeconds} + ${plan.seconds} s …`);
  let load: LoadResult;
  let expected: ExpectedChange[];
  try {
    load = await runLoad(api, plan, cast, (phase) => {
      if (phase === 'warm') loop.enable();
      else loop.disable();
      usage.push(target.pid === null ? null : usageOf(target.pid));
      ownCpu.push(process.cpuUsage(ownCpu[0]));
    });
    expected = cast.flatMap((person) => expectedOf(person, load));
    await arrivals(subscriber, expected);
  } finally {
    await subscriber.close();
  }
  const received = await named(api, subscriber.changes, segments);
  const comparison = compare(expected, received);
  const faults = [...comparison.faults, ...(await wrongCounts(api, segments, membersBefore, expected))];
  const failure = subscriber.failure();
  if (failure) faults.push(`the subscription: ${failure}`);

  const changeMs = distribution(comparison.fromAccepted);
  const timeExitMs = distribution(comparison.timeExits);
  const callMs = distribution(load.callMs);
  const eventsPerSecond = round(load.events / ((load.ended - load.begun) / 1000), 1);
  const service = usageBetween(usage[0] ?? null, usage[1] ?? null);
  const sender = {
    lateMs: distribution(load.lateMs),
    eventLoopDelayMs: { p99: round(loop.percentile(99) / 1e6, 1), max: round(loop.max / 1e6, 1) },
    cpuSeconds: round(((ownCpu[1]?.user ?? 0) + (ownCpu[1]?.system ?? 0)) / 1e6, 2),
  };
  const changes = { expected: comparison.expected, arrived: comparison.arrived };
  return {
    name: 'latency',
    machine,
    parameters: {
      seconds: plan.seconds,
      warmUpSeconds: plan.warmUpSeconds,
      eventsPerSecond: plan.rate,
      segments: SEGMENTS.length,
      veterans: plan.veterans,
      stories: cast.length,
    },
    lines: [
      { label: 'changeMs.p50', value: changeMs?.p50 ?? '-', unit: 'ms', bar: 100 },
      { label: 'changeMs.p90', value: changeMs?.p90 ?? '-', unit: 'ms' },
      { label: 'changeMs.p99', value: changeMs?.p99 ?? '-', unit: 'ms', bar: 300 },
      { label: 'changeMs.max', value: changeMs?.max ?? '-', unit: 'ms' },
      { label: 'timeExitMs.p50', value: timeExitMs?.p50 ?? '-', unit: 'ms' },
      { label: 'timeExitMs.p99', value: timeExitMs?.p99 ?? '-', unit: 'ms', bar: 1_500 },
      { label: 'timeExitMs.max', value: timeExitMs?.max ?? '-', unit: 'ms' },
      { label: 'events sent', value: eventsPerSecond, unit: '/s' },
      { label: 'answer to a call, p50', value: callMs?.p50 ?? '-', unit: 'ms' },
      { label: 'answer to a call, p99', value: callMs?.p99 ?? '-', unit: 'ms' },
      { label: 'changes measured, by events', value: changeMs?.count ?? 0 },
      { label: 'exits measured, by time', value: timeExitMs?.count ?? 0 },
      { label: 'changes expected in all', value: changes.expected },
      { label: 'changes arrived in all', value: changes.arrived },
      { label: 'sender late, p99', value: sender.lateMs?.p99 ?? '-', unit: 'ms' },
      { label: 'CPU of the sender', value: round(sender.cpuSeconds / plan.seconds, 2), unit: 'cores' },
      ...Object.entries(service ?? {}).map(([name, { cpuSeconds }]) => ({
        label: `CPU of ${name}`,
        value: round(cpuSeconds / plan.seconds, 2),
        unit: 'cores',
      })),
    ],
    figures: {
      changeMs,
      changeFromSendMs: distribution(comparison.fromSent),
      timeExitMs,
      timeEntryMs: distribution(comparison.timeEntries),
      callMs,
      eventsPerSecond,
      changes,
      sender,
      service,
    },
    faults,
  };
}

/** Veterans with their history, people that are known before their story, and that all evaluated. */
async function prepare(api: Api, plan: LoadPlan, cast: readonly Person[]): Promise<void> {
  const veterans = Array.from({ length: plan.veterans }, (_, n) => veteranId(plan.run, n));
  const profiles = [
    ...veterans.map((externalId, n) => ({ identifiers: { externalId }, ...propertiesOf(n) })),
    ...cast.flatMap(({ externalId, story }) =>
      story.known
        ? [
            {
              identifiers: { externalId },
              properties: { plan: story.known.plan },
              location: { country: story.known.country },
            },
          ]
        : [],
    ),
  ];
  const hourAgo = Date.now() - 3_600_000;
  const history = veterans.flatMap((externalId, n) =>
    VETERAN.map((action, i) => ({
      ...eventOf(externalId, action, `${plan.run}-history-${n}-${i}`, hourAgo - n * 100 - i * 60_000),
      backfill: true,
    })),
  );
  const receipts: string[] = [];
  for (const part of partsOf(profiles)) {
    const { profilesUpsert } = await api.request<{ profilesUpsert: { receipt: string } }>(
      'mutation Know($profiles: [ProfileInput!]!) { profilesUpsert(profiles: $profiles) { receipt } }',
      { profiles: part },
    );
    receipts.push(profilesUpsert.receipt);
  }
  // Who they are comes first: otherwise events and profiles would race to create them.
  for (const receipt of receipts.splice(0)) await waitUntilEvaluated(api, receipt);
  for (const events of partsOf(history)) {
    receipts.push((await api.request<SendAnswer>(SEND, { events })).eventsIngest.receipt);
  }
  for (const receipt of receipts) await waitUntilEvaluated(api, receipt);
}

function propertiesOf(n: number) {
  return {
    properties: { plan: n % 10 === 0 ? 'gold' : 'free' },
    location: { country: n % 3 === 0 ? 'DE' : 'FR' },
  };
}

function* partsOf<Item>(items: Item[]): Generator<Item[]> {
  for (let start = 0; start < items.length; start += ITEMS_PER_CALL) {
    yield items.slice(start, start + ITEMS_PER_CALL);
  }
}

const FLIPS = new Map(STORIES.map((story) => [story, flipsOf(story)]));

function expectedOf({ externalId, story, steps }: Person, load: LoadResult): ExpectedChange[] {
  return (FLIPS.get(story) ?? []).map(({ segment, kind, cause, step, delay }) => {
    const carrier = steps[step];
    if (!carrier) throw new Error(`step ${step} of ${externalId} was not sent`);
    const { time, sent, accepted } = carrier;
    const becomesTrue = sent + delay;
    return {
      profile: externalId,
      segment,
      kind,
      cause,
      exactAt: cause === 'TIME' ? time + delay : null,
      sent,
      accepted,
      // What only time brings counts as long as the load lasts, so that nothing is measured at rest.
      measured:
        becomesTrue >= load.warm && becomesTrue < (cause === 'TIME' ? load.ended : load.measuredUntil),
    };
  });
}

/** Until as many changes as expected are there, or the last one is overdue; then a moment for what must not come. */
async function arrivals(subscriber: Subscriber, expected: readonly ExpectedChange[]): Promise<void> {
  const last = Math.max(Date.now(), ...expected.map(({ exactAt }) => exactAt ?? 0));
  while (subscriber.changes.length < expected.length && subscriber.failure() === null) {
    if (Date.now() > last + PATIENCE_MS) return;
    await sleep(50);
  }
  await sleep(1_000);
}

/** Ids into the names that the expectations use. After the load: finding them out costs the server something. */
async function named(
  api: Api,
  changes: readonly Noted[],
  segments: readonly string[],
): Promise<ReceivedChange[]> {
  const keys = new Map(segments.map((id, i) => [id, SEGMENTS[i]?.key ?? id]));
  const people = new Map<string, string>();
  const ids = [...new Set(changes.map(({ profile }) => profile))];
  for (let start = 0; start < ids.length; start += 100) {
    const { nodes } = await api.request<{ nodes: ({ id: string; externalId: string } | null)[] }>(
      'query Who($ids: [ID!]!) { nodes(ids: $ids) { ... on Profile { id externalId } } }',
      { ids: ids.slice(start, start + 100) },
    );
    for (const node of nodes) if (node) people.set(node.id, node.externalId);
  }
  return changes.map(({ segment, profile, kind, cause, at, received, receivedAt }) => ({
    segment: keys.get(segment) ?? segment,
    profile: people.get(profile) ?? profile,
    kind,
    cause,
    at: Date.parse(at),
    received,
    receivedAt,
  }));
}

/** The sizes must be what they were, plus entries, minus exits. */
async function wrongCounts(
  api: Api,
  segments: string[],
  before: number[],
  expected: readonly ExpectedChange[],
): Promise<string[]> {
  const after = await countMembers(api, segments);
  return SEGMENTS.flatMap(({ key }, i) => {
    const own = expected.filter(({ segment }) => segment === key);
    const entered = own.filter(({ kind }) => kind === 'ENTERED').length;
    const should = (before[i] ?? 0) + 2 * entered - own.length;
    return after[i] === should ? [] : [`${key} has ${after[i]} members instead of ${should}`];
  });
}

/** The members that the segments must have once the history is in: exported for the tests. */
export function veteranMemberships(n: number, at: number): Set<string> {
  const { properties, location } = propertiesOf(n);
  const attributes = attributesOf({ known: { plan: properties.plan, country: location.country } } as Story);
  return membershipsOf(
    attributes,
    VETERAN.map((action, i) => factsOf(action, at - 3_600_000 - i * 60_000)),
    at,
  );
}
