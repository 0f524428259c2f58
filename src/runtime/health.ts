import { describeError, type Logger } from './logger.ts';

/** Resolves when the dependency answers; throws (or outlasts the limit) when it does not. */
export type HealthCheck = (signal: AbortSignal) => Promise<unknown>;

export type Phase = 'starting' | 'running' | 'stopping';

export interface CheckResult {
  status: 'up' | 'down';
  milliseconds: number;
  /** A word for what is wrong. The full error is in the log: this page is public and errors name hosts. */
  reason?: string;
}

export interface Readiness {
  ready: boolean;
  phase: Phase;
  checks: Record<string, CheckResult>;
}

export interface Health {
  add(name: string, check: HealthCheck): void;
  setPhase(phase: Phase): void;
  /** True as long as the process can answer at all: a broken dependency is no reason to restart this process. */
  live(): { live: true; phase: Phase; uptimeSeconds: number };
  /** Ready = running and every dependency answers now. Simultaneous callers share one round of checks. */
  ready(): Promise<Readiness>;
}

export function createHealth(options: { logger: Logger; timeoutMs?: number }): Health {
  const timeoutMs = options.timeoutMs ?? 2_000;
  const checks = new Map<string, HealthCheck>();
  const last = new Map<string, CheckResult['status']>();
  let phase: Phase = 'starting';
  let round: Promise<Record<string, CheckResult>> | null = null;

  async function run(name: string, check: HealthCheck): Promise<CheckResult> {
    const started = performance.now();
    const signal = AbortSignal.timeout(timeoutMs);
    const expired = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
    );
    const outcome = await Promise.race([check(signal), expired]).then(
      () => null,
      (error: unknown) => ({ error }),
    );
    const status = outcome === null ? 'up' : 'down';
    if (last.get(name) !== status && (status === 'down' || last.has(name))) {
      if (outcome) options.logger.warn({ dependency: name, err: outcome.error }, 'dependency is down');
      else options.logger.info({ dependency: name }, 'dependency is up again');
    }
    last.set(name, status);
    const milliseconds = Math.round(performance.now() - started);
    return outcome === null
      ? { status, milliseconds }
      : { status, milliseconds, reason: reasonOf(outcome.error) };
  }

  async function runAll(): Promise<Record<string, CheckResult>> {
    const results = await Promise.all(
      [...checks].map(async ([name, check]) => [name, await run(name, check)] as const),
    );
    return Object.fromEntries(results);
  }

  return {
    add: (name, check) => void checks.set(name, check),
    setPhase: (next) => void (phase = next),
    live: () => ({ live: true, phase, uptimeSeconds: Math.round(process.uptime()) }),
    async ready() {
      round ??= runAll().finally(() => (round = null));
      const results = await round;
      const up = Object.values(results).every((result) => result.status === 'up');
      return { ready: up && phase === 'running', phase, checks: results };
    },
  };
}

function reasonOf(error: unknown): string {
  const { type, code } = describeError(error);
  return type === 'TimeoutError' ? 'timed out' : String(code ?? 'failed');
}
