import { expect, test } from 'vitest';
import { createLogger } from '../../src/runtime/logger.ts';

function capture(isTTY: boolean) {
  const lines: string[] = [];
  return { lines, logger: createLogger('info', { write: (text) => lines.push(text), isTTY }) };
}

test('a line is JSON with level and time by name', () => {
  const { lines, logger } = capture(false);
  logger.debug('not this');
  logger.info({ port: 4000 }, 'ready');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
    port: 4000,
    msg: 'ready',
  });
});

test('secrets are redacted, wherever they hang', () => {
  const { lines, logger } = capture(false);
  logger.info({
    apiKey: 'hush',
    config: { bootstrapApiKey: 'hush' },
    request: { headers: { authorization: 'hush' } },
  });
  expect(lines[0]).not.toContain('hush');
  expect(lines[0]).toContain('[redacted]');
});

test('of an error, neither statement nor values are logged', () => {
  const { lines, logger } = capture(false);
  const driver = Object.assign(new Error("Duplicate entry 'ada@example.com' for key 'email'"), {
    code: 'ER_DUP_ENTRY',
    sql: "INSERT … 'ada@example.com'",
    params: ['ada@example.com'],
  });
  const wrapped = new Error('Failed query: insert into profiles values (?)\nparams: ada@example.com', {
    cause: driver,
  });
  const connection = new Error('connect ECONNREFUSED mysql://root:hush@db');
  logger.error({ err: wrapped }, 'failed');
  logger.error({ err: connection }, 'failed');
  expect(lines.join('')).not.toMatch(/ada@example|hush/);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    err: {
      message: 'Failed query: insert into profiles values (?)',
      stack: expect.stringContaining('logger.test.ts') as string,
      cause: { code: 'ER_DUP_ENTRY', message: "Duplicate entry '…' for key 'email'" },
    },
  });
});

test('on a terminal a line is short and readable', () => {
  const { lines, logger } = capture(true);
  logger.warn({ engine: 'clickhouse', pauseMs: 5 }, 'restarting');
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}restarting engine=clickhouse pauseMs=5\n$/);
});
