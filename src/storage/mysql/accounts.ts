/** Accounts, and the first of them. */
import { createHash, randomBytes } from 'node:crypto';
import { asc, eq, inArray, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/mysql2';
import type { RowDataPacket } from 'mysql2/promise';
import type { MySql, Queries } from './connect.ts';
import { insertKey } from './keys.ts';
import { accounts, apiKeys } from './schema.ts';

const LOCK_SECONDS = 60;

export interface AccountRow {
  id: number;
  name: string;
  timezone: string;
  createdAt: number;
}

export async function readAccount(db: Queries, id: number): Promise<AccountRow | null> {
  const rows = await db
    .select({
      id: accounts.id,
      name: accounts.name,
      timezone: accounts.timezone,
      createdAt: accounts.createdAt,
    })
    .from(accounts)
    .where(eq(accounts.id, id));
  return rows[0] ?? null;
}

/** The time zones of accounts, and below which number their profiles lie. Those that do not exist are absent. */
export async function readAccountStates(
  db: Queries,
  ids: readonly number[],
): Promise<Map<number, { timezone: string; nextProfile: number }>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .select({ id: accounts.id, timezone: accounts.timezone, nextProfile: accounts.nextProfile })
    .from(accounts)
    .where(inArray(accounts.id, [...ids]));
  return new Map(rows.map(({ id, ...state }) => [id, state]));
}

/** A new API key: `tm_` and 256 random bits. */
export function newSecret(): string {
  return `tm_${randomBytes(32).toString('base64url')}`;
}

/** What is stored of a key. It is random through and through, so that one fast hash is enough. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret, 'utf8').digest('hex');
}

/**
 * Sees to it that somebody can get in. Without any account, "Default" is made, with an ADMIN key: the given one, or a
 * random one, which is then returned to be shown this once. With accounts, a given key that is unknown becomes an ADMIN
 * key of the first account. A key that was revoked stays revoked. Two processes at once do it once.
 */
export async function bootstrapAccount(
  mysql: MySql,
  { key, timezone }: { key: string | null; timezone: string },
): Promise<{ account: number; createdKey: string | null }> {
  const connection = await mysql.pool.getConnection();
  try {
    await connection.query(
      "SELECT GET_LOCK(CONCAT('tidemark-bootstrap-', LEFT(SHA2(DATABASE(), 256), 16)), ?)",
      [LOCK_SECONDS],
    );
    return await drizzle(connection).transaction((db) => bootstrap(db, key, timezone));
  } finally {
    // A connection that closes releases its named locks.
    connection.destroy();
  }
}

async function bootstrap(
  db: Queries,
  key: string | null,
  timezone: string,
): Promise<{ account: number; createdKey: string | null }> {
  const now = await databaseTime(db);
  const addKey = (account: number, secret: string) =>
    insertKey(db, {
      account,
      name: 'Bootstrap',
      secretHash: hashSecret(secret),
      scopes: 'ADMIN',
      createdAt: now,
    });
  const existing = await db.select({ id: accounts.id }).from(accounts).orderBy(asc(accounts.id)).limit(1);
  const first = existing[0]?.id;
  if (first === undefined) {
    const secret = key ?? newSecret();
    const [made] = await db.insert(accounts).values({ name: 'Default', timezone, createdAt: now });
    await addKey(made.insertId, secret);
    return { account: made.insertId, createdKey: key === null ? secret : null };
  }
  if (key !== null) {
    const known = await db
      .select({ id: apiKeys.id })
      .from(apiKeys)
      .where(eq(apiKeys.secretHash, hashSecret(key)));
    if (known.length === 0) await addKey(first, key);
  }
  return { account: first, createdKey: null };
}

async function databaseTime(db: Queries): Promise<number> {
  const [rows] = await db.execute<RowDataPacket[]>(sql`SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS now`);
  return Number((rows as unknown as RowDataPacket[])[0]?.['now']);
}
