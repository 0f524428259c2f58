import { expect, test } from 'vitest';
import { createHealth } from '../../src/runtime/health.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { metrics, metricsText } from '../../src/runtime/metrics.ts';

const logger = createLogger('silent');

test('readiness names each dependency and what is wrong with it; liveness does not depend on them', async () => {
  const health = createHealth({ logger, timeoutMs: 50 });
  health.add('mysql', async () => {});
  health.add('clickhouse', async () => {
    throw Object.assign(new Error('connect 10.0.0.7'), { code: 'ECONNREFUSED' });
  });
  health.add('log', () => new Promise(() => {}));
  health.setPhase('running');
  const readiness = await health.ready();
  expect(readiness).toMatchObject({
    ready: false,
    checks: {
      mysql: { status: 'up' },
      clickhouse: { status: 'down', reason: 'ECONNREFUSED' },
      log: { status: 'down', reason: 'timed out' },
    },
  });
  expect(JSON.stringify(readiness)).not.toContain('10.0.0.7');
  expect(health.live()).toMatchObject({ live: true, phase: 'running' });
});

test('a service is ready only while it runs, and again when its dependency is back', async () => {
  const health = createHealth({ logger });
  let up = true;
  health.add('mysql', async () => {
    if (!up) throw new Error('down');
  });
  expect((await health.ready()).ready).toBe(false);
  health.setPhase('running');
  expect((await health.ready()).ready).toBe(true);
  up = false;
  expect((await health.ready()).ready).toBe(false);
  up = true;
  expect((await health.ready()).ready).toBe(true);
  health.setPhase('stopping');
  expect((await health.ready()).ready).toBe(false);
});

test('many probes at once ask each dependency once', async () => {
  const health = createHealth({ logger });
  let asked = 0;
  health.add('mysql', async () => asked++);
  await Promise.all(Array.from({ length: 50 }, () => health.ready()));
  expect(asked).toBe(1);
  await health.ready();
  expect(asked).toBe(2);
});

test('the metrics page shows what was counted', async () => {
  metrics.accepted.inc({ stream: 'orders' }, 3);
  expect(await metricsText()).toContain('tidemark_records_accepted_total{stream="orders"} 3');
});
