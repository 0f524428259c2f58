import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A process, told apart from a later one with the same number by when it began. */
export interface ProcessId {
  pid: number;
  born: string;
}

/** Null when there is no such process (a zombie counts as gone). */
export function identify(pid: number): ProcessId | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      // The name, in parentheses, may hold anything; after it: state, parent, …, and the start time as 20th.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (fields[0] === 'Z' || fields[0] === 'X') return null;
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
      return { pid, born: `${boot} ${fields[19]}` };
    }
    const [state, ...born] = ps(pid, 'stat=,lstart=').split(/\s+/);
    return state && !state.startsWith('Z') ? { pid, born: born.join(' ') } : null;
  } catch {
    return null;
  }
}

export function isAlive(known: ProcessId): boolean {
  return identify(known.pid)?.born === known.born;
}

/** Empty when the process is gone. */
export function commandLine(pid: number): string {
  try {
    if (process.platform === 'linux')
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return ps(pid, 'command=');
  } catch {
    return '';
  }
}

function ps(pid: number, columns: string): string {
  return execFileSync('ps', ['-ww', '-o', columns, '-p', String(pid)], { encoding: 'utf8' }).trim();
}
