/** Child processes of the tests, each ended at the latest when the test is. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Task } from './child.ts';

export interface Child {
  process: ChildProcess;
  /** Rejects when it ends before it is ready. */
  ready: Promise<void>;
  ended: Promise<void>;
}

const SCRIPT = fileURLToPath(new URL('./child.ts', import.meta.url));
const running = new Set<ChildProcess>();

export function startChild(task: Task): Child {
  const child = spawn(process.execPath, ['--import', 'tsx', SCRIPT, JSON.stringify(task)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      running.delete(child);
      resolve();
    }),
  );
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === 'ready') resolve();
    });
    void ended.then(() => reject(new Error('a child ended before it was ready')));
  });
  // Not everybody waits for it: a child may be meant to die early.
  ready.catch(() => undefined);
  return { process: child, ready, ended };
}

export async function endChild(child: Child, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  child.process.kill('SIGCONT');
  child.process.kill(signal);
  await child.ended;
}

/** Ends what a failed test has left behind. */
export function endChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}
