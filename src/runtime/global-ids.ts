/**
 * The opaque ids of the public API: type, account and number, base64url. The account inside lets an id of another
 * account be answered like one that does not exist.
 */
export type GlobalType = 'Account' | 'ApiKey' | 'Event' | 'Metric' | 'Profile' | 'Segment';

export interface GlobalId {
  type: GlobalType;
  account: number;
  /** What identifies the object within its type and account: a number, or several parts for events. */
  key: string;
}

const TYPES: readonly string[] = ['Account', 'ApiKey', 'Event', 'Metric', 'Profile', 'Segment'];

export function encodeId(type: GlobalType, account: number, key: number | string): string {
  return Buffer.from(`${type}:${account}:${key}`, 'utf8').toString('base64url');
}

/** Null for anything that this function's twin did not make. */
export function decodeId(id: string): GlobalId | null {
  const [type, account, key, ...rest] = Buffer.from(id, 'base64url').toString('utf8').split(':');
  if (type === undefined || !TYPES.includes(type) || rest.length > 0) return null;
  if (account === undefined || !/^\d{1,10}$/.test(account) || !key) return null;
  return { type: type as GlobalType, account: Number(account), key };
}

/** The number inside an id of this type and account, or null: unknown, malformed and foreign ids look the same. */
export function decodeNumber(id: string, type: GlobalType, account: number): number | null {
  const decoded = decodeId(id);
  if (decoded?.type !== type || decoded.account !== account || !/^\d{1,10}$/.test(decoded.key)) return null;
  return Number(decoded.key);
}
