/** Who is calling, and what they may do. Keys are looked up by their hash and remembered for moments only. */
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { hashSecret } from '../storage/mysql/accounts.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { findKey, liveKeys, noteKeyUse } from '../storage/mysql/keys.ts';
import { ApiError } from './errors.ts';

export const API_SCOPES = ['INGEST', 'READ', 'MANAGE', 'ADMIN'] as const;
export type ApiScope = (typeof API_SCOPES)[number];

export interface Principal {
  key: number;
  account: number;
  scopes: ReadonlySet<ApiScope>;
}

export interface Authenticator {
  /** From an `Authorization` header. Throws UNAUTHENTICATED for anything but a live key. */
  authenticate(header: string): Promise<Principal>;
  /** Calls back once if the key is revoked, within seconds. The returned function ends the watch. */
  watch(key: number, onRevoked: () => void): () => void;
  /** A key was revoked here: everything that hangs on it ends now. */
  revoked(key: number): void;
  close(): void;
}

/** A key revoked by another process is honoured for so long, at most, plus the time of one look-up. */
const REMEMBERED_MS = 2_000;
/** Keys that are remembered or watched are checked together; so those in use need no look-up of their own. */
const CHECKED_EVERY_MS = 1_000;
/** Then it is looked up again all the same, which notes its use. */
const LOOKED_UP_EVERY_MS = 60_000;
/** Other processes note it too. */
const USE_NOTED_EVERY_MS = 30_000;
const MAX_REMEMBERED = 10_000;

interface Remembered {
  principal: Promise<Principal | null>;
  /** Once it has been found. */
  key: number | null;
  since: number;
  until: number;
}

export function createAuthenticator({
  mysql,
  clock,
  logger,
}: {
  mysql: MySql;
  clock: Clock;
  logger: Logger;
}): Authenticator {
  /** By hash. */
  const remembered = new Map<string, Remembered>();
  const watched = new Map<number, Set<() => void>>();
  const closing = new AbortController();

  async function look(hash: string): Promise<Principal | null> {
    const row = await findKey(mysql.db, hash);
    if (row === null) return null;
    const now = clock.now();
    const since = now - USE_NOTED_EVERY_MS;
    if (row.lastUsedAt === null || row.lastUsedAt < since) {
      noteKeyUse(mysql.db, row.id, now, since).catch((error: unknown) =>
        logger.debug({ err: error }, 'the use of a key could not be noted'),
      );
    }
    return { key: row.id, account: row.account, scopes: withImplied(row.scopes.split(',')) };
  }

  function find(hash: string): Promise<Principal | null> {
    const now = clock.now();
    const known = remembered.get(hash);
    if (known && known.until > now) return known.principal;
    remembered.delete(hash);
    const oldest = remembered.keys().next();
    if (remembered.size >= MAX_REMEMBERED && !oldest.done) remembered.delete(oldest.value);
    const principal = look(hash);
    const entry: Remembered = { principal, key: null, since: now, until: now + REMEMBERED_MS };
    remembered.set(hash, entry);
    principal.then(
      (found) => void (entry.key = found?.key ?? null),
      () => remembered.delete(hash),
    );
    return principal;
  }

  function end(key: number): void {
    // Revocations are rare: what is remembered is soon looked up again.
    remembered.clear();
    const callbacks = watched.get(key) ?? [];
    watched.delete(key);
    for (const onRevoked of callbacks) onRevoked();
  }

  async function checkKeys(): Promise<void> {
    const now = clock.now();
    for (const [hash, { since }] of remembered) {
      if (since + LOOKED_UP_EVERY_MS <= now) remembered.delete(hash);
    }
    const known = [...remembered].flatMap(([hash, entry]) =>
      entry.key === null ? [] : [{ hash, entry, key: entry.key }],
    );
    const watching = [...watched.keys()];
    const live = await liveKeys(mysql.db, [...new Set([...watching, ...known.map(({ key }) => key)])]);
    for (const { hash, entry, key } of known) {
      if (live.has(key)) entry.until = Math.min(now + REMEMBERED_MS, entry.since + LOOKED_UP_EVERY_MS);
      else if (remembered.get(hash) === entry) remembered.delete(hash);
    }
    for (const key of watching) if (!live.has(key)) end(key);
  }

  async function keepChecking(): Promise<void> {
    while (!closing.signal.aborted) {
      await clock.sleep(CHECKED_EVERY_MS, closing.signal);
      // Without an answer nobody is thrown out, an outage is not a revocation; but nobody is remembered for longer.
      await checkKeys().catch((error: unknown) =>
        logger.debug({ err: error }, 'keys in use could not be checked'),
      );
    }
  }
  void keepChecking();

  return {
    async authenticate(header) {
      const secret = /^Bearer +(\S+)$/i.exec(header.trim())?.[1];
      if (secret === undefined) {
        throw new ApiError(
          'UNAUTHENTICATED',
          'The Authorization header must read "Bearer" and an API key, such as: Bearer tm_…',
        );
      }
      const principal = await find(hashSecret(secret));
      if (principal === null)
        throw new ApiError('UNAUTHENTICATED', 'This API key does not exist or was revoked.');
      return principal;
    },
    watch(key, onRevoked) {
      const callbacks = watched.get(key) ?? new Set();
      watched.set(key, callbacks.add(onRevoked));
      return () => {
        callbacks.delete(onRevoked);
        if (callbacks.size === 0 && watched.get(key) === callbacks) watched.delete(key);
      };
    },
    revoked: end,
    close: () => closing.abort(),
  };
}

/** MANAGE includes READ, ADMIN includes everything. */
function withImplied(names: string[]): Set<ApiScope> {
  const scopes = new Set(API_SCOPES.filter((scope) => names.includes(scope)));
  if (scopes.has('ADMIN')) return new Set(API_SCOPES);
  if (scopes.has('MANAGE')) scopes.add('READ');
  return scopes;
}

/** True, or throws UNAUTHENTICATED without a key and FORBIDDEN without any of the scopes. */
export function authorize(principal: Principal | null, anyOf: readonly ApiScope[]): true {
  if (principal === null) throw unauthenticated();
  if (!anyOf.some((scope) => principal.scopes.has(scope))) {
    throw new ApiError(
      'FORBIDDEN',
      `This API key lacks the scope ${anyOf.join(' or ')}; use a key that has it.`,
      {
        requiredScopes: anyOf,
      },
    );
  }
  return true;
}

export function unauthenticated(): ApiError {
  return new ApiError(
    'UNAUTHENTICATED',
    'An API key is needed: send it as "Authorization: Bearer tm_…" (on a WebSocket, in the connection_init payload).',
  );
}
