/** A partition holds the segments of those who are in it, from their first news on (docs/decisions/0016). */
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createSegment, updateSegment } from '../../src/evaluation/definitions.ts';
import { storedMemberships } from '../../src/evaluation/memberships.ts';
import { openPartition } from '../../src/evaluation/partition.ts';
import { newProfile } from '../../src/ingest/apply.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { encodeId } from '../../src/runtime/global-ids.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { command, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { createEmbeddedLog } from '../../src/storage/log/embedded.ts';
import type { Log } from '../../src/storage/log/log.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { readInForce } from '../../src/storage/mysql/definitions.ts';
import { markForNobody } from '../../src/storage/mysql/membership-ahead.ts';
import { writeProfiles } from '../../src/storage/mysql/profiles.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import type { ProfileChangeMessage } from '../../src/storage/profile-changes.ts';
import { evaluatorPartition, TOPICS } from '../../src/storage/topics.ts';
import { ownerOf } from '../support/owner.ts';
import { useEngines } from '../support/engines.ts';

const engines = useEngines();
const logger = createLogger('error');
/** In the account's second chunk. */
const FIRST = 65_540;
let mysql: MySql;
let clickhouse: ClickHouse;
let log: Log;
let account: number;

beforeAll(async () => {
  mysql = await openMySql(engines.mysqlUrl());
  clickhouse = await openClickHouse(engines.clickhouseUrl());
  log = createEmbeddedLog({ pool: mysql.pool, logger });
  await log.ensureTopics(TOPICS);
  const row = { name: 'grows', timezone: 'UTC', nextProfile: 65_536, createdAt: 0 };
  account = (await mysql.db.insert(accounts).values(row))[0].insertId;
});
afterAll(async () => {
  await log.close();
  await clickhouse.close();
  await mysql.close();
});

const planIs = (plan: string) => ({
  property: { path: 'properties.plan', filter: { text: { equals: plan } } },
});

async function made(name: string, condition: object): Promise<number> {
  const created = await createSegment({ mysql, log, clock: systemClock }, account, { name, condition });
  if (!('segment' in created)) throw new Error(JSON.stringify(created.userErrors));
  return created.segment;
}

const defined = (segment: number, version: number): ProfileChangeMessage => ({
  ...{ kind: 'definition', account, segment, version },
});

/** Somebody of whom everything is stored, and the news of it. */
async function comes(profile: number, plan: string): Promise<ProfileChangeMessage> {
  await mysql.db
    .update(accounts)
    .set({ nextProfile: profile + 1 })
    .where(eq(accounts.id, account));
  await writeProfiles(mysql.db, [{ ...newProfile(account, profile, 1), revision: 1, mergedInto: null }]);
  const values = { account, profile, plan };
  await command(
    clickhouse,
    `INSERT INTO profiles (account, profile, alive, revision) VALUES ({account:UInt32}, {profile:UInt32}, true, 1)`,
    values,
  );
  await command(
    clickhouse,
    `INSERT INTO traits (account, profile, attribute, kind, text, revision)
     VALUES ({account:UInt32}, {profile:UInt32}, 'properties.plan', 'text', {plan:String}, 1)`,
    values,
  );
  const change = { profile, at: Date.now(), attributes: ['properties.plan'], whole: true };
  return { kind: 'profiles', account, changes: [{ ...change, cause: 'PROFILE' }] };
}

it('segments that came, and were edited, before anybody are what the first one is evaluated by', async () => {
  const number = evaluatorPartition(account, FIRST);
  expect(number).not.toBe(evaluatorPartition(account, 1));
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const meant = await made('meant', planIs('gold'));
  const others = await made('others', {
    segment: { id: encodeId('Segment', account, meant), member: false },
  });
  const both = [meant, others];
  const members = async (profile: number) => {
    const stored = await storedMemberships(clickhouse, account, both, [profile]);
    return both.filter((segment) => stored.get(segment)?.has(profile));
  };

  const partition = await openPartition(deps, number, ownerOf(deps));
  // The later one brings the one that it refers to.
  await partition.take([defined(others, 1)]);
  expect((await readInForce(mysql.db, number, [account])).map(({ segment }) => segment).sort()).toEqual(both);
  await updateSegment({ mysql, log, clock: systemClock }, account, meant, { condition: planIs('silver') });
  await partition.take([defined(meant, 2), await comes(FIRST, 'silver'), await comes(FIRST + 1, 'gold')]);
  await partition.written();
  expect(await members(FIRST)).toEqual([meant]);
  expect(await members(FIRST + 1)).toEqual([others]);
  partition.close();

  // Who is there already when the partition is opened.
  const successor = await openPartition(deps, number, ownerOf(deps));
  await successor.take([await comes(FIRST + 2, 'gold')]);
  const further = await made('further', planIs('gold'));
  await successor.take([defined(further, 1)]);
  await expect
    .poll(async () => (await readInForce(mysql.db, number, [account])).length, { timeout: 20_000 })
    .toBe(3);
  await successor.written();
  expect(await members(FIRST + 2)).toEqual([others]);
  const stored = await storedMemberships(clickhouse, account, [further], [FIRST, FIRST + 1, FIRST + 2]);
  expect([...(stored.get(further) ?? [])].sort()).toEqual([FIRST + 1, FIRST + 2]);
  successor.close();
});

it('whoever has been replaced brings nothing into force', async () => {
  const number = evaluatorPartition(account, 3 * 65_536);
  const deps = { log, mysql, clickhouse, clock: systemClock, logger };
  const partition = await openPartition(deps, number, ownerOf(deps));
  const segment = await made('late', planIs('gold'));
  const before = await readInForce(mysql.db, number, [account]);
  const rows = [{ account, segment, version: 1, populatedAt: 1 }];
  expect(await markForNobody(mysql, { partition: number, epoch: 0 }, rows)).toBe(false);
  expect(await readInForce(mysql.db, number, [account])).toEqual(before);
  partition.close();
});
