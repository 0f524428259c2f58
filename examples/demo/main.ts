/** `npm run demo`: a living shop, played through the public API, and what its segments do meanwhile. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ClientError, createClient, type Client } from '../client.ts';
import { follow } from './feed.ts';
import { ensureSegments } from './segments.ts';
import { createShop, type Person, type ShopStep } from './shop.ts';
import { createView } from './view.ts';

const HELP = `Usage: npm run demo -- [options]

Plays a shop against a running Tidemark: people browse, fill carts, order and
open e-mail. Shows segments with their moving counts, and every entry and exit
as the subscription delivers it. Time moves people too: windows are of seconds.

Options
  --people N   how many customers there are (default 3000)
  --rate N     events a second, on average (default 40)
  --seconds N  end after so many seconds (default: at Ctrl-C)
  --help

Environment
  TIDEMARK_URL      the server (default: http://127.0.0.1:4000/graphql)
  TIDEMARK_API_KEY  a key with the scopes INGEST, READ and MANAGE`;

/** Between two requests with what has happened since. */
const SEND_EVERY_MS = 200;
const MAX_ITEMS = 1_000;

interface Options {
  people: number;
  rate: number;
  seconds: number | null;
}

function readOptions(): Options | null {
  const { values } = parseArgs({
    options: {
      people: { type: 'string', default: '3000' },
      rate: { type: 'string', default: '40' },
      seconds: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  const number = (name: string, text: string, max: number): number => {
    const value = Number(text);
    if (!(value > 0 && value <= max)) throw new Error(`--${name} must be a number above 0, at most ${max}.`);
    return value;
  };
  return {
    people: Math.ceil(number('people', values.people, 1_000_000)),
    rate: number('rate', values.rate, 10_000),
    seconds: values.seconds === undefined ? null : number('seconds', values.seconds, 1e6),
  };
}

async function run(options: Options, stop: AbortController): Promise<void> {
  const apiKey = process.env.TIDEMARK_API_KEY ?? '';
  if (apiKey === '')
    throw new Error('Set TIDEMARK_API_KEY to an API key with the scopes INGEST, READ and MANAGE.');
  const url = process.env.TIDEMARK_URL || 'http://127.0.0.1:4000/graphql';
  const client = createClient({ url, apiKey, signal: stop.signal });

  const shop = createShop({
    people: options.people,
    rate: options.rate,
    random: Math.random,
    now: Date.now(),
  });
  const withConsents = await offersConsents(client);
  const segments = await ensureSegments(client);
  await introduce(client, shop.people);
  const { position } = await client.request<{ position: string }>('{ position }');

  const started = Date.now();
  const totals = { people: options.people, sent: 0, refused: 0, rate: 0, connected: false, seconds: 0 };
  const view = createView(segments, process.stdout, Date.now);
  const feed = follow({
    url: client.url,
    apiKey,
    segments: segments.map(({ id }) => id),
    after: position,
    signal: stop.signal,
    onChange: (change) => view.change(change, Date.now()),
    onCount: ({ segment, count }) => view.count(segment.id, count),
    onConnection: (connected) => (totals.connected = connected),
  });
  // A refused subscription ends the demo; the error is thrown below.
  feed.catch(() => stop.abort());

  try {
    const send = createSend(client, shop.people, withConsents, totals);
    while (!stop.signal.aborted) {
      const now = Date.now();
      totals.seconds = (now - started) / 1000;
      if (options.seconds !== null && totals.seconds >= options.seconds) break;
      await send(shop.step(now), now);
      view.draw(totals);
      await sleep(SEND_EVERY_MS, undefined, { signal: stop.signal });
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    stop.abort();
    view.stop();
  }
  await feed;
  console.log(
    `${totals.sent} events sent in ${totals.seconds.toFixed(0)} s. The segments stay; so do the people.`,
  );
}

/** Sends what has happened, and keeps the totals. */
function createSend(
  client: Client,
  people: Person[],
  withConsents: boolean,
  totals: { sent: number; refused: number; rate: number },
) {
  // Ids of this run; a request that is repeated after a lost answer repeats them, and counts once.
  const runId = `demo:${Date.now().toString(36)}`;
  let n = 0;
  const lately: { at: number; count: number }[] = [];

  return async ({ events, plans, consents }: ShopStep, now: number): Promise<void> => {
    for (let from = 0; from < events.length; from += MAX_ITEMS) {
      const batch = events.slice(from, from + MAX_ITEMS).map(({ person, time, ...event }) => ({
        ...event,
        uniqueId: `${runId}:${++n}`,
        profile: { externalId: people[person]!.externalId },
        time: new Date(time).toISOString(),
      }));
      const { eventsIngest } = await client.request<{ eventsIngest: { accepted: number } }>(
        'mutation ($events: [EventInput!]!) { eventsIngest(events: $events) { accepted } }',
        { events: batch },
      );
      totals.sent += eventsIngest.accepted;
      totals.refused += batch.length - eventsIngest.accepted;
    }
    if (plans.length > 0) {
      const profiles = plans.map(({ person, plan }) => ({
        identifiers: identifiersOf(people[person]!),
        properties: { plan },
      }));
      await upsert(client, profiles);
    }
    if (withConsents && consents.length > 0) {
      const changes = consents.map(({ person, status, time }) => ({
        identifiers: identifiersOf(people[person]!),
        channel: 'EMAIL',
        status,
        at: new Date(time).toISOString(),
        source: 'demo',
      }));
      await client.request(
        'mutation ($changes: [ConsentChangeInput!]!) { consentUpdate(changes: $changes) { accepted } }',
        { changes },
      );
    }
    lately.push({ at: now, count: events.length });
    while (lately[0]!.at < now - 5_000) lately.shift();
    const seconds = Math.max(1, (now - lately[0]!.at) / 1000);
    totals.rate = lately.reduce((sum, { count }) => sum + count, 0) / seconds;
  };
}

/** Makes the customers known, or current where an earlier run has. */
async function introduce(client: Client, people: Person[]): Promise<void> {
  for (let from = 0; from < people.length; from += MAX_ITEMS) {
    const profiles = people.slice(from, from + MAX_ITEMS).map((person) => {
      const { firstName, lastName, location, properties } = person;
      return { identifiers: identifiersOf(person), firstName, lastName, location, properties };
    });
    await upsert(client, profiles);
  }
}

async function upsert(client: Client, profiles: unknown[]): Promise<void> {
  await client.request(
    'mutation ($profiles: [ProfileInput!]!) { profilesUpsert(profiles: $profiles) { accepted } }',
    {
      profiles,
    },
  );
}

function identifiersOf(person: Person): { externalId: string } {
  return { externalId: person.externalId };
}

async function offersConsents(client: Client): Promise<boolean> {
  const { __type } = await client.request<{ __type: { fields: { name: string }[] } }>(
    '{ __type(name: "Mutation") { fields { name } } }',
  );
  return __type.fields.some(({ name }) => name === 'consentUpdate');
}

function remedy(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof ClientError)) return message;
  if (error.kind === 'unauthorized') {
    return `${message}\nSet TIDEMARK_API_KEY to a key of this server with the scopes INGEST, READ and MANAGE.`;
  }
  return error.kind === 'unavailable'
    ? `${message}\nIs the server running, and TIDEMARK_URL right?`
    : message;
}

const stop = new AbortController();
// One Ctrl-C may arrive several times, from the terminal, npm and tsx: each asks for the same.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort());
try {
  const options = readOptions();
  if (options) await run(options, stop);
  else console.log(HELP);
} catch (error) {
  if (!(error instanceof ClientError && error.kind === 'stopped')) {
    console.error(remedy(error));
    process.exitCode = 1;
  }
}
