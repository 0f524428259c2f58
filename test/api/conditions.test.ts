/** Segments of the kinds of conditions that look at events and profiles in other ways than by counts and texts. */
/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-return, @typescript-eslint/no-unsafe-call */
import { eq } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { isInSample } from '../../src/segments/sample.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import { CREATE, eventually, INGEST, UPSERT, useApi } from './support.ts';

const start = useApi();
let names = 0;

/** An account of its own for each test. */
async function newAccount(timezone = 'UTC') {
  const api = start();
  const { account, admin } = await api.otherAccount();
  await api.mysql.db.update(accounts).set({ timezone }).where(eq(accounts.id, account));
  const ask = async (query: string, variables: object) => {
    const { data, errors } = await api.gql(query, variables, { key: admin });
    expect(errors).toBeUndefined();
    return data;
  };
  const taken = async (receipt: unknown) => {
    const query = `query ($token: Receipt!) { receipt(token: $token, timeout: "PT30S") { reached } }`;
    expect((await ask(query, { token: receipt })).receipt.reached).toBe(true);
  };
  return {
    ask,
    write: async (...profiles: object[]) => {
      const { profilesUpsert } = await ask(UPSERT, { profiles });
      expect(profilesUpsert).toMatchObject({ accepted: profiles.length, userErrors: [] });
      await taken(profilesUpsert.receipt);
    },
    send: async (...events: object[]) => {
      const { eventsIngest } = await ask(INGEST, { events });
      expect(eventsIngest).toMatchObject({ accepted: events.length, userErrors: [] });
      await taken(eventsIngest.receipt);
    },
    segment: async (condition: object): Promise<string> => {
      const { segmentCreate } = await ask(CREATE, { input: { name: `S${++names}`, condition } });
      expect(segmentCreate.userErrors).toEqual([]);
      const { id } = segmentCreate.segment;
      await eventually(
        () => ask('query ($id: ID!) { segment(id: $id) { status } }', { id }),
        ({ segment }) => segment.status === 'LIVE',
      );
      return id;
    },
    /** External ids of the members, sorted. */
    members: async (id: string): Promise<string[]> => {
      const query = `query ($id: ID!) { segment(id: $id) { members(first: 50) { nodes { externalId } } } }`;
      const { segment } = await ask(query, { id });
      return segment.members.nodes.map((node: { externalId: string }) => node.externalId).sort();
    },
  };
}

const profile = (externalId: string, rest: object = {}) => ({ identifiers: { externalId }, ...rest });
const order = (externalId: string, rest: object = {}) => ({
  metric: 'Placed Order',
  profile: { externalId },
  ...rest,
});
const orders = (rest: object) => ({ event: { metric: 'Placed Order', ...rest } });

it('an average goes up and down with each event', async () => {
  const { segment, send, members } = await newAccount();
  const id = await segment(orders({ measure: { average: '$value' }, is: { atLeast: 10 } }));
  await send(order('a', { value: 9.9 }), order('a', { value: 10.1 }), order('b', { value: 9.9 }), order('c'));
  expect(await members(id)).toEqual(['a']);
  await send(order('a', { value: 9.999999 }), order('b', { value: 11 }));
  expect(await members(id)).toEqual(['b']);
});

it('the smallest and the largest number of someone’s events', async () => {
  const { segment, send, members } = await newAccount();
  const small = await segment(orders({ measure: { min: 'price' }, is: { lessThan: 0 } }));
  const large = await segment(orders({ measure: { max: 'price' }, is: { lessThan: 5 } }));
  const paid = (id: string, price: unknown) => order(id, { properties: { price } });
  await send(paid('a', 4), paid('b', '4'));
  expect([await members(small), await members(large)]).toEqual([[], ['a']]);
  await send(paid('a', 6), paid('b', -1));
  expect([await members(small), await members(large)]).toEqual([['b'], ['b']]);
});

it('different values of a property, those of a list one by one', async () => {
  const { segment, send, members } = await newAccount();
  const id = await segment(orders({ measure: { distinct: 'category' }, is: { equals: 2 } }));
  const of = (profileId: string, category: unknown) => order(profileId, { properties: { category } });
  await send(of('a', 'shoes'), of('a', 'shoes'), of('b', ['shoes', 'hats']), of('c', 5), of('c', '5'));
  expect(await members(id)).toEqual(['b', 'c']);
  await send(of('a', 'hats'), of('b', 'bags'));
  expect(await members(id)).toEqual(['a', 'c']);
});

it('days are those of the account’s time zone', async () => {
  const condition = orders({ measure: { days: true }, is: { atLeast: 2 } });
  // One evening in UTC; in Kathmandu, 5:45 ahead, midnight lies between them.
  const events = ['2026-03-10T18:00:00Z', '2026-03-10T19:00:00Z'].map((time) => order('a', { time }));
  const there = await newAccount('Asia/Kathmandu');
  const here = await newAccount();
  const segments = [await there.segment(condition), await here.segment(condition)] as const;
  await there.send(...events);
  await here.send(...events);
  expect(await there.members(segments[0])).toEqual(['a']);
  expect(await here.members(segments[1])).toEqual([]);
});

it('lists of a profile and of events', async () => {
  const { segment, send, write, members } = await newAccount();
  const list = { containsAll: ['hiking', '3'] };
  const own = await segment({ property: { path: 'properties.interests', filter: { list } } });
  const bought = await segment(
    orders({ where: [{ path: 'items', filter: { list: { length: { atLeast: 2 } } } }] }),
  );
  const like = (path: string, filter: object) => ({ property: { path, filter: { list: filter } } });
  const outdoors = await segment(like('properties.interests', { someElement: { matches: '^hik|^ski' } }));
  const indoors = await segment(like('properties.interests', { noElement: { endsWith: 'ing' } }));
  await write(
    profile('a', { properties: { interests: ['hiking', 3] } }),
    profile('b', { properties: { interests: 'hiking' } }),
  );
  await send(order('b', { properties: { items: ['x', 'x'] } }), order('a', { properties: { items: 'xx' } }));
  expect([await members(own), await members(bought)]).toEqual([['a'], ['b']]);
  expect([await members(outdoors), await members(indoors)]).toEqual([['a'], []]);
  await write(
    profile('a', { remove: { interests: 'hiking' } }),
    profile('b', { append: { interests: [3] } }),
  );
  expect(await members(own)).toEqual(['b']);
  expect([await members(outdoors), await members(indoors)]).toEqual([['b'], ['a']]);
});

it('dates of profiles and of events, and periods of the calendar', async () => {
  const { segment, write, send, members } = await newAccount('America/New_York');
  const [day, hour] = [86_400_000, 3_600_000];
  const now = Date.now();
  const text = (ms: number) => new Date(ms).toISOString();
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'America/New_York' }).format(now);
  const soon = await segment({
    property: { path: 'properties.renewsAt', filter: { date: { next: 'P7D' } } },
  });
  const birthday = await segment({
    property: { path: 'properties.born', filter: { date: { anniversary: { today: true } } } },
  });
  const birthdayMonth = await segment({
    property: { path: 'properties.born', filter: { date: { anniversary: { thisMonth: true } } } },
  });
  const due = { path: 'due', filter: { date: { within: { calendar: 'TODAY' } } } };
  const dueToday = await segment(orders({ where: [due] }));
  const ordered = await segment(orders({ within: { calendar: 'THIS_YEAR' } }));
  // 400 days ago is 330 days before an anniversary.
  const anniversary = { path: '$time', filter: { date: { anniversary: { next: 345 } } } };
  const aYearAgo = await segment(orders({ where: [anniversary] }));
  const expected = await segment({
    prediction: { dimension: 'EXPECTED_NEXT_ORDER', date: { within: { moreThanAgo: 'PT1H' } } },
  });
  await write(
    profile('a', { properties: { renewsAt: text(now + day), born: `1984${today.slice(4)}` } }),
    profile('b', { properties: { renewsAt: text(now + 8 * day), born: text(now - 40 * day) } }),
    profile('c', { properties: { $predictions: { expectedNextOrderAt: text(now - 2 * hour) } } }),
  );
  await send(
    order('a', { properties: { due: today } }),
    order('b', { time: text(now - 400 * day), properties: { due: text(now - 3 * day) } }),
  );
  expect(
    await Promise.all([soon, birthday, birthdayMonth, dueToday, ordered, aYearAgo, expected].map(members)),
  ).toEqual([['a'], ['a'], ['a'], ['a'], ['a'], ['b'], ['c']]);
});

it('sequences of events: members, audiences, breakdowns, forecasts and explanations', async () => {
  const { segment, send, members, ask } = await newAccount();
  const hour = 3_600_000;
  const now = Date.now();
  const event = (externalId: string, metric: string, hoursAgo: number, properties: object = {}) => ({
    metric,
    profile: { externalId },
    time: new Date(now - hoursAgo * hour).toISOString(),
    properties,
  });
  const [started, placed] = ['Started Checkout', 'Placed Order'];
  const abandoned = {
    sequence: {
      steps: [{ metric: started }, { metric: placed, negate: true }],
      completeWithin: 'PT2H',
      within: { last: 'P7D' },
    },
  };
  const gifts = {
    sequence: {
      steps: [
        { metric: started },
        { metric: placed, where: [{ path: 'gift', filter: { boolean: true } }], negate: false },
      ],
    },
  };
  const [left, given] = [await segment(abandoned), await segment(gifts)];
  await send(
    event('a', started, 5),
    event('b', started, 5),
    event('c', started, 1),
    event('d', started, 5),
    event('e', placed, 9, { gift: true }),
    event('e', started, 8),
  );
  await send(event('b', placed, 4), event('d', placed, 2, { gift: true }));
  expect([await members(left), await members(given)]).toEqual([['a', 'd', 'e'], ['d']]);
  const { audience } = await ask(
    `query ($where: ConditionInput!) {
       audience(where: $where) {
         count
         breakdown { text count children { text count } }
         explain(profile: { externalId: "a" }) { complete root { children { satisfied found actual missing flipsAt } } }
       }
     }`,
    { where: { all: [abandoned, gifts] } },
  );
  expect(audience).toMatchObject({
    count: 1,
    breakdown: { count: 1, children: [{ count: 3 }, { count: 1 }] },
    explain: {
      complete: true,
      root: {
        children: [
          {
            satisfied: true,
            found: '1 of 1 steps',
            flipsAt: new Date(now - 5 * hour + 7 * 24 * hour).toISOString(),
          },
          { satisfied: false, found: '1 of 2 steps', actual: 1, missing: 1, flipsAt: null },
        ],
      },
    },
  });
  const forecast = `query ($id: ID!) { segment(id: $id) { forecast(within: "PT3H") { joining leaving } } }`;
  expect(await ask(forecast, { id: left })).toMatchObject({
    segment: { forecast: { joining: 1, leaving: 0 } },
  });
});

it('who moves enters and leaves places and regions', async () => {
  const { segment, write, members } = await newAccount();
  const berlin = { latitude: 52.52, longitude: 13.405, within: 100, unit: 'MILES' };
  const near = await segment({ near: berlin });
  const far = await segment({ near: { ...berlin, beyond: true } });
  const union = await segment({ region: { region: 'EUROPEAN_UNION' } });
  const all = async () => [await members(near), await members(far), await members(union)];
  await write(
    profile('a', { location: { latitude: 52.4, longitude: 13.1, country: 'DE' } }),
    profile('b', { location: { latitude: 40.7, longitude: -74, country: 'US' } }),
    profile('c', { location: { latitude: 52.4 } }),
  );
  expect(await all()).toEqual([['a'], ['b'], ['a']]);
  await write(
    profile('a', { location: { longitude: 113.1, country: 'China' } }),
    profile('b', { location: { latitude: null } }),
    profile('c', { location: { longitude: 13.4, country: 'FRA' } }),
  );
  expect(await all()).toEqual([['c'], ['a'], ['c']]);
});

it('a place by its postal code, which is kept as it was said', async () => {
  const { segment, write, members, ask } = await newAccount();
  const near = { postalCode: '90210', country: 'US', within: 10, unit: 'MILES' };
  const id = await segment({ near });
  await write(
    profile('a', { location: { latitude: 34.05, longitude: -118.24 } }),
    profile('b', { location: { latitude: 34.05, longitude: -118.2 } }),
    profile('c', { location: { postalCode: '90210', country: 'US' } }),
  );
  expect(await members(id)).toEqual(['a']);

  const said = 'query ($id: ID!) { segment(id: $id) { condition text query } }';
  const typed = 'is more than 10 miles from postal code "90210-1234" in "US"';
  expect((await ask(said, { id })).segment).toMatchObject({
    condition: { near },
    query: 'is within 10 miles of postal code "90210" in "US"',
  });
  const update = `mutation ($id: ID!, $input: SegmentUpdateInput!) {
    segmentUpdate(id: $id, input: $input) { segment { query } userErrors { field message } } }`;
  expect((await ask(update, { id, input: { query: typed } })).segmentUpdate).toEqual({
    segment: { query: typed },
    userErrors: [],
  });
  await eventually(
    () => members(id),
    (now) => now[0] === 'b',
  );
  const counted = 'query ($query: String!) { audience(query: $query) { count query } }';
  expect((await ask(counted, { query: typed })).audience).toEqual({ count: 1, query: typed });

  const { segmentCreate } = await ask(CREATE, {
    input: {
      name: 'Nowhere',
      condition: {
        any: [
          { near: { ...near, postalCode: '00000' } },
          { near: { ...near, postalCode: '10115', country: 'DE' } },
        ],
      },
    },
  });
  expect(segmentCreate.userErrors).toMatchObject([
    {
      field: ['input', 'condition', 'any', '0', 'near', 'postalCode'],
      message: expect.stringContaining('give latitude and longitude'),
    },
    {
      field: ['input', 'condition', 'any', '1', 'near', 'country'],
      message: expect.stringContaining('known only of US: give latitude and longitude'),
    },
  ]);
});

it('a prediction that is written as a property', async () => {
  const { segment, write, members } = await newAccount();
  const id = await segment({ prediction: { dimension: 'CHURN_RISK', number: { moreThan: 0.5 } } });
  const risk = (externalId: string, churnRisk: unknown) =>
    profile(externalId, { properties: { $predictions: { churnRisk } } });
  await write(risk('a', 0.7), risk('b', 0.5), risk('c', '0.7'));
  expect(await members(id)).toEqual(['a']);
  await write(risk('a', 0.2), risk('b', 0.6));
  expect(await members(id)).toEqual(['b']);
});

it('the change of a prediction, asked for, typed and explained', async () => {
  const { ask, segment, write, members } = await newAccount();
  const change = { by: -0.2, within: 'PT1H' };
  const prediction = { dimension: 'CHURN_RISK', number: { atLeast: 0.5 }, change };
  const id = await segment({ prediction });
  const risk = (churnRisk: number) => profile('a', { properties: { $predictions: { churnRisk } } });
  await write(risk(0.9));
  await write(risk(0.6));
  // There was no value an hour ago.
  expect(await members(id)).toEqual([]);
  const said = `query ($id: ID!) { segment(id: $id) { condition query
    explain(profile: { externalId: "a" }) { member complete root { found actual missing flipsAt } } } }`;
  expect((await ask(said, { id })).segment).toEqual({
    condition: { prediction },
    query: 'the churn risk (is at least 0.5 and has fallen by at least 0.2 within 1 hour)',
    explain: {
      member: false,
      complete: true,
      // An hour after the first value, for as long as that was in force.
      root: { found: '0.6 now, no value 1 hour ago', actual: 0.6, missing: 0, flipsAt: expect.any(String) },
    },
  });
  const counted = 'query ($query: String!) { audience(query: $query) { count } }';
  const query = 'the churn risk has fallen by at least 0.2 within 1 hour';
  expect((await ask(counted, { query })).audience.count).toBe(0);
  const { segmentCreate } = await ask(CREATE, {
    input: { name: 'No', condition: { prediction: { dimension: 'EXPECTED_NEXT_ORDER', change } } },
  });
  expect(segmentCreate.userErrors).toMatchObject([
    { field: ['input', 'condition', 'prediction', 'change'], message: expect.stringContaining('takes date') },
  ]);
});

it('a sample takes in those who come later too, and who is in it stays', async () => {
  const { segment, write, members } = await newAccount();
  const ids = Array.from({ length: 20 }, (_, i) => `p${String(i).padStart(2, '0')}`);
  await write(...ids.slice(0, 10).map((id) => profile(id)));
  const condition = { sample: { percent: 50, salt: 'spring' } };
  const id = await segment(condition);
  const first = await members(id);
  await write(...ids.slice(10).map((one) => profile(one)));
  const wanted = ids.filter((_, number) => isInSample(number, 'spring', 50));
  expect(await members(id)).toEqual(wanted);
  expect(first).toEqual(wanted.filter((one) => one < 'p10'));
  expect(first.length % 10).not.toBe(0);
});

it('an edited segment that is LIVE has its new members already', async () => {
  const { ask, segment, write } = await newAccount();
  await write(profile('a', { properties: { plan: 'gold' } }), profile('b'));
  const plan = (filter: object) => ({ property: { path: 'properties.plan', filter } });
  const id = await segment(plan({ exists: false }));
  const change = `mutation ($id: ID!, $input: SegmentUpdateInput!) {
    segmentUpdate(id: $id, input: $input) { segment { version } userErrors { message } } }`;
  const [nobody, gold, everybody] = [
    plan({ text: { equals: 'silver' } }),
    plan({ exists: true }),
    { any: [plan({ exists: true }), plan({ exists: false })] },
  ];
  for (const [condition, count] of [
    [everybody, 2],
    [nobody, 0],
    [gold, 1],
    [nobody, 0],
    [everybody, 2],
  ] as const) {
    const { segmentUpdate } = await ask(change, { id, input: { condition } });
    expect(segmentUpdate.userErrors).toEqual([]);
    await eventually(
      () => ask('query ($id: ID!) { segment(id: $id) { status } }', { id }),
      ({ segment: now }) => now.status === 'LIVE',
    );
    expect((await ask('query ($id: ID!) { segment(id: $id) { count } }', { id })).segment.count).toBe(count);
  }
});
