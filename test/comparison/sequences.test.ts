/** Sequences over crowded histories: few metrics, few different times, so that every kind of chain is there or nearly. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectMembers } from '../../src/evaluation/all-profiles.ts';
import { evaluateSubjects } from '../../src/evaluation/changed-profiles.ts';
import { eventKey, eventLine, profileLine, uuidOf } from '../../src/ingest/rows.ts';
import { openClickHouse } from '../../src/service.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { criterionKey, evaluate, flatten, normalise, parseCondition } from '../../src/segments/index.ts';
import type { Condition, SequenceCriterion } from '../../src/segments/ast.ts';
import { insertLines, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { useEngines } from '../support/engines.ts';
import { seededRandom } from './random.ts';
import { everySequence, randomSequence } from './sequences.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
});
afterAll(() => clickhouse.close());

const METRICS = ['A', 'B', 'C'];
const ids = new Map(METRICS.map((name, i) => [name, i + 1]));
const PROFILES = 150;
/** Numbers of profiles on both sides of the borders of blocks (256, 4,096) and chunks, and of a sign (32,768). */
const NUMBERS = Array.from(
  { length: PROFILES },
  (_, i) => ([240, 4_080, 32_750, 65_520][i % 4] ?? 0) + (i >> 2),
);
const numberOf = (place: number) => NUMBERS[place] ?? 0;
const START = Date.parse('2026-03-01T00:00:00Z');
const TICK = 500;
const LENGTHS = ['PT1S', 'PT1.5S', 'PT2S', 'PT3S', 'PT4S', 'PT3.999S'];

test.each([1, 2, 3])(
  'crowded histories: the reference and both scopes agree on sequences (seed %i)',
  async (account) => {
    const random = seededRandom(account);
    const events = Array.from({ length: PROFILES }, () =>
      Array.from({ length: random.between(0, 14) }, () => ({
        metric: random.pick(METRICS),
        time: START + random.between(0, 14) * TICK,
        value: random.between(1, 3),
        properties: new Map(),
      })),
    );
    await write(account, events);
    const makers = {
      metric: () => random.pick(METRICS),
      where: () =>
        random.pick([
          { path: '$value', filter: { number: { atLeast: random.between(1, 3) } } },
          { path: '$time', filter: { date: { within: { last: random.pick(LENGTHS) } } } },
          { path: '$time', filter: { date: { within: { moreThanAgo: random.pick(LENGTHS) } } } },
        ]),
      window: () => {
        const shorter = random.pick(['PT0S', 'PT1S']);
        return random.pick<object>([
          { last: random.pick(LENGTHS) },
          { moreThanAgo: 'PT1S' },
          { ago: { from: 'PT4S', to: shorter } },
          { dates: { from: new Date(START + 2 * TICK).toISOString() } },
          { calendar: 'TODAY' },
        ]) as Record<string, unknown>;
      },
      length: () => random.pick(LENGTHS),
    };
    const inputs = [
      ...everySequence(random, makers, []),
      ...Array.from({ length: 60 }, () => ({ sequence: randomSequence(random, makers) })),
    ];
    const conditions = inputs.map((input): Condition => {
      const parsed = parseCondition(input);
      assert(parsed.ok, JSON.stringify(input));
      return parsed.condition;
    });
    const instants = [8, 13, 16, 20].map((tick) => START + tick * TICK + random.between(-1, 1));
    const scope = { account, metrics: ids, timeZone: 'UTC' };
    const criteria = conditions.map((condition): SequenceCriterion => {
      const normal = normalise(condition);
      assert(normal.kind === 'sequence');
      return normal;
    });
    const subjects = instants.flatMap((instant) => NUMBERS.map((profile) => ({ profile, instant })));
    const [mixed, ...single] = await Promise.all([
      evaluateSubjects(clickhouse, scope, subjects, criteria),
      ...instants.map((at) =>
        evaluateSubjects(
          clickhouse,
          scope,
          subjects.filter(({ instant }) => instant === at),
          criteria,
        ),
      ),
    ]);
    let [cases, trues] = [0, 0];
    for (const criterion of criteria) {
      for (const [k, instant] of instants.entries()) {
        const { sql, parameters } = selectMembers(criterion, {
          ...scope,
          at: instant,
          chunks: null,
        });
        const rows = await query<{ chunk: number; lows: number[] }>(
          clickhouse,
          `SELECT chunk, bitmapToArray(members) AS lows FROM (${sql})`,
          parameters.values,
        );
        const members = new Set(rows.flatMap(({ chunk, lows }) => lows.map((low) => chunk * 65_536 + low)));
        const key = criterionKey(criterion);
        for (const [place, history] of events.entries()) {
          const profile = numberOf(place);
          const expected = evaluate(criterion, profileFacts({ events: history }), instant);
          const said = [
            members.has(profile),
            mixed({ profile, instant }, key),
            single[k]?.({ profile, instant }, key),
          ];
          cases += 1;
          if (expected) trues += 1;
          if (said.some((one) => one !== expected)) {
            const shown = history
              .map(({ metric, time, value }) => `${metric}${value}@${(time - START) / TICK}`)
              .join(' ');
            assert.fail(
              `${String(said)} instead of ${expected} for ${JSON.stringify(criterion)} at ${(instant - START) / TICK}: ${shown}`,
            );
          }
        }
      }
    }
    expect(trues / cases).toBeGreaterThan(0.1);
    expect(trues / cases).toBeLessThan(0.9);
  },
  120_000,
);

type History = { metric: string; time: number; value: number }[];

async function write(account: number, histories: readonly History[]): Promise<void> {
  const lines = histories.flatMap((history, place) => {
    const profile = numberOf(place);
    return history.map(({ metric, time, value }, i) => {
      const uniqueId = `${profile}:${i}`;
      const record = {
        kind: 'event' as const,
        account,
        arrivedAt: time,
        uniqueId,
        metric,
        identifiers: { externalId: `${profile}` },
        time,
        value,
        currency: null,
        properties: {},
        backfill: false,
      };
      const numbers = { event: uuidOf(eventKey(uniqueId)), metric: ids.get(metric) ?? 0, profile };
      return eventLine(record, numbers, flatten({}));
    });
  });
  await insertLines(clickhouse, 'events', lines, `sequences:${account}`);
  const profiles = histories.map((_, place) => profileLine(account, numberOf(place), 1, true));
  await insertLines(clickhouse, 'profiles', profiles, `sequences:profiles:${account}`);
}
