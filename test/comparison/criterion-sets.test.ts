/** Counts from sets in memory are those of the present, whatever has happened since the sets were read. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { countNodes } from '../../src/evaluation/breakdown.ts';
import {
  createCriterionSets,
  SET_LIMITS,
  type CriterionSets,
  type News,
  type SetLimits,
} from '../../src/evaluation/criterion-sets.ts';
import { acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import { eventKey, eventLine, uuidOf } from '../../src/ingest/rows.ts';
import type { EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import { createManualClock } from '../../src/runtime/clock.ts';
import { metrics } from '../../src/runtime/metrics.ts';
import { parseCondition } from '../../src/segments/index.ts';
import { insertLines } from '../../src/storage/clickhouse/connect.ts';
import { readMetricIds } from '../../src/storage/mysql/names.ts';
import { encodeChange } from '../../src/storage/profile-changes.ts';
import { evaluatorPartition, PROFILE_CHANGES } from '../../src/storage/topics.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, START, type World } from './world.ts';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());

async function send(account: number, ...events: Partial<EventInput>[]): Promise<void> {
  const inputs = events.map((event): EventInput => ({
    metric: 'Placed Order',
    profile: { externalId: 'a' },
    ...event,
  }));
  assert.equal((await acceptEvents(world, account, inputs)).accepted, inputs.length);
  await world.settle();
}

async function write(account: number, ...inputs: ProfileInput[]): Promise<void> {
  assert.equal((await acceptProfiles(world, account, inputs)).accepted, inputs.length);
  await world.settle();
}

function conditionOf(input: object) {
  const parsed = parseCondition(input);
  assert(parsed.ok, JSON.stringify(parsed));
  return parsed.condition;
}

const ordered = (rest: object = {}) => ({ event: { metric: 'Placed Order', ...rest } });
const named = (name: string) => ({ property: { path: 'firstName', filter: { text: { equals: name } } } });
const lastHour = { within: { last: 'PT1H' } };

function countWith(criterionSets: CriterionSets, account: number, condition: object): Promise<number> {
  return countAudience({ ...world, criterionSets }, account, conditionOf(condition));
}

/** Those of an account whose news have been followed for longer than anything could be on its way. */
async function followed(account: number): Promise<(condition: object) => Promise<number>> {
  const count = (condition: object) => countWith(world.keptSets[0], account, condition);
  await count(ordered());
  world.clock.set(world.clock.now() + 6 * SECOND);
  return count;
}

async function outcomes(): Promise<{ kept: number; read: number }> {
  const { values } = await metrics.criterionSets.get();
  const of = (outcome: string) => values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  return { kept: of('kept'), read: of('read') };
}

/** How many sets were read while the work was done. */
async function readsOf(work: () => Promise<unknown>): Promise<number> {
  const before = await outcomes();
  await work();
  return (await outcomes()).read - before.read;
}

describe('what a count costs', () => {
  test('a draft with one more condition reads the set of that condition only', async () => {
    const account = await world.newAccount(0);
    await write(account, { identifiers: { externalId: 'a' }, firstName: 'Ada' });
    const count = await followed(account);
    const draft = [ordered(), named('Ada')];
    expect(await readsOf(() => count({ all: draft }))).toBe(3);
    expect(await readsOf(() => count({ all: draft }))).toBe(0);
    expect(await readsOf(() => count({ all: [...draft, named('Bob')] }))).toBe(1);
    expect(await readsOf(() => count({ not: { any: [named('Bob'), ...draft] } }))).toBe(0);
  });

  test('those who ask for the same at the same time share the reading', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    const reads = await readsOf(() =>
      Promise.all(Array.from({ length: 5 }, () => count({ all: [ordered(), named('Cleo')] }))),
    );
    expect(reads).toBe(3);
  });

  test('time and news that do not concern a set do not make it be read anew', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    const draft = { all: [ordered(lastHour), named('Ada')] };
    await count(draft);
    const reads = await readsOf(async () => {
      await send(account, { metric: 'Something Else' }, { profile: { externalId: 'b' } });
      world.clock.set(world.clock.now() + 8 * HOUR);
      await count(draft);
    });
    expect(reads).toBe(0);
  });
});

describe('a set that is kept', () => {
  test('follows time: an event grows too old for its window', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await send(account, { time: world.clock.now() });
    expect(await count(ordered(lastHour))).toBe(1);
    world.clock.set(world.clock.now() + HOUR - 1);
    expect(await count(ordered(lastHour))).toBe(1);
    world.clock.set(world.clock.now() + 1);
    expect(await readsOf(async () => expect(await count(ordered(lastHour))).toBe(0))).toBe(0);
  });

  test('follows time: an event that was sent ahead of its time begins to count', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await send(account, { time: world.clock.now() + HOUR });
    expect(await count(ordered())).toBe(0);
    world.clock.set(world.clock.now() + HOUR);
    expect(await readsOf(async () => expect(await count(ordered())).toBe(1))).toBe(0);
  });

  test('follows time: a day begins on the calendar of the account', async () => {
    const account = await world.newAccount(0, 'Asia/Tokyo');
    const count = await followed(account);
    await send(account, { time: world.clock.now() });
    const today = ordered({ within: { calendar: 'TODAY' } });
    expect(await count(today)).toBe(1);
    world.clock.set(world.clock.now() + DAY);
    expect(await count(today)).toBe(0);
  });

  test('follows events that come late, and those of people who are new', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    const early = ordered({ within: { ago: { from: 'P10D', to: 'P9D' } } });
    expect([await count(ordered()), await count(early), await count({ not: early })]).toEqual([0, 0, 0]);
    await send(account, { time: world.clock.now() - 9 * DAY - HOUR }, { profile: { externalId: 'b' } });
    const reads = await readsOf(async () => {
      expect([await count(ordered()), await count(early), await count({ not: early })]).toEqual([2, 1, 1]);
    });
    expect(reads).toBe(0);
  });

  test('follows attributes', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await write(account, { identifiers: { externalId: 'a' }, firstName: 'Ada' });
    expect(await count(named('Ada'))).toBe(1);
    await write(account, { identifiers: { externalId: 'a' }, firstName: 'Bob' });
    const reads = await readsOf(async () => expect(await count(named('Ada'))).toBe(0));
    expect(reads).toBe(0);
  });

  test('follows merges: one person less, with the events of both', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await send(account, { profile: { externalId: 'a' } }, { profile: { email: 'a@x.com' } });
    const twice = ordered({ is: { atLeast: 2 } });
    expect([await count(twice), await count(ordered()), await count({ not: twice })]).toEqual([0, 2, 2]);
    await write(account, { identifiers: { externalId: 'a', email: 'a@x.com' } });
    const reads = await readsOf(async () => {
      expect([await count(twice), await count(ordered()), await count({ not: twice })]).toEqual([1, 1, 0]);
    });
    expect(reads).toBe(0);
  });

  test('is of its account alone', async () => {
    const [account, other] = [await world.newAccount(0), await world.newAccount(0)];
    const [count, countOther] = [await followed(account), await followed(other)];
    await send(account, { profile: { externalId: 'a' } });
    expect([await count(ordered()), await countOther(ordered())]).toEqual([1, 0]);
    await send(other, { profile: { externalId: 'a' } }, { profile: { externalId: 'b' } });
    expect([await count(ordered()), await countOther(ordered())]).toEqual([1, 2]);
    expect([await count({ not: ordered() }), await countOther({ not: ordered() })]).toEqual([0, 0]);
  });

  test('is right in each process that keeps it', async () => {
    const account = await world.newAccount(0);
    const both = () => Promise.all(world.keptSets.map((sets) => countWith(sets, account, ordered())));
    await both();
    world.clock.set(world.clock.now() + 6 * SECOND);
    expect(await both()).toEqual([0, 0]);
    await send(account, {});
    expect(await both()).toEqual([1, 1]);
  });

  test('does not miss rows that come after the news of them', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await send(account, {});
    const twice = ordered({ is: { atLeast: 2 } });
    const at = world.clock.now();
    const message = {
      kind: 'profiles' as const,
      account,
      changes: [{ profile: 0, cause: 'EVENT' as const, at, metric: 'Placed Order' }],
    };
    await world.log.append(PROFILE_CHANGES, [
      { partition: evaluatorPartition(account, 0), key: String(account), value: encodeChange(message) },
    ]);
    await world.settle();
    // One set is read between the news and the rows, the other was there before.
    expect([await count(ordered()), await count(twice)]).toEqual([1, 0]);
    const [metric] = await readMetricIds(world.mysql.db, account, ['Placed Order']);
    const record = {
      kind: 'event' as const,
      account,
      arrivedAt: at,
      uniqueId: 'late row',
      metric: 'Placed Order',
      identifiers: { externalId: 'a' },
      time: at,
      value: null,
      currency: null,
      properties: {},
      backfill: false,
    };
    const ids = { event: uuidOf(eventKey('late row')), metric: metric?.id ?? 0, profile: 0 };
    await insertLines(world.clickhouse, 'events', [eventLine(record, ids, new Map())], `late:${account}`);
    const reads = await readsOf(async () => {
      expect([await count(ordered()), await count(twice)]).toEqual([1, 1]);
    });
    expect(reads).toBe(0);
  });

  test('gives every node of a condition its size', async () => {
    const account = await world.newAccount(0);
    const count = await followed(account);
    await write(account, { identifiers: { externalId: 'a' }, firstName: 'Ada' });
    await send(account, {}, { profile: { externalId: 'b' } }, { profile: { externalId: 'c' } });
    const condition = { all: [{ any: [named('Ada'), ordered()] }, { not: named('Ada') }] };
    await count(condition);
    const nodes = () =>
      countNodes({ ...world, criterionSets: world.keptSets[0] }, account, conditionOf(condition));
    const reads = await readsOf(async () => {
      const { count: whole, children } = await nodes();
      expect([whole, children.map((child) => child.count)]).toEqual([2, [3, 2]]);
      expect(children.map((child) => child.children.map((leaf) => leaf.count))).toEqual([[1, 3], [1]]);
    });
    expect(reads).toBe(0);
    expect(await nodes()).toEqual(await countNodes(world, account, conditionOf(condition)));
  });

  test('a hundred conditions have the sizes that they have without sets that are kept; of nobody, none', async () => {
    const account = await world.newAccount(0);
    const names = Array.from({ length: 60 }, (_, i) => (i % 20 === 7 ? 'Ada' : `Ada ${i}`));
    const condition = {
      any: names.map((name, i) => ({ all: [named(name), { not: ordered({ is: { atLeast: i + 2 } }) }] })),
    };
    const sizes = () => countNodes(world, account, conditionOf(condition));
    const none = await sizes();
    expect([none.count, none.children.map((child) => child.count)]).toEqual([0, names.map(() => 0)]);
    const count = await followed(account);
    await write(
      account,
      ...names.map((firstName, i) => ({ identifiers: { externalId: `p${i}` }, firstName })),
    );
    // Only the first condition can be false for someone of its name.
    await send(account, ...[1, 2].map(() => ({ profile: { externalId: 'p0' } })));
    const { count: whole, children } = await sizes();
    expect([whole, children.map((child) => child.count)]).toEqual([
      59,
      names.map((name, i) => (i === 0 ? 0 : name === 'Ada' ? 3 : 1)),
    ]);
    expect(await count(condition)).toBe(whole);
    expect(await countAudience(world, account, conditionOf(condition))).toBe(whole);
  });
});

describe('sets are not kept', () => {
  const quiet: News = { watch: () => Promise.resolve(() => {}), catchUp: () => Promise.resolve(true) };
  const setsOver = (
    news: Partial<News>,
    limits: Partial<SetLimits> = {},
    clock = createManualClock(START),
  ) => {
    const setLimits = { ...SET_LIMITS, ...limits };
    return createCriterionSets({ ...world, clock, news: { ...quiet, ...news }, setLimits });
  };
  const scopeOf = (account: number) => ({ account, metrics: new Map<string, number>(), timeZone: 'UTC' });

  test.each<[string, Partial<News>, Partial<SetLimits>, boolean]>([
    ['(they are, when the news are followed)', {}, {}, true],
    ['when the news cannot be followed', { watch: () => Promise.reject(new Error('away')) }, {}, false],
    ['when the news are late', { catchUp: () => Promise.resolve(false) }, {}, false],
    ['when they would take too much memory', {}, { bytes: 10_000 }, false],
  ])('%s', async (_, news, limits, isKept) => {
    const sets = setsOver(news, limits);
    const account = await world.newAccount(1);
    expect((await sets.use(scopeOf(account), [])) !== null).toBe(isKept);
    await sets.close();
  });

  test('for longer than a minute after their last use, nor is their account watched', async () => {
    const clock = createManualClock(START);
    const watched = new Set<number>();
    const watch = (account: number) => {
      watched.add(account);
      return Promise.resolve(() => void watched.delete(account));
    };
    const sets = setsOver({ watch }, {}, clock);
    const account = await world.newAccount(1);
    await sets.use(scopeOf(account), []);
    await clock.advance(50 * SECOND);
    await sets.use(scopeOf(account), []);
    await clock.advance(50 * SECOND);
    expect([...watched]).toEqual([account]);
    await clock.advance(30 * SECOND);
    expect([...watched]).toEqual([]);
    await sets.close();
  });

  test('when there is no room: those that were used last stay', async () => {
    const clock = createManualClock(START);
    const sets = setsOver({}, { bytes: 30_000 }, clock);
    const [one, another] = [await world.newAccount(1), await world.newAccount(1)];
    await write(one, { identifiers: { externalId: 'a' } });
    await write(another, { identifiers: { externalId: 'a' } });
    const use = (account: number) => readsOf(() => sets.use(scopeOf(account), []));
    await use(one);
    await clock.advance(6 * SECOND);
    expect([await use(one), await use(one)]).toEqual([1, 0]);
    await clock.advance(1 * SECOND);
    const third = await world.newAccount(1);
    await write(third, { identifiers: { externalId: 'a' } });
    await use(another);
    await use(third);
    expect([await use(third), await use(one)]).toEqual([0, 1]);
    await sets.close();
  });

  test('beyond an age, whatever the news say', async () => {
    const clock = createManualClock(START);
    const sets = setsOver({}, { idleMs: Infinity }, clock);
    const account = await world.newAccount(1);
    const use = () => readsOf(() => sets.use(scopeOf(account), []));
    await use();
    await clock.advance(6 * SECOND);
    expect([await use(), await use()]).toEqual([1, 0]);
    await clock.advance(601 * SECOND);
    expect(await use()).toBe(1);
    await sets.close();
  });
});
