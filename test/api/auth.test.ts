/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment */
import { afterEach, describe, expect, it } from 'vitest';
import { getNamedType, isNonNullType, type GraphQLField } from 'graphql';
import { schema } from '../../src/schema/index.ts';
import { CREATE, events, eventually, INGEST, stream, useApi, type Answer } from './support.ts';

const start = useApi();

const codes = (answer: Answer) => answer.errors?.map((error) => error.extensions['code']);
const REVOKE = 'mutation ($id: ID!) { apiKeyRevoke(id: $id) { revokedId userErrors { code } } }';
const MAKE_KEY = `mutation ($name: String!, $scopes: [ApiScope!]!) {
  apiKeyCreate(name: $name, scopes: $scopes) { apiKey { id name scopes createdAt lastUsedAt } secret userErrors { field code message } }
}`;

/** An operation with made-up but well-typed arguments for every root field. */
function rootOperations(): {
  name: string;
  operation: 'query' | 'mutation' | 'subscription';
  document: string;
}[] {
  const roots = [
    ['query', schema.getQueryType()],
    ['mutation', schema.getMutationType()],
    ['subscription', schema.getSubscriptionType()],
  ] as const;
  const values: Record<string, string> = {
    Int: '1',
    ID: '"x"',
    String: '"x"',
    Position: '"x"',
    Receipt: '"x"',
    ProfileSelector: '{ email: "a@example.com" }',
    ConditionInput: '{ event: { metric: "x" } }',
    EventInput: '{ metric: "x", profile: { email: "a@example.com" } }',
    ProfileInput: '{ identifiers: { email: "a@example.com" } }',
    ConsentChangeInput: '{ identifiers: { email: "a@example.com" }, channel: EMAIL, status: SUBSCRIBED }',
    SegmentCreateInput: '{ name: "x", condition: { event: { metric: "x" } } }',
    SegmentUpdateInput: '{ name: "x" }',
    ApiScope: 'READ',
  };
  return roots.flatMap(([operation, type]) =>
    Object.values(type?.getFields() ?? {}).map((field: GraphQLField<unknown, unknown>) => {
      const args = field.args
        .filter((arg) => isNonNullType(arg.type) && arg.defaultValue === undefined)
        .map((arg) => {
          const value = values[getNamedType(arg.type).name];
          if (value === undefined) throw new Error(`no value for ${arg.type.toString()}`);
          return `${arg.name}: ${arg.type.toString().includes('[') ? `[${value}]` : value}`;
        })
        .join(', ');
      const selection = 'getFields' in getNamedType(field.type) ? ' { __typename }' : '';
      return {
        name: field.name,
        operation,
        document: `${operation} { ${field.name}${args ? `(${args})` : ''}${selection} }`,
      };
    }),
  );
}

describe('keys over HTTP', () => {
  it('lets anybody look at the schema, and at nothing else', async () => {
    const api = start();
    const introspection = await api.gql('{ __schema { queryType { name } } }', undefined, { key: null });
    expect(introspection.data.__schema.queryType.name).toBe('Query');
    const all = rootOperations();
    expect(all.length).toBeGreaterThan(20);
    for (const { name, operation, document } of all.filter((each) => each.operation !== 'subscription')) {
      const answer = await api.gql(document, undefined, { key: null });
      expect([name, operation, answer.status, codes(answer)]).toEqual([
        name,
        operation,
        401,
        ['UNAUTHENTICATED'],
      ]);
    }
  });

  it.each(['tm_wrong', 'x', ''])('refuses the key "%s"', async (key) => {
    const answer = await start().gql('{ account { name } }', undefined, { key });
    expect(answer.status).toBe(401);
    expect(codes(answer)).toEqual(['UNAUTHENTICATED']);
  });

  it('lets a key do what its scopes say, and names the one that is missing', async () => {
    const api = start();
    const needed: Record<string, string> = {
      eventsIngest: 'INGEST',
      profilesUpsert: 'INGEST',
      consentUpdate: 'INGEST',
      segmentCreate: 'MANAGE',
      segmentUpdate: 'MANAGE',
      segmentDelete: 'MANAGE',
      apiKeyCreate: 'ADMIN',
      apiKeyRevoke: 'ADMIN',
    };
    const granted: Record<string, string[]> = {
      INGEST: ['INGEST'],
      READ: ['READ'],
      MANAGE: ['READ', 'MANAGE'],
      'INGEST,READ': ['INGEST', 'READ'],
      ADMIN: ['INGEST', 'READ', 'MANAGE', 'ADMIN'],
    };
    for (const [scopes, has] of Object.entries(granted)) {
      const key = await api.key(scopes);
      for (const { name, operation, document } of rootOperations()) {
        if (operation === 'subscription' || name === 'receipt') continue;
        const scope = needed[name] ?? 'READ';
        const answer = await api.gql(document, undefined, { key });
        if (has.includes(scope)) {
          expect([name, codes(answer) ?? []]).toEqual([name, expect.not.arrayContaining(['FORBIDDEN'])]);
        } else {
          expect([name, answer.status, codes(answer)]).toEqual([name, 403, ['FORBIDDEN']]);
          expect(answer.errors?.[0]?.message).toContain(scope);
          expect(answer.errors?.[0]?.extensions['requiredScopes']).toEqual([scope]);
        }
      }
    }
  });

  it('lets a write-only key wait for its writes', async () => {
    const api = start();
    const key = await api.key('INGEST');
    const ingest = await api.gql(
      INGEST,
      { events: [{ metric: 'X', profile: { email: 'a@example.com' } }] },
      { key },
    );
    const token = ingest.data.eventsIngest.receipt as string;
    const answer = await api.gql(
      'query ($token: Receipt!) { receipt(token: $token, stage: ACCEPTED) { reached } }',
      { token },
      { key },
    );
    expect(answer.data.receipt.reached).toBe(true);
  });

  it('keeps what belongs to keys from those without ADMIN', async () => {
    const api = start();
    const key = await api.key('MANAGE');
    const list = await api.gql('{ account { name apiKeys(first: 1) { totalCount } } }', undefined, { key });
    expect(codes(list)).toEqual(['FORBIDDEN']);
    const keys = await api.gql('{ account { apiKeys(first: 1) { nodes { id } } } }');
    const id = keys.data.account.apiKeys.nodes[0].id as string;
    expect(codes(await api.gql('query ($id: ID!) { node(id: $id) { id } }', { id }, { key }))).toEqual([
      'FORBIDDEN',
    ]);
  });

  it('makes keys that work at once, shows the secret once, and stores only its hash', async () => {
    const api = start();
    const made = await api.gql(MAKE_KEY, { name: 'Reader', scopes: ['READ', 'INGEST', 'READ'] });
    const { apiKey, secret, userErrors } = made.data.apiKeyCreate;
    expect(userErrors).toEqual([]);
    expect(apiKey).toMatchObject({ name: 'Reader', scopes: ['INGEST', 'READ'], lastUsedAt: null });
    expect(secret).toMatch(/^tm_[\w-]{43}$/);
    expect((await api.gql('{ account { name } }', undefined, { key: secret })).data.account.name).toBe(
      'Default',
    );
    const [rows] = await api.mysql.pool.query('SELECT * FROM api_keys');
    expect(JSON.stringify(rows)).not.toContain(secret);
    expect(api.logged.join('')).not.toContain(secret);
    const used = await eventually(
      () => api.gql('query ($id: ID!) { node(id: $id) { ... on ApiKey { lastUsedAt } } }', { id: apiKey.id }),
      (answer) => answer.data.node.lastUsedAt !== null,
    );
    expect(Date.parse(used.data.node.lastUsedAt as string)).toBeGreaterThan(Date.now() - 10_000);
  });

  it('says what is wrong with a new key', async () => {
    const { data } = await start().gql(MAKE_KEY, { name: ' ', scopes: [] });
    expect(data.apiKeyCreate).toMatchObject({
      apiKey: null,
      secret: null,
      userErrors: [
        { field: ['name'], code: 'REQUIRED' },
        { field: ['scopes'], code: 'REQUIRED' },
      ],
    });
    const long = await start().gql(MAKE_KEY, { name: 'x'.repeat(256), scopes: ['READ'] });
    expect(long.data.apiKeyCreate.userErrors).toMatchObject([{ field: ['name'], code: 'TOO_LONG' }]);
  });

  it('revokes a key at once in this process', async () => {
    const api = start();
    const made = await api.gql(MAKE_KEY, { name: 'Gone', scopes: ['READ'] });
    const { apiKey, secret } = made.data.apiKeyCreate;
    await api.gql('{ account { name } }', undefined, { key: secret });
    expect((await api.gql(REVOKE, { id: apiKey.id })).data.apiKeyRevoke).toEqual({
      revokedId: apiKey.id,
      userErrors: [],
    });
    expect((await api.gql('{ account { name } }', undefined, { key: secret })).status).toBe(401);
    expect((await api.gql(REVOKE, { id: apiKey.id })).data.apiKeyRevoke.userErrors).toEqual([
      { code: 'NOT_FOUND' },
    ]);
    expect(
      (await api.gql('query ($id: ID!) { node(id: $id) { id } }', { id: apiKey.id })).data.node,
    ).toBeNull();
  });
});

describe('another account', () => {
  it('is as if it were not there', async () => {
    const api = start();
    const created = await api.gql(CREATE, { input: { name: 'Mine', condition: { event: { metric: 'X' } } } });
    const segment = created.data.segmentCreate.segment.id as string;
    await api.gql(INGEST, { events: [{ metric: 'Private', profile: { email: 'private@example.com' } }] });
    const mine = await eventually(
      () =>
        api.gql(
          '{ account { id apiKeys(first: 1) { nodes { id } } } position profile(by: { email: "private@example.com" }) { id } metrics(first: 10) { nodes { id } } events(first: 1) { nodes { id } } }',
        ),
      (answer) => answer.data?.profile != null && answer.data.events.nodes.length > 0,
    );
    const ids = [
      segment,
      mine.data.account.id,
      mine.data.account.apiKeys.nodes[0].id,
      mine.data.profile.id,
      mine.data.metrics.nodes[0].id,
      mine.data.events.nodes[0].id,
    ] as string[];
    const receipt = await api.gql(INGEST, { events: [{ metric: 'X', profile: { email: 'r@example.com' } }] });
    const { admin: key } = await api.otherAccount();
    const theirs = (query: string, variables?: object) => api.gql(query, variables, { key });

    const nodes = await theirs('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids });
    expect(nodes.data.nodes).toEqual(ids.map(() => null));
    const reads = await theirs(
      'query ($segment: ID!, $profile: ID!) { segment(id: $segment) { id } profile(by: { id: $profile }) { id } byEmail: profile(by: { email: "private@example.com" }) { id } profiles(first: 1) { totalCount } segments(first: 1) { totalCount } metrics(first: 1) { totalCount } events(first: 1) { totalCount nodes { id } } account { name profileCount eventCount } }',
      { segment, profile: ids[3] },
    );
    expect(reads.data).toEqual({
      segment: null,
      profile: null,
      byEmail: null,
      profiles: { totalCount: 0 },
      segments: { totalCount: 0 },
      metrics: { totalCount: 0 },
      events: { totalCount: 0, nodes: [] },
      account: { name: 'Other', profileCount: 0, eventCount: 0 },
    });
    const update = await theirs(
      'mutation ($id: ID!) { segmentUpdate(id: $id, input: { name: "Yours" }) { segment { id } userErrors { code } } segmentDelete(id: $id) { deletedId userErrors { code } } }',
      { id: segment },
    );
    expect(update.data).toEqual({
      segmentUpdate: { segment: null, userErrors: [{ code: 'NOT_FOUND' }] },
      segmentDelete: { deletedId: null, userErrors: [{ code: 'NOT_FOUND' }] },
    });
    expect((await theirs(REVOKE, { id: ids[2] })).data.apiKeyRevoke.userErrors).toEqual([
      { code: 'NOT_FOUND' },
    ]);
    const ingest = await theirs(INGEST, { events: [{ metric: 'X', profile: { id: ids[3] } }] });
    expect(ingest.data.eventsIngest).toMatchObject({
      accepted: 0,
      userErrors: [{ index: 0, field: ['profile', 'id'], code: 'NOT_FOUND' }],
    });
    const token = receipt.data.eventsIngest.receipt as string;
    expect(
      codes(await theirs('query ($token: Receipt!) { receipt(token: $token) { reached } }', { token })),
    ).toEqual(['INVALID_RECEIPT']);
    const log = await theirs(
      'query ($after: Position) { membershipLog(first: 1, after: $after) { hasMore } }',
      { after: mine.data.position },
    );
    expect(codes(log)).toEqual(['INVALID_POSITION']);
    expect(
      codes(
        await theirs('query ($id: ID!) { membershipLog(first: 1, segments: [$id]) { hasMore } }', {
          id: segment,
        }),
      ),
    ).toEqual(['NOT_FOUND']);
    const counts = stream(
      api.socket(key),
      'subscription ($ids: [ID!]!) { segmentCounts(segments: $ids) { count } }',
      { ids: [segment] },
    );
    await expect(counts.next()).rejects.toThrow(/NOT_FOUND/);
    // Untouched.
    expect(
      (await api.gql('query ($id: ID!) { segment(id: $id) { name } }', { id: segment })).data.segment.name,
    ).toBe('Mine');
  });
});

describe('keys on live transports', () => {
  const stops: AbortController[] = [];
  afterEach(() => stops.splice(0).forEach((stop) => stop.abort()));
  const controller = () => {
    const stop = new AbortController();
    stops.push(stop);
    return stop;
  };
  const CHANGES = 'subscription { membershipChanges { id } }';
  const all = async <T>(values: AsyncIterable<T>): Promise<T[]> => {
    const got = [];
    for await (const value of values) got.push(value);
    return got;
  };

  it('refuses wrong keys on a WebSocket with 4403', async () => {
    for (const key of ['tm_wrong', '']) {
      const changes = stream(start().socket(key), CHANGES);
      await expect(changes.next()).rejects.toMatchObject({ code: 4403 });
    }
  });

  it('refuses keys without the scope, per operation', async () => {
    const api = start();
    const changes = stream(api.socket(await api.key('INGEST')), CHANGES);
    await expect(changes.next()).rejects.toThrow(/FORBIDDEN/);
  });

  it('refuses wrong and missing keys and scopes on server-sent events', async () => {
    const api = start();
    for (const [key, code] of [
      [null, 'UNAUTHENTICATED'],
      ['tm_wrong', 'UNAUTHENTICATED'],
      [await api.key('INGEST'), 'FORBIDDEN'],
    ] as const) {
      for (const { name, document } of rootOperations().filter((each) => each.operation === 'subscription')) {
        const first = await events(api.url, key, document, controller()).next();
        expect([name, first.value?.data.errors?.[0]?.extensions['code']]).toEqual([name, code]);
      }
    }
  });

  it('ends sockets and streams within 5 s after another process has revoked their key', async () => {
    const api = start();
    const secret = await api.key('READ');
    // Changes of the tests before may still come; the end is what comes after them.
    const socket = all(stream(api.socket(secret), CHANGES));
    const sse = all(events(api.url, secret, CHANGES, controller()));
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const begun = Date.now();
    await api.mysql.pool.query(
      'UPDATE api_keys SET revoked_at = ? WHERE name LIKE ? ORDER BY id DESC LIMIT 1',
      [begun, 'Test %'],
    );
    await expect(socket).rejects.toMatchObject({ code: 4403 });
    const codes = (await sse)
      .flatMap(({ data }) => data?.errors ?? [])
      .map(({ extensions }) => extensions['code']);
    expect(codes).toEqual(['UNAUTHENTICATED']);
    expect((await api.gql('{ account { name } }', undefined, { key: secret })).status).toBe(401);
    expect(Date.now() - begun).toBeLessThan(10_000);
  });
});
