/** `import`: the Online Retail file through the public API, until the segments over it have been evaluated. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { countMembers, createApi, createSegments, deleteSegments, type SegmentSpec } from './lib/api.ts';
import { describeMachine } from './lib/machine.ts';
import { usageBetween, usageOf } from './lib/processes.ts';
import type { Outcome } from './lib/report.ts';
import { ROOT, withTarget, type Target } from './lib/service.ts';
import { round } from './lib/stats.ts';

export interface ImportBenchOptions {
  file: string;
  /** Null: a private Tidemark. */
  given: { url: string; apiKey: string } | null;
}

/** Where the file is looked for: ONLINE_RETAIL_FILE, or beside the repository. */
export function retailFile(env: Record<string, string | undefined>): string {
  return path.resolve(ROOT, env.ONLINE_RETAIL_FILE || '../shared/datasets/online-retail.csv.gz');
}

export function isThere(file: string): boolean {
  return existsSync(file);
}

const dates = (from: string, to: string) => ({
  within: { dates: { from: `${from}T00:00:00Z`, to: `${to}T00:00:00Z` } },
});

/** They exist before the import, so that each of its batches is evaluated. */
const SEGMENTS: readonly SegmentSpec[] = [
  {
    name: 'Ordered three times in 2011',
    condition: {
      event: { metric: 'Placed Order', is: { atLeast: 3 }, ...dates('2011-01-01', '2012-01-01') },
    },
  },
  {
    name: 'Spent 1,000 in the autumn',
    condition: {
      event: {
        metric: 'Placed Order',
        measure: { sum: '$value' },
        is: { atLeast: 1_000 },
        ...dates('2011-09-01', '2011-12-01'),
      },
    },
  },
  {
    name: 'Bought the white hanging heart',
    condition: {
      event: {
        metric: 'Ordered Product',
        where: [{ path: 'stockCode', filter: { text: { equals: '85123A' } } }],
      },
    },
  },
  {
    name: 'British and gone since summer',
    condition: {
      all: [
        { property: { path: 'location.country', filter: { text: { equals: 'United Kingdom' } } } },
        { event: { metric: 'Placed Order', ...dates('2010-12-01', '2011-06-01') } },
        { not: { event: { metric: 'Placed Order', ...dates('2011-06-01', '2012-01-01') } } },
      ],
    },
  },
  {
    name: 'Sent something back',
    condition: { event: { metric: 'Cancelled Order' } },
  },
];

export async function runImport({ file, given }: ImportBenchOptions): Promise<Outcome> {
  const machine = describeMachine({ embedded: given === null });
  return withTarget(given, async (target, folder) => {
    const api = createApi(target);
    const segments = await createSegments(api, SEGMENTS);
    const eventsBefore = await eventCount(api);
    const before = target.pid === null ? null : usageOf(target.pid);
    const begun = performance.now();
    const rows = await importFile(target, file, folder);
    const seconds = round((performance.now() - begun) / 1000, 2);
    const usage = target.pid === null ? null : usageBetween(before, usageOf(target.pid));
    const members = await countMembers(api, segments);
    const events = (await eventCount(api)) - eventsBefore;
    // Evaluated means: nothing more will come of it.
    await sleep(2_000);
    const later = await countMembers(api, segments);
    if (given) await deleteSegments(api, segments);
    const faults = SEGMENTS.flatMap(({ name }, i) => [
      ...(members[i] === later[i] ? [] : [`"${name}" went on from ${members[i]} to ${later[i]} members`]),
      ...(members[i] === 0 ? [`"${name}" is empty`] : []),
    ]);
    if (events === 0) faults.push('no event was stored');
    return {
      name: 'import',
      machine,
      parameters: { file: path.basename(file), segments: SEGMENTS.length },
      lines: [
        { label: 'seconds', value: seconds, unit: 's', bar: 60 },
        { label: 'rows', value: rows },
        { label: 'rows a second', value: Math.round(rows / seconds), unit: '/s' },
        { label: 'events stored', value: events },
        { label: 'events a second', value: Math.round(events / seconds), unit: '/s' },
        ...Object.entries(usage ?? {}).flatMap(([name, { cpuSeconds, peakMb }]) => [
          { label: `CPU of ${name}`, value: cpuSeconds, unit: 's' },
          { label: `memory of ${name}, at most`, value: peakMb, unit: 'MB' },
        ]),
        ...SEGMENTS.map(({ name }, i) => ({ label: `members: ${name}`, value: members[i] ?? 0 })),
      ],
      figures: {
        seconds,
        rows,
        rowsPerSecond: Math.round(rows / seconds),
        events,
        eventsPerSecond: Math.round(events / seconds),
        members: Object.fromEntries(SEGMENTS.map(({ name }, i) => [name, members[i]])),
        service: usage,
      },
      faults,
    };
  });
}

async function eventCount(api: ReturnType<typeof createApi>): Promise<number> {
  const { account } = await api.request<{ account: { eventCount: number } }>('{ account { eventCount } }');
  return account.eventCount;
}

/** The command as a person would type it; it ends when everything is evaluated. Returns the rows that it read. */
async function importFile(target: Target, file: string, folder: string): Promise<number> {
  const files = [
    '--state',
    path.join(folder, 'state.json'),
    '--rejects',
    path.join(folder, 'rejects.ndjson'),
  ];
  const child = spawn(
    'npm',
    ['run', '--silent', 'import', '--', '--mapping', 'online-retail', ...files, file],
    {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TIDEMARK_URL: `${target.url}/graphql`, TIDEMARK_API_KEY: target.apiKey },
    },
  );
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString('utf8')));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`the import ended with ${code}:\n${output}`);
  return Number(/^rows read\s+([\d,]+)/m.exec(output)?.[1]?.replaceAll(',', '') ?? Number.NaN);
}
