/** What the benchmarks at scale ask of a Tidemark, and how long it takes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { query } from '../../src/storage/clickhouse/connect.ts';
import { countMembers, deleteSegments, type Api } from '../lib/api.ts';
import { usageOf } from '../lib/processes.ts';
import { median, round } from '../lib/stats.ts';
import { plainCount, type Asked } from './conditions.ts';
import type { Rig } from './rig.ts';

const CREATE = `mutation Create($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { segment { id } userErrors { message } }
}`;
const STATUS = `query Status($id: ID!) { segment(id: $id) { status } }`;
/** Asking takes time from what is measured: so seldom that the answer is that much too late at most. */
const LOOK_EVERY_MS = 10;
const LATE_SHARE = 0.03;
const LIVE_WITHIN_MS = 600_000;

/** From before the mutation until somebody who keeps asking sees that it is LIVE: members are stored by then. */
export async function createUntilLive(
  api: Api,
  name: string,
  condition: Record<string, unknown>,
): Promise<{ id: string; seconds: number }> {
  const begun = performance.now();
  const { segmentCreate } = await api.request<{
    segmentCreate: { segment: { id: string } | null; userErrors: { message: string }[] };
  }>(CREATE, { input: { name, condition } });
  const id = segmentCreate.segment?.id;
  if (!id) throw new Error(segmentCreate.userErrors.map(({ message }) => message).join('; '));
  while (performance.now() - begun < LIVE_WITHIN_MS) {
    const { segment } = await api.request<{ segment: { status: string } }>(STATUS, { id });
    if (segment.status === 'LIVE') return { id, seconds: (performance.now() - begun) / 1000 };
    if (segment.status === 'FAILED') throw new Error(`${name} cannot be computed`);
    await sleep(Math.max(LOOK_EVERY_MS, LATE_SHARE * (performance.now() - begun)));
  }
  throw new Error(`${name} is not LIVE after ${LIVE_WITHIN_MS / 1000} s`);
}

export interface Creation {
  seconds: number;
  /** Of one statement that reads the same rows and columns. */
  scanSeconds: number;
  members: number;
  /** Resident, of ClickHouse and Tidemark together, at the most; null where nobody can say. */
  peakBytes: number | null;
  faults: string[];
}

/** Creates and scans by turns; medians. The first turn counts too: files are in memory from making the data. */
export async function measureCreation(rig: Rig, name: string, asked: Asked, runs: number): Promise<Creation> {
  const [creations, scans]: [number[], number[]] = [[], []];
  const faults: string[] = [];
  let members = 0;
  let peakBytes: number | null = null;
  for (let run = 0; run < runs; run++) {
    forgetPeaks(rig);
    const { id, seconds } = await createUntilLive(rig.api, `${name} ${run}`, asked.condition);
    peakBytes = Math.max(peakBytes ?? 0, peaksOf(rig) ?? 0) || null;
    creations.push(seconds);
    scans.push(await secondsOf(() => query(rig.clickhouse, asked.scan, {}, { timeoutSeconds: 600 })));
    members = (await countMembers(rig.api, [id]))[0] ?? 0;
    await deleteSegments(rig.api, [id]);
  }
  const plain = await plainCount(rig, asked);
  if (members !== plain) faults.push(`${name} has ${members} members, by plain SQL ${plain}`);
  const [seconds, scanSeconds] = [round(median(creations), 3), round(median(scans), 3)];
  console.log(`${name}: ${seconds} s, scan ${scanSeconds} s, ${members} members`);
  return { seconds, scanSeconds, members, peakBytes, faults };
}

export async function secondsOf(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/** Milliseconds of `runs` behind the first ones, which find code and caches cold. `work` is told which run it is, from 0 on. */
export async function warmMsOf(
  first: number,
  runs: number,
  work: (run: number) => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  for (let run = 0; run < first + runs; run++) times.push((await secondsOf(() => work(run))) * 1000);
  return times.slice(first);
}

/** Linux notes the most memory of each process since somebody last told it to forget. */
function forgetPeaks({ processes }: Rig): void {
  for (const { pid } of processes.flatMap((root) => usageOf(root) ?? [])) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, '5');
    } catch {
      // Not Linux, or not ours: then it is the peak since the beginning.
    }
  }
}

function peaksOf({ processes }: Rig): number | null {
  const usage = processes.flatMap((root) => usageOf(root) ?? []);
  const measured = usage.filter(({ name }) => name === 'ClickHouse' || name === 'Tidemark');
  const unique = new Map(measured.map(({ pid }) => [pid, peakOf(pid)]));
  return unique.size > 0 ? [...unique.values()].reduce((sum, bytes) => sum + bytes, 0) : null;
}

function peakOf(pid: number): number {
  const kb = /^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kb ?? 0) * 1024;
}
