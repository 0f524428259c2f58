/** The account and its keys. */
import { countEvents, countProfiles } from '../storage/clickhouse/event-reads.ts';
import { hashSecret, newSecret, readAccount, type AccountRow } from '../storage/mysql/accounts.ts';
import { countKeys, insertKey, listKeys, revokeKey, type KeyRow } from '../storage/mysql/keys.ts';
import { decodeNumber, encodeId } from '../runtime/global-ids.ts';
import type { UserError } from '../ingest/accept.ts';
import { API_SCOPES, type ApiScope } from './auth.ts';
import { NUMBER, numberOf, paginate, type Connection, type PageArgs } from './connections.ts';
import { accountOf, type Context } from './context.ts';

export type { AccountRow } from '../storage/mysql/accounts.ts';
export type { KeyRow } from '../storage/mysql/keys.ts';

const MAX_NAME = 255;
const EVERYTHING = { metric: null, from: null, to: null };

export async function account(ctx: Context): Promise<AccountRow> {
  const row = await readAccount(ctx.deps.mysql.db, accountOf(ctx));
  // A key without its account cannot be: accounts are never removed while they have keys.
  if (row === null) throw new Error('the account of a key does not exist');
  return row;
}

export async function profileCount(ctx: Context): Promise<number> {
  await ctx.loaders.stored();
  return countProfiles(ctx.deps.clickhouse, accountOf(ctx));
}

export async function eventCount(ctx: Context): Promise<number> {
  await ctx.loaders.stored();
  return countEvents(ctx.deps.clickhouse, accountOf(ctx), EVERYTHING, null);
}

export interface KeyEdge {
  cursor: string;
  node: KeyRow;
}

export function apiKeys(ctx: Context, args: PageArgs): Promise<Connection<KeyEdge>> {
  const { db } = ctx.deps.mysql;
  return paginate('keys', args, {
    parts: NUMBER,
    load: (after, limit) => listKeys(db, accountOf(ctx), numberOf(after), limit),
    place: (key) => [key.id],
    edge: (node, cursor) => ({ cursor, node }),
    totalCount: () => countKeys(db, accountOf(ctx)),
  });
}

export function keyScopes(key: KeyRow): ApiScope[] {
  return API_SCOPES.filter((scope) => key.scopes.split(',').includes(scope));
}

export interface KeyCreated {
  apiKey: KeyRow | null;
  secret: string | null;
  userErrors: UserError[];
}

export async function createKey(
  ctx: Context,
  { name, scopes }: { name: string; scopes: readonly ApiScope[] },
): Promise<KeyCreated> {
  const userErrors: UserError[] = [];
  const refuse = (field: string, code: UserError['code'], message: string) =>
    userErrors.push({ index: null, field: [field], code, message });
  if (name.trim().length === 0)
    refuse('name', 'REQUIRED', 'name must not be empty; say who will use the key');
  if (name.length > MAX_NAME) refuse('name', 'TOO_LONG', `name may have at most ${MAX_NAME} characters`);
  if (!name.isWellFormed() || name.includes('\0')) {
    refuse('name', 'INVALID', 'name must be valid Unicode without NUL characters');
  }
  if (scopes.length === 0)
    refuse('scopes', 'REQUIRED', 'give at least one scope; without any a key opens nothing');
  if (userErrors.length > 0) return { apiKey: null, secret: null, userErrors };
  const secret = newSecret();
  const apiKey = await insertKey(ctx.deps.mysql.db, {
    account: accountOf(ctx),
    name,
    secretHash: hashSecret(secret),
    scopes: API_SCOPES.filter((scope) => scopes.includes(scope)).join(','),
    createdAt: ctx.deps.clock.now(),
  });
  return { apiKey, secret, userErrors: [] };
}

export async function revokeApiKey(
  ctx: Context,
  { id }: { id: string },
): Promise<{ revokedId: string | null; userErrors: UserError[] }> {
  const account = accountOf(ctx);
  const { mysql, clock } = ctx.deps;
  const key = decodeNumber(id, 'ApiKey', account);
  if (key === null || !(await revokeKey(mysql.db, account, key, clock.now()))) {
    const message = 'no live API key has this id';
    return { revokedId: null, userErrors: [{ index: null, field: ['id'], code: 'NOT_FOUND', message }] };
  }
  ctx.authenticator.revoked(key);
  return { revokedId: encodeId('ApiKey', account, key), userErrors: [] };
}
