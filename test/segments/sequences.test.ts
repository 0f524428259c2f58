import { expect, test } from 'vitest';
import type { EventFacts, SequenceCriterion, SequenceStep } from '../../src/segments/ast.ts';
import { linksOf, sequenceHolds } from '../../src/segments/sequences.ts';
import { seededRandom } from '../comparison/random.ts';
import { randomPattern } from '../comparison/sequences.ts';

/** What the documentation says, tried with every choice of events. */
function isThere({ steps, completeWithinMs }: SequenceCriterion, all: readonly EventFacts[], at: number) {
  const events = all.filter(({ time }) => time <= at);
  const { links, after } = linksOf(steps);
  const isBroken = (unless: readonly SequenceStep[], from: number, to: number) =>
    events.some(
      ({ time, metric }) => from < time && time < to && unless.some((step) => step.metric === metric),
    );
  const choices = (before: readonly number[]): number[][] => {
    const link = links[before.length];
    if (!link) return [[...before]];
    const last = before.at(-1) ?? -Infinity;
    return events
      .filter(({ time, metric }) => time > last && metric === link.step.metric)
      .filter(({ time }) => !isBroken(link.unless, last, time))
      .flatMap(({ time }) => choices([...before, time]));
  };
  return choices([]).some((times) => {
    const [first = 0, last = 0] = [times[0], times.at(-1)];
    if (completeWithinMs === null) return !isBroken(after, last, Infinity);
    const deadline = first + completeWithinMs;
    if (last > deadline) return false;
    return after.length === 0 || (at >= deadline && !isBroken(after, last, deadline + 1));
  });
}

test('a sequence holds exactly if some choice of events satisfies all that is said of it', () => {
  const random = seededRandom(7);
  const answers = { true: 0, false: 0 };
  for (let i = 0; i < 6_000; i += 1) {
    const events = Array.from({ length: random.between(1, 12) }, () => ({
      metric: random.pick(['A', 'B', 'C']),
      time: random.between(0, 12),
      value: null,
      properties: new Map(),
    }));
    const criterion: SequenceCriterion = {
      kind: 'sequence',
      steps: [...randomPattern(random)].map((letter) => ({
        metric: random.pick(['A', 'B', 'C']),
        where: [],
        negate: letter === 'n',
      })),
      completeWithinMs: random.chance(0.6) ? random.between(1, 8) : null,
      within: null,
    };
    const at = random.between(6, 22);
    const expected = isThere(criterion, events, at);
    answers[`${expected}`] += 1;
    const shown = JSON.stringify({ criterion, events, at });
    expect(sequenceHolds(criterion, events, { at, timeZone: 'UTC' }), shown).toBe(expected);
  }
  expect(Math.min(answers.true, answers.false)).toBeGreaterThan(1_000);
});
