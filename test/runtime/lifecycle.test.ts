import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { createParts } from '../../src/runtime/lifecycle.ts';
import { createLogger } from '../../src/runtime/logger.ts';

const logger = createLogger('silent');

test('parts start in order and stop in reverse, one failure not hindering the rest', async () => {
  const parts = createParts(logger);
  const log: string[] = [];
  const add = (name: string, stop = () => {}) =>
    parts.lifecycle.start(
      name,
      async () => {
        log.push(`+${name}`);
        return name;
      },
      (part) => {
        log.push(`-${part}`);
        stop();
      },
    );
  expect(await add('a')).toBe('a');
  await add('b', () => {
    throw new Error('b cannot stop');
  });
  await add('c');
  expect(await parts.stop()).toBe(false);
  expect(log).toEqual(['+a', '+b', '+c', '-c', '-b', '-a']);
  expect(parts.signal.aborted).toBe(true);
  await expect(add('late')).rejects.toThrow('late was not started');
});

test('stopping waits for what is still starting and stops that too', async () => {
  const parts = createParts(logger);
  const log: string[] = [];
  let finish = () => {};
  const slow = parts.lifecycle.start(
    'slow',
    () => new Promise<void>((resolve) => (finish = resolve)),
    () => void log.push('-slow'),
  );
  const broken = parts.lifecycle.start(
    'broken',
    async () => {
      throw new Error('no');
    },
    () => void log.push('-broken'),
  );
  await expect(broken).rejects.toThrow('no');
  const stopping = parts.stop();
  setTimeout(() => finish(), 20);
  expect(await stopping).toBe(true);
  await slow;
  expect(log).toEqual(['-slow']);
});

/** Runs a service in a process of its own: exit codes and signals are what is tested. */
function service(body: string, stopWithinMs = 10_000) {
  const script = `
    import { runService } from './src/runtime/lifecycle.ts';
    import { OperatorError } from './src/runtime/failure.ts';
    import { createLogger } from './src/runtime/logger.ts';
    const say = (text) => process.stdout.write(text + '\\n');
    const part = (lifecycle, name) => lifecycle.start(name, () => say('+' + name), () => say('-' + name));
    await runService({ logger: createLogger('error'), stopWithinMs: ${stopWithinMs} }, async (lifecycle) => {
      setInterval(() => {}, 1000);
      await part(lifecycle, 'a');
      ${body}
    });`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
  let output = '';
  const seen = new Map<string, () => void>();
  const read = (chunk: Buffer) => {
    output += chunk.toString();
    for (const [text, resolve] of seen) if (output.includes(text)) resolve();
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const exit = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  );
  return {
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    says: (text: string) => new Promise<void>((resolve) => seen.set(text, resolve)),
    exit,
  };
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s stops the parts in reverse and ends with 0', async (signal) => {
  const run = service(`await part(lifecycle, 'b'); say('up');`);
  await run.says('up');
  run.kill(signal);
  run.kill(signal); // The same Ctrl-C, through npm.
  expect(await run.exit).toEqual({ code: 0, output: '+a\n+b\nup\n-b\n-a\n' });
});

test('a failed start rolls back and ends with 1', async () => {
  const { code, output } = await service(`throw new Error('cannot begin');`).exit;
  expect(code).toBe(1);
  expect(output).toMatch(/\+a\n.*cannot begin.*\n-a\n/);
});

test('an operator error is one line without a stack, with its own exit code', async () => {
  const { code, output } = await service(`throw new OperatorError('Set PORT', 2);`).exit;
  expect(code).toBe(2);
  expect(output).toContain('"msg":"Set PORT"');
  expect(output).not.toContain('stack');
});

test.each([
  ['an uncaught exception', `setTimeout(() => { throw new Error('oops'); }, 1);`],
  ['an unhandled rejection', `void Promise.reject(new Error('oops'));`],
  ['a part that gives up', `lifecycle.fail(new Error('oops'));`],
])('%s is logged, stops the parts and ends with 1', async (_, body) => {
  const { code, output } = await service(body).exit;
  expect(code).toBe(1);
  expect(output).toContain('oops');
  expect(output).toMatch(/\n-a\n$/);
});

test('a part that hangs while stopping does not keep the process, and is named', async () => {
  const run = service(
    `await lifecycle.start('stuck', () => {}, () => new Promise(() => {})); say('up');`,
    200,
  );
  await run.says('up');
  run.kill('SIGTERM');
  const { code, output } = await run.exit;
  expect(code).toBe(1);
  expect(output).toContain('"parts":["a","stuck"]');
});
