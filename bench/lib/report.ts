/** A benchmark's outcome: a table for people, a JSON file for programs. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Machine } from './machine.ts';
import { ROOT } from './service.ts';

/** One line of the table. A figure with a bar tells whether it was reached. */
export interface Line {
  label: string;
  value: number | string;
  unit?: string;
  bar?: number;
}

export interface Outcome {
  name: string;
  machine: Machine;
  parameters: Record<string, unknown>;
  lines: Line[];
  /** What goes into the file beside name, date, machine and parameters. */
  figures: Record<string, unknown>;
  /** What was wrong with the answers. Any of them makes the figures worthless. */
  faults: string[];
}

/** Writes bench/results/NAME.json and prints the table. Returns the exit code: 1 when anything was wrong. */
export function report(outcome: Outcome, folder = path.join(ROOT, 'bench/results')): number {
  const { name, faults } = outcome;
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}.json`);
  // In one step: a reader sees the old result or the new one.
  writeFileSync(`${file}.new`, `${JSON.stringify(resultOf(outcome, new Date()), null, 2)}\n`);
  renameSync(`${file}.new`, file);
  console.log(`\n${table(outcome)}\n\nWritten to ${path.relative(process.cwd(), file)}`);
  for (const fault of faults) console.error(`WRONG: ${fault}`);
  return faults.length > 0 ? 1 : 0;
}

export function resultOf(outcome: Outcome, now: Date): Record<string, unknown> {
  const { name, machine, parameters, figures, faults, lines } = outcome;
  const bars = Object.fromEntries(
    lines.flatMap(({ label, bar, value }) =>
      bar === undefined ? [] : [[label, { bar, met: typeof value === 'number' && value <= bar }]],
    ),
  );
  return { benchmark: name, date: now.toISOString(), ...figures, bars, faults, parameters, machine };
}

export function table({ name, machine, lines }: Outcome): string {
  const rows = lines.map(({ label, value, unit, bar }) => [
    label,
    typeof value === 'number' ? value.toLocaleString('en-US') : value,
    unit ?? '',
    bar === undefined
      ? ''
      : `${typeof value === 'number' && value <= bar ? 'ok' : 'MISSED'} (at most ${bar})`,
  ]);
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const head = `${name}: ${machine.cpus} CPUs, ${machine.memoryGb} GB, Node ${machine.node}, load before ${machine.loadBefore}`;
  const body = rows.map(([label = '', value = '', unit = '', bar = '']) =>
    `  ${label.padEnd(width(0))}  ${value.padStart(width(1))} ${unit.padEnd(width(2))}  ${bar}`.trimEnd(),
  );
  return [head, ...body].join('\n');
}
