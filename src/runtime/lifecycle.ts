import type { Logger } from './logger.ts';
import { OperatorError } from './failure.ts';

export interface Lifecycle {
  /** Aborted when stopping begins. */
  readonly signal: AbortSignal;
  /**
   * Starts one part and remembers how to stop it. Parts stop one after the other, in reverse order of these calls;
   * parts started in parallel may be awaited together. Refused once stopping has begun.
   */
  start<T>(name: string, start: () => Promise<T> | T, stop?: (part: T) => Promise<void> | void): Promise<T>;
  /** Ends the service with exit code 1: for a part that finds, after its start, that it cannot go on. */
  fail(error: unknown): void;
}

export interface RunOptions {
  logger: Logger;
  /** From the first signal to the end of the process, whatever hangs. Default 10 s. */
  stopWithinMs?: number;
}

/**
 * Runs a service until SIGTERM, SIGINT or SIGHUP (exit code 0) or until it fails (1, or what an OperatorError asks for), and
 * then ends the process. A start that fails, or is interrupted, stops what had been started.
 * A second signal, a second or more later, ends the process at once.
 */
export async function runService(
  { logger, stopWithinMs = 10_000 }: RunOptions,
  start: (lifecycle: Lifecycle) => Promise<void>,
): Promise<never> {
  const parts = createParts(logger);
  const exit = await new Promise<number>((resolve) => {
    const crash = (error: unknown) => {
      logFailure(logger, error);
      if (parts.signal.aborted) process.exit(1); // It failed while stopping: there is nothing left to try.
      resolve(error instanceof OperatorError ? error.exitCode : 1);
    };
    let signalled = Infinity;
    for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(name, () => {
        // One Ctrl-C arrives up to three times: from the terminal, from npm and from the start script.
        if (performance.now() > signalled + 1_000) process.exit(1);
        if (signalled !== Infinity) return;
        signalled = performance.now();
        logger.info({ signal: name }, 'stopping');
        resolve(0);
      });
    }
    process.on('uncaughtException', crash);
    process.on('unhandledRejection', crash);
    start({ ...parts.lifecycle, fail: crash }).catch((error: unknown) => {
      if (!parts.signal.aborted) crash(error);
    });
  });

  setTimeout(() => {
    logger.error({ parts: parts.running() }, 'parts did not stop in time');
    process.exit(1);
  }, stopWithinMs).unref();
  const clean = await parts.stop();
  logger.info('stopped');
  process.exit(exit === 0 && !clean ? 1 : exit);
}

function logFailure(logger: Logger, error: unknown): void {
  if (error instanceof OperatorError) logger.fatal(error.message);
  else logger.fatal({ err: error }, 'failed');
}

interface Part {
  name: string;
  /** Resolves to the part's stop function, once it has started; rejects when it could not start. */
  started: Promise<() => Promise<void> | void>;
}

/** The ordered parts, without the process around them. */
export function createParts(logger: Logger) {
  const controller = new AbortController();
  const parts: Part[] = [];

  const lifecycle: Omit<Lifecycle, 'fail'> = {
    signal: controller.signal,
    async start(name, start, stop) {
      if (controller.signal.aborted) throw new Error(`${name} was not started: the service is stopping`);
      const begun = performance.now();
      const starting = Promise.resolve().then(start);
      const part = { name, started: starting.then((value) => () => stop?.(value)) };
      part.started.catch(() => parts.splice(parts.indexOf(part), 1));
      parts.push(part);
      const value = await starting;
      logger.debug({ part: name, milliseconds: Math.round(performance.now() - begun) }, 'started');
      return value;
    },
  };

  return {
    lifecycle,
    signal: controller.signal,
    running: () => parts.map((part) => part.name),
    /** Stops everything, also what is still starting. False when a part threw while stopping. */
    async stop(): Promise<boolean> {
      controller.abort(new Error('the service is stopping'));
      let clean = true;
      for (const part of [...parts].reverse()) {
        const stop = await part.started.catch(() => null);
        try {
          await stop?.();
        } catch (error) {
          clean = false;
          logger.error({ part: part.name, err: error }, 'part failed to stop');
        }
        if (stop) parts.splice(parts.indexOf(part), 1);
      }
      return clean;
    },
  };
}
