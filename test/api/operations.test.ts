/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call */
import { beforeAll, describe, expect, it } from 'vitest';
import { CREATE, evaluated, eventually, INGEST, stream, UPSERT, useApi } from './support.ts';

const start = useApi();

const ORDERS = { event: { metric: 'Placed Order', is: { atLeast: 2 } } };
const DAY = 86_400_000;

describe('everything that the API offers', () => {
  let segment: string;
  let ada: string;

  beforeAll(async () => {
    const api = start();
    const upsert = await api.gql(UPSERT, {
      profiles: [
        {
          identifiers: { email: 'Ada@Example.com', externalId: 'c-1' },
          firstName: 'Ada',
          location: { city: 'London', latitude: 51.5 },
          properties: { plan: 'gold', nested: { deep: [1, 'two', true] } },
        },
        { identifiers: { phone: '+1 617 555 0100' }, lastName: 'Bell' },
        { identifiers: { anonymousId: 'cookie-1' } },
      ],
    });
    expect(upsert.data.profilesUpsert).toMatchObject({ accepted: 3, userErrors: [] });
    const created = await api.gql(CREATE, { input: { name: 'Buyers', condition: ORDERS } });
    expect(created.data.segmentCreate).toMatchObject({ segment: { name: 'Buyers' }, userErrors: [] });
    segment = created.data.segmentCreate.segment.id as string;
    const now = Date.now();
    const ingest = await api.gql(INGEST, {
      events: [
        {
          uniqueId: 'o-1',
          metric: 'Placed Order',
          profile: { email: 'ada@example.com' },
          time: new Date(now - 3 * DAY).toISOString(),
          value: 10,
          currency: 'EUR',
          properties: { items: 2, tags: ['a'] },
        },
        {
          uniqueId: 'o-2',
          metric: 'Placed Order',
          profile: { externalId: 'c-1' },
          time: new Date(now - 2 * DAY).toISOString(),
          value: 30.5,
        },
        {
          uniqueId: 'o-3',
          metric: 'Placed Order',
          profile: { phone: '+16175550100' },
          time: new Date(now - DAY).toISOString(),
        },
        { uniqueId: 'v-1', metric: 'Viewed Product', profile: { anonymousId: 'cookie-1' } },
      ],
    });
    expect(ingest.data.eventsIngest).toMatchObject({ accepted: 4, userErrors: [] });
    await evaluated(api, ingest.data.eventsIngest.receipt as string);
    const found = await api.gql('{ profile(by: { externalId: " c-1 " }) { id } }');
    ada = found.data.profile.id as string;
  });

  it('reads the account with its counts and the names of properties', async () => {
    const { data } = await start().gql(`{
      account { id name timezone profileCount eventCount profileProperties { path kinds } }
    }`);
    expect(data.account).toMatchObject({ name: 'Default', timezone: 'UTC', profileCount: 3, eventCount: 4 });
    expect(data.account.profileProperties).toContainEqual({ path: 'plan', kinds: ['TEXT'] });
  });

  it('reads a profile in full, by each kind of identifier', async () => {
    const api = start();
    const { data, errors } = await api.gql(`{
      profile(by: { email: " ADA@example.com " }) {
        id externalId email phone anonymousIds firstName lastName timezone locale
        location { city region latitude }
        properties createdAt updatedAt lastEventAt
        events(first: 1) { nodes { uniqueId value currency properties time metric { name } profile { id } } pageInfo { hasNextPage endCursor } totalCount }
        segments(first: 10) { edges { node { name } enteredAt cursor } totalCount }
      }
    }`);
    expect(errors).toBeUndefined();
    expect(data.profile).toMatchObject({
      id: ada,
      externalId: 'c-1',
      email: 'ada@example.com',
      phone: null,
      anonymousIds: [],
      firstName: 'Ada',
      location: { city: 'London', region: null, latitude: 51.5 },
      properties: { plan: 'gold', nested: { deep: [1, 'two', true] } },
      events: {
        nodes: [
          {
            uniqueId: 'o-2',
            value: 30.5,
            currency: null,
            properties: {},
            metric: { name: 'Placed Order' },
            profile: { id: ada },
          },
        ],
        pageInfo: { hasNextPage: true },
        totalCount: 2,
      },
      segments: { edges: [{ node: { name: 'Buyers' } }], totalCount: 1 },
    });
    expect(data.profile.lastEventAt).toBe(data.profile.events.nodes[0].time);
    expect(data.profile.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const phone = await api.gql(
      '{ profile(by: { phone: "+1 (617) 555-0100" }) { lastName location { city } } }',
    );
    expect(phone.data.profile).toEqual({ lastName: 'Bell', location: null });
    const cookie = await api.gql('{ profile(by: { anonymousId: "cookie-1" }) { anonymousIds } }');
    expect(cookie.data.profile.anonymousIds).toEqual(['cookie-1']);
    expect(
      (await api.gql('{ profile(by: { email: "nobody@example.com" }) { id } }')).data.profile,
    ).toBeNull();
    expect((await api.gql(`{ profile(by: { id: "${ada}" }) { email } }`)).data.profile.email).toBe(
      'ada@example.com',
    );
  });

  it('pages through profiles, forwards and to the end', async () => {
    const api = start();
    const seen: string[] = [];
    let after: string | null = null;
    for (let page = 0; page < 3; page++) {
      const { data } = await api.gql(
        'query ($after: String) { profiles(first: 1, after: $after) { nodes { id } edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount } }',
        { after },
      );
      const { nodes, edges, pageInfo, totalCount } = data.profiles;
      expect(totalCount).toBe(3);
      expect(pageInfo).toEqual({
        hasNextPage: page < 2,
        hasPreviousPage: page > 0,
        startCursor: edges[0].cursor,
        endCursor: edges[0].cursor,
      });
      seen.push(nodes[0].id as string);
      after = pageInfo.endCursor as string;
    }
    expect(new Set(seen).size).toBe(3);
    const behind = await api.gql(
      'query ($after: String) { profiles(first: 1, after: $after) { nodes { id } pageInfo { hasNextPage startCursor } } }',
      { after },
    );
    expect(behind.data.profiles).toEqual({ nodes: [], pageInfo: { hasNextPage: false, startCursor: null } });
  });

  it('lists profiles by a condition, and counts an audience nobody saved', async () => {
    const { data, errors } = await start().gql(
      `query ($where: ConditionInput!) {
        profiles(first: 10, where: $where) { nodes { id } totalCount }
        audience(where: $where) { count text members(first: 10) { nodes { id } totalCount } }
      }`,
      { where: { property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } } } },
    );
    expect(errors).toBeUndefined();
    expect(data.profiles).toEqual({ nodes: [{ id: ada }], totalCount: 1 });
    expect(data.audience).toMatchObject({ count: 1, members: { nodes: [{ id: ada }], totalCount: 1 } });
    expect(data.audience.text).toContain('plan');
  });

  it('lists metrics with what is known of them', async () => {
    const { data } = await start().gql(
      '{ metrics(first: 10) { nodes { id name eventCount firstSeenAt lastSeenAt properties { path kinds } } totalCount } }',
    );
    const orders = data.metrics.nodes.find((metric: { name: string }) => metric.name === 'Placed Order');
    expect(data.metrics.totalCount).toBe(2);
    expect(orders).toMatchObject({
      eventCount: 3,
      properties: [
        { path: 'items', kinds: ['NUMBER'] },
        { path: 'tags', kinds: ['LIST'] },
      ],
    });
  });

  it('lists events newest first, filtered, and pages through them', async () => {
    const api = start();
    const list = async (args: string) => {
      const { data, errors } = await api.gql(
        `{ events(first: 10${args}) { nodes { uniqueId } totalCount } }`,
      );
      expect(errors).toBeUndefined();
      const names = data.events.nodes.map((event: { uniqueId: string }) => event.uniqueId) as string[];
      expect(data.events.totalCount).toBe(names.length);
      return names;
    };
    expect(await list('')).toEqual(['v-1', 'o-3', 'o-2', 'o-1']);
    expect(await list(', metric: "Placed Order"')).toEqual(['o-3', 'o-2', 'o-1']);
    expect(await list(', metric: "Never Heard Of"')).toEqual([]);
    expect(await list(', profile: { email: "ada@example.com" }')).toEqual(['o-2', 'o-1']);
    expect(await list(', profile: { email: "nobody@example.com" }')).toEqual([]);
    const between = (from: number, to: number) =>
      `, from: "${new Date(Date.now() - from * DAY).toISOString()}", to: "${new Date(Date.now() - to * DAY).toISOString()}"`;
    expect(await list(between(2.5, 1.5))).toEqual(['o-2']);
    expect(await list(', from: "9999-01-01T00:00:00Z"')).toEqual([]);
    expect(await list(', to: "0001-01-01T00:00:00Z"')).toEqual([]);

    const seen: string[] = [];
    for (let after: string | null = null, more = true; more;) {
      const {
        data,
      }: {
        data: {
          events: { nodes: { uniqueId: string }[]; pageInfo: { hasNextPage: boolean; endCursor: string } };
        };
      } = await api.gql(
        'query ($after: String) { events(first: 3, after: $after) { nodes { uniqueId } pageInfo { hasNextPage endCursor } } }',
        { after },
      );
      seen.push(...data.events.nodes.map((event) => event.uniqueId));
      more = data.events.pageInfo.hasNextPage;
      after = data.events.pageInfo.endCursor;
    }
    expect(seen).toEqual(['v-1', 'o-3', 'o-2', 'o-1']);
  });

  it('reads a segment with members', async () => {
    const api = start();
    const { data, errors } = await eventually(
      () =>
        api.gql(
          `query ($id: ID!, $ada: ID!) {
            segment(id: $id) {
              id name status condition text version createdAt updatedAt evaluatedThrough count
              members(first: 10) { edges { cursor node { id } enteredAt } totalCount }
              ada: contains(profile: { id: $ada })
              bell: contains(profile: { phone: "+16175550100" })
              nobody: contains(profile: { email: "nobody@example.com" })
            }
          }`,
          { id: segment, ada },
        ),
      (answer) => answer.data?.segment.status === 'LIVE',
    );
    expect(errors).toBeUndefined();
    expect(data.segment).toMatchObject({
      id: segment,
      name: 'Buyers',
      version: 1,
      count: 1,
      members: { edges: [{ node: { id: ada } }], totalCount: 1 },
      ada: true,
      bell: false,
      nobody: false,
    });
    expect(Date.parse(data.segment.evaluatedThrough as string)).toBeGreaterThan(Date.now() - 60_000);
    // What came out can be sent back.
    const again = await api.gql(CREATE, { input: { name: 'Copy', condition: data.segment.condition } });
    expect(again.data.segmentCreate.userErrors).toEqual([]);
  });

  it('finds segments by name and status', async () => {
    const api = start();
    const names = async (args: string) => {
      const { data } = await api.gql(`{ segments(first: 10${args}) { nodes { name } totalCount } }`);
      return [
        data.segments.nodes.map((each: { name: string }) => each.name),
        data.segments.totalCount,
      ] as unknown;
    };
    expect(await names(', search: "BUY"')).toEqual([['Buyers'], 1]);
    expect(await names(', search: "%"')).toEqual([[], 0]);
    expect(await names(', status: FAILED')).toEqual([[], 0]);
    await eventually(
      () => names(', search: "buyers", status: LIVE'),
      (found) => JSON.stringify(found) === '[["Buyers"],1]',
    );
  });

  it('finds everything again by its global id, and nothing by others', async () => {
    const api = start();
    const ids = await api.gql(`{
      account { id apiKeys(first: 1) { nodes { id name scopes lastUsedAt } } }
      metrics(first: 1) { nodes { id } }
      events(first: 1) { nodes { id } }
    }`);
    expect(ids.data.account.apiKeys.nodes[0]).toMatchObject({ name: 'Bootstrap', scopes: ['ADMIN'] });
    const known = [
      ids.data.account.id,
      ids.data.account.apiKeys.nodes[0].id,
      ids.data.metrics.nodes[0].id,
      ids.data.events.nodes[0].id,
      segment,
      ada,
    ] as string[];
    const id = (text: string) => Buffer.from(text).toString('base64url');
    const unknown = [
      '',
      'x',
      '💥',
      id('Profile:1:999999'),
      id('Segment:1:77'),
      id('Event:1:1.5.x'),
      id('Nothing:1:1'),
      id('Profile:999:1'),
    ];
    const { data, errors } = await api.gql('query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }', {
      ids: [...known, ...unknown],
    });
    expect(errors).toBeUndefined();
    expect(data.nodes).toEqual([
      ...['Account', 'ApiKey', 'Metric', 'Event', 'Segment', 'Profile'].map((__typename, i) => ({
        id: known[i],
        __typename,
      })),
      ...unknown.map(() => null),
    ]);
    const one = await api.gql('query ($id: ID!) { node(id: $id) { ... on Profile { email } } }', { id: ada });
    expect(one.data.node).toEqual({ email: 'ada@example.com' });
  });

  it('pushes entries and exits, and the log says the same', async () => {
    const api = start();
    const { data } = await api.gql('{ position }');
    const changes = stream(
      api.socket(),
      `subscription ($after: Position, $segments: [ID!]) {
        membershipChanges(after: $after, segments: $segments) {
          id kind cause at segmentVersion position profileId segment { id } profile { id phone }
          event { id uniqueId metric { name } }
        }
      }`,
      { after: data.position, segments: [segment] },
    );
    const first = changes.next();
    const ingest = await api.gql(INGEST, {
      events: [{ uniqueId: 'o-4', metric: 'Placed Order', profile: { phone: '+16175550100' } }],
    });
    const entered = (await first).value.membershipChanges;
    expect(entered).toMatchObject({
      kind: 'ENTERED',
      cause: 'EVENT',
      segmentVersion: 1,
      segment: { id: segment },
      profile: { phone: '+16175550100' },
      event: { uniqueId: 'o-4', metric: { name: 'Placed Order' } },
    });
    expect(entered.profileId).toBe(entered.profile.id);
    await evaluated(api, ingest.data.eventsIngest.receipt as string);

    const second = changes.next();
    const update = await api.gql(
      `mutation ($id: ID!, $input: SegmentUpdateInput!) {
        segmentUpdate(id: $id, input: $input) { segment { version name } userErrors { message } }
      }`,
      { id: segment, input: { condition: { event: { metric: 'Placed Order', is: { atLeast: 3 } } } } },
    );
    expect(update.data.segmentUpdate).toEqual({ segment: { version: 2, name: 'Buyers' }, userErrors: [] });
    const third = changes.next();
    const exited = [(await second).value.membershipChanges, (await third).value.membershipChanges];
    expect(exited.map(({ kind, cause, segmentVersion }) => [kind, cause, segmentVersion])).toEqual([
      ['EXITED', 'DEFINITION', 2],
      ['EXITED', 'DEFINITION', 2],
    ]);
    await changes.return(undefined);

    const log = await api.gql(
      'query ($after: Position, $segments: [ID!]) { membershipLog(first: 100, after: $after, segments: $segments) { changes { id } position hasMore } }',
      { after: data.position, segments: [segment] },
    );
    expect(log.errors).toBeUndefined();
    expect(log.data.membershipLog.hasMore).toBe(false);
    expect(log.data.membershipLog.changes.map(({ id }: { id: string }) => id)).toEqual(
      [entered, ...exited].map(({ id }) => id as string),
    );

    const rest = await api.gql(
      'query ($after: Position, $segments: [ID!]) { membershipLog(first: 1, after: $after, segments: $segments) { changes { id } hasMore position } }',
      { after: entered.position, segments: [segment] },
    );
    expect(rest.data.membershipLog).toMatchObject({
      changes: [{ id: exited[0].id as string }],
      hasMore: true,
    });
  });

  it('pushes the sizes of segments', async () => {
    const api = start();
    const created = await api.gql(CREATE, {
      input: { name: 'Counted', condition: { event: { metric: 'Counted' } } },
    });
    const id = created.data.segmentCreate.segment.id as string;
    const counts = stream(
      api.socket(),
      'subscription ($ids: [ID!]!) { segmentCounts(segments: $ids) { count at segment { name } } }',
      { ids: [id] },
    );
    expect((await counts.next()).value.segmentCounts).toMatchObject({
      count: 0,
      segment: { name: 'Counted' },
    });
    const next = counts.next();
    await api.gql(INGEST, { events: [{ metric: 'Counted', profile: { email: 'count@example.com' } }] });
    expect((await next).value.segmentCounts.count).toBe(1);
    await counts.return(undefined);
  });

  it('deletes a segment', async () => {
    const api = start();
    const created = await api.gql(CREATE, { input: { name: 'Short-lived', condition: ORDERS } });
    const id = created.data.segmentCreate.segment.id as string;
    const remove = 'mutation ($id: ID!) { segmentDelete(id: $id) { deletedId userErrors { field code } } }';
    expect((await api.gql(remove, { id })).data.segmentDelete).toEqual({ deletedId: id, userErrors: [] });
    const gone = { deletedId: null, userErrors: [{ field: ['id'], code: 'NOT_FOUND' }] };
    expect((await api.gql(remove, { id })).data.segmentDelete).toEqual(gone);
    expect((await api.gql(remove, { id: 'nonsense' })).data.segmentDelete).toEqual(gone);
    expect(
      (await api.gql('query ($id: ID!) { segment(id: $id) { id } node(id: $id) { id } }', { id })).data,
    ).toEqual({ segment: null, node: null });
  });

  it('waits for a receipt no longer than it was told to, and knows its own', async () => {
    const api = start();
    const wait = (token: string, more = '') =>
      api.gql(`query ($token: Receipt!) { receipt(token: $token${more}) { reached stage } }`, { token });
    const ingest = await api.gql(INGEST, {
      events: [{ metric: 'Waited For', profile: { email: 'w@example.com' } }],
    });
    const token = ingest.data.eventsIngest.receipt as string;
    expect((await wait(token, ', stage: ACCEPTED, timeout: "PT0S"')).data.receipt).toEqual({
      reached: true,
      stage: 'ACCEPTED',
    });
    expect((await wait(token, ', stage: STORED')).data.receipt).toEqual({ reached: true, stage: 'STORED' });
    expect((await wait(token)).data.receipt).toEqual({ reached: true, stage: 'EVALUATED' });
    expect((await wait('bm9uc2Vuc2U')).errors?.[0]?.extensions['code']).toBe('INVALID_RECEIPT');
    expect((await wait(token, ', timeout: "P1D"')).errors?.[0]?.extensions['code']).toBe('BAD_USER_INPUT');
  });

  it('follows a profile through a merge', async () => {
    const api = start();
    const before = await api.gql('{ profile(by: { anonymousId: "cookie-1" }) { id } }');
    const old = before.data.profile.id as string;
    const write = await api.gql(UPSERT, {
      profiles: [{ identifiers: { anonymousId: 'cookie-1', email: 'ada@example.com' } }],
    });
    await evaluated(api, write.data.profilesUpsert.receipt as string);
    const { data } = await api.gql(
      `query ($old: ID!) {
        byOldId: profile(by: { id: $old }) { id anonymousIds }
        node(id: $old) { id }
        events(first: 10, metric: "Viewed Product") { nodes { id uniqueId profile { id } } totalCount }
        ofAda: events(first: 10, metric: "Viewed Product", profile: { email: "ada@example.com" }) { nodes { id uniqueId } }
      }`,
      { old },
    );
    expect(data.byOldId).toEqual({ id: ada, anonymousIds: ['cookie-1'] });
    expect(data.node).toEqual({ id: ada });
    expect(data.events).toMatchObject({ nodes: [{ uniqueId: 'v-1', profile: { id: ada } }], totalCount: 1 });
    expect(data.ofAda.nodes).toEqual([{ id: data.events.nodes[0].id as string, uniqueId: 'v-1' }]);
  });
});
