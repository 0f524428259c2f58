/** The load: calls of a few events each, at a steady rate, from one sender that keeps its own timing. */
import type { Api } from '../lib/api.ts';
import { STORIES, VETERAN, type Action, type Story } from './stories.ts';

/** Someone with a story, and when each of its steps was sent. */
export interface Person {
  externalId: string;
  story: Story;
  steps: SentStep[];
}

export interface SentStep {
  /** The event's time: epoch milliseconds. */
  time: number;
  /** performance.now() before the call began. */
  sent: number;
  /** performance.now() when the answer that accepts it had been read. */
  accepted: number;
}

export interface LoadPlan {
  /** Makes ids unique, also on a server that has seen this benchmark before. */
  run: string;
  /** Events a second. */
  rate: number;
  warmUpSeconds: number;
  seconds: number;
  veterans: number;
}

/** How often a call leaves: a sender that collects for a moment, as real ones do. */
export const TICK_MS = 20;
/** How often somebody's story begins. */
export const STORY_EVERY_MS = 50;
/** Calls under way at once before the benchmark gives up: the server does not keep up. */
const MAX_CALLS = 150;

export const SEND = `mutation Send($events: [EventInput!]!) {
  eventsIngest(events: $events) { accepted receipt userErrors { index message } }
}`;

export interface SendAnswer {
  eventsIngest: { accepted: number; receipt: string; userErrors: { index: number; message: string }[] };
}

/** Who will have a story, in the order of their beginnings. */
export function castOf({ run, warmUpSeconds, seconds }: LoadPlan): Person[] {
  const count = Math.floor(((warmUpSeconds + seconds) * 1000) / STORY_EVERY_MS);
  return Array.from({ length: count }, (_, i) => {
    const story = STORIES[i % STORIES.length];
    if (!story) throw new Error('there are no stories');
    return { externalId: `${run}-person-${i}`, story, steps: [] };
  });
}

export function veteranId(run: string, n: number): string {
  return `${run}-veteran-${n}`;
}

export interface LoadResult {
  events: number;
  /** performance.now() at the beginning, at the end of the warm-up, of the measured time, and of all. */
  begun: number;
  warm: number;
  measuredUntil: number;
  ended: number;
  /** Milliseconds from a call's beginning to its answer, in the measured time. */
  callMs: number[];
  /** How much later than planned calls left, in the measured time: what the sender itself adds. */
  lateMs: number[];
}

/**
 * Sends until the last story has been told, which is a few seconds longer than what is measured, at the same rate
 * throughout. Fills in `steps` of the cast. `onPhase` is called at the ends of warm-up and measured time.
 */
export async function runLoad(
  api: Api,
  plan: LoadPlan,
  cast: readonly Person[],
  onPhase: (phase: 'warm' | 'measured') => void,
): Promise<LoadResult> {
  const schedule = scheduleOf(cast);
  const lastTick = Math.max(...schedule.keys());
  const begun = performance.now();
  const warm = begun + plan.warmUpSeconds * 1000;
  const measuredUntil = warm + plan.seconds * 1000;
  const result: LoadResult = { events: 0, begun, warm, measuredUntil, ended: 0, callMs: [], lateMs: [] };
  const background = backgroundOf(plan);
  const underWay = new Set<Promise<void>>();
  let failure: unknown = null;
  let waiting: Due[] = [];
  let phases: ('warm' | 'measured')[] = ['warm', 'measured'];

  for (let tick = 0; tick <= lastTick || waiting.length > 0; tick++) {
    const due = begun + tick * TICK_MS;
    await until(due);
    if (failure) throw failure instanceof Error ? failure : new Error('a call failed');
    if (underWay.size > MAX_CALLS)
      throw new Error(`the server does not keep up: ${underWay.size} calls are without an answer`);
    const sent = performance.now();
    if (phases[0] && sent >= (phases[0] === 'warm' ? warm : measuredUntil)) {
      onPhase(phases[0]);
      phases = phases.slice(1);
    }
    waiting.push(...(schedule.get(tick) ?? []));
    const room = sharesOf(plan.rate, tick);
    const steps = waiting.slice(0, room);
    waiting = waiting.slice(room);
    const call = send(steps, room, sent, due).catch((error: unknown) => void (failure ??= error));
    underWay.add(call);
    void call.then(() => underWay.delete(call));
  }
  result.ended = performance.now();
  await Promise.all(underWay);
  if (failure) throw failure instanceof Error ? failure : new Error('a call failed');
  return result;

  async function send(steps: Due[], room: number, sent: number, due: number): Promise<void> {
    const time = Date.now();
    const events = steps.map(({ person, step }) =>
      eventOf(person.externalId, person.story.steps[step], `${person.externalId}-${step}`, time),
    );
    while (events.length < room) events.push(background(time));
    result.events += events.length;
    const { eventsIngest } = await api.request<SendAnswer>(SEND, { events });
    const accepted = performance.now();
    if (eventsIngest.accepted !== events.length)
      throw new Error(`events were refused: ${eventsIngest.userErrors[0]?.message}`);
    for (const { person, step } of steps) person.steps[step] = { time, sent, accepted };
    if (sent >= warm && sent < measuredUntil) {
      result.callMs.push(accepted - sent);
      result.lateMs.push(sent - due);
    }
  }
}

interface Due {
  person: Person;
  step: number;
}

/** Which steps are due at which tick. */
function scheduleOf(cast: readonly Person[]): Map<number, Due[]> {
  const schedule = new Map<number, Due[]>();
  cast.forEach((person, i) => {
    person.story.steps.forEach(({ after }, step) => {
      const tick = Math.round((i * STORY_EVERY_MS + after) / TICK_MS);
      schedule.set(tick, [...(schedule.get(tick) ?? []), { person, step }]);
    });
  });
  return schedule;
}

/** How many events the tick carries, so that the rate holds over any second. */
export function sharesOf(rate: number, tick: number): number {
  const until = (n: number) => Math.floor((n * rate * TICK_MS) / 1000);
  return until(tick + 1) - until(tick);
}

/** Veterans do, one after the other, what they have always done. */
function backgroundOf({ run, veterans }: LoadPlan): (time: number) => EventInput {
  let n = 0;
  return (time) => {
    n += 1;
    const action = VETERAN[n % VETERAN.length];
    // Neighbours in time are strangers: a stride that shares no factor with the number of veterans.
    return eventOf(veteranId(run, (n * 7_919) % veterans), action, `${run}-background-${n}`, time);
  };
}

export interface EventInput {
  uniqueId: string;
  metric: string;
  profile: { externalId: string };
  time: string;
  value?: number;
  properties?: Record<string, unknown>;
  backfill?: boolean;
}

export function eventOf(
  externalId: string,
  action: Action | undefined,
  uniqueId: string,
  time: number,
): EventInput {
  if (!action) throw new Error('there is nothing to do');
  const { metric, value, properties } = action;
  return {
    uniqueId,
    metric,
    profile: { externalId },
    time: new Date(time).toISOString(),
    ...(value === undefined ? {} : { value }),
    ...(properties ? { properties } : {}),
  };
}

/** A timer alone drifts, and never fires before its time: what is late is made up for at once. */
async function until(instant: number): Promise<void> {
  const ms = instant - performance.now();
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}
