/** What every resolver is given. */
import { authorize, unauthenticated, type ApiScope, type Authenticator, type Principal } from './auth.ts';
import type { Deps } from './deps.ts';
import { createLoaders, type Loaders } from './loaders.ts';

export type { Deps } from './deps.ts';

export type Transport = 'http' | 'sse' | 'websocket';

export interface Context {
  deps: Deps;
  authenticator: Authenticator;
  /** Null: no key was sent. Only the schema itself may be looked at. */
  principal: Principal | null;
  transport: Transport;
  /** Aborted when the client goes away or the server stops. */
  signal: AbortSignal;
  loaders: Loaders;
}

export function createContext(
  base: Pick<Context, 'deps' | 'authenticator' | 'principal' | 'transport' | 'signal'>,
): Context {
  // Without a key no resolver runs; there is no account that a loader could belong to.
  return { ...base, loaders: createLoaders(base.deps, base.principal?.account ?? 0) };
}

/** The account of the key. */
export function accountOf(ctx: Context): number {
  if (ctx.principal === null) throw unauthenticated();
  return ctx.principal.account;
}

/** True, or throws: declared by the schema for what is not open to every key. */
export function requireScope(ctx: Context, anyOf: readonly ApiScope[]): true {
  return authorize(ctx.principal, anyOf);
}
