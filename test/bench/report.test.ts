import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { describeMachine } from '../../bench/lib/machine.ts';
import { report, table, type Outcome } from '../../bench/lib/report.ts';
import { processTree, usageBetween, usageOf } from '../../bench/lib/processes.ts';

const outcome = (changes: Partial<Outcome> = {}): Outcome => ({
  name: 'latency',
  machine: describeMachine({ embedded: true }),
  parameters: { seconds: 30 },
  lines: [
    { label: 'changeMs.p50', value: 64, unit: 'ms', bar: 100 },
    { label: 'changeMs.p99', value: 301, unit: 'ms', bar: 300 },
    { label: 'timeExitMs.p99', value: '-', unit: 'ms', bar: 1_500 },
  ],
  figures: { changeMs: { p50: 64, p99: 301 }, timeExitMs: null },
  faults: [],
  ...changes,
});

describe('the report', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'bench-report-'));
    vi.spyOn(console, 'log').mockReturnValue();
    vi.spyOn(console, 'error').mockReturnValue();
  });
  afterEach(() => {
    vi.restoreAllMocks();
    rmSync(folder, { recursive: true });
  });

  test('writes one JSON file with the figures as nested objects, the machine and the parameters', () => {
    expect(report(outcome(), folder)).toBe(0);
    expect(readdirSync(folder)).toEqual(['latency.json']);
    const result = JSON.parse(readFileSync(path.join(folder, 'latency.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(result).toMatchObject({
      benchmark: 'latency',
      changeMs: { p50: 64, p99: 301 },
      parameters: { seconds: 30 },
      machine: {
        node: process.versions.node,
        engines: { clickhouse: expect.stringMatching(/chdb/) as string },
      },
      faults: [],
    });
    expect(new Date(result['date'] as string).getTime()).toBeGreaterThan(Date.UTC(2024, 0, 1));
    const machine = result['machine'] as Record<string, number>;
    expect(machine['cpus']).toBeGreaterThan(0);
    expect(machine['memoryGb']).toBeGreaterThan(0);
  });

  test('a bar is met at its value or below, and never by what was not measured', () => {
    report(outcome(), folder);
    expect(JSON.parse(readFileSync(path.join(folder, 'latency.json'), 'utf8'))).toMatchObject({
      bars: {
        'changeMs.p50': { bar: 100, met: true },
        'changeMs.p99': { bar: 300, met: false },
        'timeExitMs.p99': { bar: 1_500, met: false },
      },
    });
    const lines = table(outcome()).split('\n');
    expect(lines[1]).toMatch(/changeMs\.p50 +64 ms +ok/);
    expect(lines[2]).toMatch(/changeMs\.p99 +301 ms +MISSED/);
    expect(lines[3]).toMatch(/MISSED/);
  });

  test('wrong answers are an exit code, and stay visible in the file', () => {
    expect(report(outcome({ faults: ['3 changes never arrived'] }), folder)).toBe(1);
    expect(readFileSync(path.join(folder, 'latency.json'), 'utf8')).toContain('3 changes never arrived');
  });
});

describe('what processes use', () => {
  test('is the difference between two looks, with processes of one name together', () => {
    const before = [{ pid: 1, name: 'Tidemark', cpuSeconds: 10, peakMb: 50 }];
    const after = [
      { pid: 1, name: 'Tidemark', cpuSeconds: 12.5, peakMb: 80 },
      { pid: 2, name: 'Tidemark', cpuSeconds: 1, peakMb: 20 },
    ];
    expect(usageBetween(before, after)).toEqual({ Tidemark: { cpuSeconds: 3.5, peakMb: 100 } });
    expect(usageBetween(before, null)).toBeNull();
  });

  test.runIf(process.platform === 'linux')('the tree of a process includes itself and its children', () => {
    expect(processTree(process.ppid)).toEqual(expect.arrayContaining([process.ppid, process.pid]));
    expect(processTree(process.pid)[0]).toBe(process.pid);
  });

  test('nothing is known of a process that does not exist', () => {
    expect(usageOf(2 ** 30)).toBeNull();
  });
});
