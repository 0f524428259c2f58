/** What the processes of a service use, as /proc of Linux tells it; elsewhere nothing is known. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessUsage {
  pid: number;
  /** Tidemark, ClickHouse, MariaDB, or what the process calls itself. */
  name: string;
  /** User and system time since the process began. */
  cpuSeconds: number;
  /** The most memory that was resident at once. */
  peakMb: number;
}

/** /proc counts in hundredths of a second on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

interface Stat {
  pid: number;
  parent: number;
  cpuSeconds: number;
}

/** The process and everything it has started, empty where there is no /proc. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const { pid, parent } of allProcesses()) children.set(parent, [...(children.get(parent) ?? []), pid]);
  const found: number[] = [];
  const visit = (pid: number) => {
    found.push(pid);
    for (const child of children.get(pid) ?? []) visit(child);
  };
  if (readStat(root)) visit(root);
  return found;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // A zombie has ended; somebody just has not asked yet how.
  return !/^State:\s+Z/m.test(read(`/proc/${pid}/status`) ?? '');
}

/** Null where /proc is missing. Processes that only wait for another one are left out. */
export function usageOf(root: number): ProcessUsage[] | null {
  const usage = processTree(root).flatMap((pid): ProcessUsage[] => {
    const stat = readStat(pid);
    const status = read(`/proc/${pid}/status`);
    if (!stat || status === null) return [];
    const peakKb = Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    return [{ pid, name: nameOf(pid), cpuSeconds: stat.cpuSeconds, peakMb: Math.round(peakKb / 1024) }];
  });
  return usage.length > 0 ? usage.filter(({ name }) => name !== 'wrapper') : null;
}

/** What was used between two looks, per name; the peak is that of the later look. */
export function usageBetween(
  before: readonly ProcessUsage[] | null,
  after: readonly ProcessUsage[] | null,
): Record<string, { cpuSeconds: number; peakMb: number }> | null {
  if (!after) return null;
  const used: Record<string, { cpuSeconds: number; peakMb: number }> = {};
  for (const { pid, name, cpuSeconds, peakMb } of after) {
    const entry = (used[name] ??= { cpuSeconds: 0, peakMb: 0 });
    const earlier = before?.find((one) => one.pid === pid)?.cpuSeconds ?? 0;
    entry.cpuSeconds = Number((entry.cpuSeconds + cpuSeconds - earlier).toFixed(2));
    entry.peakMb += peakMb;
  }
  return used;
}

function nameOf(pid: number): string {
  const command = (read(`/proc/${pid}/cmdline`) ?? '').split('\0');
  const has = (part: string) => command.some((argument) => argument.includes(part));
  if (has('clickhouse-child')) return 'ClickHouse';
  if (command[0]?.includes('mariadbd')) return 'MariaDB';
  if (has('src/main.ts')) return 'Tidemark';
  if (has('esbuild')) return 'esbuild';
  return 'wrapper';
}

function allProcesses(): Stat[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  return names.filter((name) => /^\d+$/.test(name)).flatMap((name) => readStat(Number(name)) ?? []);
}

function readStat(pid: number): Stat | null {
  // The name in parentheses may hold anything, blanks and parentheses too.
  const fields = read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ');
  if (!fields) return null;
  const ticks = Number(fields[11]) + Number(fields[12]);
  return { pid, parent: Number(fields[1]), cpuSeconds: ticks / TICKS_PER_SECOND };
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}
