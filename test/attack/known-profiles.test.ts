/** What is kept in memory of profiles is what ClickHouse would say, whatever news come, come twice, or are too long. */
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createKnownProfiles, KNOWN_LIMITS, type KnownLimits } from '../../src/evaluation/known-profiles.ts';
import { createHistories } from '../../src/evaluation/read-histories.ts';
import type { Parts } from '../../src/evaluation/read-known.ts';
import { usesOf } from '../../src/evaluation/uses.ts';
import type { EventRecord } from '../../src/ingest/records.ts';
import { eventKey, eventLine, traitLine, uuidOf } from '../../src/ingest/rows.ts';
import { flatten } from '../../src/segments/flatten.ts';
import { criteriaOf, criterionKey, normalise } from '../../src/segments/normalise.ts';
import { parseCondition } from '../../src/segments/parse.ts';
import { connectClickHouse, insertLines, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { migrateClickHouse } from '../../src/storage/clickhouse/migrate.ts';
import { connectMySql, type MySql } from '../../src/storage/mysql/connect.ts';
import { migrateMySql } from '../../src/storage/mysql/migrate.ts';
import type { ProfileChange } from '../../src/storage/profile-changes.ts';
import type { Criterion } from '../../src/segments/ast.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const METRIC = 'Placed Order';
const NOW = Date.UTC(2026, 5, 1);
const DAY = 86_400_000;
let mysql: MySql;
let clickhouse: ClickHouse;
let accounts = 0;
let ids = 0;

beforeAll(async () => {
  mysql = connectMySql(engines.mysqlUrl());
  await migrateMySql(mysql, path.resolve('migrations'));
  clickhouse = await connectClickHouse(engines.clickhouseUrl());
  await migrateClickHouse(clickhouse, path.resolve('clickhouse'));
});
afterAll(async () => {
  await clickhouse.close();
  await mysql.close();
});

/** `input`: the first criterion in it is what `holds` asks about, the others are asked about with `ask`. */
function setUp(input: unknown, limits: KnownLimits = KNOWN_LIMITS) {
  const account = ++accounts;
  const parsed = parseCondition(input);
  if (!parsed.ok) throw new Error('not a condition');
  const criteria = criteriaOf(normalise(parsed.condition));
  const [criterion] = criteria;
  if (!criterion) throw new Error('no criterion');
  const histories = createHistories({ clickhouse, mysql }, limits.eventsPerProfile);
  /** What has been read. */
  const read: Parts[] = [];
  const known = createKnownProfiles({ clickhouse, mysql }, limits, (wanted) => {
    read.push(...wanted.map(({ parts }) => parts));
    return histories(wanted);
  });
  known.use(account, usesOf(criteria), 10);
  /** News that ClickHouse may lack. */
  let lacking: ProfileChange[] = [];
  return {
    known,
    account,
    lack: (news: ProfileChange[]) => void (lacking = news),
    /** Into ClickHouse, as ingest does before it tells the news, which are returned. */
    order: async (
      profile: number,
      properties: Record<string, unknown> = {},
      time = NOW - 1,
    ): Promise<ProfileChange> => {
      const id = uuidOf(eventKey(`order-${++ids}`));
      const event = {
        account,
        uniqueId: id,
        value: 1,
        currency: null,
        time,
        arrivedAt: NOW,
        properties,
      };
      const flat = flatten(properties);
      const line = eventLine(event as unknown as EventRecord, { event: id, metric: 1, profile }, flat);
      await insertLines(clickhouse, 'events', [line], id);
      const content = { value: 1, properties: [...flat] };
      return {
        profile,
        cause: 'EVENT',
        at: NOW,
        metric: METRIC,
        event: { id, time, metric: 1 },
        content,
      };
    },
    write: async (profile: number, revision: number, name: string, value: string): Promise<ProfileChange> => {
      const line = traitLine(account, profile, revision, name, value);
      await insertLines(clickhouse, 'traits', [line], `${account}:${profile}:${revision}`);
      return { profile, cause: 'PROFILE', at: NOW, attributes: [name], values: [[name, value]], revision };
    },
    read,
    holds: (...profiles: number[]) => holdsAt(NOW, ...profiles),
    holdsAt,
    /** Whether the criterion of this kind, asked about by itself, is true for a profile. */
    ask: async (kind: Criterion['kind'], profile: number): Promise<boolean> => {
      const [truth] = await truthsOf(
        criteria.filter((one) => one.kind === kind),
        [{ profile, instant: NOW }],
      );
      return truth === true;
    },
  };

  function holdsAt(instant: number, ...profiles: number[]): Promise<boolean[]> {
    return truthsOf(
      criteria,
      profiles.map((profile) => ({ profile, instant })),
    );
  }

  async function truthsOf(
    asked: readonly Criterion[],
    subjects: { profile: number; instant: number }[],
  ): Promise<boolean[]> {
    const scope = { account, metrics: new Map([[METRIC, 1]]), timeZone: 'UTC' };
    const [answers] = await known.evaluate(
      [{ scope, subjects, criteria: asked, questions: subjects.length * asked.length }],
      {
        stored: () => Promise.resolve(),
        about: (_account, profile) => lacking.filter((change) => change.profile === profile),
      },
    );
    const key = criterionKey(asked[0] as Criterion);
    return subjects.map((subject) => answers?.truths(subject, key) === true);
  }
}

const orders = (count: number) => ({ event: { metric: METRIC, is: { equals: count } } });
const created = (profile: number): ProfileChange => ({
  profile,
  cause: 'EVENT',
  at: NOW,
  whole: true,
  created: true,
  values: [],
  revision: 1,
});

it('an event that is told twice, or was there before it was told, counts once', async () => {
  const { known, account, order, holds } = setUp(orders(2));
  await order(1);
  const news = await order(1);
  expect(await holds(1)).toEqual([true]);
  known.apply(account, [news, news]);
  expect(await holds(1)).toEqual([true]);
});

it('news without their content make the profile be read again', async () => {
  const { known, account, order, holds } = setUp(orders(2));
  await order(1);
  expect(await holds(1)).toEqual([false]);
  const { content: _, ...news } = await order(1);
  known.apply(account, [news]);
  expect(await holds(1)).toEqual([true]);
});

it('an older revision of an attribute does not replace a newer one', async () => {
  const plan = { property: { path: 'properties.plan', filter: { text: { equals: 'gold' } } } };
  const { known, account, write, holds } = setUp(plan);
  const silver = await write(1, 1, 'properties.plan', 'silver');
  expect(await holds(1)).toEqual([false]);
  known.apply(account, [await write(1, 2, 'properties.plan', 'gold'), silver]);
  expect(await holds(1)).toEqual([true]);
});

it('someone new is known from the news, but not from news of a creation that come again', async () => {
  const { known, account, order, holds } = setUp(orders(1), { ...KNOWN_LIMITS, facts: 2 });
  known.apply(account, [created(10), await order(10)]);
  expect(await holds(10)).toEqual([true]);
  // Others push it out of memory.
  await order(11);
  await order(12);
  expect(await holds(11, 12)).toEqual([true, true]);
  known.apply(account, [created(10)]);
  expect(await holds(10)).toEqual([true]);
});

it('someone who may have been heard of before is not new', async () => {
  const { known, account, order, holds } = setUp(orders(1));
  await order(9);
  known.apply(account, [created(9)]);
  expect(await holds(9)).toEqual([true]);
});

it('a merge makes the profile be read again', async () => {
  const { known, account, order, holds } = setUp(orders(1));
  expect(await holds(1)).toEqual([false]);
  await order(1);
  known.apply(account, [{ profile: 1, cause: 'MERGE', at: NOW, whole: true }]);
  expect(await holds(1)).toEqual([true]);
});

it('whoever has done too much to be kept, and too many at once, are evaluated in ClickHouse', async () => {
  const { known, account, order, holds } = setUp(orders(3), {
    ...KNOWN_LIMITS,
    profilesAtOnce: 2,
    eventsPerProfile: 2,
    facts: 100,
  });
  for (const profile of [1, 1, 1, 2, 2, 3]) await order(profile);
  expect(await holds(1, 2)).toEqual([true, false]);
  known.apply(account, [await order(2)]);
  expect(await holds(1, 2)).toEqual([true, true]);
  expect(await holds(1, 2, 3)).toEqual([true, true, false]);
});

it('of many criteria, each profile is asked what concerns it, and more of them are read for that', async () => {
  const both = {
    all: [orders(2), { event: { metric: METRIC, is: { equals: 2 }, within: { last: 'P1D' } } }],
  };
  const few = { ...KNOWN_LIMITS, readAtOnce: 1, profilesAtOnce: 1 };
  for (const [wide, isRead] of [
    [{ criteria: 1, profilesAtOnce: 3 }, true],
    [{ criteria: 1, profilesAtOnce: 2 }, false],
    [{ criteria: 2, profilesAtOnce: 3 }, false],
  ] as const) {
    const { known, order, read, holds } = setUp(both, { ...few, wide });
    for (const profile of [1, 1, 2]) await order(profile);
    expect(await holds(1, 2, 3)).toEqual([true, false, false]);
    expect(read.length).toBe(isRead ? 3 : 0);
    expect([1, 2, 3].map((profile) => known.holds(accounts, profile))).toEqual([isRead, isRead, isRead]);
  }
});

it('what is too long for memory is evaluated in ClickHouse', async () => {
  const long = 'x'.repeat(3_000);
  const sized = { event: { metric: METRIC, where: [{ path: 'note', filter: { text: { equals: long } } }] } };
  const { known, account, order, holds } = setUp(sized);
  await order(1, { note: long });
  expect(await holds(1, 2)).toEqual([true, false]);
  const { content: _, ...news } = await order(2, { note: long });
  known.apply(account, [news]);
  expect(await holds(1, 2)).toEqual([true, true]);
  const named = setUp({ property: { path: 'properties.note', filter: { text: { equals: long } } } });
  await named.write(1, 1, 'properties.note', long);
  expect(await named.holds(1)).toEqual([true]);
});

it('an expression of the user is not matched in this process', async () => {
  const like = {
    event: { metric: METRIC, where: [{ path: 'note', filter: { text: { matches: '^a+$' } } }] },
  };
  const { known, account, order, holds } = setUp(like);
  expect(await holds(1)).toEqual([false]);
  known.apply(account, [await order(1, { note: 'aaa' })]);
  expect(await holds(1)).toEqual([true]);
});

it('what windows do not reach is not read, and whoever is asked about at an earlier instant is read again', async () => {
  const { known, account, order, holds, holdsAt } = setUp({
    event: { metric: METRIC, is: { atLeast: 1 }, within: { last: 'P7D' } },
  });
  await order(1, {}, NOW - 10 * DAY);
  expect(await holds(1)).toEqual([false]);
  expect(await holdsAt(NOW - 5 * DAY, 1)).toEqual([true]);
  expect(await holds(1)).toEqual([false]);
  known.apply(account, [await order(1, {}, NOW - 6 * DAY)]);
  expect(await holds(1)).toEqual([true]);
});

// A Monday, the first of a month.
it.each([
  [{ last: 'P7D' }, NOW - 7 * DAY + 1],
  [{ ago: { from: 'P7D', to: 'P3D' } }, NOW - 7 * DAY + 1],
  [{ dates: { from: '2026-03-01T00:00:00Z' } }, Date.UTC(2026, 2, 1)],
  [{ calendar: 'LAST_WEEK' }, NOW - 7 * DAY],
  [{ calendar: 'LAST_MONTH' }, Date.UTC(2026, 4, 1)],
  [{ calendar: 'THIS_MONTH' }, NOW],
])('all is read that the window %j reaches', async (within, begin) => {
  const { order, holds } = setUp({ event: { metric: METRIC, is: { atLeast: 1 }, within } });
  await order(1, {}, begin);
  await order(2, {}, begin - 1);
  expect(await holds(1, 2)).toEqual([true, false]);
});

it('someone who was evaluated in ClickHouse, which is ahead of the news, does not turn back', async () => {
  const { order, holds } = setUp(orders(1), { ...KNOWN_LIMITS, profilesAtOnce: 1 });
  expect(await holds(1)).toEqual([false]);
  await order(1);
  expect(await holds(1, 2)).toEqual([true, false]);
  expect(await holds(1)).toEqual([true]);
});

it('nor does someone whom a segment has just been populated with', async () => {
  const { known, account, order, holds } = setUp(orders(1));
  expect(await holds(1)).toEqual([false]);
  await order(1);
  known.use(
    account,
    { metrics: new Map([[METRIC, new Set<string>()]]), attributes: new Set(), reach: null },
    10,
  );
  expect(await holds(1)).toEqual([true]);
});

it('news that arrive in ClickHouse while a history is read there are in what was read or added to it', async () => {
  const { order, lack, holds } = setUp(orders(1));
  const news = { ...(await order(2)), profile: 1 };
  lack([news]);
  const answer = holds(1);
  // Settled meanwhile, and so forgotten; the reading may have begun before.
  lack([]);
  expect(await answer).toEqual([true]);
});

const ordersAndPlan = (count: number, plan: string) => ({
  all: [orders(count), { property: { path: 'properties.plan', filter: { text: { equals: plan } } } }],
});

it('only what criteria ask about is read, and the rest when it is asked about', async () => {
  const { known, account, order, write, read, ask } = setUp(ordersAndPlan(2, 'gold'));
  await order(1);
  await write(1, 1, 'properties.plan', 'silver');
  expect(await ask('event', 1)).toBe(false);
  expect(read).toEqual([{ events: true, traits: false }]);
  // What is told of a part that is not known does not make it known.
  known.apply(account, [await order(1), await write(1, 2, 'properties.plan', 'gold')]);
  expect(await ask('event', 1)).toBe(true);
  expect(await ask('property', 1)).toBe(true);
  // What is held is read again with it, so that both are of one moment.
  expect(read.slice(1)).toEqual([{ events: true, traits: true }]);
  // Now both are held, and kept true by the news.
  known.apply(account, [await order(1), await write(1, 3, 'properties.plan', 'silver')]);
  expect(await ask('event', 1)).toBe(false);
  expect(await ask('property', 1)).toBe(false);
  expect(read.length).toBe(2);
});

it('an attribute that is too long for memory is, whatever else is read later', async () => {
  const long = 'x'.repeat(3_000);
  const { order, write, ask } = setUp(ordersAndPlan(1, long));
  await order(1);
  await write(1, 1, 'properties.plan', long);
  for (const kind of ['property', 'event', 'property', 'event'] as const)
    expect(await ask(kind, 1)).toBe(true);
});

it('whoever ClickHouse, ahead of the news, was asked about does not turn back in the part that was held', async () => {
  const { order, write, lack, ask, holds, read } = setUp(ordersAndPlan(1, 'gold'));
  await write(1, 1, 'properties.plan', 'silver');
  expect(await ask('property', 1)).toBe(false);
  await write(1, 2, 'properties.plan', 'gold');
  // News that say too little: what is read is not kept.
  const { content: _, ...news } = await order(1);
  lack([news]);
  expect(await holds(1)).toEqual([true]);
  lack([]);
  expect(await ask('property', 1)).toBe(true);
  expect(read.at(-1)).toEqual({ events: false, traits: true });
});

it('parts that are read at different times do not make a state that there never was', async () => {
  const { known, account, order, write, ask } = setUp(ordersAndPlan(1, 'gold'));
  await write(1, 1, 'properties.plan', 'silver');
  expect(await ask('event', 1)).toBe(false);
  // Someone who always has one of the two; ClickHouse is ahead of the news.
  const first = await write(1, 2, 'properties.plan', 'gold');
  await order(1);
  await write(1, 3, 'properties.plan', 'silver');
  known.apply(account, [first]);
  expect([await ask('property', 1), await ask('event', 1)]).toContain(true);
});

it('partitions that look at different things in an account read each what it looks at', async () => {
  const { account, order, write } = setUp(orders(1));
  await order(1, { colour: 'red' });
  await write(1, 1, 'properties.plan', 'pro');
  await write(2, 1, 'properties.plan', 'pro');
  const metrics = new Map([[METRIC, 1]]);
  const attributes = new Set(['properties.plan']);
  const all = { metrics: new Map([[METRIC, new Set(['colour'])]]), attributes, reach: null };
  const none = { metrics: new Map(), attributes: new Set<string>(), reach: null };
  const parts = { events: true, traits: true };
  const read = createHistories({ clickhouse, mysql }, KNOWN_LIMITS.eventsPerProfile);
  // What two partitions ask goes together; a definition is not in force in both of them at once.
  const [first, second] = await read([
    { account, profile: 1, metrics, uses: all, since: null, parts },
    { account, profile: 2, metrics: new Map<string, number>(), uses: none, since: null, parts },
  ]);
  expect(first?.attributes).toEqual(new Map([['properties.plan', 'pro']]));
  expect(first?.events?.map(({ metric, properties }) => [metric, [...properties]])).toEqual([
    [METRIC, [['colour', 'red']]],
  ]);
  expect(second?.attributes).toEqual(new Map());
});
