/** API keys as they are stored: never the secret, only its hash. */
import { and, asc, count, eq, gt, inArray, isNull, lt, or } from 'drizzle-orm';
import type { Queries } from './connect.ts';
import { apiKeys } from './schema.ts';

export interface KeyRow {
  id: number;
  account: number;
  name: string;
  /** Comma-separated names. */
  scopes: string;
  createdAt: number;
  lastUsedAt: number | null;
}

const COLUMNS = {
  id: apiKeys.id,
  account: apiKeys.account,
  name: apiKeys.name,
  scopes: apiKeys.scopes,
  createdAt: apiKeys.createdAt,
  lastUsedAt: apiKeys.lastUsedAt,
};

/** The key with this hash, unless it was revoked. */
export async function findKey(db: Queries, secretHash: string): Promise<KeyRow | null> {
  const rows = await db
    .select(COLUMNS)
    .from(apiKeys)
    .where(and(eq(apiKeys.secretHash, secretHash), isNull(apiKeys.revokedAt)));
  return rows[0] ?? null;
}

export async function insertKey(
  db: Queries,
  key: { account: number; name: string; secretHash: string; scopes: string; createdAt: number },
): Promise<KeyRow> {
  const [result] = await db.insert(apiKeys).values(key);
  const { account, name, scopes, createdAt } = key;
  return { id: result.insertId, account, name, scopes, createdAt, lastUsedAt: null };
}

/** False: there is no such key, or it had been revoked before. */
export async function revokeKey(db: Queries, account: number, id: number, now: number): Promise<boolean> {
  const [result] = await db
    .update(apiKeys)
    .set({ revokedAt: now })
    .where(and(eq(apiKeys.account, account), eq(apiKeys.id, id), isNull(apiKeys.revokedAt)));
  return result.affectedRows === 1;
}

/** Keys of the account in the order of their ids, those that were revoked left out. */
export function listKeys(
  db: Queries,
  account: number,
  after: number | null,
  limit: number,
): Promise<KeyRow[]> {
  return db
    .select(COLUMNS)
    .from(apiKeys)
    .where(and(eq(apiKeys.account, account), isNull(apiKeys.revokedAt), gt(apiKeys.id, after ?? 0)))
    .orderBy(asc(apiKeys.id))
    .limit(limit);
}

export async function countKeys(db: Queries, account: number): Promise<number> {
  const rows = await db
    .select({ count: count() })
    .from(apiKeys)
    .where(and(eq(apiKeys.account, account), isNull(apiKeys.revokedAt)));
  return rows[0]?.count ?? 0;
}

export async function readKey(db: Queries, account: number, id: number): Promise<KeyRow | null> {
  const rows = await db
    .select(COLUMNS)
    .from(apiKeys)
    .where(and(eq(apiKeys.account, account), eq(apiKeys.id, id), isNull(apiKeys.revokedAt)));
  return rows[0] ?? null;
}

/** Which of these keys still open the door. */
export async function liveKeys(db: Queries, ids: number[]): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const rows = await db
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(and(inArray(apiKeys.id, ids), isNull(apiKeys.revokedAt)));
  return new Set(rows.map((row) => row.id));
}

/** Notes the use, unless another process has noted one after `since`. */
export async function noteKeyUse(db: Queries, id: number, now: number, since: number): Promise<void> {
  await db
    .update(apiKeys)
    .set({ lastUsedAt: now })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, since))));
}
