/** Writing profiles and identifiers. Multi-row statements are sorted by primary key: unsorted ones deadlock. */
import { and, asc, eq, inArray, isNotNull, or, sql } from 'drizzle-orm';
import type { ResultSetHeader } from 'mysql2/promise';
import { groupBy } from '../../runtime/group-by.ts';
import type { MySql, Queries } from './connect.ts';
import { accounts, identifiers, profiles } from './schema.ts';
import { CHUNK_BITS } from '../topics.ts';

export type ProfileRow = typeof profiles.$inferSelect;
export type IdentifierRow = typeof identifiers.$inferSelect;

const ROWS_PER_STATEMENT = 1_000;
/** Of properties: a server may refuse packets beyond 16 MB. */
const CHARACTERS_PER_STATEMENT = 2_000_000;

/** Which of these profile numbers exist, merged ones included. */
export async function existingProfiles(
  db: Queries,
  account: number,
  numbers: number[],
): Promise<Set<number>> {
  const rows = await db
    .select({ number: profiles.number })
    .from(profiles)
    .where(and(eq(profiles.account, account), inArray(profiles.number, numbers)));
  return new Set(rows.map((row) => row.number));
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
 * Reserves `count` consecutive numbers and returns the first. Outside of any transaction, so that writers do not wait
 * for one another; a number that is not used after all leaves a gap, which costs nothing.
 */
export async function reserveNumbers(mysql: MySql, account: number, count: number): Promise<number> {
  const [result] = await mysql.pool.query<ResultSetHeader>(
    'UPDATE accounts SET next_profile = LAST_INSERT_ID(next_profile) + ? WHERE id = ?',
    [count, account],
  );
  if (result.affectedRows !== 1) throw new Error(`account ${account} does not exist`);
  return result.insertId;
}

/** The owners of identifiers, one query for all kinds. */
export async function findIdentifiers(
  db: Queries,
  account: number,
  keys: readonly { kind: number; value: string }[],
): Promise<IdentifierRow[]> {
  const byKind = new Map<number, string[]>();
  for (const { kind, value } of keys) byKind.set(kind, [...(byKind.get(kind) ?? []), value]);
  if (byKind.size === 0) return [];
  return db
    .select()
    .from(identifiers)
    .where(
      and(
        eq(identifiers.account, account),
        or(
          ...[...byKind].map(([kind, values]) =>
            and(eq(identifiers.kind, kind), inArray(identifiers.value, values)),
          ),
        ),
      ),
    );
}

/** Claims identifiers that nobody had; returns how many were free. Fewer than given: somebody was faster. */
export async function claimIdentifiers(db: Queries, rows: IdentifierRow[]): Promise<number> {
  const sorted = [...rows].sort(
    (a, b) => a.account - b.account || a.kind - b.kind || compareBytes(a.value, b.value),
  );
  let claimed = 0;
  for (const page of pages(sorted)) {
    const [result] = await db.insert(identifiers).ignore().values(page);
    claimed += result.affectedRows;
  }
  return claimed;
}

/** Everything that pointed at the merged profile points at the one it went into. */
export async function repointIdentifiers(
  db: Queries,
  account: number,
  source: number,
  target: number,
): Promise<void> {
  await db
    .update(identifiers)
    .set({ profile: target })
    .where(and(eq(identifiers.account, account), eq(identifiers.profile, source)));
}

/** Full rows, locked until the end of the transaction. */
export async function lockProfiles(
  db: Queries,
  account: number,
  numbers: number[],
): Promise<Map<number, ProfileRow>> {
  const found = new Map<number, ProfileRow>();
  for (const page of pages([...numbers].sort((a, b) => a - b))) {
    const rows = await db
      .select()
      .from(profiles)
      .where(and(eq(profiles.account, account), inArray(profiles.number, page)))
      .orderBy(asc(profiles.number))
      .for('update');
    for (const row of rows) found.set(row.number, row);
  }
  return found;
}

export interface ProfileHead {
  number: number;
  externalId: string | null;
  email: string | null;
  phone: string | null;
  mergedInto: number | null;
}

/** What tells whether a write changes anything about who someone is. Not locked. */
export async function readHeads(
  db: Queries,
  account: number,
  numbers: number[],
): Promise<Map<number, ProfileHead>> {
  const heads = new Map<number, ProfileHead>();
  for (const page of pages(numbers)) {
    const rows = await db
      .select({
        number: profiles.number,
        externalId: profiles.externalId,
        email: profiles.email,
        phone: profiles.phone,
        mergedInto: profiles.mergedInto,
      })
      .from(profiles)
      .where(and(eq(profiles.account, account), inArray(profiles.number, page)));
    for (const row of rows) heads.set(row.number, row);
  }
  return heads;
}

/** Inserts new profiles and replaces changed ones (which the caller has locked). */
export async function writeProfiles(db: Queries, rows: ProfileRow[]): Promise<void> {
  const replaced = (column: { name: string }) => sql.raw(`VALUES(${column.name})`);
  const sorted = [...rows].sort((a, b) => a.account - b.account || a.number - b.number);
  for (const page of pages(sorted, ({ properties }) => properties.length)) {
    await db
      .insert(profiles)
      .values(page)
      .onDuplicateKeyUpdate({
        set: {
          externalId: replaced(profiles.externalId),
          email: replaced(profiles.email),
          phone: replaced(profiles.phone),
          firstName: replaced(profiles.firstName),
          lastName: replaced(profiles.lastName),
          timezone: replaced(profiles.timezone),
          locale: replaced(profiles.locale),
          location: replaced(profiles.location),
          properties: replaced(profiles.properties),
          consents: replaced(profiles.consents),
          createdAt: replaced(profiles.createdAt),
          updatedAt: replaced(profiles.updatedAt),
          revision: replaced(profiles.revision),
          mergedInto: replaced(profiles.mergedInto),
        },
      });
  }
}

/** Of these profiles, by account, those that are no more: whatever their events say, they are in no segment. */
export async function goneProfiles(
  db: Queries,
  wanted: ReadonlyMap<number, Iterable<number>>,
): Promise<Map<number, Set<number>>> {
  const places = [...wanted].flatMap(([account, numbers]) =>
    [...numbers].map((number) => ({ account, number })),
  );
  const gone = new Map([...wanted.keys()].map((account) => [account, new Set<number>()]));
  for (const page of pages(places)) {
    const ofAccounts = [...groupBy(page, ({ account }) => account)].map(([account, of]) =>
      and(
        eq(profiles.account, account),
        inArray(
          profiles.number,
          of.map(({ number }) => number),
        ),
      ),
    );
    const rows = await db
      .select({ account: profiles.account, number: profiles.number })
      .from(profiles)
      .where(and(or(...ofAccounts), isNotNull(profiles.mergedInto)));
    for (const { account, number } of rows) gone.get(account)?.add(number);
  }
  return gone;
}

/** Of these profiles the merged ones, with the profile at the end of the chain. */
export async function readMerged(
  db: Queries,
  account: number,
  numbers: number[],
): Promise<Map<number, number>> {
  const targets = new Map<number, number>();
  let open = new Map(numbers.map((number) => [number, number]));
  // A chain is as long as there were merges one after the other; each round follows one link of all of them.
  while (open.size > 0) {
    const links = new Map<number, number>();
    for (const page of pages([...new Set(open.values())])) {
      const rows = await db
        .select({ number: profiles.number, mergedInto: profiles.mergedInto })
        .from(profiles)
        .where(
          and(eq(profiles.account, account), inArray(profiles.number, page), isNotNull(profiles.mergedInto)),
        );
      for (const row of rows) if (row.mergedInto !== null) links.set(row.number, row.mergedInto);
    }
    const next = new Map<number, number>();
    for (const [number, at] of open) {
      const target = links.get(at);
      if (target === undefined) continue;
      targets.set(number, target);
      next.set(number, target);
    }
    open = next;
  }
  return targets;
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

/** The order of utf8mb4_bin, which is the order of the index. */
function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
