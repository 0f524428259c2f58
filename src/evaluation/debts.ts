/**
 * News may be ahead of ClickHouse. What is read there lacks nothing that has been evaluated already, because whoever reads
 * waits first for the rows of all the news that have been taken, or adds to what was read what these news say.
 */
import { debtsLeft } from '../storage/announced.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';

export interface Debts {
  /** News of this debt have been taken. */
  note(debt: string, account: number, changes: readonly ProfileChange[]): void;
  /** What these news say of the profile, in their order; ClickHouse may have it meanwhile. */
  about(account: number, profile: number): ProfileChange[];
  /** Whether ClickHouse has, within the time, what was noted. Throws when the signal aborts. */
  settled(withinMs: number, signal?: AbortSignal): Promise<boolean>;
}

export function createDebts(mysql: MySql): Debts {
  // By debt and profile. Whoever looks at the clock lets go of what is settled, twice a second.
  const taken = new Map<string, Map<string, ProfileChange[]>>();
  const keyOf = (account: number, profile: number) => `${account}:${profile}`;
  return {
    note(debt, account, changes) {
      const news = taken.get(debt) ?? new Map<string, ProfileChange[]>();
      taken.set(debt, news);
      for (const change of changes) {
        const key = keyOf(account, change.profile);
        const before = news.get(key);
        if (before) before.push(change);
        else news.set(key, [change]);
      }
    },
    about(account, profile) {
      const key = keyOf(account, profile);
      return [...taken.values()].flatMap((news) => news.get(key) ?? []);
    },
    async settled(withinMs, signal) {
      const debts = [...taken.keys()];
      const left = new Set(await debtsLeft(mysql, debts, withinMs, signal));
      for (const debt of debts) if (!left.has(debt)) taken.delete(debt);
      return left.size === 0;
    },
  };
}
