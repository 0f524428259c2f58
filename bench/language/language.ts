/** `language`: how long each kind of condition takes over all profiles, beside the bare scan of the columns it reads. */
import { countAudience, type AudienceDeps } from '../../src/evaluation/audience.ts';
import { createCriterionSets, type CriterionSets } from '../../src/evaluation/criterion-sets.ts';
import { GRACE_MS } from '../../src/evaluation/kept-sets.ts';
import { createParameters } from '../../src/evaluation/parameters.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import type { Condition } from '../../src/segments/ast.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import { encodeChange } from '../../src/storage/profile-changes.ts';
import { PROFILE_CHANGES, TOPICS } from '../../src/storage/topics.ts';
import { createLive } from '../../src/streaming/live.ts';
import { withEngines } from '../lib/engines.ts';
import { describeMachine } from '../lib/machine.ts';
import type { Outcome } from '../lib/report.ts';
import { median, round } from '../lib/stats.ts';
import { CONDITIONS, DRAFT, nextCondition, type MeasuredCondition, type Scan } from './conditions.ts';
import { makeAccount, NOW, type BenchAccount, type DataSize } from './data.ts';
import { watchReads, type Reads } from './reads.ts';

export interface LanguageOptions extends DataSize {
  runs: number;
  /** Conditions whose names contain one of these, and nothing else. Null: everything. */
  only: readonly string[] | null;
}

interface Measurement {
  name: string;
  seconds: number;
  scanSeconds: number;
  ratio: number;
  members: number;
  /** What was read, by ClickHouse's own count. Of a map, a count may read less than the whole column. */
  reads: { count: Reads; scan: Reads };
}

/** Counts with the code that answers `audience`, in this process, over private engines. */
export async function runLanguage({ runs, only, ...size }: LanguageOptions): Promise<Outcome> {
  const measured = CONDITIONS.filter(({ name }) => only === null || only.some((text) => name.includes(text)));
  if (measured.length === 0) throw new Error('There is no condition whose name contains that.');
  const machine = describeMachine({ embedded: true });
  return withEngines(async ({ mysql, clickhouse, later }) => {
    console.log(`Making ${size.profiles} profiles and ${size.events} events …`);
    const owner = await makeAccount({ mysql, clickhouse }, size);
    const deps = { mysql, clickhouse, clock: { now: () => NOW, sleep: () => Promise.resolve() } };
    const { conditions, faults } = await measureConditions(deps, owner, size, runs, measured);
    let draft: Awaited<ReturnType<typeof measureDraft>> | null = null;
    if (only === null) {
      const { close, ...draftDeps } = await withSets(deps);
      later(close);
      draft = await measureDraft(draftDeps, owner, runs);
    }
    return {
      name: 'language',
      machine,
      parameters: { ...size, runs },
      lines: [
        ...conditions.map(({ name, seconds, scanSeconds, ratio }) => ({
          label: `${name} (${ms(seconds)}, scan ${ms(scanSeconds)})`,
          value: ratio,
          unit: '×',
          bar: 3,
        })),
        ...(draft === null ? [] : linesOf(draft)),
      ],
      figures: { conditions, draft },
      faults: [
        ...faults,
        ...(draft === null || draft.isRight ? [] : ['a draft was counted wrongly from sets in memory']),
      ],
    };
  });
}

function linesOf(draft: Awaited<ReturnType<typeof measureDraft>>): Outcome['lines'] {
  return [
    {
      label: `draft.ratio (${ms(draft.seconds)}, alone ${ms(draft.aloneSeconds)})`,
      value: draft.ratio,
      unit: '×',
      bar: 1.2,
    },
    {
      label: `draft.busyRatio (${ms(draft.busySeconds)}, ${CHANGED} people did something meanwhile)`,
      value: draft.busyRatio,
      unit: '×',
    },
  ];
}

const ms = (seconds: number) => `${Math.round(seconds * 1000)} ms`;

export async function measureConditions(
  deps: AudienceDeps,
  owner: BenchAccount,
  size: DataSize,
  runs: number,
  measured: readonly MeasuredCondition[] = CONDITIONS,
): Promise<{ conditions: Measurement[]; faults: string[] }> {
  const conditions: Measurement[] = [];
  const faults: string[] = [];
  const reads = watchReads(deps.clickhouse);
  for (const { name, condition, scan } of measured) {
    const parsed = parsedCondition(typeof condition === 'function' ? condition(owner.segment) : condition);
    let members = 0;
    const count = async () => {
      members = await countAudience({ ...deps, clickhouse: reads.clickhouse }, owner.account, parsed);
    };
    const bare = () => bareScan(reads.clickhouse, owner, scan);
    // Once each, so that both find the files in memory; then by turns.
    await count();
    const counted = reads.last();
    await bare();
    const scanned = reads.last();
    const [counts, scans]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run++) {
      counts.push(await secondsOf(count));
      scans.push(await secondsOf(bare));
    }
    const [seconds, scanSeconds] = [median(counts), median(scans)];
    conditions.push({
      name,
      seconds: round(seconds, 4),
      scanSeconds: round(scanSeconds, 4),
      ratio: round(seconds / scanSeconds, 2),
      members,
      reads: { count: counted, scan: scanned },
    });
    console.log(`${name}: ${ms(seconds)}, scan ${ms(scanSeconds)}, ${members} members`);
    if (members === 0 || members >= size.profiles) faults.push(`${name}: ${members} members tell nothing`);
    if (scanned.rows > counted.rows) {
      faults.push(`${name}: the scan read ${scanned.rows} rows, the count only ${counted.rows}`);
    }
  }
  return { conditions, faults };
}

/** The rows and columns that a count cannot do without: those of the condition, and who is there at all. */
async function bareScan(clickhouse: ClickHouse, owner: BenchAccount, scan: Scan): Promise<void> {
  const parameters = createParameters();
  const account = `account = ${parameters.add('UInt32', owner.account)}`;
  const part = (table: string, columns: readonly string[], rows: string[] = []) =>
    `SELECT count() FROM ${table} WHERE ${[account, ...rows, `NOT ignore(${columns.join(', ')})`].join(' AND ')}`;
  const moment = (at: number) => `fromUnixTimestamp64Milli(${parameters.add('Int64', at)}, 'UTC')`;
  const parts = [part('profiles', ['profile', 'revision', 'alive'])];
  if (scan.table === 'traits') {
    const attributes = parameters.add('Array(String)', scan.attributes);
    parts.push(part('traits', scan.columns, [`attribute IN ${attributes}`]));
  } else if (scan.table === 'predictions') {
    const rows = [`path = ${parameters.add('String', scan.path)}`, `time <= ${moment(NOW)}`];
    parts.push(part('predictions', scan.columns, rows));
  } else if (scan.table === 'events') {
    const { metrics, columns, after, through = NOW } = scan;
    const rows = [
      `metric IN ${parameters.add(
        'Array(UInt32)',
        metrics.map((metric) => owner.metrics[metric]),
      )}`,
      ...(after === undefined ? [] : [`time > ${moment(after)}`]),
      `time <= ${moment(through)}`,
    ];
    parts.push(part('events', columns, rows));
  }
  await query(clickhouse, parts.join(' UNION ALL '), parameters.values);
}

export interface DraftDeps extends AudienceDeps {
  log: Log;
  criterionSets: CriterionSets;
}

/** As an API process has it: sets of criteria kept by the news of a log, and time that goes on. */
export async function withSets({
  mysql,
  clickhouse,
}: AudienceDeps): Promise<DraftDeps & { close: () => Promise<void> }> {
  const begun = performance.now();
  const clock = { ...systemClock, now: () => NOW + Math.round(performance.now() - begun) };
  const log = createEmbeddedLog({ pool: mysql.pool, logger: createLogger('error') });
  await log.ensureTopics(TOPICS);
  const live = createLive({ log, mysql, clickhouse, clock });
  const criterionSets = createCriterionSets({ log, mysql, clickhouse, clock, news: live.activity });
  const close = async () => {
    await criterionSets.close();
    await live.close();
    await log.close();
  };
  return { mysql, clickhouse, clock, log, criterionSets, close };
}

/** Who does something between two counts of a busy account. */
const CHANGED = 10;

/**
 * A draft that has been counted, with one condition more; and that condition alone, counted without any set that is
 * kept. Then the same with people who do something that the draft looks at.
 */
export async function measureDraft(
  { log, criterionSets, ...deps }: DraftDeps,
  owner: BenchAccount,
  runs: number,
) {
  const { account } = owner;
  const recount = (condition: unknown) =>
    countAudience({ ...deps, criterionSets }, account, parsedCondition(condition));
  const afresh = (condition: unknown) => countAudience(deps, account, parsedCondition(condition));
  await recount({ all: DRAFT });
  // What is read while an account has just begun to be followed is read once more.
  await deps.clock.sleep(GRACE_MS + 100);
  await recount({ all: DRAFT });
  await afresh(nextCondition(0));
  const [drafts, busy, alone]: [number[], number[], number[]] = [[], [], []];
  let turn = 0;
  let isRight = true;
  for (let run = 0; run < runs; run++) {
    // Different ones, so that none of them has been counted before.
    const draft = { all: [...DRAFT, nextCondition(++turn)] };
    let size = 0;
    drafts.push(await secondsOf(async () => void (size = await recount(draft))));
    const fresh = await afresh(draft);
    // Somebody may have crossed the edge of the window in between.
    isRight &&= size === fresh || (await recount(draft)) === fresh;
    alone.push(await secondsOf(() => afresh(nextCondition(++turn))));
  }
  for (let run = 0; run < runs; run++) {
    await announce(log, account, run);
    busy.push(await secondsOf(() => recount({ all: [...DRAFT, nextCondition(++turn)] })));
  }
  const [seconds, busySeconds, aloneSeconds] = [median(drafts), median(busy), median(alone)];
  return {
    conditions: DRAFT.length,
    isRight,
    seconds: round(seconds, 4),
    busySeconds: round(busySeconds, 4),
    aloneSeconds: round(aloneSeconds, 4),
    ratio: round(seconds / aloneSeconds, 2),
    busyRatio: round(busySeconds / aloneSeconds, 2),
  };
}

/** What the ingest worker says once it has stored events of some people. */
async function announce(log: Log, account: number, run: number): Promise<void> {
  const changes = Array.from({ length: CHANGED }, (_, i) => ({
    profile: 1 + run * 1_000 + i * 97,
    cause: 'EVENT' as const,
    at: NOW,
    metric: 'Viewed Product',
  }));
  const value = encodeChange({ kind: 'profiles', account, changes });
  await log.append(PROFILE_CHANGES, [{ partition: 0, key: String(account), value }]);
}

async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

function parsedCondition(input: unknown): Condition {
  const parsed = parseCondition(input);
  if (!parsed.ok) throw new Error(parsed.errors.map(({ message }) => message).join('; '));
  return parsed.condition;
}
