/**
 * `evaluate`: what an evaluator does with changed profiles, by its own code in this process: 500 criteria for batches of
 * them, and what one event asks of one profile of which nothing is known in memory.
 */
import { evaluateSubjects } from '../../src/evaluation/changed-profiles.ts';
import { createKnownProfiles } from '../../src/evaluation/known-profiles.ts';
import { usesOf } from '../../src/evaluation/uses.ts';
import type { Criterion } from '../../src/segments/ast.ts';
import { criteriaOf, criterionKey, normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { metricsOf } from '../../src/segments/touch.ts';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { describeMachine } from '../lib/machine.ts';
import type { Outcome } from '../lib/report.ts';
import { distribution, median, round } from '../lib/stats.ts';
import { warmMsOf } from './ask.ts';
import { consent, event, trait, type Asked } from './conditions.ts';
import type { ScaleOptions } from './create.ts';
import { makeScaleData, SHOP, type ScaleAccount } from './data.ts';
import { withRig, type Rig } from './rig.ts';

const BATCHES = [1, 100, 1_000, 10_000, 20_000];
const SINGLE_CHANGES = 200;
const SINGLE_METRIC = 'Viewed Product';

/** All data are in ClickHouse. */
const NOTHING_AHEAD = { stored: () => Promise.resolve(), about: () => [] };

export async function runEvaluate({ runs, ...size }: ScaleOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withRig(async (rig) => {
    console.log(`Making ${size.profiles} profiles and ${size.events} events …`);
    const owner = await makeScaleData(
      rig,
      rig.account,
      { ...size, ...SHOP, mergesHistories: true },
      rig.folder,
    );
    const { faults, ...figures } = await measureEvaluation(rig, owner, size.profiles, {
      batches: BATCHES,
      runs,
      singles: SINGLE_CHANGES,
    });
    return {
      name: 'evaluate',
      machine,
      parameters: { ...size, runs, rows: owner.events, criteria: figures.criteria },
      lines: [
        {
          label: 'evaluationsPerSecond',
          value: figures.evaluationsPerSecond,
          unit: '/s, at least 5,000,000',
        },
        ...figures.batches.map(({ profiles, ms }) => ({
          label: `${figures.criteria} criteria, ${profiles} profiles`,
          value: ms,
          unit: 'ms',
        })),
        { label: 'singleChangeMs.p50', value: figures.singleChangeMs?.p50 ?? '-', unit: 'ms', bar: 30 },
        { label: 'singleChangeMs.p99', value: figures.singleChangeMs?.p99 ?? '-', unit: 'ms' },
      ],
      figures,
      faults,
    };
  });
}

export async function measureEvaluation(
  rig: Rig,
  owner: ScaleAccount,
  profiles: number,
  plan: { batches: readonly number[]; runs: number; singles: number },
) {
  const asked = fiveHundred(owner);
  const criteria = asked.map(criterionOf);
  const keys = criteria.map(criterionKey);
  const scope = { account: rig.account, metrics: owner.metrics, timeZone: 'UTC' };
  const subjectsOf = (numbers: readonly number[]) =>
    numbers.map((profile) => ({ profile, instant: owner.now }));
  // A stride that is prime to every round number: everywhere, and never the same ones again.
  let last = 0;
  const somebody = () => (last = (last + 7_368_787) % profiles) + 1;
  const some = (count: number) => Array.from({ length: Math.min(count, profiles) }, somebody);

  const batches: { profiles: number; ms: number; evaluationsPerSecond: number }[] = [];
  for (const size of plan.batches) {
    const times = await warmMsOf(1, plan.runs, async () => {
      const subjects = subjectsOf(some(size));
      const truths = await evaluateSubjects(rig.clickhouse, scope, subjects, criteria);
      // An evaluation that nobody can look up is none.
      for (const subject of subjects) for (const key of keys) truths(subject, key);
    });
    const ms = median(times);
    const evaluationsPerSecond = Math.round((Math.min(size, profiles) * criteria.length) / (ms / 1000));
    batches.push({ profiles: Math.min(size, profiles), ms: round(ms, 1), evaluationsPerSecond });
    console.log(`${size} profiles: ${round(ms, 1)} ms`);
  }

  // What an event of the metric can touch, as the inverted index says.
  const touched = criteria.filter((criterion) => metricsOf(criterion).includes(SINGLE_METRIC));
  const known = createKnownProfiles(rig);
  known.use(rig.account, usesOf(criteria), profiles + 1);
  const singles = await warmMsOf(5, plan.singles, () =>
    known.evaluate(
      [{ scope, subjects: subjectsOf(some(1)), criteria: touched, questions: touched.length }],
      NOTHING_AHEAD,
    ),
  );

  return {
    criteria: criteria.length,
    batches,
    evaluationsPerSecond: Math.max(...batches.map((batch) => batch.evaluationsPerSecond)),
    singleChangeMs: distribution(singles),
    singleChangeCriteria: touched.length,
    faults: await wrongTruths(rig, scope, asked, subjectsOf(some(1_000))),
  };
}

/** Every twentieth criterion against plain SQL. */
async function wrongTruths(
  rig: Rig,
  scope: Parameters<typeof evaluateSubjects>[1],
  asked: readonly Asked[],
  subjects: { profile: number; instant: number }[],
): Promise<string[]> {
  const faults: string[] = [];
  const checked = asked.filter((_, i) => i % 20 === 0);
  const truths = await evaluateSubjects(rig.clickhouse, scope, subjects, checked.map(criterionOf));
  const numbers = subjects.map(({ profile }) => profile);
  for (const one of checked) {
    const rows = await query<{ profile: number }>(
      rig.clickhouse,
      `SELECT DISTINCT profile FROM (${one.sql}) WHERE profile IN {numbers:Array(UInt32)}`,
      { numbers },
    );
    const plain = new Set(rows.map(({ profile }) => profile));
    const key = criterionKey(criterionOf(one));
    const wrong = subjects.filter((subject) => truths(subject, key) !== plain.has(subject.profile)).length;
    if (wrong > 0) faults.push(`${JSON.stringify(one.condition)}: ${wrong} of ${subjects.length} profiles`);
  }
  return faults;
}

function criterionOf({ condition }: Asked): Criterion {
  const parsed = parseCondition(condition);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join('; '));
  const [criterion, ...more] = criteriaOf(normalise(parsed.condition));
  if (!criterion || more.length > 0) throw new Error('not one criterion');
  return criterion;
}

/** Counts of four metrics over ten windows, sums, categories, properties and a consent. */
function fiveHundred(owner: ScaleAccount): Asked[] {
  const windows = [1, 3, 7, 14, 21, 30, 45, 60, 75, 89];
  const counts = [...owner.metrics.keys()].flatMap((metric) =>
    windows.flatMap((days) => [1, 2, 3, 5, 10, 20].map((atLeast) => event(owner, metric, { days, atLeast }))),
  );
  const order = 'Placed Order';
  const sums = windows.flatMap((days) =>
    [20, 50, 75, 100, 150, 200, 250, 300, 400, 500].map((sum) => event(owner, order, { days, sum })),
  );
  const categories = windows.flatMap((days) =>
    ['shoes', 'shirts', 'hats', 'bags'].flatMap((category) =>
      [1, 2].map((atLeast) => event(owner, order, { days, category, atLeast })),
    ),
  );
  const texts = [
    ...['free', 'basic', 'plus', 'pro'].map((plan) => trait(owner, 'properties.plan', 'text', plan)),
    ...['US', 'DE', 'GB', 'FR', 'NL', 'CA', 'AU', 'ES', 'IT', 'JP', 'BR'].map((country) =>
      trait(owner, 'location.country', 'text', country),
    ),
    consent(owner, 'SUBSCRIBED'),
  ];
  const points = Array.from({ length: 64 }, (_, i) =>
    trait(owner, 'properties.points', 'number', (i + 1) * 150),
  );
  return [...counts, ...sums, ...categories, ...texts, ...points];
}
