import type { ChildProcess } from 'node:child_process';
import { systemClock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { metrics } from '../runtime/metrics.ts';
import { backoffMs } from '../runtime/retry.ts';

export interface Engine {
  name: string;
  logger: Logger;
  spawn(): ChildProcess;
  /** Throws until the engine answers. */
  ping(): Promise<void>;
  onSpawn(pid: number): void;
}

export interface Supervised {
  stop(): Promise<void>;
}

/** The engine ended before it answered; `output` is the end of what it wrote. */
export class EngineExit extends Error {
  readonly output: string;

  constructor(name: string, status: string, output: string) {
    super(`${name} ended (${status}) before it was ready`);
    this.name = 'EngineExit';
    this.output = output;
  }
}

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 7_000;
const STABLE_AFTER_MS = 60_000;
const MAX_PAUSE_MS = 5_000;
const KEPT_OUTPUT = 4_000;

/**
 * Starts an engine, and starts it again whenever it ends without having been told to, with growing pauses.
 * Rejects when the first start fails.
 */
export async function supervise(engine: Engine): Promise<Supervised> {
  const { name, logger } = engine;
  const stopping = new AbortController();
  let running = await startOnce(engine, stopping.signal);

  async function keepAlive(): Promise<void> {
    let failures = 0;
    let begun = performance.now();
    while (!stopping.signal.aborted) {
      const status = await running.ended;
      if (stopping.signal.aborted) return;
      failures = performance.now() - begun > STABLE_AFTER_MS ? 1 : failures + 1;
      const pauseMs = failures === 1 ? 0 : backoffMs(failures, 100, MAX_PAUSE_MS);
      logger.warn(
        { engine: name, status, pauseMs: Math.round(pauseMs) },
        'engine ended unexpectedly; restarting it',
      );
      metrics.engineRestarts.inc({ engine: name });
      await systemClock.sleep(pauseMs, stopping.signal);
      if (stopping.signal.aborted) return;
      begun = performance.now();
      try {
        running = await startOnce(engine, stopping.signal);
        logger.info({ engine: name, milliseconds: Math.round(performance.now() - begun) }, 'engine is back');
      } catch (error) {
        if (stopping.signal.aborted) return;
        const output = error instanceof EngineExit ? error.output : undefined;
        logger.error({ engine: name, err: error, output }, 'engine did not come back');
      }
    }
  }
  const watching = keepAlive();

  return {
    async stop() {
      stopping.abort();
      await end(running);
      await watching; // A restart that was under way ends its own child.
      await end(running);
    },
  };
}

interface Running {
  child: ChildProcess;
  ended: Promise<string>;
}

async function startOnce(engine: Engine, stopping: AbortSignal): Promise<Running> {
  const child = engine.spawn();
  let output = '';
  const keep = (text: Buffer) => (output = (output + text.toString('utf8')).slice(-KEPT_OUTPUT));
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  let status: string | null = null;
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve((status ??= error.message)));
    child.once('close', (code, signal) => resolve((status ??= signal ?? `exit code ${code}`)));
  });
  const running = { child, ended };
  if (child.pid !== undefined) engine.onSpawn(child.pid);

  const deadline = performance.now() + READY_WITHIN_MS;
  for (let pauseMs = 10; ; pauseMs = Math.min(pauseMs * 1.5, 200)) {
    if (status !== null) throw new EngineExit(engine.name, status, output);
    if (stopping.aborted || performance.now() > deadline) {
      await end(running);
      throw new EngineExit(engine.name, `not ready within ${READY_WITHIN_MS / 1000} s`, output);
    }
    try {
      await engine.ping();
      return running;
    } catch {
      await Promise.race([systemClock.sleep(pauseMs), ended]);
    }
  }
}

async function end({ child, ended }: Running): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await ended;
  clearTimeout(killer);
}
