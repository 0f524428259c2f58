import { afterAll, beforeAll, expect, test } from 'vitest';
import { metrics } from '../../src/runtime/metrics.ts';
import { useEngines } from '../support/engines.ts';
import { describeCoverage, REFERENCES, type Coverage } from './coverage.ts';
import { runScript } from './pipeline.ts';
import { openWorld, START, type World } from './world.ts';

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());

/** All remainders of 6, of which each has kinds of its own for certain. The last ones are about sequences. */
const SEEDS = [1, 2, 3, 5, 10, 12, 100, 101];
const coverage: Coverage = new Map();
const COUNTED = [
  ...(['steps', 'cases', 'changes', 'timeChanges', 'consentChanges', 'trendChanges'] as const),
  ...(['segmentChanges', 'segmentEvents', 'segmentTimes'] as const),
];
const total = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<
  (typeof COUNTED)[number],
  number
>;

test.each(SEEDS)(
  'reference, audience, members, log and subscription agree after every step (seed %i)',
  async (seed) => {
    const result = await runScript(world, seed, 50, coverage);
    for (const name of COUNTED) total[name] += result[name];
  },
  120_000,
);

test('the scripts have brought about entries and exits, by time alone, by consents and by other segments as well', () => {
  console.log(
    `pipeline: ${total.steps} steps, ${total.cases} cases, ${total.changes} entries and exits, ` +
      `${total.timeChanges} of them by time alone, ${total.consentChanges} by consents, ` +
      `${total.trendChanges} by time over predictions, ${total.segmentChanges} ` +
      `by other segments (${total.segmentEvents} by events, ${total.segmentTimes} by time); covered: ${describeCoverage(coverage)}`,
  );
  expect(total.cases).toBeGreaterThan(3_000);
  expect(total.changes).toBeGreaterThan(100);
  expect(total.timeChanges).toBeGreaterThan(20);
  expect(total.consentChanges).toBeGreaterThan(2);
  expect(total.trendChanges).toBeGreaterThan(0);
  expect(REFERENCES.filter((part) => !coverage.has(part))).toEqual([]);
  expect(total.segmentChanges).toBeGreaterThan(20);
  expect(total.segmentEvents).toBeGreaterThan(2);
  expect(total.segmentTimes).toBeGreaterThan(2);
});

/** It has not found anything wrong either: of that the scripts would have heard as a warning. */
test('the audit has compared members with what they should be all the time', async () => {
  const { values } = await metrics.audits.get();
  const outcomes = Object.fromEntries(values.map(({ labels, value }) => [String(labels.outcome), value]));
  console.log(`audits: ${JSON.stringify(outcomes)}`);
  expect(outcomes['agreed']).toBeGreaterThan(50);
  expect(outcomes['drift'] ?? 0).toBe(0);
});
