/** The whole service with Kafka as its log: what runs in production, as far as the log is concerned. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { events } from '../api/support.ts';
import { useEngines } from '../support/engines.ts';
import { startKafka } from '../support/kafka.ts';
import { SERVICE_KEY, startWholeService } from '../support/service.ts';

const engines = useEngines();
const stops: (() => unknown)[] = [];
let address = '';

beforeAll(async () => {
  const kafka = await startKafka();
  stops.push(() => kafka.stop());
  const service = await startWholeService({
    MYSQL_URL: engines.mysqlUrl(),
    CLICKHOUSE_URL: engines.clickhouseUrl(),
    KAFKA_BROKERS: kafka.brokers.join(','),
  });
  stops.push(() => service.stop());
  address = `${service.url}/graphql`;
}, 180_000);

afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
}, 60_000);

async function ask<T>(query: string, variables: Record<string, unknown> = {}): Promise<T> {
  const response = await fetch(address, {
    method: 'POST',
    headers: { authorization: `Bearer ${SERVICE_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = (await response.json()) as { data: T; errors?: unknown };
  expect(errors).toBeUndefined();
  return data;
}

it('takes events through Kafka to entries and, by time alone, exits', async () => {
  const created = await ask<{ segmentCreate: { segment: { id: string } } }>(
    'mutation ($input: SegmentCreateInput!) { segmentCreate(input: $input) { segment { id } userErrors { message } } }',
    { input: { name: 'Looking', condition: { event: { metric: 'Viewed', within: { last: 'PT3S' } } } } },
  );
  const sent = await ask<{ eventsIngest: { accepted: number; receipt: string } }>(
    'mutation ($events: [EventInput!]!) { eventsIngest(events: $events) { accepted receipt } }',
    { events: [{ metric: 'Viewed', uniqueId: 'once', profile: { email: 'ada@example.com' } }] },
  );
  const { receipt } = await ask<{ receipt: { reached: boolean } }>(
    'query ($token: Receipt!) { receipt(token: $token, stage: EVALUATED, timeout: "PT20S") { reached } }',
    { token: sent.eventsIngest.receipt },
  );
  expect(receipt.reached).toBe(true);

  type Log = {
    membershipLog: { changes: { kind: string; cause: string; at: string; segment: { id: string } }[] };
  };
  const changes = async () =>
    (await ask<Log>('{ membershipLog(first: 10) { changes { kind cause at segment { id } } } }'))
      .membershipLog.changes;
  await expect.poll(changes, { timeout: 15_000, interval: 200 }).toHaveLength(2);
  const [entered, exited] = await changes();
  expect(entered).toMatchObject({ kind: 'ENTERED', cause: 'EVENT', segment: created.segmentCreate.segment });
  expect(exited).toMatchObject({ kind: 'EXITED', cause: 'TIME' });
  expect(Date.parse(exited?.at ?? '') - Date.parse(entered?.at ?? '')).toBe(3_000);
}, 90_000);

it('tells live what has been stored, to those who come and go', async () => {
  const sending = setInterval(() => {
    const event = { metric: 'Live', profile: { email: `live-${Date.now()}@example.com` } };
    ask('mutation ($events: [EventInput!]!) { eventsIngest(events: $events) { accepted } }', {
      events: [event],
    }).catch(() => {});
  }, 500);
  stops.push(() => clearInterval(sending));
  const firstThree = async (query: string) => {
    const stop = new AbortController();
    const seen: unknown[] = [];
    for await (const { data } of events(address.replace('/graphql', ''), SERVICE_KEY, query, stop)) {
      seen.push(...Object.values(data.data ?? {}));
      if (seen.length === 3) break;
    }
    stop.abort();
    return seen;
  };
  for (let round = 0; round < 2; round++) {
    const [feed, sizes] = await Promise.all([
      firstThree('subscription { eventFeed(metric: "Live") { id metric { name } } }'),
      firstThree('subscription { audienceCount(query: "did \\"Live\\"") }'),
    ]);
    expect(feed.map((event) => (event as { metric: { name: string } }).metric.name)).toEqual([
      'Live',
      'Live',
      'Live',
    ]);
    expect(new Set(feed.map((event) => (event as { id: string }).id)).size).toBe(3);
    expect(sizes).toEqual([...new Set(sizes)].sort((a, b) => Number(a) - Number(b)));
  }
}, 60_000);
