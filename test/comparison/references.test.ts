/** Segments that refer to one another, the whole way through: what makes one follow another, when, and as what. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { countAudience } from '../../src/evaluation/audience.ts';
import { createSegment, deleteSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { listMembers } from '../../src/evaluation/memberships.ts';
import { ownerOf } from '../support/owner.ts';
import { openPartition, type PartitionDeps } from '../../src/evaluation/partition.ts';
import { acceptConsents, acceptEvents, acceptProfiles } from '../../src/ingest/accept.ts';
import type { EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { parseCondition } from '../../src/segments/index.ts';
import { segmentPartitions } from '../../src/storage/mysql/schema.ts';
import { evaluatorPartition, MEMBERSHIP_CHANGES } from '../../src/storage/topics.ts';
import { readLogPage } from '../../src/streaming/feed.ts';
import { useEngines } from '../support/engines.ts';
import { openWorld, START, type World } from './world.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const engines = useEngines();
let world: World;
beforeAll(async () => {
  world = await openWorld(engines.urls(), START);
});
afterAll(() => world.close());

async function newAccount(timezone = 'UTC') {
  const account = await world.newAccount(0, timezone);
  const names = new Map<number, string>();
  const ids = new Map<string, number>();
  const segmentId = (name: string) => {
    const id = ids.get(name);
    assert(id !== undefined);
    return id;
  };
  return {
    account,
    segmentId,
    /** A condition on the membership of the segment of that name. */
    in: (name: string, member = true) => ({
      segment: { id: encodeId('Segment', account, segmentId(name)), member },
    }),
    async segment(name: string, condition: object) {
      const made = await createSegment(world, account, { name, condition });
      assert('segment' in made, JSON.stringify(made));
      names.set(made.segment, name);
      ids.set(name, made.segment);
      await world.settle();
    },
    async edit(name: string, condition: object) {
      const changed = await updateSegment(world, account, segmentId(name), { condition });
      assert('segment' in changed, JSON.stringify(changed));
      await world.settle();
    },
    async remove(name: string) {
      assert('deleted' in (await deleteSegment(world, account, segmentId(name))));
      await world.settle();
    },
    async send(...events: Partial<EventInput>[]) {
      const inputs = events.map((event): EventInput => ({ metric: 'Placed Order', profile: {}, ...event }));
      assert.equal((await acceptEvents(world, account, inputs)).accepted, inputs.length);
      await world.settle();
    },
    async write(...inputs: ProfileInput[]) {
      assert.equal((await acceptProfiles(world, account, inputs)).accepted, inputs.length);
      await world.settle();
    },
    async members(name: string) {
      const members = await listMembers(world.clickhouse, account, segmentId(name), null, 10);
      return members.map(({ profile }) => profile);
    },
    /** "A entered by EVENT", in the order of the log. */
    async log() {
      const { changes } = await readLogPage(world, account, { first: 100, after: null, segments: null });
      return changes.map(
        ({ segment, kind, cause }) => `${names.get(segment)} ${kind.toLowerCase()} by ${cause}`,
      );
    },
    async changes() {
      return (await readLogPage(world, account, { first: 100, after: null, segments: null })).changes;
    },
  };
}

const ordered = (rest: object = {}) => ({ event: { metric: 'Placed Order', ...rest } });
const plan = (value: string) => ({
  property: { path: 'properties.plan', filter: { text: { equals: value } } },
});
const a = { profile: { externalId: 'a' } };
const known = { identifiers: { externalId: 'a' } };

test('an event that changes one segment changes those that refer to it at the same instant, over any chain', async () => {
  const on = await newAccount();
  await on.write(known);
  await on.segment('A', ordered({ is: { atLeast: 2 } }));
  await on.segment('B', { all: [on.in('A'), { not: plan('gold') }] });
  await on.segment('C', on.in('B', false));
  await on.send(a);
  expect(await on.log()).toEqual([]);
  await on.send(a);
  expect((await on.log()).sort()).toEqual([
    'A entered by EVENT',
    'B entered by SEGMENT',
    'C exited by SEGMENT',
  ]);
  const changes = await on.changes();
  expect(new Set(changes.map(({ at }) => at)).size).toBe(1);
  expect(new Set(changes.map(({ event }) => event?.id)).size).toBe(1);
  expect(changes[0]?.event).not.toBeNull();
  // What the segment looks at itself is the cause, whatever the others look at.
  await on.write({ ...known, properties: { plan: 'gold' } });
  expect((await on.log()).slice(3).sort()).toEqual(['B exited by PROFILE', 'C entered by SEGMENT']);
});

test('an event that a segment looks at itself is its cause', async () => {
  const on = await newAccount();
  await on.write(known);
  await on.segment('A', ordered());
  await on.segment('B', { all: [on.in('A'), ordered({ is: { atLeast: 1 }, within: { last: 'P1D' } })] });
  await on.send(a);
  expect((await on.log()).sort()).toEqual(['A entered by EVENT', 'B entered by EVENT']);
});

test('time that changes one segment changes those that refer to it at the very same millisecond', async () => {
  const on = await newAccount();
  const now = world.clock.now();
  await on.write(known);
  await on.segment('A', ordered({ within: { last: 'PT1H' } }));
  await on.segment('B', { any: [on.in('A'), ordered({ within: { ago: { from: 'P2D', to: 'P1D' } } })] });
  await on.segment('C', on.in('B', false));
  await on.send(a);
  world.clock.set(now + 3 * DAY);
  await world.settle();
  const left = (await on.changes()).slice(3);
  const dated = left.map(({ segment, kind, cause, at }) => [segment, kind, cause, at - now]);
  // Within one look at the time only the last instant of each is told.
  expect(dated).toEqual([
    [on.segmentId('A'), 'EXITED', 'TIME', HOUR],
    [on.segmentId('B'), 'EXITED', 'TIME', 2 * DAY],
    [on.segmentId('C'), 'ENTERED', 'SEGMENT', 2 * DAY],
  ]);
  const begun = world.clock.now();
  await on.send(a);
  world.clock.set(begun + HOUR);
  await world.settle();
  const again = (await on.changes()).slice(6);
  expect(again.map(({ segment, kind, cause, at }) => [segment, kind, cause, at - begun]).slice(3)).toEqual([
    [on.segmentId('A'), 'EXITED', 'TIME', HOUR],
    [on.segmentId('B'), 'EXITED', 'SEGMENT', HOUR],
    [on.segmentId('C'), 'ENTERED', 'SEGMENT', HOUR],
  ]);
});

test('a day that begins changes those that refer to a segment of today', async () => {
  const on = await newAccount('America/New_York');
  await on.write(known);
  await on.segment('A', ordered({ within: { calendar: 'TODAY' } }));
  await on.segment('B', on.in('A'));
  await on.send(a);
  world.clock.set(world.clock.now() + DAY);
  await world.settle();
  const [, , ...left] = await on.changes();
  expect(left.map(({ cause }) => cause)).toEqual(['TIME', 'SEGMENT']);
  expect(new Set(left.map(({ at }) => at)).size).toBe(1);
  expect(new Date(left[0]?.at ?? 0).toISOString()).toMatch(/T0[45]:00:00\.000Z$/);
});

test('a consent that changes one segment changes those that refer to it', async () => {
  const on = await newAccount();
  await on.write(known);
  await on.segment('A', { consent: { channel: 'PUSH', canReceive: true } });
  await on.segment('B', on.in('A'));
  await acceptConsents(world, on.account, [
    { identifiers: { externalId: 'a' }, channel: 'PUSH', status: 'SUBSCRIBED' },
  ]);
  await world.settle();
  expect(await on.log()).toEqual(['A entered by CONSENT', 'B entered by SEGMENT']);
});

test('an edit changes those that refer to the segment, directly and through others, each once', async () => {
  const on = await newAccount();
  await on.write({ ...known, properties: { plan: 'gold' } }, { identifiers: { externalId: 'b' } });
  await on.segment('A', ordered());
  await on.segment('C', on.in('A', false));
  await on.segment('B', on.in('A'));
  await on.segment('D', { all: [on.in('B'), on.in('C', false)] });
  await on.edit('A', plan('gold'));
  expect(await on.log()).toEqual(
    [
      'A entered by DEFINITION',
      ...['C exited by SEGMENT', 'B entered by SEGMENT', 'D entered by SEGMENT'].sort(),
    ].sort(),
  );
  const changes = await on.changes();
  const place = (name: string) => changes.findIndex(({ segment }) => segment === on.segmentId(name));
  expect(place('A')).toBe(0);
  expect(place('D')).toBe(3);
  // From now on it is what it has become.
  await on.write({ identifiers: { externalId: 'b' }, properties: { plan: 'gold' } });
  expect((await on.members('D')).length).toBe(2);
  expect(await on.members('C')).toEqual([]);
  // An edit that changes nothing for one of them is not told of it.
  await on.edit('A', { any: [plan('gold'), plan('silver')] });
  expect((await on.log()).length).toBe(8);
});

test('a segment may be deleted once nothing refers to it any more', async () => {
  const on = await newAccount();
  await on.write(known);
  await on.segment('A', plan('gold'));
  await on.segment('B', on.in('A', false));
  expect(await deleteSegment(world, on.account, on.segmentId('A'))).toMatchObject({
    userErrors: [{ code: 'CONFLICT', field: ['id'] }],
  });
  await on.edit('B', { any: [plan('silver'), { not: plan('gold') }] });
  await on.remove('A');
  expect(await on.members('B')).toEqual([0]);
  await world.restart('evaluator', false);
  await on.write({ ...known, properties: { plan: 'gold' } });
  expect(await on.members('B')).toEqual([]);
});

test('a segment that is announced before those it refers to brings these into force first', async () => {
  const on = await newAccount();
  await on.write({ ...known, properties: { plan: 'gold' } });
  const silent = { ...world, log: { ...world.log, append: () => Promise.resolve([]) } } as unknown as World;
  const made = await createSegment(silent, on.account, { name: 'A', condition: plan('gold') });
  assert('segment' in made);
  await on.segment('B', { segment: { id: encodeId('Segment', on.account, made.segment) } });
  expect(await on.members('B')).toEqual([0]);
  // Unannounced too: it drops what would make a circle, in which the next one, which is announced, refers to it.
  const edited = await updateSegment(silent, on.account, on.segmentId('B'), { condition: plan('silver') });
  assert('segment' in edited);
  const turned = await updateSegment(world, on.account, made.segment, { condition: on.in('B', false) });
  assert('segment' in turned, JSON.stringify(turned));
  await world.settle();
  expect(await on.members('B')).toEqual([]);
  const members = await listMembers(world.clickhouse, on.account, made.segment, null, 10);
  expect(members.map(({ profile }) => profile)).toEqual([0]);
  const { changes } = await readLogPage(world, on.account, { first: 10, after: null, segments: null });
  expect(changes.map(({ segment, kind, cause }) => [segment, kind, cause])).toEqual([
    [on.segmentId('B'), 'EXITED', 'DEFINITION'],
  ]);
});

describe('an evaluator that dies while an edit reaches those that refer to the segment', () => {
  let armed = false;
  /** The n-th time that changes are published; or when the segment is to be said to be in force. */
  const deaths: [string, (deps: PartitionDeps) => PartitionDeps][] = [
    ['after the members of the segment were written', (deps) => dyingAt(deps, 1)],
    ['after the members of the first that refers to it', (deps) => dyingAt(deps, 2)],
    ['after the members of all that refer to it', (deps) => dyingAt(deps, 3)],
    [
      'before it is said to be in force',
      (deps) => {
        const db = Object.create(deps.mysql.db, {
          insert: {
            value: (table: unknown) => {
              if (table === segmentPartitions) throw new Error('dead');
              return deps.mysql.db.insert(table as never);
            },
          },
        }) as typeof deps.mysql.db;
        return { ...deps, mysql: { ...deps.mysql, db } };
      },
    ],
  ];

  test.each(deaths)('%s', async (_, dying) => {
    const on = await newAccount();
    await on.write({ ...known, properties: { plan: 'gold' } });
    await on.segment('A', ordered());
    await on.segment('B', on.in('A'));
    await on.segment('C', on.in('B', false));
    expect(await on.members('C')).toEqual([0]);
    const silent = { ...world, log: { ...world.log, append: () => Promise.resolve([]) } } as unknown as World;
    const edited = await updateSegment(silent, on.account, on.segmentId('A'), { condition: plan('gold') });
    assert('segment' in edited);
    armed = false;
    const owner = ownerOf(world);
    const partition = await openPartition(dying(world), evaluatorPartition(on.account, 0), owner);
    // What its predecessor has not finished is.
    armed = true;
    await expect(partition.catchUp()).rejects.toThrow('dead');
    await world.restart('evaluator', false);
    await world.settle();
    expect(await on.log()).toEqual([
      'A entered by DEFINITION',
      'B entered by SEGMENT',
      'C exited by SEGMENT',
    ]);
    expect([await on.members('A'), await on.members('B'), await on.members('C')]).toEqual([[0], [0], []]);
    const parsed = parseCondition(on.in('B'));
    assert(parsed.ok);
    expect(await countAudience(world, on.account, parsed.condition)).toBe(1);
    await on.write({ ...known, properties: { plan: 'silver' } });
    expect([await on.members('A'), await on.members('B'), await on.members('C')]).toEqual([[], [], [0]]);
  });

  function dyingAt(deps: PartitionDeps, time: number): PartitionDeps {
    let published = 0;
    const append: typeof deps.log.append = (topic, records) => {
      if (armed && topic === MEMBERSHIP_CHANGES && ++published === time)
        return Promise.reject(new Error('dead'));
      return deps.log.append(topic, records);
    };
    return { ...deps, log: { ...deps.log, append } };
  }
});
