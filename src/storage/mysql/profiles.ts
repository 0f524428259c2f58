/** Writing profiles. Multi-row statements are sorted by primary key: unsorted ones deadlock. */
import { eq, getTableColumns, sql } from 'drizzle-orm';
import type { RowDataPacket } from 'mysql2/promise';
import { CHUNK_BITS } from '../topics.ts';
import type { MySql, Queries } from './connect.ts';
import { pagesOf, valuesOf } from './pages.ts';
import { accounts, profiles } from './schema.ts';
import { wanted } from './wanted.ts';

export type ProfileRow = typeof profiles.$inferSelect;
/** Numbers of profiles by account. */
export type Numbers = ReadonlyMap<number, Iterable<number>>;

const PLACE = { account: 'number', number: 'number' } as const;
const COLUMNS = getTableColumns(profiles);
const FIELDS = Object.keys(COLUMNS) as (keyof ProfileRow)[];
const ALL_COLUMNS = sql.join(
  FIELDS.map((field) => sql`${COLUMNS[field]} AS ${sql.identifier(field)}`),
  sql`, `,
);
const COLUMN_NAMES = sql.join(
  FIELDS.map((field) => sql.identifier(COLUMNS[field].name)),
  sql`, `,
);
const REPLACED = sql.join(
  FIELDS.filter((field) => !(field in PLACE)).map((field) => {
    const column = sql.identifier(COLUMNS[field].name);
    return sql`${column} = VALUES(${column})`;
  }),
  sql`, `,
);
const ROWS_PER_STATEMENT = 1_000;
/** Of properties: a server may refuse packets beyond 16 MB. */
const CHARACTERS_PER_STATEMENT = 2_000_000;

/** Which of these profile numbers exist, merged ones included. */
export async function existingProfiles(
  db: Queries,
  account: number,
  numbers: readonly number[],
): Promise<Set<number>> {
  const heads = await readHeads(db, new Map([[account, numbers]]));
  return new Set(heads.get(account)?.keys());
}

/** How many chunks of profile numbers the account has begun. */
export async function chunkCount(db: Queries, account: number): Promise<number> {
  return Math.ceil((await nextProfileNumber(db, account)) / 2 ** CHUNK_BITS);
}

/** All profile numbers of the account lie below it. */
export async function nextProfileNumber(db: Queries, account: number): Promise<number> {
  const rows = await db.select({ next: accounts.nextProfile }).from(accounts).where(eq(accounts.id, account));
  return rows[0]?.next ?? 0;
}

/**
 * Reserves consecutive numbers, so many for each account, and returns the first of each. Outside of the transaction
 * that uses them, so that writers wait for one another no longer than this takes; a number that is not used after all
 * leaves a gap, which costs nothing.
 */
export async function reserveNumbers(
  mysql: MySql,
  counts: ReadonlyMap<number, number>,
): Promise<Map<number, number>> {
  const rows = [...counts].map(([id, count]) => ({ id, count })).sort((a, b) => a.id - b.id);
  const reserving = wanted({ id: 'number', count: 'number' }, rows);
  const firsts = await mysql.db.transaction(async (tx) => {
    const [found] = (await tx.execute(sql`
      SELECT STRAIGHT_JOIN accounts.id, accounts.next_profile
      FROM ${reserving}
      JOIN accounts ON accounts.id = wanted.id
      FOR UPDATE`)) as unknown as [RowDataPacket[]];
    await tx.execute(sql`
      UPDATE ${reserving}
      STRAIGHT_JOIN accounts ON accounts.id = wanted.id
      SET accounts.next_profile = accounts.next_profile + wanted.count`);
    return new Map(found.map((row) => [Number(row['id']), Number(row['next_profile'])]));
  });
  const missing = rows.find(({ id }) => !firsts.has(id));
  if (missing) throw new Error(`account ${missing.id} does not exist`);
  return firsts;
}

/** Full rows by account, locked until the end of the transaction. Those that do not exist are absent. */
export async function lockProfiles(
  db: Queries,
  numbers: Numbers,
): Promise<Map<number, Map<number, ProfileRow>>> {
  const found = emptyMaps<ProfileRow>(numbers);
  for (const page of pagesOf(placesOf(numbers))) {
    const [rows] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN ${ALL_COLUMNS}
      FROM ${wanted(PLACE, page)}
      JOIN profiles ON profiles.account = wanted.account AND profiles.number = wanted.number
      FOR UPDATE`)) as unknown as [(ProfileRow & RowDataPacket)[]];
    for (const row of rows) found.get(row.account)?.set(row.number, row);
  }
  return found;
}

export type ProfileHead = Pick<ProfileRow, 'externalId' | 'email' | 'phone' | 'mergedInto'>;

/** By account, what tells whether a write changes anything about who someone is. Not locked. */
export async function readHeads(
  db: Queries,
  numbers: Numbers,
): Promise<Map<number, Map<number, ProfileHead>>> {
  const found = emptyMaps<ProfileHead>(numbers);
  for (const page of pagesOf(placesOf(numbers))) {
    const [rows] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN
        profiles.account,
        profiles.number,
        profiles.external_id AS externalId,
        profiles.email,
        profiles.phone,
        profiles.merged_into AS mergedInto
      FROM ${wanted(PLACE, page)}
      JOIN profiles
        ON profiles.account = wanted.account
        AND profiles.number = wanted.number`)) as unknown as [(ProfileRow & RowDataPacket)[]];
    for (const row of rows) found.get(row.account)?.set(row.number, row);
  }
  return found;
}

/** Inserts new profiles and replaces changed ones (which the caller has locked). */
export async function writeProfiles(db: Queries, rows: readonly ProfileRow[]): Promise<void> {
  const sorted = [...rows].sort((a, b) => a.account - b.account || a.number - b.number);
  for (const page of pages(sorted, ({ properties }) => properties.length)) {
    await db.execute(sql`
      INSERT INTO profiles (${COLUMN_NAMES})
      VALUES ${valuesOf(page.map((row) => FIELDS.map((field) => row[field])))}
      ON DUPLICATE KEY UPDATE ${REPLACED}`);
  }
}

/** Of these profiles, by account, those that are no more: whatever their events say, they are in no segment. */
export async function goneProfiles(db: Queries, numbers: Numbers): Promise<Map<number, Set<number>>> {
  const links = await readLinks(db, numbers);
  return new Map([...links].map(([account, of]) => [account, new Set(of.keys())]));
}

/** Of these profiles the merged ones, with the profile at the end of the chain. */
export async function readMerged(
  db: Queries,
  account: number,
  numbers: Iterable<number>,
): Promise<Map<number, number>> {
  const found = await readMergedOf(db, new Map([[account, numbers]]));
  return found.get(account) ?? new Map<number, number>();
}

/** The same of any number of accounts. */
export async function readMergedOf(db: Queries, numbers: Numbers): Promise<Map<number, Map<number, number>>> {
  const targets = emptyMaps<number>(numbers);
  let open = new Map(
    [...numbers].map(([account, of]) => [account, new Map([...of].map((number) => [number, number]))]),
  );
  // A chain is as long as there were merges one after the other; each round follows one link of all of them.
  while (open.size > 0) {
    const links = await readLinks(db, new Map([...open].map(([account, of]) => [account, of.values()])));
    const next: typeof open = new Map();
    for (const [account, of] of open) {
      const onward = new Map<number, number>();
      for (const [number, at] of of) {
        const target = links.get(account)?.get(at);
        if (target === undefined) continue;
        targets.get(account)?.set(number, target);
        onward.set(number, target);
      }
      if (onward.size > 0) next.set(account, onward);
    }
    open = next;
  }
  return targets;
}

/** Of these profiles, by account, the merged ones, with the profile they went into. */
async function readLinks(db: Queries, numbers: Numbers): Promise<Map<number, Map<number, number>>> {
  const links = emptyMaps<number>(numbers);
  for (const page of pagesOf(placesOf(numbers))) {
    const [rows] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN profiles.account, profiles.number, profiles.merged_into
      FROM ${wanted(PLACE, page)}
      JOIN profiles ON profiles.account = wanted.account AND profiles.number = wanted.number
      WHERE profiles.merged_into IS NOT NULL`)) as unknown as [RowDataPacket[]];
    for (const row of rows) {
      links.get(Number(row['account']))?.set(Number(row['number']), Number(row['merged_into']));
    }
  }
  return links;
}

function emptyMaps<Value>(numbers: Numbers): Map<number, Map<number, Value>> {
  return new Map([...numbers.keys()].map((account) => [account, new Map<number, Value>()]));
}

/** Each once, in the order of the primary key. */
function placesOf(numbers: Numbers): { account: number; number: number }[] {
  return [...numbers]
    .sort(([a], [b]) => a - b)
    .flatMap(([account, of]) =>
      [...new Set(of)].sort((a, b) => a - b).map((number) => ({ account, number })),
    );
}

function* pages<T>(rows: T[], sizeOf: (row: T) => number = () => 0): Generator<T[]> {
  let page: T[] = [];
  let size = 0;
  for (const row of rows) {
    const more = sizeOf(row);
    if (page.length > 0 && (page.length === ROWS_PER_STATEMENT || size + more > CHARACTERS_PER_STATEMENT)) {
      yield page;
      page = [];
      size = 0;
    }
    page.push(row);
    size += more;
  }
  if (page.length > 0) yield page;
}
