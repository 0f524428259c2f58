/* Answers have every shape: what is expected of them is said in the expectations. */
/* eslint-disable @typescript-eslint/no-unsafe-member-access, @typescript-eslint/no-unsafe-call, @typescript-eslint/no-unsafe-argument, @typescript-eslint/no-unsafe-assignment */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { evaluate, parseCondition, profileFacts } from '../../src/segments/index.ts';
import { encodePosition } from '../../src/streaming/position.ts';
import { seededRandom } from '../comparison/random.ts';
import { replay, writePast, type Past } from './membership-model.ts';
import { CREATE, evaluated, eventually, INGEST, useApi, type Answer } from './support.ts';

const start = useApi();

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const iso = (ms: number) => new Date(ms).toISOString();

const HISTORY = `query ($id: ID!, $from: DateTime!, $to: DateTime!, $every: Duration!) {
  segment(id: $id) { history(from: $from, to: $to, every: $every) { at count entered exited } }
}`;
const MEMBERS = `query ($id: ID!, $at: Position, $first: Int!, $after: String) {
  segment(id: $id) { members(at: $at, first: $first, after: $after) {
    edges { node { externalId } enteredAt } pageInfo { hasNextPage endCursor } totalCount
  } }
}`;
const OVERLAP = `query ($ids: [ID!]!) { segmentOverlap(segments: $ids) { segments { id } count } }`;

const codeOf = (answer: Answer) => answer.errors?.[0]?.extensions['code'];

describe.each([1, 2, 3])('a random past, replayed by a model (seed %i)', (seed) => {
  let past: Past;
  let key: string;
  let ids: string[];
  beforeAll(async () => {
    const other = await start().otherAccount();
    key = other.admin;
    past = await writePast(start(), other.account, seed);
    ids = past.segments.map((segment) => encodeId('Segment', past.account, segment));
  });
  const ask = (query: string, variables: object) => start().gql(query, variables, { key });

  it('history: count, entered and exited of every step', async () => {
    const { random, entries, madeAt } = past;
    for (let round = 0; round < 8; round++) {
      const index = random.between(0, ids.length - 1);
      const segment = past.segments[index] as number;
      // Also ranges that begin before the segment, at the very instant of an entry, and within the populations.
      const from = random.pick([
        madeAt - HOUR,
        random.pick(entries).evaluatedAt,
        madeAt + random.between(0, 5) * HOUR,
      ]);
      const to = Math.min(from + random.between(1, 6 * HOUR), Date.now() - 1);
      const every = random.pick([60_000, 7 * 60_000 + 1, HOUR, DAY]);
      const { data, errors } = await ask(HISTORY, {
        id: ids[index],
        from: iso(from),
        to: iso(to),
        every: `PT${every / 1000}S`,
      });
      expect(errors).toBeUndefined();
      const points: { at: string; count: number; entered: number; exited: number }[] = data.segment.history;
      expect(points.map(({ at }) => Date.parse(at))).toEqual(
        [...Array(Math.ceil((to - from) / every)).keys(), -1]
          .sort((a, b) => a - b)
          .map((k) => Math.min(from + (k + 1) * every, to)),
      );
      let before = -Infinity;
      for (const [i, point] of points.entries()) {
        const at = Date.parse(point.at);
        const known = entries.filter(({ evaluatedAt }) => evaluatedAt <= at);
        const step = known.filter((entry) => entry.segment === segment && entry.evaluatedAt > before);
        const sizeOf = (entry: (typeof step)[number]) =>
          entry.kind === 'POPULATED'
            ? (past.populations.get(`${segment}:${entry.partition}`)?.length ?? 0)
            : 0;
        const entered =
          step.filter(({ kind }) => kind === 'ENTERED').length +
          step.reduce((sum, one) => sum + sizeOf(one), 0);
        expect(point).toEqual({
          at: point.at,
          count: replay(past, segment, known).size,
          entered: i === 0 ? 0 : entered,
          exited: i === 0 ? 0 : step.filter(({ kind }) => kind === 'EXITED').length,
        });
        before = at;
      }
    }
  });

  it('members at a position: who, since when, how many, page by page', async () => {
    const positions: string[] = [];
    for (let after: string | null = null; ;) {
      const { data }: Answer = await ask(
        'query ($after: Position) { membershipLog(first: 100, after: $after) { changes { position } position hasMore } }',
        { after },
      );
      positions.push(...data.membershipLog.changes.map(({ position }: { position: string }) => position));
      after = data.membershipLog.position;
      if (!data.membershipLog.hasMore) break;
    }
    const changes = past.entries.filter(({ kind }) => kind !== 'POPULATED');
    expect(positions).toHaveLength(changes.length);
    for (let round = 0; round < 5; round++) {
      const place = past.random.between(0, changes.length - 1);
      const upTo = past.entries.indexOf(changes[place] as (typeof changes)[number]) + 1;
      const index = past.random.between(0, ids.length - 1);
      const expected = replay(past, past.segments[index] as number, past.entries.slice(0, upTo));
      const found: [string, string][] = [];
      for (let after: string | null = null; ;) {
        const { data, errors }: Answer = await ask(MEMBERS, {
          id: ids[index],
          at: positions[place],
          first: 7,
          after,
        });
        expect(errors).toBeUndefined();
        const { edges, pageInfo, totalCount } = data.segment.members;
        expect(totalCount).toBe(expected.size);
        for (const edge of edges) found.push([edge.node.externalId, edge.enteredAt]);
        after = pageInfo.endCursor;
        if (!pageInfo.hasNextPage) break;
      }
      expect(found).toEqual([...expected].map(([profile, at]) => [`p-${profile}`, iso(at ?? past.madeAt)]));
    }
    // At the very beginning nobody was in anything; at the end those are who are in it now.
    const nothing = encodePosition(past.account, new Map());
    expect((await ask(MEMBERS, { id: ids[0], at: nothing, first: 5 })).data.segment.members.totalCount).toBe(
      0,
    );
    const now = await ask('{ position }', {});
    const then = await ask(MEMBERS, { id: ids[0], at: now.data.position, first: 100 });
    expect(then.data).toEqual((await ask(MEMBERS, { id: ids[0], first: 100 })).data);
  });

  it('overlap: every combination that has members in common', async () => {
    const { data, errors } = await ask(OVERLAP, { ids: [...ids, ids[0]] });
    expect(errors).toBeUndefined();
    const members = past.segments.map((segment) => replay(past, segment, past.entries));
    const expected = Array.from({ length: 2 ** ids.length - 1 }, (_, i) => i + 1).flatMap((combination) => {
      const chosen = ids.map((_, i) => i).filter((i) => (combination >> i) & 1);
      const [first, ...others] = chosen.map((i) => members[i] as Map<number, unknown>);
      const count = [...(first ?? new Map()).keys()].filter((one) =>
        others.every((set) => set.has(one)),
      ).length;
      return count === 0 ? [] : [{ segments: chosen.map((i) => ({ id: ids[i] })), count }];
    });
    expect(expected.length).toBeGreaterThan(ids.length);
    expect(data.segmentOverlap).toEqual(expected.sort((a, b) => a.segments.length - b.segments.length));
  });
});

describe('a past that has happened', () => {
  it('history knows the population, events and an edit of the condition', async () => {
    const api = start();
    const send = async (metric: string, names: string[]) => {
      const { data } = await api.gql(INGEST, {
        events: names.map((externalId) => ({ metric, profile: { externalId } })),
      });
      await evaluated(api, data.eventsIngest.receipt);
    };
    /** An instant with some room on both sides. */
    const mark = async () => {
      await sleep(60);
      const at = Date.now();
      await sleep(60);
      return at;
    };
    await send('Signed Up', ['a', 'b', 'c']);
    const marks = [await mark()];
    const created = await api.gql(CREATE, {
      input: { name: 'Signed', condition: { event: { metric: 'Signed Up' } } },
    });
    const id: string = created.data.segmentCreate.segment.id;
    const live = () => api.gql('query ($id: ID!) { segment(id: $id) { status count version } }', { id });
    await eventually(live, ({ data }) => data.segment.status === 'LIVE');
    marks.push(await mark());
    await send('Signed Up', ['d', 'e']);
    marks.push(await mark());
    await api.gql(
      `mutation ($id: ID!, $input: SegmentUpdateInput!) { segmentUpdate(id: $id, input: $input) { userErrors { message } } }`,
      { id, input: { condition: { event: { metric: 'Signed Up', is: { atLeast: 2 } } } } },
    );
    await eventually(live, ({ data }) => data.segment.status === 'LIVE' && data.segment.count === 0);
    await send('Signed Up', ['a']);
    marks.push(await mark());

    const steps = [];
    for (const [i, to] of marks.entries()) {
      const from = marks[i - 1];
      if (from === undefined) continue;
      const { data } = await api.gql(HISTORY, { id, from: iso(from), to: iso(to), every: 'PT1H' });
      steps.push(
        data.segment.history.map(({ count, entered, exited }: Record<string, number>) => [
          count,
          entered,
          exited,
        ]),
      );
    }
    expect(steps).toEqual([
      [
        [0, 0, 0],
        [3, 3, 0],
      ],
      [
        [3, 0, 0],
        [5, 2, 0],
      ],
      [
        [5, 0, 0],
        [1, 1, 5],
      ],
    ]);
    // Up to the present: of tomorrow nothing is said; of the year 1 that there was nothing.
    const whole = await api.gql(HISTORY, {
      id,
      from: '0001-01-01T00:00:00Z',
      to: iso(Date.now() + DAY),
      every: 'P3650D',
    });
    expect(whole.errors).toBeUndefined();
    const last = whole.data.segment.history.at(-1);
    expect(last.count).toBe(1);
    expect(Date.parse(last.at)).toBeLessThanOrEqual(Date.now());
    expect(whole.data.segment.history[0]).toEqual({
      at: '0001-01-01T00:00:00.000Z',
      count: 0,
      entered: 0,
      exited: 0,
    });
    const ahead = await api.gql(HISTORY, {
      id,
      from: iso(Date.now() + HOUR),
      to: iso(Date.now() + DAY),
      every: 'PT1H',
    });
    expect(ahead.data.segment.history).toEqual([]);
  });
});

describe('the future, if nothing but time happens', () => {
  const last = (span: string) => ({ event: { metric: 'Bought', within: { last: span } } });
  const CONDITIONS = [
    last('P7D'),
    { event: { metric: 'Bought', is: { atLeast: 2 }, within: { last: 'P30D' } } },
    { event: { metric: 'Bought', is: { equals: 0 }, within: { last: 'P10D' } } },
    { event: { metric: 'Bought', within: { ago: { from: 'P12D', to: 'P5D' } } } },
    { event: { metric: 'Bought', within: { moreThanAgo: 'P20D' } } },
    { event: { metric: 'Bought', is: { atLeast: 4 } } },
    { all: [last('P20D'), { not: last('P3D') }] },
  ];
  const SPANS = [
    ['PT1H', HOUR],
    ['P1D', DAY],
    ['P5D', 5 * DAY],
    ['P60D', 60 * DAY],
  ] as const;

  it('forecast agrees with the reference now and then, also about events with a time ahead', async () => {
    const api = start();
    const { admin: key } = await api.otherAccount();
    const random = seededRandom(7);
    const now = Date.now();
    const people = Array.from({ length: 60 }, (_, i) => ({
      externalId: `f-${i}`,
      // Half hours, so that nothing comes to pass while the test runs.
      times: Array.from(
        { length: random.between(1, 5) },
        () => now + (random.between(-45 * 24, 10 * 24) + 0.5) * HOUR,
      ),
    }));
    const { data } = await api.gql(
      INGEST,
      {
        events: people.flatMap(({ externalId, times }) =>
          times.map((time) => ({ metric: 'Bought', profile: { externalId }, time: iso(time) })),
        ),
      },
      { key },
    );
    expect(data.eventsIngest.userErrors).toEqual([]);
    await eventually(
      () => api.gql('{ account { profileCount eventCount } }', {}, { key }),
      (answer) => answer.data.account.eventCount === people.flatMap(({ times }) => times).length,
    );
    const facts = people.map(({ times }) =>
      profileFacts({
        events: times.map((time) => ({ metric: 'Bought', time, value: null, properties: new Map() })),
      }),
    );
    let moved = 0;
    for (const condition of CONDITIONS) {
      const parsed = parseCondition(condition);
      if (!parsed.ok) throw new Error('not a condition');
      const created = await api.gql(CREATE, { input: { name: 'Forecast', condition } }, { key });
      const id: string = created.data.segmentCreate.segment.id;
      const fields = SPANS.map(([span]) => `${span}: forecast(within: "${span}") { leaving joining }`).join(
        ' ',
      );
      const answer = await api.gql(`query ($id: ID!) { segment(id: $id) { ${fields} } }`, { id }, { key });
      expect(answer.errors).toBeUndefined();
      for (const [span, ms] of SPANS) {
        const truths = facts.map((known) => [
          evaluate(parsed.condition, known, now),
          evaluate(parsed.condition, known, now + ms),
        ]);
        const expected = {
          leaving: truths.filter(([before, after]) => before && !after).length,
          joining: truths.filter(([before, after]) => !before && after).length,
        };
        moved += Math.min(expected.leaving, 1) + Math.min(expected.joining, 1);
        expect({ span, condition, ...answer.data.segment[span] }).toEqual({ span, condition, ...expected });
      }
    }
    expect(moved).toBeGreaterThan(20);
  });
});

describe('hostile and mistaken questions', () => {
  let id: string;
  let other: { account: number; admin: string };
  beforeAll(async () => {
    const api = start();
    const created = await api.gql(CREATE, {
      input: { name: 'Asked', condition: { event: { metric: 'Asked' } } },
    });
    id = created.data.segmentCreate.segment.id;
    other = await api.otherAccount();
  });

  it.each([
    [
      'from after to',
      { from: '2026-03-02T00:00:00Z', to: '2026-03-01T00:00:00Z', every: 'PT1H' },
      /from must be before to/,
    ],
    [
      'from at to',
      { from: '2026-03-01T00:00:00Z', to: '2026-03-01T00:00:00Z', every: 'PT1H' },
      /from must be before to/,
    ],
    [
      'a step of a millisecond over a year',
      { from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z', every: 'PT0.001S' },
      /shortest is PT1S/,
    ],
    [
      'no step at all',
      { from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z', every: 'PT0S' },
      /shortest is PT1S/,
    ],
    [
      'a point too many',
      { from: '2025-01-01T00:00:00Z', to: '2025-01-01T00:16:40Z', every: 'PT1S' },
      /1001 points; at most 1000.*every: "PT2S" or longer/,
    ],
  ])('history refuses %s, and says what to do', async (_, args, message) => {
    const answer = await start().gql(HISTORY, { id, ...args });
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
    expect(answer.errors?.[0]?.message).toMatch(message);
  });

  it('history answers as many points as there may be', async () => {
    const { data } = await start().gql(HISTORY, {
      id,
      from: '2025-01-01T00:00:00Z',
      to: '2025-01-01T00:16:39Z',
      every: 'PT1S',
    });
    expect(data.segment.history).toHaveLength(1_000);
  });

  it.each(['PT0S', 'PT0.5S', 'P4000D'])('forecast refuses to look %s ahead', async (within) => {
    const answer = await start().gql(
      'query ($id: ID!, $within: Duration!) { segment(id: $id) { forecast(within: $within) { leaving } } }',
      { id, within },
    );
    expect(codeOf(answer)).toBe('BAD_USER_INPUT');
  });

  it('forecasts and histories of a whole list are more than one operation may ask for', async () => {
    const answer = await start().gql(
      '{ segments(first: 100) { nodes { forecast(within: "P1D") { leaving } } } }',
    );
    expect(codeOf(answer)).toBe('TOO_COSTLY');
  });

  it('members at positions of other accounts, of the future and of nowhere are refused', async () => {
    const api = start();
    const theirs = (await api.gql('{ position }', {}, { key: other.admin })).data.position as string;
    const { data } = await api.gql('{ position account { id } }');
    const account = Number(Buffer.from(data.account.id, 'base64url').toString().split(':')[1]);
    const future = encodePosition(account, new Map([[0, 2 ** 52]]));
    const noPartition = encodePosition(account, new Map([[4_000, 1]]));
    for (const at of [theirs, future, noPartition, 'nonsense']) {
      expect(codeOf(await api.gql(MEMBERS, { id, at, first: 1 }))).toBe('INVALID_POSITION');
    }
    expect((await api.gql(MEMBERS, { id, at: data.position, first: 1 })).errors).toBeUndefined();
  });

  it('overlaps of no, too many, unknown and foreign segments are refused', async () => {
    const api = start();
    const unknown = (n: number) => Buffer.from(`Segment:1:${9_000 + n}`).toString('base64url');
    expect(codeOf(await api.gql(OVERLAP, { ids: [] }))).toBe('BAD_USER_INPUT');
    expect(codeOf(await api.gql(OVERLAP, { ids: [1, 2, 3, 4, 5, 6, 7].map(unknown) }))).toBe(
      'BAD_USER_INPUT',
    );
    expect(codeOf(await api.gql(OVERLAP, { ids: [id, unknown(1)] }))).toBe('NOT_FOUND');
    expect(codeOf(await api.gql(OVERLAP, { ids: [id] }, { key: other.admin }))).toBe('NOT_FOUND');
    expect((await api.gql(OVERLAP, { ids: [id] })).data.segmentOverlap).toEqual([]);
  });

  it("another account's segment has neither history nor forecast nor members", async () => {
    const answer = await start().gql(
      HISTORY,
      { id, from: '2026-01-01T00:00:00Z', to: '2026-01-02T00:00:00Z', every: 'PT1H' },
      { key: other.admin },
    );
    expect(answer.data.segment).toBeNull();
  });
});
