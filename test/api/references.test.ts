/** Conditions on the membership of other segments through the API: what is refused, and what they answer. */
/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call */
import { describe, expect, it } from 'vitest';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { eventually, INGEST, UPSERT, useApi } from './support.ts';

const start = useApi();

const ERRORS = 'userErrors { field code message place { line column } }';
const MAKE = `mutation ($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { segment { id query condition } ${ERRORS} }
}`;
const CHANGE = `mutation ($id: ID!, $input: SegmentUpdateInput!) {
  segmentUpdate(id: $id, input: $input) { segment { id } ${ERRORS} }
}`;
const DELETE = `mutation ($id: ID!) { segmentDelete(id: $id) { deletedId ${ERRORS} } }`;
const email = { property: { path: 'email', filter: { exists: true } } };
const gold = { property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } } };
const inside = (id: string, member?: boolean) => ({
  segment: { id, ...(member === undefined ? {} : { member }) },
});

/** An account of its own for each test. */
async function newAccount() {
  const api = start();
  const { account, admin } = await api.otherAccount();
  const raw = (query: string, variables: object = {}) => api.gql(query, variables, { key: admin });
  const ask = async (query: string, variables: object = {}) => {
    const { data, errors } = await raw(query, variables);
    expect(errors).toBeUndefined();
    return data;
  };
  const make = async (name: string, condition: object) =>
    (await ask(MAKE, { input: { name, condition } })).segmentCreate;
  const taken = (receipt: unknown) =>
    ask(`query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached } }`, {
      token: receipt,
    });
  return {
    account,
    raw,
    ask,
    make,
    segment: async (name: string, condition: object): Promise<string> => {
      const { segment, userErrors } = await make(name, condition);
      expect(userErrors).toEqual([]);
      return segment.id;
    },
    change: async (id: string, condition: object) =>
      (await ask(CHANGE, { id, input: { condition } })).segmentUpdate,
    remove: async (id: string) => (await ask(DELETE, { id })).segmentDelete,
    live: (id: string) =>
      eventually(
        () => ask('query ($id: ID!) { segment(id: $id) { status } }', { id }),
        ({ segment }) => segment.status === 'LIVE',
      ),
    write: async (...profiles: object[]) => taken((await ask(UPSERT, { profiles })).profilesUpsert.receipt),
    send: async (...events: object[]) => taken((await ask(INGEST, { events })).eventsIngest.receipt),
  };
}

describe('a segment that is referred to must be there', () => {
  it('an unknown id is refused with its path, whatever is wrong with it', async () => {
    const { account, make, segment, change, remove, ask } = await newAccount();
    const other = await newAccount();
    const foreign = await other.segment('Theirs', email);
    const deleted = await segment('Gone', email);
    expect((await remove(deleted)).deletedId).toBe(deleted);
    const mine = await segment('Mine', email);
    const theirNumber = Buffer.from(foreign, 'base64url').toString().split(':')[2] ?? '';
    const unknown = [
      foreign,
      deleted,
      encodeId('Segment', account, 4_000_000_000),
      // Their number in the name of this account; another thing of this account; the same id written in another way.
      encodeId('Segment', account, theirNumber),
      encodeId('Profile', account, 0),
      `${mine}=`,
      'nonsense',
    ];
    for (const id of unknown) {
      const refused = {
        code: 'NOT_FOUND',
        field: ['input', 'condition', 'all', '1', 'not', 'segment', 'id'],
      };
      const condition = { all: [email, { not: inside(id) }] };
      expect(await make('Refers', condition)).toMatchObject({ segment: null, userErrors: [refused] });
      expect(await change(mine, condition)).toMatchObject({ segment: null, userErrors: [refused] });
    }
    const { segments } = await ask('{ segments(first: 10) { nodes { name } } }');
    expect(segments.nodes).toEqual([{ name: 'Mine' }]);
  });

  it('each unknown id is named, in a typed condition with its place', async () => {
    const { account, make, ask, raw } = await newAccount();
    const ids = [1, 2].map((number) => encodeId('Segment', account, 4_000_000_000 + number)) as [
      string,
      string,
    ];
    const { userErrors } = await make('Two', { any: ids.map((id) => inside(id)) });
    expect(userErrors.map(({ field }: { field: string[] }) => field.slice(2).join('.'))).toEqual([
      'any.0.segment.id',
      'any.1.segment.id',
    ]);
    expect(userErrors[1].message).toContain(ids[1]);
    const query = `email is set and\n  is in segment "${ids[0]}"`;
    const typed = (await ask(MAKE, { input: { name: 'Typed', query } })).segmentCreate;
    expect(typed.userErrors).toMatchObject([
      { code: 'NOT_FOUND', field: ['input', 'query'], place: { line: 2 } },
    ]);
    const audience = await raw(`query ($query: String) { audience(query: $query) { count } }`, { query });
    expect(audience.errors?.[0]?.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      problems: [{ code: 'NOT_FOUND', line: 2 }],
    });
    const where = inside(ids[0], false);
    for (const asked of [
      `query ($where: ConditionInput) { audience(where: $where) { count } }`,
      `query ($where: ConditionInput) { profiles(first: 1, where: $where) { totalCount } }`,
    ]) {
      const { errors } = await raw(asked, { where });
      expect(errors?.[0]?.extensions).toMatchObject({
        code: 'BAD_USER_INPUT',
        problems: [{ code: 'NOT_FOUND', path: ['segment', 'id'] }],
      });
    }
  });

  it('a segment that others refer to is not deleted, and they are named', async () => {
    const { segment, change, remove } = await newAccount();
    const a = await segment('A', email);
    const b = await segment('The "B"', inside(a));
    const c = await segment('C', { not: inside(b) });
    const refused = await remove(a);
    expect(refused).toMatchObject({ deletedId: null, userErrors: [{ code: 'CONFLICT', field: ['id'] }] });
    expect(refused.userErrors[0].message).toContain(`"The \\"B\\"" (${b})`);
    expect(refused.userErrors[0].message).not.toContain(c);
    expect(await remove(b)).toMatchObject({ deletedId: null, userErrors: [{ code: 'CONFLICT' }] });
    expect(await change(b, gold)).toMatchObject({ userErrors: [] });
    expect((await remove(a)).deletedId).toBe(a);
    expect((await remove(c)).deletedId).toBe(c);
    expect((await remove(b)).deletedId).toBe(b);
    expect(await remove(b)).toMatchObject({ userErrors: [{ code: 'NOT_FOUND' }] });
  });
});

describe('no segment depends on itself', () => {
  it('an edit that would close a circle is refused, and names the segments of the circle', async () => {
    const { segment, change } = await newAccount();
    const a = await segment('A', email);
    const b = await segment('B', { any: [gold, inside(a)] });
    const c = await segment('C', inside(b, false));
    const self = await change(a, { all: [email, inside(a)] });
    expect(self).toMatchObject({
      segment: null,
      userErrors: [{ code: 'CYCLE', field: ['input', 'condition', 'all', '1', 'segment', 'id'] }],
    });
    expect(self.userErrors[0].message).toContain(`"A" (${a}) refers to "A" (${a})`);
    const around = await change(a, inside(c));
    expect(around.userErrors).toMatchObject([
      { code: 'CYCLE', field: ['input', 'condition', 'segment', 'id'] },
    ]);
    expect(around.userErrors[0].message).toContain(
      `"A" (${a}) refers to "C" (${c}) refers to "B" (${b}) refers to "A" (${a})`,
    );
    expect(await change(b, gold)).toMatchObject({ userErrors: [] });
    expect(await change(a, inside(c))).toMatchObject({ userErrors: [] });
  });

  it('two edits at the same moment do not close one together', async () => {
    const { segment, change } = await newAccount();
    for (let round = 0; round < 5; round++) {
      const [a, b] = [await segment('A', email), await segment('B', gold)];
      const results = await Promise.all([change(a, inside(b)), change(b, inside(a))]);
      const codes = results.map(({ userErrors }) =>
        userErrors.map(({ code }: { code: string }) => code).join(),
      );
      expect(codes.sort()).toEqual(['', 'CYCLE']);
    }
  });

  it('a segment is not deleted while another begins to refer to it', async () => {
    const { segment, make, remove } = await newAccount();
    for (let round = 0; round < 5; round++) {
      const a = await segment('A', email);
      const [made, removed] = await Promise.all([make('B', inside(a)), remove(a)]);
      const codes = [made, removed].map(({ userErrors }) => userErrors[0]?.code ?? 'done');
      expect(['done,CONFLICT', 'NOT_FOUND,done']).toContain(codes.join());
    }
  });
});

describe('segments are bounded together', () => {
  it('a chain over more than ten is refused, also when an edit in its middle makes it so', async () => {
    const { segment, make, change } = await newAccount();
    const ids = [await segment('S0', email)];
    for (let i = 1; i <= 10; i++) ids.push(await segment(`S${i}`, inside(ids[i - 1] as string)));
    const last = ids[10] as string;
    expect(await make('S11', inside(last))).toMatchObject({
      userErrors: [{ code: 'TOO_LARGE', field: ['input', 'condition'] }],
    });
    const more = await segment('One more', email);
    const refused = await change(ids[0] as string, inside(more));
    expect(refused.userErrors).toMatchObject([{ code: 'TOO_LARGE', field: ['input', 'condition'] }]);
    expect(refused.userErrors[0].message).toContain(
      `"S10" (${last}), which refers to this segment, then refers`,
    );
  });

  it('an edit that makes another segment too large is refused, and names that one', async () => {
    const { segment, change, ask } = await newAccount();
    const many = (count: number) => ({
      any: Array.from({ length: count }, (_, i) => ({
        property: { path: `properties.p${i}`, filter: { exists: true } },
      })),
    });
    const a = await segment('A', email);
    const three = await segment('Three times', { all: [inside(a), { not: inside(a) }, inside(a)] });
    expect(await change(a, many(166))).toMatchObject({ userErrors: [] });
    const refused = await change(a, many(167));
    expect(refused.userErrors).toMatchObject([{ code: 'TOO_LARGE', field: ['input', 'condition'] }]);
    expect(refused.userErrors[0].message).toContain(
      `"Three times" (${three}), which refers to this segment, then has more than 500 conditions`,
    );
    // What is allowed can be computed.
    const where = { all: [inside(three), many(1)] };
    const { audience } = await ask(
      `query ($where: ConditionInput) { audience(where: $where) { count breakdown { count } } }`,
      { where },
    );
    expect(audience).toEqual({ count: 0, breakdown: { count: 0 } });
  });
});

describe('what is answered', () => {
  it('audiences, breakdowns, forecasts, members and explanations look into the other segments', async () => {
    const { segment, live, write, send, ask } = await newAccount();
    const a = await segment('Buyers', {
      event: { metric: 'Placed Order', is: { atLeast: 1 }, within: { last: 'P1D' } },
    });
    const b = await segment('Golden buyers', { all: [inside(a), gold] });
    const c = await segment('Others', { not: inside(b) });
    await write(
      { identifiers: { externalId: 'p' }, properties: { plan: 'gold' } },
      { identifiers: { externalId: 'q' }, properties: { plan: 'gold' } },
    );
    await send({ metric: 'Placed Order', profile: { externalId: 'p' } });
    await Promise.all([a, b, c].map(live));
    const members = `members(first: 10) { nodes { externalId } }`;
    const people = (ids: string[]) => ({ nodes: ids.map((externalId) => ({ externalId })) });
    const answer = await ask(
      `query ($b: ID!, $c: ID!, $where: ConditionInput) {
        b: segment(id: $b) {
          query text condition ${members} forecast(within: "P2D") { leaving joining }
          explain(profile: { externalId: "q" }) {
            complete root { satisfied children { satisfied found actual flipsAt } }
          }
        }
        c: segment(id: $c) {
          ${members} forecast(within: "P2D") { leaving joining }
          explain(profile: { externalId: "p" }) { complete root { satisfied children { text found actual } } }
        }
        audience(where: $where) { count ${members} breakdown { count children { text count } } }
      }`,
      { b, c, where: { any: [inside(b), inside(c, false), gold] } },
    );
    expect(answer.b).toMatchObject({
      condition: { all: [{ segment: { id: a } }, gold] },
      ...{ members: people(['p']), forecast: { leaving: 1, joining: 0 } },
      explain: {
        complete: true,
        root: {
          satisfied: false,
          children: [
            { satisfied: false, found: 'not a member', actual: false, flipsAt: null },
            { satisfied: true },
          ],
        },
      },
    });
    expect(answer.c).toMatchObject({
      ...{ members: people(['q']), forecast: { leaving: 0, joining: 1 } },
      explain: {
        complete: true,
        root: { satisfied: false, children: [{ found: 'a member', actual: true }] },
      },
    });
    expect(answer.audience).toMatchObject({
      count: 2,
      members: people(['p', 'q']),
      breakdown: { count: 2, children: [{ count: 1 }, { count: 1 }, { count: 2 }] },
    });
    // As it can be typed, it is the same.
    const again = (await ask(MAKE, { input: { name: 'Typed', query: answer.b.query } })).segmentCreate;
    expect(again).toMatchObject({ userErrors: [], segment: { condition: answer.b.condition } });
    expect(answer.b.query).toContain(`is in segment "${a}"`);
  });

  it('texts call other segments by their names, and the typed form by their ids', async () => {
    const { segment, write, ask } = await newAccount();
    const vip = await segment('VIP "gold"', gold);
    const other = await segment('Other', { all: [inside(vip, false), gold] });
    await write({ identifiers: { externalId: 'p' }, properties: { plan: 'gold' } });
    const answer = await ask(
      `query ($id: ID!, $where: ConditionInput!) {
        segment(id: $id) { text query explain(profile: { externalId: "p" }) { root { text children { text } } } }
        audience(where: $where) { text breakdown { text children { text } } }
      }`,
      { id: other, where: { any: [inside(vip, true), gold] } },
    );
    const named = 'is not in segment "VIP \\"gold\\""';
    expect(answer.segment.text).toContain(named);
    expect(answer.segment.query).toContain(`is not in segment "${vip}"`);
    expect(answer.segment.explain.root.text).toBe(answer.segment.text);
    expect(answer.segment.explain.root.children[0].text).toBe(named);
    expect(answer.audience.text).toContain('is in segment "VIP');
    expect(answer.audience.breakdown.text).toBe(answer.audience.text);
    expect(answer.audience.breakdown.children[0].text).toBe('is in segment "VIP \\"gold\\""');
  });

  it('an explanation that cannot look at all events says whether someone is in the other segment all the same', async () => {
    const { segment, write, send, ask } = await newAccount();
    // Steps are events times those that may still leave a window: here more than are looked at.
    const a = await segment('Busy', {
      event: { metric: 'Viewed Product', is: { atLeast: 1_700 }, within: { last: 'P30D' } },
    });
    const b = await segment('Not busy', { all: [inside(a, false), gold] });
    await write({ identifiers: { externalId: 'p' }, properties: { plan: 'gold' } });
    for (let i = 0; i < 2; i++) {
      await send(
        ...Array.from({ length: 850 }, () => ({ metric: 'Viewed Product', profile: { externalId: 'p' } })),
      );
    }
    const { segment: found } = await ask(
      `query ($id: ID!) { segment(id: $id) {
        explain(profile: { externalId: "p" }) { complete root { satisfied children { satisfied found } } }
      } }`,
      { id: b },
    );
    expect(found.explain).toEqual({
      complete: false,
      root: {
        satisfied: false,
        children: [
          { satisfied: false, found: null },
          { satisfied: true, found: '"gold"' },
        ],
      },
    });
  });

  it('a change of another segment has cause SEGMENT', async () => {
    const { segment, live, write, send, ask } = await newAccount();
    await write({ identifiers: { externalId: 'p' } });
    const a = await segment('A', { event: { metric: 'Placed Order' } });
    const b = await segment('B', inside(a));
    await Promise.all([a, b].map(live));
    await send({ metric: 'Placed Order', profile: { externalId: 'p' } });
    const { membershipLog } = await ask(
      `{ membershipLog(first: 10) { changes { cause segment { name } event { metric { name } } } } }`,
    );
    const order = { metric: { name: 'Placed Order' } };
    expect(
      membershipLog.changes.sort((x: { cause: string }, y: { cause: string }) =>
        x.cause < y.cause ? -1 : 1,
      ),
    ).toEqual([
      { cause: 'EVENT', segment: { name: 'A' }, event: order },
      { cause: 'SEGMENT', segment: { name: 'B' }, event: order },
    ]);
  });
});
