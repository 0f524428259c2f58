/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment */
import { request } from 'node:http';
import { describe, expect, it } from 'vitest';
import { DEAD_LETTERS, ingestTopics } from '../../src/storage/topics.ts';
import { CREATE, eventually, INGEST, post, UPSERT, useApi, type Answer } from './support.ts';

const start = useApi();
const range = (count: number) => Array.from({ length: count }, (_, i) => i);
const WHO = { email: 'a@example.com' };

/** Whatever is sent: a clear client error, and the server goes on. */
async function refused(answer: Promise<Answer>): Promise<Answer> {
  const { status, errors, ...rest } = await answer;
  expect(status).toBeLessThan(500);
  expect(errors?.length ?? 0).toBeGreaterThan(0);
  expect(JSON.stringify(errors)).not.toContain('INTERNAL_SERVER_ERROR');
  expect((await start().gql('{ account { name } }')).status).toBe(200);
  return { status, errors, ...rest };
}

async function eventsInLog(): Promise<number> {
  const ends = await Promise.all(ingestTopics().map((topic) => start().log.ends(topic)));
  return ends.flat().reduce((sum, end) => sum + end, 0);
}

const raw = (body: string | Uint8Array, headers?: Record<string, string>) =>
  post(start().url, body, start().admin, headers);

describe('requests that are no requests', () => {
  it.each([
    ['no JSON', '{"query": "{ account'],
    ['an empty body', ''],
    ['a number', '5'],
    ['null', 'null'],
    ['a batch', '[{"query":"{ __typename }"},{"query":"{ __typename }"}]'],
    ['no query', '{"variables": {}}'],
    ['a query that is no text', '{"query": 5}'],
    ['variables that are no object', '{"query": "{ __typename }", "variables": "x"}'],
    ['an unknown parameter', '{"query": "{ __typename }", "what": 1}'],
    ['a NUL byte', '{"query": "{ account { \0 name } }"}'],
    [
      'variables nested 10,000 deep',
      `{"query":"query($c:ConditionInput!){audience(where:$c){count}}","variables":{"c":${'{"not":'.repeat(10_000)}{}${'}'.repeat(10_000)}}}`,
    ],
    [
      'lists nested 100,000 deep',
      `{"query":"{ __typename }","variables":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
    ],
  ])('refuses %s', async (_what, body) => {
    const answer = await refused(raw(body));
    expect(answer.status).toBe(400);
  });

  it('refuses broken UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"query": "{ __typename }", "operationName": "'),
      Buffer.from([0xff, 0xfe, 0xc0]),
      Buffer.from('"}'),
    ]);
    const answer = await refused(raw(body));
    expect([answer.status, answer.errors?.[0]?.message]).toEqual([400, 'The body is not valid UTF-8.']);
  });

  it('refuses 5 MB, with and without a length in front', async () => {
    const before = await eventsInLog();
    const text = 'x'.repeat(50_000);
    const body = JSON.stringify({
      query: INGEST,
      variables: {
        events: Array.from({ length: 105 }, () => ({ metric: 'X', profile: WHO, properties: { text } })),
      },
    });
    expect(body.length).toBeGreaterThan(5 * 1024 * 1024);
    const answer = await refused(raw(body));
    expect([answer.status, answer.errors?.[0]?.extensions['code']]).toEqual([413, 'BODY_TOO_LARGE']);
    const status = await new Promise((resolve, reject) => {
      const sending = request(
        `${start().url}/graphql`,
        { method: 'POST', headers: { 'content-type': 'application/json' } },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      );
      sending.on('error', reject);
      for (let at = 0; at < body.length; at += 1 << 20) sending.write(body.slice(at, at + (1 << 20)));
      sending.end();
    });
    expect(status).toBe(413);
    expect(await eventsInLog()).toBe(before);
  });

  it.each([
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/graphql',
  ])('refuses a body of type %s', async (type) => {
    const answer = await refused(
      raw('query=mutation{segmentDelete(id:"x"){deletedId}}', { 'content-type': type }),
    );
    expect(answer.status).toBe(415);
  });

  it('refuses mutations by GET, and other methods', async () => {
    const { url, admin } = start();
    const headers = { authorization: `Bearer ${admin}` };
    const query = encodeURIComponent('mutation { segmentDelete(id: "x") { deletedId } }');
    expect((await fetch(`${url}/graphql?query=${query}`, { headers })).status).toBe(405);
    expect((await fetch(`${url}/graphql?query={__typename}%00`, { headers })).status).toBe(400);
    expect((await fetch(`${url}/graphql`, { method: 'DELETE', headers })).status).toBe(405);
    const account = await fetch(`${url}/graphql?query=${encodeURIComponent('{ account { name } }')}`, {
      headers,
    });
    expect(await account.json()).toEqual({ data: { account: { name: 'Default' } } });
  });
});

describe('documents', () => {
  it.each([
    ['a syntax error', '{ account { name }'],
    ['an unknown field', '{ account { nam } }'],
    ['an unknown argument', '{ profiles(first: 1, last: 2) { totalCount } }'],
    ['a wrong type', '{ profiles(first: "one") { totalCount } }'],
    ['a missing argument', '{ profiles { totalCount } }'],
    ['an unknown enum value', '{ segments(first: 1, status: SLEEPING) { totalCount } }'],
    ['two fields of a oneOf input', '{ profile(by: { email: "a", phone: "1" }) { id } }'],
    ['no field of a oneOf input', '{ profile(by: {}) { id } }'],
    ['an empty document', ''],
    ['only comments', '# nothing'],
    ['2,001 tokens', `{ ${'__typename '.repeat(2_001)} }`],
    ['a long document', `{ account { name } } # ${'x'.repeat(70_000)}`],
    ['a fragment that contains itself', '{ account { ...a } } fragment a on Account { ...a }'],
    [
      'circular introspection',
      `{ __schema { ${'types { fields { type { '.repeat(20)}name${' } } }'.repeat(20)} } }`,
    ],
  ])('refuses %s', async (_what, query) => {
    expect((await refused(start().gql(query))).status).toBe(400);
  });

  const nested = (levels: number) =>
    `{ segments(first: 1) { nodes { ${'members(first: 1) { nodes { segments(first: 1) { nodes { '.repeat(levels)}id${' } } } }'.repeat(levels)} } } }`;

  it.each([
    ['too deep', nested(3), 'TOO_DEEP'],
    [
      'too many aliases',
      `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: __typename`).join(' ')} }`,
      'TOO_MANY_ALIASES',
    ],
    [
      'too many aliases, in fragments',
      `{ ...a ...a } fragment a on Query { ${Array.from({ length: 16 }, (_, i) => `a${i}: position`).join(' ')} }`,
      'TOO_MANY_ALIASES',
    ],
    [
      'too many objects',
      '{ profiles(first: 100) { nodes { events(first: 100) { nodes { profile { events(first: 100) { totalCount } } } } } } }',
      'TOO_COSTLY',
    ],
    [
      'too many objects, in fragments',
      '{ profiles(first: 100) { nodes { ...e } } } fragment e on Profile { events(first: 100) { nodes { profile { segments(first: 3) { totalCount } } } } }',
      'TOO_COSTLY',
    ],
    [
      'too many objects, by default values',
      'query ($n: Int! = 100) { profiles(first: $n) { nodes { events(first: $n) { nodes { profile { events(first: $n) { totalCount } } } } } } }',
      'TOO_COSTLY',
    ],
  ])('refuses what is %s', async (_what, query, code) => {
    const answer = await refused(start().gql(query));
    expect([answer.status, answer.errors?.[0]?.extensions['code']]).toEqual([400, code]);
  });

  it.each([0, -1, 101, 2 ** 31 - 1])('refuses a page of %d', async (first) => {
    for (const list of ['profiles', 'segments', 'metrics', 'events']) {
      const answer = await refused(
        start().gql(`query ($first: Int!) { ${list}(first: $first) { totalCount } }`, { first }),
      );
      expect(answer.errors?.[0]?.extensions['code']).toMatch(/BAD_USER_INPUT|TOO_COSTLY/);
    }
    await refused(
      start().gql('query ($first: Int!) { membershipLog(first: $first) { hasMore } }', { first }),
    );
  });

  it.each([
    '',
    'x',
    '💥',
    Buffer.from('profiles').toString('base64url'),
    Buffer.from('profiles 1 2').toString('base64url'),
    Buffer.from('profiles -1').toString('base64url'),
    Buffer.from('profiles 99999999999').toString('base64url'),
  ])('refuses the cursor "%s"', async (after) => {
    for (const list of ['profiles', 'segments', 'metrics', 'events']) {
      const answer = await refused(
        start().gql(`query ($after: String) { ${list}(first: 1, after: $after) { totalCount } }`, { after }),
      );
      expect(answer.errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
    }
  });

  it.each(['', 'x', 'bm9uc2Vuc2U', '💥', 'x'.repeat(5_000)])('refuses the position "%s"', async (after) => {
    await refused(
      start().gql('query ($after: Position) { membershipLog(first: 1, after: $after) { hasMore } }', {
        after,
      }),
    );
  });

  it.each([
    'yesterday',
    '2026-02-30T00:00:00Z',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01T25:00:00Z',
    5,
    '',
    '10000-01-01T00:00:00Z',
  ])('refuses the instant %j', async (from) => {
    const answer = await refused(
      start().gql('query ($from: DateTime) { events(first: 1, from: $from) { totalCount } }', { from }),
    );
    expect(answer.status).toBe(400);
  });

  it.each(['1 day', 'P', 'PT', 'P1M', 'P1Y', '-P1D', '', 5])('refuses the duration %j', async (last) => {
    await refused(
      start().gql(
        'query ($w: TimeWindowInput!) { audience(where: { event: { metric: "x", within: $w } }) { count } }',
        { w: { last } },
      ),
    );
  });
});

describe('conditions', () => {
  const count = (where: unknown) =>
    start().gql('query ($where: ConditionInput!) { audience(where: $where) { count } }', { where });

  it.each([
    ['nothing', {}],
    ['two kinds at once', { event: { metric: 'x' }, property: { path: 'email', filter: { exists: true } } }],
    ['an unknown kind', { weather: 'fine' }],
    ['a number as text', { property: { path: 'email', filter: { text: { equals: 5 } } } }],
    ['an unknown path', { property: { path: 'shoeSize', filter: { exists: true } } }],
    ['an empty list', { all: [] }],
    ['a broken expression', { property: { path: 'email', filter: { text: { matches: '(' } } } }],
    ['a NUL character', { property: { path: 'email', filter: { text: { equals: 'a\0b' } } } }],
    ['half a character', { property: { path: 'email', filter: { text: { equals: '\ud800' } } } }],
    ['a number beyond all bounds', { event: { metric: 'x', is: { atLeast: 1e300 } } }],
    ['an empty metric', { event: { metric: '' } }],
    ['a range that ends before it begins', { event: { metric: 'x', is: { between: { from: 2, to: 1 } } } }],
    [
      'too deep nesting',
      Array.from({ length: 40 }).reduce<unknown>((inside) => ({ not: inside }), { event: { metric: 'x' } }),
    ],
    ['too many conditions', { any: Array.from({ length: 1_000 }, () => ({ event: { metric: 'x' } })) }],
  ])('refuses %s', async (_what, where) => {
    const answer = await refused(count(where));
    expect(answer.data ?? null).toBeNull();
    const created = await start().gql(CREATE, { input: { name: 'Bad', condition: where } });
    expect(created.status).toBeLessThan(500);
    expect(created.data?.segmentCreate.segment ?? null).toBeNull();
    expect(
      (await start().gql('{ segments(first: 1, search: "Bad") { totalCount } }')).data.segments.totalCount,
    ).toBe(0);
  });

  it('says where and what', async () => {
    const created = await start().gql(CREATE, {
      input: { name: '', condition: { all: [{ event: { metric: '' } }] } },
    });
    const errors = created.data.segmentCreate.userErrors as { field: string[]; code: string }[];
    expect(errors.map(({ field }) => field)).toEqual(
      expect.arrayContaining([
        ['input', 'name'],
        ['input', 'condition', 'all', '0', 'event', 'metric'],
      ]),
    );
  });
});

describe('items', () => {
  const ingest = async (events: unknown[]) => {
    const answer = await start().gql(INGEST, { events });
    expect(answer.status).toBeLessThan(500);
    return answer;
  };

  it('refuses 1,001 items as a whole', async () => {
    const before = await eventsInLog();
    const { data } = await ingest(Array.from({ length: 1_001 }, () => ({ metric: 'X', profile: WHO })));
    expect(data.eventsIngest).toMatchObject({
      accepted: 0,
      receipt: null,
      userErrors: [{ index: null, field: ['events'], code: 'TOO_MANY' }],
    });
    const upsert = await start().gql(UPSERT, {
      profiles: Array.from({ length: 1_001 }, () => ({ identifiers: WHO })),
    });
    expect(upsert.data.profilesUpsert).toMatchObject({
      accepted: 0,
      receipt: null,
      userErrors: [{ index: null, field: ['profiles'], code: 'TOO_MANY' }],
    });
    expect(await eventsInLog()).toBe(before);
  });

  it('takes the good ones and names the bad ones', async () => {
    const before = await eventsInLog();
    const bad: [object, string[], string][] = [
      [{ metric: 'X', profile: {} }, ['profile'], 'REQUIRED'],
      [{ metric: 'X', profile: { email: 'no address' } }, ['profile', 'email'], 'INVALID'],
      [{ metric: 'X', profile: { id: 'nonsense' } }, ['profile', 'id'], 'NOT_FOUND'],
      [{ metric: '', profile: WHO }, ['metric'], 'REQUIRED'],
      [{ metric: 'x'.repeat(300), profile: WHO }, ['metric'], 'TOO_LONG'],
      [{ metric: 'X', profile: WHO, time: '9999-12-31T23:59:59Z' }, ['time'], 'INVALID'],
      [{ metric: 'X', profile: WHO, time: '0001-01-01T00:00:00Z' }, ['time'], 'INVALID'],
      [{ metric: 'X', profile: WHO, currency: 'euro' }, ['currency'], 'INVALID'],
      [{ metric: 'X', profile: WHO, value: 1e300 }, ['value'], 'INVALID'],
      [{ metric: 'X', profile: WHO, properties: [1] }, ['properties'], 'INVALID'],
      [{ metric: 'X', profile: WHO, properties: { a: 'b\0c' } }, ['properties', 'a'], 'INVALID'],
      [{ metric: 'X', profile: WHO, properties: { a: '\udfff' } }, ['properties', 'a'], 'INVALID'],
      [{ metric: 'X', profile: { externalId: 'a\0' } }, ['profile', 'externalId'], 'INVALID'],
    ];
    const good = { metric: 'X', profile: WHO };
    const { data } = await ingest([good, ...bad.map(([item]) => item), good]);
    expect(data.eventsIngest.accepted).toBe(2);
    expect(data.eventsIngest.userErrors).toMatchObject(
      bad.map(([, field, code], i) => ({ index: i + 1, field, code })),
    );
    expect(await eventsInLog()).toBe(before + 2);
  });

  it('refuses numbers that JSON does not have, wherever they hide', async () => {
    const before = await eventsInLog();
    const variables = (event: string) =>
      `{"query": ${JSON.stringify(INGEST)}, "variables": {"events": [${event}]}}`;
    await refused(raw(variables('{"metric": "X", "profile": {"email": "a@example.com"}, "value": NaN}')));
    await refused(raw(variables('{"metric": "X", "profile": {"email": "a@example.com"}, "value": 1e999}')));
    const hidden = await raw(
      variables(
        '{"metric": "X", "profile": {"email": "a@example.com"}, "properties": {"a": {"b": [1e999]}}}',
      ),
    );
    expect(hidden.data.eventsIngest).toMatchObject({
      accepted: 0,
      userErrors: [{ index: 0, code: 'INVALID' }],
    });
    const literal = await start().gql(
      'mutation { eventsIngest(events: [{ metric: "X", profile: { email: "a@example.com" }, properties: { a: 1e999 } }]) { accepted } }',
    );
    expect(literal.data.eventsIngest.accepted).toBe(0);
    expect(await eventsInLog()).toBe(before);
  });

  it('refuses a call whose types are wrong, without taking a part of it', async () => {
    const before = await eventsInLog();
    for (const bad of [
      { metric: 5, profile: WHO },
      { metric: 'X' },
      { metric: 'X', profile: 'a@example.com' },
      { metric: 'X', profile: WHO, value: 'ten' },
      { metric: 'X', profile: WHO, time: 'yesterday' },
      { metric: 'X', profile: WHO, colour: 'red' },
      { metric: null, profile: WHO },
      null,
    ]) {
      const answer = await refused(start().gql(INGEST, { events: [{ metric: 'X', profile: WHO }, bad] }));
      expect(answer.status).toBe(400);
    }
    expect(await eventsInLog()).toBe(before);
  });

  it('takes properties given as literals', async () => {
    const api = start();
    const { data } = await api.gql(
      'mutation ($n: Float!) { eventsIngest(events: [{ uniqueId: "lit", metric: "Literal", profile: { email: "l@example.com" }, properties: { text: "a", number: 1.5, yes: true, none: null, list: [1, "b"], inside: { n: $n } } }]) { accepted } }'.replace(
        '$n: Float!',
        '$n: JSON',
      ),
      { n: 7 },
    );
    expect(data.eventsIngest.accepted).toBe(1);
  });
});

describe('a profile that grows from write to write', () => {
  it('is bounded: the write that makes it too large goes to the dead letters, and its partition goes on', async () => {
    const api = start();
    const identifiers = { externalId: 'grows' };
    const write = async (properties: Record<string, string>) => {
      const { data } = await api.gql(UPSERT, { profiles: [{ identifiers, properties }] });
      expect(data.profilesUpsert).toMatchObject({ accepted: 1, userErrors: [] });
      return data.profilesUpsert.receipt as string;
    };
    const text = 'x'.repeat(90_000);
    const large = (name: string) => Object.fromEntries(range(5).map((i) => [`${name}${i}`, text]));
    for (const name of ['a', 'b', 'c']) await write(large(name));
    const receipt = await write({ small: 'fits' });
    const waited = await api.gql(
      'query ($t: Receipt!) { receipt(token: $t, timeout: "PT15S") { reached } }',
      {
        t: receipt,
      },
    );
    expect(waited.data.receipt.reached).toBe(true);
    const { data } = await api.gql('{ profile(by: { externalId: "grows" }) { properties } }');
    expect(Object.keys(data.profile.properties as object).sort()).toEqual([
      ...range(5).map((i) => `a${i}`),
      ...range(5).map((i) => `b${i}`),
      'small',
    ]);
    const letters: string[] = [];
    const tail = await api.log.tail({
      topic: DEAD_LETTERS,
      from: [0],
      onRecords: (_, records) => {
        letters.push(...records.map(({ value }) => value.toString('utf8')));
        return Promise.resolve();
      },
    });
    await eventually(
      () => Promise.resolve(letters.length),
      (count) => count > 0,
    );
    await tail.close();
    expect(letters.map((letter) => (JSON.parse(letter) as { reason: string }).reason)).toEqual([
      expect.stringContaining('would exceed 1000000 characters of JSON'),
    ]);
  });
});

describe('secrets in errors', () => {
  it('masks what fails on our side, with a number that is in the log too', async () => {
    const api = start();
    await api.clickhouse.client.command({ query: 'RENAME TABLE profiles TO profiles_hidden' });
    try {
      const answer = await api.gql('{ account { name profileCount } }');
      expect(answer.status).toBe(500);
      const [error] = answer.errors ?? [];
      expect(error?.extensions['code']).toBe('INTERNAL_SERVER_ERROR');
      expect(JSON.stringify(answer.errors)).not.toMatch(/profiles_hidden|SELECT|ClickHouse|UNKNOWN_TABLE/);
      const id = error?.extensions['correlationId'] as string;
      expect(api.logged.filter((line) => line.includes(id))).toHaveLength(1);
    } finally {
      await api.clickhouse.client.command({ query: 'RENAME TABLE profiles_hidden TO profiles' });
    }
    expect((await api.gql('{ account { profileCount } }')).status).toBe(200);
  });
});
