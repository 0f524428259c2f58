import { createServer, connect, type AddressInfo, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { follow, type Change } from '../../examples/demo/feed.ts';
import { createShop } from '../../examples/demo/shop.ts';
import { createView, sparkline } from '../../examples/demo/view.ts';
import { eventually, startProgram, useServer } from './support.ts';

const server = useServer();
const environment = () => ({ TIDEMARK_URL: server().url, TIDEMARK_API_KEY: server().apiKey });

/** A way to the server that can be cut. */
async function cable(to: string) {
  const sockets = new Set<Socket>();
  const proxy = createServer((near) => {
    const far = connect(Number(new URL(to).port), '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => other.destroy());
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}/graphql`,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => proxy.close(),
  };
}

describe('npm run demo', () => {
  test('plays, and shows counts, entries and exits by event and by time', async () => {
    // So few events that many people pause for longer than the 15 s of "Browsing now".
    const args = ['--people', '60', '--rate', '8', '--seconds', '36'];
    const { code, stdout, stderr } = await startProgram('demo', args, environment()).finished;
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/ENTERED Browsing now: \w+ \w\. demo-\d{5}, event, after \d+ (ms|s)/);
    expect(stdout).toMatch(/EXITED {2}Browsing now: .*, time, after/);
    const counts = [...stdout.matchAll(/60 people · .*Browsing now (\d+) /g)].map((match) =>
      Number(match[1]),
    );
    expect(new Set(counts).size).toBeGreaterThan(2);
    expect(stdout).toMatch(/\d+ events sent in \d+ s/);
    // Segments are made once, whoever plays next.
    const names = async () => {
      const { segments } = await server().client.request<{ segments: { nodes: { name: string }[] } }>(
        '{ segments(first: 100, search: "Demo: ") { nodes { name } } }',
      );
      return segments.nodes.map(({ name }) => name).sort();
    };
    const first = await names();
    expect(first).toHaveLength(7);
    const again = startProgram('demo', ['--people', '10'], environment());
    let output = '';
    again.child.stdout!.on('data', (text: string) => (output += text));
    await eventually(() => output.includes('10 people'), 'the second demo');
    again.child.kill('SIGINT');
    const ended = await again.finished;
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(ended.stdout).toContain('The segments stay');
    expect(await names()).toEqual(first);
  });

  test('says what is missing', async () => {
    const noKey = await startProgram('demo', [], { TIDEMARK_URL: server().url }).finished;
    expect([noKey.code, noKey.stderr]).toEqual([1, expect.stringContaining('Set TIDEMARK_API_KEY')]);
    const wrong = { ...environment(), TIDEMARK_API_KEY: 'not-a-key-of-this-server' };
    const refused = await startProgram('demo', [], wrong).finished;
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('refuses the API key')]);
    const rate = await startProgram('demo', ['--rate', 'fast'], environment()).finished;
    expect(rate.stderr).toContain('--rate must be a number');
  });
});

test('the feed goes on after a lost connection, with no gap and no repeat', async () => {
  const { client, url, apiKey } = server();
  const { segmentCreate } = await client.request<{ segmentCreate: { segment: { id: string } } }>(
    'mutation ($input: SegmentCreateInput!) { segmentCreate(input: $input) { segment { id } } }',
    { input: { name: 'Fed', condition: { event: { metric: 'Fed' } } } },
  );
  const { position } = await client.request<{ position: string }>('{ position }');
  const way = await cable(url);
  const stop = new AbortController();
  const seen: Change[] = [];
  const sizes: number[] = [];
  let connections = 0;
  const following = follow({
    url: way.url,
    apiKey,
    segments: [segmentCreate.segment.id],
    after: position,
    signal: stop.signal,
    onChange: (change) => seen.push(change),
    onCount: ({ count }) => sizes.push(count),
    onConnection: (connected) => (connections += Number(connected)),
  });
  const send = (from: number, to: number) =>
    client.request('mutation ($events: [EventInput!]!) { eventsIngest(events: $events) { accepted } }', {
      events: Array.from({ length: to - from }, (_, i) => ({
        metric: 'Fed',
        profile: { externalId: `fed-${from + i}` },
      })),
    });
  try {
    await send(0, 20);
    await eventually(() => seen.length === 20, 'the first changes');
    way.cut();
    await send(20, 40);
    await eventually(() => seen.length >= 40 && sizes.at(-1) === 40, 'what was missed');
    await send(40, 50);
    await eventually(() => seen.length >= 50, 'what came after');
  } finally {
    stop.abort();
    await following;
    way.close();
  }
  const people = seen.map((change) => change.profile?.externalId);
  expect(people).toHaveLength(50);
  expect(new Set(people).size).toBe(50);
  expect(connections).toBeGreaterThan(1);
});

test('a refused feed ends instead of trying for ever', async () => {
  const feed = follow({
    url: `${server().url}/graphql`,
    apiKey: 'not-a-key-of-this-server',
    segments: [],
    after: '',
    signal: new AbortController().signal,
    onChange: () => {},
    onCount: () => {},
    onConnection: () => {},
  });
  await expect(feed).rejects.toThrow('API key');
});

describe('the shop', () => {
  test('keeps to its rate, in time, in order, with all that it sells', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const shop = createShop({ people: 500, rate: 50, random, now: 0 });
    const metrics = new Map<string, number>();
    let last = 0;
    let events = 0;
    for (let now = 200; now <= 600_000; now += 200) {
      for (const event of shop.step(now).events) {
        expect(event.time).toBeGreaterThanOrEqual(last);
        expect(event.time).toBeLessThanOrEqual(now);
        last = event.time;
        events++;
        metrics.set(event.metric, (metrics.get(event.metric) ?? 0) + 1);
      }
    }
    expect(events / 600).toBeGreaterThan(40);
    expect(events / 600).toBeLessThan(60);
    expect([...metrics.keys()].sort()).toEqual([
      'Added to Cart',
      'Clicked Email',
      'Opened Email',
      'Placed Order',
      'Started Checkout',
      'Viewed Product',
    ]);
    expect(metrics.get('Viewed Product')!).toBeGreaterThan(5 * metrics.get('Placed Order')!);
  });
});

describe('the view', () => {
  test('fits a terminal of 80 × 24 and gives it back', () => {
    let written = '';
    let now = 0;
    const terminal = { isTTY: true, rows: 24, columns: 80, write: (text: string) => (written += text) };
    const segments = Array.from({ length: 7 }, (_, i) => ({ id: `s${i}`, name: `Segment with a name ${i}` }));
    const view = createView(segments, terminal as unknown as NodeJS.WriteStream, () => now);
    for (let i = 0; i < 100; i++) {
      now += 1_000;
      view.count('s1', i * 12_345);
      const profile = { firstName: 'Maximiliane', lastName: 'Okafor', externalId: `demo-000${i}` };
      const at = new Date(now - 31_000).toISOString();
      view.change(
        {
          id: `${i}`,
          position: '',
          kind: 'ENTERED',
          cause: 'DEFINITION',
          at,
          segment: { id: 's1' },
          profileId: 'p',
          profile,
        },
        now,
      );
      written = '';
      view.draw({
        people: 1_000_000,
        sent: 12_345_678,
        refused: 12,
        rate: 9_999,
        connected: false,
        seconds: 5_000,
      });
    }
    // eslint-disable-next-line no-control-regex
    const screen = written.replaceAll(/\x1b\[[\d?]*[A-Za-z]/g, '').split('\n');
    expect(screen.length).toBeLessThanOrEqual(24);
    for (const line of screen) expect([...line].length, line).toBeLessThanOrEqual(80);
    expect(screen.join('\n')).toContain('1,222,155');
    expect(screen[1]).toBe(' connecting…, 12 events refused');
    view.stop();
    expect(written.endsWith('\x1b[?7h\x1b[?25h\x1b[?1049l')).toBe(true);
  });

  test('sparklines span what they show', () => {
    expect(sparkline([0, 5, 10])).toBe('▁▅█');
    expect(sparkline([3, 3])).toBe('▁▁');
  });
});
