/** Counts that are read month by month, against counting one by one: about the borders of months, and of windows. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scanSettings, selectMembers } from '../../src/evaluation/all-profiles.ts';
import { groupBy } from '../../src/runtime/group-by.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { criteriaOf, evaluate, normalise, parseCondition } from '../../src/segments/index.ts';
import { openClickHouse } from '../../src/service.ts';
import { command, query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { useEngines } from '../support/engines.ts';
import { seededRandom } from './random.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
});
afterAll(() => clickhouse.close());

const DAY = 86_400_000;
const ACCOUNT = 89;
/** A month of 31 days, one of 28, and a new year. */
const BORDERS = [0, 1, 2, 3, 4].map((month) => Date.UTC(2025, 11 + month));

const factsOf = (number: number, events: readonly { time: number }[]) =>
  profileFacts({
    number,
    events: events.map(({ time }) => ({ metric: 'Viewed', time, value: null, properties: new Map() })),
  });

test.each([1, 2, 3, 4])(
  'a window counts what lies in it, whatever months it touches (seed %i)',
  async (seed) => {
    const random = seededRandom(seed);
    const account = ACCOUNT + seed;
    const near = () => random.pick(BORDERS) + random.pick([-1, 0, 1, random.between(-20 * DAY, 20 * DAY)]);
    const events = Array.from({ length: 400 }, () => ({
      profile: random.between(1, 60) * 997,
      time: near(),
    }));
    for (const part of [0, 1, 2, 3]) {
      const mine = events.filter((_, i) => i % 4 === part);
      await command(
        clickhouse,
        `INSERT INTO events (account, metric, profile, time, copied)
       SELECT {account:UInt32}, 1, one.1, fromUnixTimestamp64Milli(one.2, 'UTC'), one.1 % 2
       FROM (SELECT arrayJoin(arrayZip({profiles:Array(UInt32)}, {times:Array(Int64)})) AS one)`,
        { account, profiles: mine.map(({ profile }) => profile), times: mine.map(({ time }) => time) },
        { settings: { deduplicate_insert_select: 'disable' } },
      );
    }
    const profiles = events.map(({ profile }) => `(${account}, ${profile}, 1, true)`);
    await command(
      clickhouse,
      `INSERT INTO profiles (account, profile, revision, alive) VALUES ${profiles.join()}`,
    );
    let monthly = 0;
    for (let i = 0; i < 60; i++) {
      const at = near();
      const days = random.between(14, 75);
      // Just on a border, or just beside it.
      const edge = random.pick([...BORDERS, at - days * DAY]) + random.between(-1, 1);
      const within = random.pick([
        { last: `P${days}D` },
        { dates: { from: new Date(Math.min(edge, at - 15 * DAY)).toISOString() } },
        { moreThanAgo: 'P1D' },
        { ago: { from: 'P45D', to: `P${random.between(0, 10)}D` } },
        undefined,
      ]);
      const least = random.between(1, 3);
      const parsed = parseCondition({
        event: { metric: 'Viewed', is: { atLeast: least }, ...(within && { within }) },
      });
      assert(parsed.ok, JSON.stringify(parsed));
      const condition = normalise(parsed.condition);
      const scope = { account, at, timeZone: 'UTC', metrics: new Map([['Viewed', 1]]), chunks: null };
      if (scanSettings(criteriaOf(condition), scope).max_streams_for_union_step === 0) monthly += 1;
      const { sql, parameters, settings } = selectMembers(condition, scope);
      const rows = await query<{ chunk: number; lows: number[] }>(
        clickhouse,
        `SELECT chunk, bitmapToArray(members) AS lows FROM (${sql})`,
        parameters.values,
        { settings },
      );
      const found = rows.flatMap(({ chunk, lows }) => lows.map((low) => chunk * 65_536 + low));
      const wanted = [...groupBy(events, ({ profile }) => profile)]
        .filter(([number, own]) => evaluate(parsed.condition, factsOf(number, own), at))
        .map(([number]) => number);
      const said = JSON.stringify({ seed, at: new Date(at), within, least });
      expect([said, found.sort((a, b) => a - b)]).toEqual([said, wanted.sort((a, b) => a - b)]);
    }
    expect(monthly).toBeGreaterThan(10);
  },
);
