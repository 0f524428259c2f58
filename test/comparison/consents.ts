/** Consents and conditions on them, at random; and which one counts, slow and obvious. */
import type { ConsentInput } from '../../src/ingest/validate.ts';
import type { Channel, ConsentFacts } from '../../src/segments/ast.ts';
import { everyWindow } from './dates.ts';
import type { Json } from './generate.ts';
import type { Random } from './random.ts';

export const CHANNELS = ['EMAIL', 'SMS', 'PUSH'] as const;
/** The later ones count more, of two of the same instant. */
const STATUSES = ['SUBSCRIBED', 'NEVER_SUBSCRIBED', 'UNSUBSCRIBED'] as const;
const SOURCES = ['form', 'Form', 'import', "'); --", 'ä 😀'];

export interface Told extends ConsentFacts {
  channel: Channel;
}

export function randomConsent(random: Random, time: number): Told {
  return {
    channel: random.pick(CHANNELS),
    status: random.pick(STATUSES),
    time,
    source: random.chance(0.6) ? random.pick(SOURCES) : null,
  };
}

/** A ConsentConditionInput, valid. */
export function randomConsentCondition(random: Random, window: () => Json): Json {
  const maybe = (chance: number, key: string, value: () => unknown) =>
    random.chance(chance) ? { [key]: value() } : {};
  const parts = {
    ...maybe(0.4, 'status', () => random.shuffle(STATUSES).slice(0, random.between(1, 3))),
    ...maybe(0.2, 'canReceive', () => random.chance(0.5)),
    ...maybe(0.5, 'since', window),
    ...maybe(0.3, 'source', () =>
      random.pick<Json>([
        { equals: random.pick(SOURCES) },
        { notIn: ['form', 'import'] },
        { startsWith: 'f' },
        { notMatches: 'o' },
      ]),
    ),
  };
  const says = Object.keys(parts).length > 0 ? parts : { canReceive: random.chance(0.5) };
  return { channel: random.pick(CHANNELS), ...says };
}

/** One condition of every way in which consents can be asked about. */
export function everyConsentCondition(random: Random, window: () => Json): Json[] {
  return [
    ...CHANNELS.map((channel) => ({ ...randomConsentCondition(random, window), channel })),
    ...everyWindow(window).map((since) => ({ channel: random.pick(CHANNELS), since })),
    ...[true, false].map((canReceive) => ({ channel: random.pick(CHANNELS), canReceive })),
    { channel: random.pick(CHANNELS), status: [random.pick(STATUSES)] },
    { channel: random.pick(CHANNELS), source: { equals: random.pick(SOURCES) } },
  ].map((consent) => ({ consent }));
}

/** What counts of all that was ever told of one profile, in whatever order. */
export function newestOf(told: readonly Told[]): Map<Channel, ConsentFacts> {
  const rank = ({ status, source }: Told) => `${STATUSES.indexOf(status)}${source ?? ''}`;
  const inOrder = [...told].sort((a, b) => a.time - b.time || (rank(a) < rank(b) ? -1 : 1));
  return new Map(inOrder.map(({ channel, status, time, source }) => [channel, { status, time, source }]));
}

/** As it is told of someone through the API. */
export function consentInput(told: Told, identifiers: ConsentInput['identifiers']): ConsentInput {
  const { time, source, ...said } = told;
  return { identifiers, ...said, at: time, ...(source !== null && { source }) };
}
