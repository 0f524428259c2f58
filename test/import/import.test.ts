import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { audienceCount, eventually, runImport, startProgram, useFolder, useServer } from './support.ts';

const server = useServer();
const folder = useFolder();
const file = (name: string, content: string | Buffer) => {
  const at = path.join(folder(), name);
  writeFileSync(at, content);
  return at;
};
const lines = (at: string) =>
  readFileSync(at, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** Profiles that have exactly so many events of the metric. */
const having = (metric: string, equals: number) =>
  audienceCount(server().client, { event: { metric, is: { equals } } });

/** Rows "customer,time,amount": `people` customers with `each` rows. */
function table(people: number, each: number): string {
  let text = 'customer,time,amount\n';
  for (let n = 0; n < each; n++) {
    for (let p = 0; p < people; p++)
      text += `c${p},2020-01-01 00:00:${String(n % 60).padStart(2, '0')},${n}\n`;
  }
  return text;
}
const tableMapping = (metric: string) =>
  JSON.stringify({
    format: 'csv',
    fields: {
      customer: { column: 'customer' },
      time: { column: 'time', type: 'time' },
      amount: { column: 'amount', type: 'number' },
    },
    events: [
      {
        metric,
        uniqueId: `${metric}:{$line}`,
        profile: { externalId: 'customer' },
        time: 'time',
        value: 'amount',
      },
    ],
  });

describe('npm run import', () => {
  test('explains itself, and says what is missing before it does anything', async () => {
    const help = await startProgram('import', ['--help'], {}).finished;
    expect(help.code).toBe(0);
    for (const word of [
      '--mapping',
      '--rejects',
      '--state',
      '--restart',
      '--dry-run',
      'TIDEMARK_API_KEY',
      'Interrupted?',
    ]) {
      expect(help.stdout).toContain(word);
    }
    const input = file('some.csv', table(1, 1));
    const cases: [string[], string][] = [
      [[], 'Name one input'],
      [[input], 'Name a mapping'],
      [['--mapping', 'nonsense', input], 'no mapping named "nonsense"'],
      [['--mapping', 'online-retail', '--frobnicate', input], 'frobnicate'],
      [['--mapping', 'online-retail', input], 'Set TIDEMARK_API_KEY'],
    ];
    for (const [args, message] of cases) {
      const { code, stderr } = await startProgram('import', args, {}).finished;
      expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
    }
  });

  test('a wrong key is refused at once, with the remedy and without the key', async () => {
    const input = file('key.csv', table(1, 1));
    const mapping = file('key.json', tableMapping('Key'));
    const env = { TIDEMARK_URL: server().url, TIDEMARK_API_KEY: 'not-a-key-of-this-server' };
    const { code, stderr } = await startProgram('import', ['--mapping', mapping, input], env).finished;
    expect(code).toBe(1);
    expect(stderr).toContain('Set TIDEMARK_API_KEY to a key of this server');
    expect(stderr).not.toContain('not-a-key');
  });

  test('gzip from standard input: everything arrives, is evaluated, and is history', async () => {
    const mapping = file('stdin.json', tableMapping('Stdin'));
    const rejects = path.join(folder(), 'stdin.rejects');
    const args = ['--mapping', mapping, '--rejects', rejects, '-'];
    const { code, stdout } = await runImport(server(), args, gzipSync(table(70, 30)));
    expect([code, stdout]).toEqual([0, expect.stringMatching(/rows read +2,100/)]);
    expect(stdout).toMatch(/Stdin +2,100/);
    expect(await having('Stdin', 30)).toBe(70);
    expect(existsSync(rejects)).toBe(false);

    // The very same once more: the server knows every id.
    await runImport(server(), args, table(70, 30));
    expect(await having('Stdin', 30)).toBe(70);
  });

  test('NDJSON of whole events; what the mapping or the API refuses lands in the rejects with its reason', async () => {
    const event = (uniqueId: string, over: object = {}) =>
      JSON.stringify({
        uniqueId,
        metric: 'Ndjson',
        time: '2020-05-05T05:05:05Z',
        email: 'n@example.com',
        ...over,
      });
    const input = file(
      'events.ndjson',
      [
        event('n1', { value: 2.5, currency: 'EUR', properties: { deep: { list: [1] } } }),
        event('n2', { email: undefined }),
        '{broken',
        event('n3', { email: 'no address at all' }),
        event('n4', { time: 'yesterday' }),
        event('n5', { currency: 'coins' }),
        event('n1', { value: 7 }),
      ].join('\n'),
    );
    const { code, stdout } = await runImport(server(), ['--mapping', 'events', input]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/rejected +5 \(see .*events\.ndjson\.rejects\.ndjson\)/);
    const rejects = lines(`${input}.rejects.ndjson`);
    expect(rejects.map(({ line }) => line).sort()).toEqual([2, 3, 4, 5, 6]);
    const reason = (line: number) => rejects.find((reject) => reject.line === line)!;
    expect(reason(2)).toMatchObject({ reason: 'has no identifier of a profile', row: { uniqueId: 'n2' } });
    expect(reason(3)).toEqual({ line: 3, reason: 'is not JSON', row: '{broken' });
    expect(reason(4)).toMatchObject({
      reason: expect.stringMatching(/^INVALID .*email/) as string,
      row: { uniqueId: 'n3' },
    });
    expect(reason(5)).toMatchObject({ reason: 'time is not a time' });
    expect(reason(6)).toMatchObject({ reason: expect.stringMatching(/^INVALID .*currency/) as string });
    expect(await having('Ndjson', 1)).toBe(1);
    const { events } = await server().client.request<{ events: { nodes: object[] } }>(
      '{ events(first: 10, metric: "Ndjson") { nodes { uniqueId value currency time properties } } }',
    );
    expect(events.nodes).toEqual([
      {
        uniqueId: 'n1',
        value: 2.5,
        currency: 'EUR',
        time: '2020-05-05T05:05:05.000Z',
        properties: { deep: { list: [1] } },
      },
    ]);
  });

  test(
    'killed in the middle, started again: goes on from there, and everything counts once',
    { timeout: 180_000 },
    async () => {
      const people = 500;
      const each = 40;
      const broken = 'c1,not a time,1\n';
      const input = file('kill.csv', table(people, each).replaceAll('c7,', 'c7,x') + broken);
      const mapping = file('kill.json', tableMapping('Kill'));
      const state = `${input}.import-state.json`;
      const args = ['--mapping', mapping, input];
      const env = { TIDEMARK_URL: server().url, TIDEMARK_API_KEY: server().apiKey };

      const first = startProgram('import', args, env);
      await eventually(() => existsSync(state), 'a saved state');
      first.child.kill('SIGKILL');
      expect((await first.finished).code).toBeNull();
      const saved = JSON.parse(readFileSync(state, 'utf8')) as { batches: number };
      expect(saved.batches).toBeGreaterThan(0);
      expect(saved.batches).toBeLessThan((people * each) / 1_000);

      // Interrupted in order this time: a state without loss.
      const second = startProgram('import', args, env);
      await eventually(
        () => (JSON.parse(readFileSync(state, 'utf8')) as typeof saved).batches > saved.batches,
        'progress',
      );
      second.child.kill('SIGINT');
      const interrupted = await second.finished;
      expect([interrupted.code, interrupted.stderr]).toEqual([
        1,
        expect.stringContaining('Interrupted. The progress is kept'),
      ]);

      const last = await runImport(server(), args);
      expect(last.stderr).toContain('Going on where the last run stopped');
      expect(last.stdout).toMatch(/of these, sent by an earlier run +[\d,]+000/);
      expect(existsSync(state)).toBe(false);
      // One customer's rows have no time that could be read; each is in the file once, over all three runs.
      expect(last.code).toBe(1);
      const rejected = lines(`${input}.rejects.ndjson`).map(({ line }) => line as number);
      expect(rejected).toHaveLength(each + 1);
      expect(new Set(rejected).size).toBe(each + 1);
      expect(await having('Kill', each)).toBe(people - 1);
      expect(await having('Kill', each + 1)).toBe(0);
    },
  );

  test(
    'an input that has changed before the place reached is not taken for the same',
    { timeout: 180_000 },
    async () => {
      const input = file('changed.csv', table(500, 30));
      const mapping = file('changed.json', tableMapping('Changed'));
      const state = `${input}.import-state.json`;
      const args = ['--mapping', mapping, input];
      const env = { TIDEMARK_URL: server().url, TIDEMARK_API_KEY: server().apiKey };
      const first = startProgram('import', args, env);
      await eventually(() => existsSync(state), 'a saved state');
      first.child.kill('SIGTERM');
      await first.finished;

      writeFileSync(input, readFileSync(input, 'utf8').replace('c3,', 'c4,'));
      const second = await runImport(server(), args);
      expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('start over with --restart')]);
      writeFileSync(input, readFileSync(input, 'utf8').split('\n').slice(0, 10).join('\n'));
      expect((await runImport(server(), args)).stderr).toContain('start over with --restart');
      expect((await runImport(server(), [...args, '--restart'])).code).toBe(0);
    },
  );

  test('a dry run shows what it would send, and sends nothing', async () => {
    const input = file('dry.csv', `${table(2, 3)}c1,never,1\n`);
    const mapping = file('dry.json', tableMapping('Dry'));
    const { code, stdout, stderr } = await startProgram(
      'import',
      ['--mapping', mapping, '--dry-run', input],
      {},
    ).finished;
    expect([code, stderr]).toEqual([1, expect.stringContaining('line 8: time is not a time')]);
    expect(stdout).toContain('{"uniqueId":"Dry:2","metric":"Dry","profile":{"externalId":"c0"}');
    expect(stdout).toMatch(/6 {2}Dry\n +1 {2}rejected/);
    expect(await having('Dry', 3)).toBe(0);
  });
});
