/** Conditions that random ones are too few to contain for certain. */
import { CHANNELS } from './consents.ts';
import { EVENT_TIME } from './dates.ts';
import {
  LIST_PARTS,
  MEASURES,
  OPS,
  randomEventCondition,
  randomNumberFilter,
  randomTextFilter,
  sequenceMakers,
  TEXT_OPS,
  type Json,
} from './generate.ts';
import { LIST_OPS, PROFILE_LEAVES, randomListFilter, randomProfileLeaf } from './generate-profile.ts';
import type { Random } from './random.ts';
import { randomSequence } from './sequences.ts';
import { ELEMENTS, METRICS } from './vocabulary.ts';

/** What six seeds in a row have for certain, whatever they draw: each comparison of measures and lists. */
export function certainComparisons(random: Random, instants: readonly number[], seed: number): Json[] {
  const measures = MEASURES.flatMap((kind) =>
    OPS.map((op) => () => ({ event: randomEventCondition(random, instants, kind, op) })),
  );
  const lengths = OPS.map((op) => () => ({
    event: {
      metric: random.pick(METRICS),
      where: [{ path: 'tags', filter: { list: { length: randomNumberFilter(random, [0, 1, 2, 3], op) } } }],
    },
  }));
  const elements = (['someElement', 'noElement'] as const).flatMap((list) =>
    TEXT_OPS.flatMap((op) =>
      [false, true].flatMap((not) => {
        const filter = () => ({ list: { [list]: randomTextFilter(random, ELEMENTS, op, not) } });
        const where = () => ({ metric: random.pick(METRICS), where: [{ path: 'tags', filter: filter() }] });
        return [
          () => ({ property: { path: 'properties.tags', filter: filter() } }),
          () => (random.chance(0.5) ? { event: where() } : { sequence: { steps: [where(), where()] } }),
        ];
      }),
    ),
  );
  const lists = LIST_OPS.map((op) => () => ({
    property: { path: 'properties.tags', filter: { list: randomListFilter(random, LIST_PARTS, op) } },
  }));
  const fixed = [true, false].flatMap((is) =>
    [{ exists: is }, { boolean: is }].map((filter) => () => ({
      property: { path: 'properties.gift', filter },
    })),
  );
  return shareOf([...measures, ...lengths, ...elements, ...lists, ...fixed], seed);
}

/** Seeds from here on are about sequences. */
const SEQUENCE_SEEDS = 100;

/** What six seeds in a row have for certain: one condition of each kind. */
export function certainKinds(random: Random, instants: readonly number[], seed: number): Json[] {
  if (seed >= SEQUENCE_SEEDS) {
    return ['yy', 'yn', 'yny', 'nyy', 'yyn', 'yn'].map((pattern, i) => ({
      sequence: {
        ...randomSequence(random, sequenceMakers(random, instants), pattern, i % 2 === 1),
        // Time has something to change.
        within: { last: random.pick(['PT1H', 'P7D', 'P30D']) },
      },
    }));
  }
  const list = () => ({ list: randomListFilter(random, LIST_PARTS) });
  const measures = MEASURES.map((kind) => () => ({ event: randomEventCondition(random, instants, kind) }));
  const leaves = PROFILE_LEAVES.map((kind) => () => randomProfileLeaf(random, randomNumberFilter, kind));
  const lists = [
    () => ({ event: { metric: random.pick(METRICS), where: [{ path: 'tags', filter: list() }] } }),
    () => ({ property: { path: 'properties.tags', filter: list() } }),
  ];
  const thisMonth = { date: { anniversary: { thisMonth: true } } };
  const anniversary = { date: { anniversary: { next: 30 } } };
  const dates = [
    () => ({ property: { path: 'properties.due', filter: thisMonth } }),
    () => ({ event: { metric: random.pick(METRICS), where: [{ path: EVENT_TIME, filter: anniversary }] } }),
  ];
  const consents = CHANNELS.flatMap((channel) => [
    () => ({ consent: { channel, status: ['SUBSCRIBED'] } }),
    () => ({ consent: { channel, canReceive: true } }),
  ]);
  // In every seed, since it seldom turns.
  const by = seed % 2 === 0 ? 0.2 : -0.2;
  const change = { prediction: { dimension: 'CHURN_RISK', change: { by, within: 'P1D' } } };
  return [change, ...shareOf([...measures, ...leaves, ...lists, ...dates, ...consents], seed)];
}

function shareOf(makers: readonly (() => Json)[], seed: number): Json[] {
  return makers.filter((_, i) => i % 6 === seed % 6).map((make) => make());
}
