/** `counts`: how fast sizes, overlaps and a draft with one new condition are answered. */
import { describeMachine } from '../lib/machine.ts';
import type { Outcome } from '../lib/report.ts';
import { percentile, round } from '../lib/stats.ts';
import { createUntilLive, warmMsOf } from './ask.ts';
import { all, event, plainCount, trait, type Asked } from './conditions.ts';
import type { ScaleOptions } from './create.ts';
import { makeScaleData, SHOP, type ScaleAccount } from './data.ts';
import { withRig, type Rig } from './rig.ts';

export async function runCounts({ runs, ...size }: ScaleOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: true });
  return withRig(async (rig) => {
    console.log(`Making ${size.profiles} profiles and ${size.events} events …`);
    const owner = await makeScaleData(rig, rig.account, { ...size, ...SHOP }, rig.folder);
    const { faults, ...figures } = await measureCounts(rig, owner, runs);
    return {
      name: 'counts',
      machine,
      parameters: { ...size, runs, rows: owner.events },
      lines: [
        { label: 'countMs.p95', value: figures.countMs.p95, unit: 'ms', bar: 20 },
        { label: 'overlapMs.p95', value: figures.overlapMs.p95, unit: 'ms', bar: 100 },
        { label: 'draftMs.p95', value: figures.draftMs.p95, unit: 'ms', bar: 400 },
      ],
      figures,
      faults,
    };
  });
}

const COUNT = 'query Count($id: ID!) { segment(id: $id) { count } }';
const OVERLAP = 'query Overlap($ids: [ID!]!) { segmentOverlap(segments: $ids) { count segments { id } } }';
const DRAFT = 'query Draft($where: ConditionInput) { audience(where: $where) { count } }';

const COUNTS_PER_RUN = 5;

/** What a front end asks while somebody looks at it, through the API, one after the other. */
export async function measureCounts(rig: Rig, owner: ScaleAccount, runs: number) {
  const { api } = rig;
  const faults: string[] = [];
  const expected = async (name: string, asked: Asked, count: number) => {
    const plain = await plainCount(rig, asked);
    if (count !== plain) faults.push(`${name}: ${count}, by plain SQL ${plain}`);
  };
  const asked = [
    event(owner, 'Viewed Product', { days: 30 }),
    event(owner, 'Opened Email', { days: 30, atLeast: 2 }),
    trait(owner, 'properties.plan', 'text', 'pro'),
  ];
  const ids: string[] = [];
  for (const [i, { condition }] of asked.entries()) {
    ids.push((await createUntilLive(api, `counted ${i}`, condition)).id);
  }
  let count = 0;
  // The first question of each kind finds code and caches cold, and is not counted. A count takes so little that a few of
  // them would all lie in the second behind the creations, in which ClickHouse merges what these have stored.
  const countMs = await warmMsOf(ids.length, COUNTS_PER_RUN * runs, async (run) => {
    const { segment } = await api.request<{ segment: { count: number } }>(COUNT, { id: ids[run % 3] });
    if (run % 3 === 0) count = segment.count;
  });
  await expected('count', all(...asked.slice(0, 1)), count);
  let shared = 0;
  const overlapMs = await warmMsOf(1, runs, async () => {
    const { segmentOverlap } = await api.request<{
      segmentOverlap: { count: number; segments: unknown[] }[];
    }>(OVERLAP, { ids });
    shared = segmentOverlap.find(({ segments }) => segments.length === 3)?.count ?? 0;
  });
  await expected('overlap', all(...asked), shared);
  const base = [...asked.slice(1), event(owner, 'Placed Order', { days: 60 })];
  const draft = async (part: Asked[]) => {
    const where = all(...part).condition;
    return (await api.request<{ audience: { count: number } }>(DRAFT, { where })).audience.count;
  };
  await draft(base);
  // Another one each time: nobody has counted it before.
  const next = (run: number) => event(owner, 'Viewed Product', { days: 3 + run, atLeast: 2 });
  let drafted = 0;
  const draftMs = await warmMsOf(1, runs, async (run) => void (drafted = await draft([...base, next(run)])));
  await expected('draft', all(...base, next(runs)), drafted);
  return { countMs: spread(countMs), overlapMs: spread(overlapMs), draftMs: spread(draftMs), faults };
}

function spread(values: readonly number[]) {
  const ascending = [...values].sort((a, b) => a - b);
  const at = (share: number) => round(percentile(ascending, share), 1);
  return { count: values.length, p50: at(0.5), p95: at(0.95), max: at(1) };
}
