/**
 * Somebody who sends all the time, repeats whatever got no answer, and remembers what was accepted. Everything is made
 * so that its meaning does not depend on which stream is faster: what decides anything travels in one stream, and of an
 * account that is spread over partitions in one of them.
 */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { createSegment, deleteSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import type { EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { createModel, type Model } from '../comparison/model.ts';
import type { Random } from '../comparison/random.ts';

export interface Traffic {
  model: Model;
  /** What each living segment asks for. */
  segments: Map<number, unknown>;
  /** Sends until the work is done. */
  during(work: () => Promise<void>): Promise<void>;
}

const SECOND = 1_000;
const DAY = 86_400_000;
const PEOPLE = 60;
const METRICS = ['Placed Order', 'Viewed Product', 'Something Else'];

const event = (metric: string, rest: object) => ({ event: { metric, ...rest } });
const CONDITIONS: unknown[] = [
  event('Placed Order', { within: { last: 'PT2S' } }),
  event('Placed Order', { is: { atLeast: 2 }, within: { last: 'P1D' } }),
  event('Viewed Product', { is: { lessThan: 1 }, within: { last: 'PT3S' } }),
  {
    any: [
      event('Placed Order', { is: { equals: 1 }, within: { moreThanAgo: 'PT2S' } }),
      { property: { path: 'properties.tier', filter: { text: { equals: 'gold' } } } },
    ],
  },
  event('Placed Order', { measure: { sum: '$value' }, is: { atLeast: 30 } }),
  { not: event('Something Else', { is: { atLeast: 3 } }) },
  {
    all: [
      event('Viewed Product', { is: { atLeast: 2 }, within: { ago: { from: 'P1D', to: 'PT1S' } } }),
      { property: { path: 'properties.tier', filter: { exists: true } } },
    ],
  },
];

export async function startTraffic(
  deps: { log: Log; mysql: MySql },
  account: number,
  random: Random,
  /** The account has more than one chunk. */
  isSpread: boolean,
): Promise<Traffic> {
  const model = createModel();
  const segments = new Map<number, unknown>();
  const sent: EventInput[] = [];
  const accepting = { ...deps, clock: systemClock };
  let serial = 0;

  /** An engine that is away comes back: the same again, until there is an answer. */
  async function insist<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (attempt === 200) throw error;
        await sleep(50);
      }
    }
  }

  function someEvent(): EventInput {
    const again = sent.at(-random.between(1, 50));
    if (again && random.chance(0.2)) return again;
    const now = Date.now();
    const person = random.between(1, PEOPLE);
    return {
      uniqueId: `event ${serial++}`,
      metric: random.pick(METRICS),
      profile: random.chance(0.7) ? { externalId: `p${person}` } : { email: `e${person}@x.com` },
      time: random.pick([
        now,
        now,
        // About to cross an edge, and still to come.
        now - DAY + random.between(0, 3 * SECOND),
        now - 2 * SECOND + random.between(0, SECOND),
        now + random.between(0, 2 * SECOND),
      ]),
      value: random.between(1, 9),
    };
  }

  function someWrite(): ProfileInput {
    const person = random.between(1, PEOPLE);
    const email = (of: number) => `e${of}@x.com`;
    const identifiers: ProfileInput['identifiers'] = random.chance(0.25)
      ? { externalId: `p${person}`, email: email(isSpread ? person : random.between(1, PEOPLE)) }
      : random.chance(0.5)
        ? { externalId: `p${person}` }
        : { email: email(person) };
    const tier = random.pick(['gold', 'silver', null]);
    const properties = {
      // Of one person by one identifier, whose writes lie in one partition.
      ...((identifiers.externalId || !isSpread) && { tier }),
      [`n${random.between(1, 3)}`]: random.between(1, 9),
    };
    return { identifiers, properties };
  }

  async function sendEvents(): Promise<void> {
    const inputs = Array.from({ length: random.between(1, 8) }, someEvent);
    const { accepted } = await insist(() => acceptEvents(accepting, account, inputs));
    assert.equal(accepted, inputs.length);
    model.events(inputs, 0);
    sent.push(...inputs);
  }

  async function sendWrites(): Promise<void> {
    // One by one: united identifiers within one batch would make the order of its parts matter.
    const inputs = [someWrite()];
    const { accepted } = await insist(() => acceptProfiles(accepting, account, inputs));
    assert.equal(accepted, inputs.length);
    model.profiles(inputs, 0);
  }

  async function createOne(): Promise<void> {
    const condition = random.pick(CONDITIONS);
    const made = await insist(() => createSegment(accepting, account, { name: 'faults', condition }));
    assert('segment' in made);
    segments.set(made.segment, condition);
  }

  async function change(): Promise<void> {
    const segment = random.pick([...segments.keys()]);
    if (segments.size < 6) return createOne();
    if (random.chance(0.3)) {
      await insist(() => deleteSegment(accepting, account, segment));
      segments.delete(segment);
      return;
    }
    const condition = random.pick(CONDITIONS);
    await insist(() => updateSegment(accepting, account, segment, { condition }));
    segments.set(segment, condition);
  }

  for (let i = 0; i < CONDITIONS.length; i++) await createOne();
  return {
    model,
    segments,
    async during(work) {
      let busy = true;
      const working = work().finally(() => (busy = false));
      while (busy) {
        const dice = random.between(1, 100);
        if (dice <= 75) await sendEvents();
        else if (dice <= 97) await sendWrites();
        else await change();
        await sleep(random.between(0, 40));
      }
      await working;
    },
  };
}
