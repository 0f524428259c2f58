/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-argument */
/** The segment language through the API: typed conditions, warnings, explanations, breakdowns. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Condition, ProfileFacts } from '../../src/segments/ast.ts';
import { evaluate, parseCondition, toQuery } from '../../src/segments/index.ts';
import { factsOf, randomCase } from '../comparison/generate.ts';
import { CREATE, evaluated, eventually, INGEST, UPSERT, useApi, type Answer } from './support.ts';

const start = useApi();

const QUERY = `did "Placed Order" at least 2 times in the last 30 days
and (email ends with "@example.com" or phone is set)`;
const DAY = 86_400_000;
const MAKE = `mutation ($input: SegmentCreateInput!) {
  segmentCreate(input: $input) {
    segment { id name query condition text version }
    warnings { code message path }
    userErrors { field code message place { line column } }
  }
}`;
const CHANGE = `mutation ($id: ID!, $input: SegmentUpdateInput!) {
  segmentUpdate(id: $id, input: $input) {
    segment { id name query version }
    warnings { code path }
    userErrors { field code message place { line column } }
  }
}`;
const NODE = 'text satisfied found actual missing flipsAt';
const EXPLANATION = `member complete root { ${NODE} children { ${NODE} children { ${NODE} children { ${NODE} children { ${NODE} children { satisfied } } } } } }`;
const SIZES =
  'text count children { text count children { text count children { text count children { text count children { text count } } } } }';

const make = async (input: object) => (await start().gql(MAKE, { input })).data.segmentCreate;
const count = (query: unknown) =>
  start().gql('query ($query: String) { audience(query: $query) { count } }', { query });

/** It is the client's fault, and said so. */
function problemsOf(answer: Answer): { line: number; column: number; code: string; message: string }[] {
  expect(answer.data ?? null).toBeNull();
  const [error] = answer.errors ?? [];
  expect(error?.extensions['code']).toBe('BAD_USER_INPUT');
  return error?.extensions['problems'] as never;
}

beforeAll(async () => {
  const api = start();
  const now = Date.now();
  const order = (uniqueId: string, email: string, days: number, properties: object = {}) => ({
    uniqueId,
    metric: 'Placed Order',
    profile: { email },
    time: new Date(now - days * DAY).toISOString(),
    value: days,
    properties,
  });
  await api.gql(UPSERT, {
    profiles: [
      { identifiers: { email: 'ada@example.com' }, properties: { plan: 'gold' } },
      { identifiers: { email: 'bob@example.com' }, properties: { plan: 'silver', visits: 3 } },
      { identifiers: { externalId: 'nobody' } },
    ],
  });
  const ingest = await api.gql(INGEST, {
    events: [
      order('a1', 'ada@example.com', 3, { coupon: 'X', lines: ['a', 'b'] }),
      order('a2', 'ada@example.com', 20, { coupon: 'Y' }),
      order('b1', 'bob@example.com', 3),
    ],
  });
  await evaluated(api, ingest.data.eventsIngest.receipt as string);
});

describe('typed conditions', () => {
  it('make a segment, which gives them back', async () => {
    const { segment, userErrors, warnings } = await make({ name: 'Typed', query: QUERY });
    expect(userErrors).toEqual([]);
    expect(warnings).toEqual([]);
    expect(segment.condition).toEqual({
      all: [
        { event: { metric: 'Placed Order', is: { atLeast: 2 }, within: { last: 'P30D' } } },
        {
          any: [
            { property: { path: 'email', filter: { text: { endsWith: '@example.com' } } } },
            { property: { path: 'phone', filter: { exists: true } } },
          ],
        },
      ],
    });
    const again = await make({ name: 'Typed again', query: segment.query });
    expect(again.segment.condition).toEqual(segment.condition);
    const contains = await eventually(
      () =>
        start().gql(
          `{ segment(id: "${segment.id}") { status a: contains(profile: { email: "ada@example.com" }) b: contains(profile: { email: "bob@example.com" }) } }`,
        ),
      ({ data }) => data.segment.status === 'LIVE',
    );
    expect(contains.data.segment).toMatchObject({ a: true, b: false });
  });

  it('change a segment, and need not be given to change its name', async () => {
    const { segment } = await make({ name: 'To change', query: 'email is set' });
    const update = async (input: object) =>
      (await start().gql(CHANGE, { id: segment.id, input })).data.segmentUpdate;
    expect((await update({ query: 'phone is set' })).segment).toMatchObject({
      query: 'phone is set',
      version: 2,
    });
    expect((await update({ name: 'Changed' })).segment).toMatchObject({
      name: 'Changed',
      query: 'phone is set',
      version: 2,
    });
  });

  it('exactly one of condition and query makes a segment, at most one changes it', async () => {
    const condition = { property: { path: 'email', filter: { exists: true } } };
    expect(await make({ name: 'None' })).toMatchObject({
      segment: null,
      warnings: null,
      userErrors: [{ field: ['input'], code: 'REQUIRED' }],
    });
    expect(await make({ name: 'None', condition: null, query: null })).toMatchObject({ segment: null });
    expect(await make({ name: 'Both', condition, query: 'email is set' })).toMatchObject({
      segment: null,
      userErrors: [{ field: ['input', 'query'], code: 'INVALID' }],
    });
    const { segment } = await make({ name: 'One', condition });
    const both = await start().gql(CHANGE, { id: segment.id, input: { condition, query: 'phone is set' } });
    expect(both.data.segmentUpdate).toMatchObject({ segment: null, userErrors: [{ code: 'INVALID' }] });
  });

  it('count an audience, of which exactly one of where and query is given', async () => {
    expect((await count(QUERY)).data.audience.count).toBe(1);
    expect((await count('properties.plan is set')).data.audience.count).toBe(2);
    const where = { property: { path: 'email', filter: { exists: true } } };
    const ask = (args: object) =>
      start().gql(
        'query ($where: ConditionInput, $query: String) { audience(where: $where, query: $query) { count query } }',
        args,
      );
    expect((await ask({ where })).data.audience).toEqual({ count: 2, query: 'email is set' });
    problemsOf(await ask({}));
    problemsOf(await ask({ where: null, query: null }));
    problemsOf(await ask({ where, query: 'email is set' }));
  });

  it('name the line and the column of a mistake, and what was expected there', async () => {
    const query = 'email is set\nand did "Placed Order" in the last 30 moons';
    const expected = {
      code: 'INVALID',
      message: expect.stringMatching(/^line 2, column 39: expected .*days.*, but found "moons"$/),
    };
    expect(problemsOf(await count(query))).toEqual([{ line: 2, column: 39, ...expected }]);
    const { segment, userErrors } = await make({ name: 'Moons', query });
    expect(segment).toBeNull();
    expect(userErrors).toEqual([{ field: ['input', 'query'], place: { line: 2, column: 39 }, ...expected }]);
    const name = await make({ name: '', query });
    expect(name.userErrors.map(({ field }: { field: string[] }) => field)).toEqual([
      ['input', 'name'],
      ['input', 'query'],
    ]);
  });

  it.each<[string, string, string?]>([
    ['nothing', ''],
    ['a megabyte', `email is "${'x'.repeat(1_000_000)}"`, 'TOO_LONG'],
    ['a megabyte of parentheses', '('.repeat(1_000_000), 'TOO_LONG'],
    ['as many parentheses as fit', '('.repeat(499_999)],
    ['as many nots as fit', 'not '.repeat(124_000)],
    ['deep nesting', `${'not ('.repeat(40)}email is set${')'.repeat(40)}`, 'TOO_LARGE'],
    ['more conditions than are allowed', Array(30_000).fill('email is set').join(' or ')],
    ['a NUL character in a text', 'email is "a\0b"'],
    ['a NUL character outside of texts', 'email\0 is set'],
    ['an escaped NUL character', 'email is "a\\u0000b"'],
    ['half a character', 'email is "\ud800"'],
    ['an open quote', `email is "${'\\"'.repeat(200_000)}`],
    ['an expression that is none', 'email matches "("'],
    ['SQL', "email is set'; DROP TABLE events"],
  ])('refuse %s, quickly', async (_what, query, code) => {
    const began = Date.now();
    const problems = problemsOf(await count(query));
    expect(problems.length).toBeGreaterThan(0);
    expect(problems.length).toBeLessThanOrEqual(20);
    expect(problems[0]?.message.length).toBeLessThan(1_000);
    if (code !== undefined) expect(problems[0]?.code).toBe(code);
    const { segment, userErrors } = await make({ name: 'Hostile', query });
    expect(segment).toBeNull();
    expect(userErrors.length).toBeGreaterThan(0);
    expect(Date.now() - began).toBeLessThan(30_000);
  });
});

describe('warnings', () => {
  const query = 'did Placed Order at least 2 times and did Placed Order at most 1 times and email is set';

  it('come with a segment, with a change of it, and with an audience', async () => {
    const { segment, warnings } = await make({ name: 'Impossible', query });
    expect(warnings).toMatchObject([{ code: 'CONTRADICTORY', path: [] }]);
    expect(warnings[0].message).toMatch(/nobody/);
    const change = await start().gql(CHANGE, {
      id: segment.id,
      input: { query: 'email is set or email is set' },
    });
    expect(change.data.segmentUpdate.warnings).toContainEqual({ code: 'DUPLICATE', path: ['any', '1'] });
    const audience = await start().gql(
      'query ($query: String) { audience(query: $query) { count warnings { code path } } }',
      { query },
    );
    expect(audience.data.audience).toEqual({
      count: 0,
      warnings: [{ code: 'CONTRADICTORY', path: [] }],
    });
  });
});

describe('explanations', () => {
  const explain = (id: string, profile: object) =>
    start().gql(
      `query ($id: ID!, $profile: ProfileSelector!) { segment(id: $id) { explain(profile: $profile) { ${EXPLANATION} } } }`,
      { id, profile },
    );

  it('say what was found, what is missing and when time alone flips it', async () => {
    const query = `${QUERY} and not (properties.visits is at least 5)`;
    const { segment } = await make({ name: 'Explained', query });
    const ada = (await explain(segment.id, { email: 'ada@example.com' })).data.segment.explain;
    expect(ada).toMatchObject({ member: true, complete: true, root: { satisfied: true, actual: null } });
    const [orders, reach, visits] = ada.root.children;
    expect(orders).toMatchObject({
      text: 'has done Placed Order at least 2 times in the last 30 days',
      satisfied: true,
      found: '2 times, the last 3 days ago',
      actual: 2,
      missing: 0,
      children: [],
    });
    // The older of the two orders leaves the window ten days from now, to the millisecond.
    const oldest = await start().gql(
      '{ profile(by: { email: "ada@example.com" }) { events(first: 2) { nodes { time } } } }',
    );
    const left = Date.parse(oldest.data.profile.events.nodes[1].time as string) + 30 * DAY;
    expect(orders.flipsAt).toBe(new Date(left).toISOString());
    expect(ada.root.flipsAt).toBe(orders.flipsAt);
    expect(reach.children).toMatchObject([
      { satisfied: true, found: '"ada@example.com"', actual: 'ada@example.com', flipsAt: null },
      { satisfied: false, found: 'not set', actual: null },
    ]);
    expect(visits).toMatchObject({ satisfied: true, children: [{ satisfied: false, actual: null }] });
    const bob = (await explain(segment.id, { email: 'bob@example.com' })).data.segment.explain;
    expect(bob).toMatchObject({ member: false, root: { satisfied: false } });
    expect(bob.root.children[0]).toMatchObject({ satisfied: false, actual: 1, missing: 1, flipsAt: null });
    expect(bob.root.children[2].children[0]).toMatchObject({ satisfied: false, actual: 3, missing: 2 });
  });

  it('look into properties and values of events', async () => {
    const query = `did Placed Order where (coupon is "X" and lines is set and $value is less than 5)
      and the sum of $value over Placed Order is at least 100`;
    const answer = await start().gql(
      `query ($query: String) { audience(query: $query) { explain(profile: { email: "ada@example.com" }) { ${EXPLANATION} } } }`,
      { query },
    );
    expect(answer.data.audience.explain).toMatchObject({
      member: false,
      complete: true,
      root: {
        children: [
          { satisfied: true, actual: 1 },
          { satisfied: false, actual: 23, missing: 77 },
        ],
      },
    });
  });

  it('answer ids of others like ids that do not exist', async () => {
    const { segment } = await make({ name: 'Mine', query: 'email is set' });
    const other = await start().otherAccount();
    const upsert = await start().gql(
      UPSERT,
      { profiles: [{ identifiers: { email: 'eve@example.com' } }] },
      { key: other.admin },
    );
    await start().gql(
      'query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached } }',
      { token: upsert.data.profilesUpsert.receipt },
      { key: other.admin },
    );
    const eve = await start().gql('{ profile(by: { email: "eve@example.com" }) { id } }', undefined, {
      key: other.admin,
    });
    const refusals = await Promise.all(
      [{ id: eve.data.profile.id }, { id: 'UHJvZmlsZTo5OTk5OTk=' }, { email: 'eve@example.com' }].map(
        (profile) => explain(segment.id, profile),
      ),
    );
    for (const { data, errors } of refusals) {
      expect(data?.segment ?? null).toBeNull();
      expect(errors).toMatchObject([{ extensions: { code: 'NOT_FOUND' } }]);
      expect(errors?.[0]?.message).toBe(refusals[1]?.errors?.[0]?.message);
    }
    const foreign = await start().gql(
      'query ($id: ID!) { segment(id: $id) { query explain(profile: { email: "eve@example.com" }) { member } } }',
      { id: segment.id },
      { key: other.admin },
    );
    expect(foreign.data.segment).toBeNull();
    const changed = await start().gql(
      CHANGE,
      { id: segment.id, input: { query: 'phone is set' } },
      { key: other.admin },
    );
    expect(changed.data.segmentUpdate).toMatchObject({ segment: null, userErrors: [{ code: 'NOT_FOUND' }] });
  });

  it('decide what rests on too many events without looking at each, and say so', async () => {
    const api = start();
    const time = new Date(Date.now() - DAY).toISOString();
    let receipt = '';
    for (let call = 0; call < 3; call++) {
      const { data } = await api.gql(INGEST, {
        events: Array.from({ length: 1_000 }, (_, i) => ({
          uniqueId: `robot-${call}-${i}`,
          metric: 'Viewed Product',
          profile: { externalId: 'nobody' },
          time,
        })),
      });
      receipt = data.eventsIngest.receipt as string;
    }
    await evaluated(api, receipt);
    const ask = (query: string) =>
      api.gql(
        `query ($query: String) { audience(query: $query) { explain(profile: { externalId: "nobody" }) { ${EXPLANATION} } } }`,
        { query },
      );
    // Nothing can flip what counts for ever: as many events are no trouble there.
    const ever = (await ask('did Viewed Product at least 3000 times')).data.audience.explain;
    expect(ever).toMatchObject({ member: true, complete: true, root: { actual: 3000 } });
    const query =
      'did Viewed Product at least 3000 times in the last 7 days and not (did Viewed Product at least 3001 times in the last 7 days) and email is not set';
    const cut = (await ask(query)).data.audience.explain;
    expect(cut).toMatchObject({ member: true, complete: false, root: { satisfied: true, flipsAt: null } });
    expect(cut.root.children).toMatchObject([
      { satisfied: true, found: null, actual: null, missing: null, flipsAt: null },
      { satisfied: true, children: [{ satisfied: false, found: null }] },
      { satisfied: true, found: 'not set' },
    ]);
    // From each to each is too much, even where no window moves.
    const sequence = (await ask('did in order (Viewed Product, then not Placed Order) within 1 hour')).data
      .audience.explain;
    expect(sequence).toMatchObject({ member: true, complete: false, root: { satisfied: true, found: null } });
  });
});

describe('on a random population', () => {
  const NOW = Date.now();
  const one = randomCase(20_261_121, {
    profiles: 30,
    conditions: 45,
    instants: 3,
    around: NOW - 30 * DAY,
    prefix: 'rnd-',
  });
  const facts = factsOf(one);
  // Of one id that is sent for several metrics, the first is not known: they travel in different streams.
  const known = new Set<string>();
  const events = one.events.filter(({ uniqueId }) => !known.has(uniqueId) && known.add(uniqueId));
  // Profile numbers and the time zone are not those of the facts here, and consents and past values are not sent.
  const unlike = /"(sample|days|prediction|consent)"/;
  const inputs = one.conditions.filter((input) => !unlike.test(JSON.stringify(input)));
  const conditions: Condition[] = inputs.map((input) => {
    const parsed = parseCondition(input);
    if (!parsed.ok) throw new Error('a random condition is not valid');
    return parsed.condition;
  });
  let other: { account: number; admin: string };

  beforeAll(async () => {
    other = await start().otherAccount();
    const options = { key: other.admin };
    const wait = (token: string) =>
      start().gql(
        'query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached } }',
        { token },
        options,
      );
    const upsert = await start().gql(UPSERT, { profiles: one.profiles }, options);
    expect(upsert.data.profilesUpsert).toMatchObject({ accepted: 30, userErrors: [] });
    await wait(upsert.data.profilesUpsert.receipt as string);
    const ingest = await start().gql(INGEST, { events }, options);
    expect(ingest.data.eventsIngest).toMatchObject({ accepted: events.length, userErrors: [] });
    await wait(ingest.data.eventsIngest.receipt as string);
  });

  it('a breakdown has the size of every node, as the reference counts it, and explanations its truth', async () => {
    const ids = [...facts.keys()];
    const tally = { nodes: 0, some: 0 };
    for (const [n, condition] of conditions.entries()) {
      const before = Date.now();
      const profiles = ids.slice(n % (ids.length - 2)).slice(0, 2);
      const { data, errors } = await start().gql(
        `query ($where: ConditionInput) { audience(where: $where) { count breakdown { ${SIZES} } ${profiles
          .map((id, i) => `e${i}: explain(profile: { externalId: "${id}" }) { ${EXPLANATION} }`)
          .join(' ')} } }`,
        { where: inputs[n] },
        { key: other.admin },
      );
      expect(errors, JSON.stringify(condition)).toBeUndefined();
      const after = Date.now();
      expect(data.audience.breakdown.count).toBe(data.audience.count);
      compareSizes(condition, data.audience.breakdown, [before, after], tally);
      for (const [i, id] of profiles.entries()) {
        const { member, root, complete } = data.audience[`e${i}`];
        expect(complete).toBe(true);
        expect(member).toBe(root.satisfied);
        compareTruths(condition, root, facts.get(id) as ProfileFacts, [before, after]);
      }
    }
    expect(tally.nodes).toBeGreaterThan(40);
    expect(tally.some).toBeGreaterThan(8);
  }, 180_000);

  it('an explanation agrees with the stored membership', async () => {
    const key = { key: other.admin };
    const some = [...facts.keys()].slice(0, 5);
    const fields = some
      .map(
        (id, i) =>
          `c${i}: contains(profile: { externalId: "${id}" }) e${i}: explain(profile: { externalId: "${id}" }) { member }`,
      )
      .join(' ');
    const ids = await Promise.all(
      conditions.slice(0, 8).map(async (condition) => {
        const input = { name: 'Stored', query: toQuery(condition) };
        return (await start().gql(CREATE, { input }, key)).data.segmentCreate.segment.id as string;
      }),
    );
    await eventually(
      () => start().gql('{ segments(first: 100, status: COMPUTING) { totalCount } }', undefined, key),
      ({ data }) => data.segments.totalCount === 0,
    );
    const answers = { members: 0, others: 0 };
    for (const id of ids) {
      const { data } = await start().gql(
        `query ($id: ID!) { segment(id: $id) { query ${fields} } }`,
        { id },
        key,
      );
      for (const i of some.keys()) {
        const stored = data.segment[`c${i}`] as boolean;
        expect(data.segment[`e${i}`].member, `${data.segment.query} ${some[i]}`).toBe(stored);
        answers[stored ? 'members' : 'others'] += 1;
      }
    }
    expect(answers.members).toBeGreaterThan(5);
    expect(answers.others).toBeGreaterThan(5);
  }, 180_000);

  interface Sized {
    text: string;
    count: number;
    children?: Sized[];
  }

  /** At some instant between the two, should an event just cross an edge meanwhile. */
  function compareSizes(
    node: Condition,
    sized: Sized,
    instants: number[],
    tally: { nodes: number; some: number },
  ) {
    const sizes = instants.map((at) => [...facts.values()].filter((each) => evaluate(node, each, at)).length);
    expect(sizes, JSON.stringify(node)).toContain(sized.count);
    tally.nodes += 1;
    if (sized.count > 0 && sized.count < facts.size) tally.some += 1;
    if (!sized.children) return;
    expect(sized.children).toHaveLength(below(node).length);
    for (const [i, child] of below(node).entries())
      compareSizes(child, sized.children[i] as Sized, instants, tally);
  }

  interface Explained {
    satisfied: boolean;
    children?: Explained[];
  }
  function compareTruths(node: Condition, explained: Explained, known: ProfileFacts, instants: number[]) {
    const truths = instants.map((at) => evaluate(node, known, at));
    expect(truths, JSON.stringify(node)).toContain(explained.satisfied);
    if (!explained.children) return;
    for (const [i, child] of below(node).entries())
      compareTruths(child, explained.children[i] as Explained, known, instants);
  }

  function below(node: Condition): Condition[] {
    if ('children' in node) return node.children;
    return node.kind === 'not' ? [node.child] : [];
  }
});
