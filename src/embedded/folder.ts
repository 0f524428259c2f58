import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../runtime/clock.ts';
import { OperatorError } from '../runtime/failure.ts';
import { commandLine, identify, isAlive, type ProcessId } from './processes.ts';

/** `run.json`: who runs the engine in this folder, and what the engine wants to find again. */
interface State {
  owner: ProcessId | null;
  child: ProcessId | null;
  settings: Record<string, string>;
}

export interface EngineFolder {
  path: string;
  /** What the last run left, e.g. its port. */
  settings: Readonly<Record<string, string>>;
  save(settings: Record<string, string>): void;
  childStarted(pid: number): void;
  release(): void;
}

/**
 * Takes `dataDir/name` for this process. A living owner is respected; the engine of a dead owner is ended.
 * Two that start at the same instant may both pass: the engines' own file locks then stop the second.
 */
export async function claimFolder(dataDir: string, name: string): Promise<EngineFolder> {
  const folder = path.resolve(dataDir, name);
  const file = path.join(folder, 'run.json');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeState(file, await takeOver(file, folder, dataDir));
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    throw new OperatorError(
      `The data folder ${path.resolve(dataDir)} cannot be written (${code ?? String(error)}). ` +
        'Make it writable for this user, or set DATA_DIR to another folder.',
    );
  }
  const state = readState(file);
  return {
    path: folder,
    settings: state.settings,
    save(settings) {
      state.settings = settings;
      writeState(file, state);
    },
    childStarted(pid) {
      state.child = identify(pid);
      writeState(file, state);
    },
    release: () => writeState(file, { owner: null, child: null, settings: state.settings }),
  };
}

export function inUse(dataDir: string, owner?: ProcessId): OperatorError {
  return new OperatorError(
    `The data folder ${path.resolve(dataDir)} is in use by another Tidemark${owner ? ` (process ${owner.pid})` : ''}. ` +
      'Stop that one, or set DATA_DIR to another folder.',
  );
}

async function takeOver(file: string, folder: string, dataDir: string): Promise<State> {
  const state = readState(file);
  if (state.owner && isAlive(state.owner)) throw inUse(dataDir, state.owner);
  if (state.child) await endOrphan(state.child, folder);
  return { owner: identify(process.pid), child: null, settings: state.settings };
}

/** Ends an engine whose owner died, if it is what we think it is. */
async function endOrphan(child: ProcessId, folder: string): Promise<void> {
  for (const [signal, patienceMs] of [
    ['SIGTERM', 5_000],
    ['SIGKILL', 5_000],
  ] as const) {
    const deadline = performance.now() + patienceMs;
    if (!isAlive(child) || !commandLine(child.pid).includes(folder)) return;
    process.kill(child.pid, signal);
    while (isAlive(child) && performance.now() < deadline) await systemClock.sleep(20);
  }
}

function readState(file: string): State {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as State;
  } catch {
    return { owner: null, child: null, settings: {} }; // The first start, or a file cut short by a power failure.
  }
}

function writeState(file: string, state: State): void {
  writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
