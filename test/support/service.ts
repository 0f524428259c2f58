import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { startService } from '../../src/service.ts';

export const SERVICE_KEY = 'a-key-for-tests-of-the-service';

/** The whole service in this process, on a free port; `env` names its engines. */
export async function startWholeService(
  env: NodeJS.ProcessEnv,
): Promise<{ url: string; stop: () => Promise<void> }> {
  const stops: (() => Promise<void> | void)[] = [];
  const lifecycle = {
    signal: new AbortController().signal,
    async start<T>(_name: string, start: () => Promise<T> | T, stop?: (part: T) => Promise<void> | void) {
      const part = await start();
      if (stop) stops.push(() => stop(part));
      return part;
    },
    fail(error: unknown) {
      throw error;
    },
  };
  const config = loadConfig({ PORT: '0', BOOTSTRAP_API_KEY: SERVICE_KEY, ...env });
  const { url } = await startService(lifecycle, config, createLogger('error'));
  return {
    url: url!,
    async stop() {
      for (const stop of stops.reverse()) await stop();
    },
  };
}
