/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access */
import { gunzipSync } from 'node:zlib';
import { get } from 'node:http';
import { auditServer } from 'graphql-http';
import { afterEach, describe, expect, it } from 'vitest';
import { metricsText } from '../../src/runtime/metrics.ts';
import { CREATE, events, eventually, INGEST, useApi } from './support.ts';

const start = useApi();
const stops: AbortController[] = [];
afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));

describe('GraphQL over HTTP', () => {
  it('passes the audit of graphql-http', async () => {
    const results = await auditServer({ url: `${start().url}/graphql` });
    const failed = results.filter((result) => result.status !== 'ok');
    expect(
      failed.map((result) => `${result.status} ${result.name} ${'reason' in result ? result.reason : ''}`),
    ).toEqual([]);
    expect(results.length).toBeGreaterThan(50);
  });

  it('may be called from any page, without cookies', async () => {
    const preflight = await fetch(`${start().url}/graphql`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://shop.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toMatch(/^(\*|https:\/\/shop\.example)$/);
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization');
    expect(preflight.headers.get('access-control-allow-credentials')).not.toBe('true');
  });
});

describe('server-sent events', () => {
  it('bring entries, and end with the client', async () => {
    const api = start();
    const before = await open();
    const created = await api.gql(CREATE, {
      input: { name: 'Streamed', condition: { event: { metric: 'Streamed' } } },
    });
    const id = created.data.segmentCreate.segment.id as string;
    await eventually(
      () => api.gql('query ($id: ID!) { segment(id: $id) { status } }', { id }),
      (answer) => answer.data.segment.status === 'LIVE',
    );
    const stop = new AbortController();
    stops.push(stop);
    const changes = events(
      api.url,
      api.admin,
      'subscription { membershipChanges { kind segment { name } profile { email } } }',
      stop,
    );
    const next = changes.next();
    await eventually(open, (count) => count === before + 1);
    await api.gql(INGEST, { events: [{ metric: 'Streamed', profile: { email: 's@example.com' } }] });
    expect((await next).value).toEqual({
      event: 'next',
      data: {
        data: {
          membershipChanges: {
            kind: 'ENTERED',
            segment: { name: 'Streamed' },
            profile: { email: 's@example.com' },
          },
        },
      },
    });
    stop.abort();
    await eventually(open, (count) => count === before);
  });

  it('tell what is wrong and complete', async () => {
    const api = start();
    const stop = new AbortController();
    stops.push(stop);
    const seen: string[] = [];
    for await (const { event, data } of events(
      api.url,
      api.admin,
      'subscription { membershipChanges(after: "bm9uc2Vuc2U") { id } }',
      stop,
    )) {
      seen.push(`${event} ${String(data.errors?.[0]?.extensions['code'])}`);
    }
    expect(seen).toEqual(['next INVALID_POSITION', 'complete undefined']);
  });

  async function open(): Promise<number> {
    return Number(/^tidemark_subscribers (\d+)/m.exec(await metricsText())?.[1]);
  }
});

describe('beside the API', () => {
  it('serves GraphiQL that needs nothing from elsewhere', async () => {
    const page = await new Promise<Buffer>((resolve, reject) => {
      get(`${start().url}/`, (response) => {
        const chunks: Buffer[] = [];
        expect(response.headers['content-type']).toBe('text/html; charset=utf-8');
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => resolve(gunzipSync(Buffer.concat(chunks))));
      }).on('error', reject);
    });
    const html = page.toString('utf8');
    expect(html).toContain('<title>Tidemark</title>');
    expect(html).toContain('segmentCreate');
    // Every script and style is in the page itself.
    expect(html).not.toMatch(/<script[^>]*\ssrc=|<link[^>]*stylesheet/);
  });

  it('says whether it lives and is ready, and shows its metrics', async () => {
    const { url } = start();
    expect(await (await fetch(`${url}/health/live`)).json()).toMatchObject({ live: true });
    const ready = await fetch(`${url}/health/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([
      200,
      { ready: true, checks: { mysql: { status: 'up' } } },
    ]);
    expect(await (await fetch(`${url}/metrics`)).text()).toContain('tidemark_graphql_operations_total');
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });
});
