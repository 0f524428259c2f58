/**
 * News may be ahead of ClickHouse. Whoever reads there in the course of an evaluation waits first for the rows of all the
 * news that have been taken: what is read then lacks nothing that has been evaluated already.
 */
import { debtsLeft } from '../storage/announced.ts';
import type { MySql } from '../storage/mysql/connect.ts';

export interface Debts {
  /** News of this debt have been taken. */
  note(debt: string): void;
  /** Whether ClickHouse has, within the time, what was noted. Throws when the signal aborts. */
  settled(withinMs: number, signal?: AbortSignal): Promise<boolean>;
}

export function createDebts(mysql: MySql): Debts {
  const taken = new Set<string>();
  return {
    note: (debt) => taken.add(debt),
    async settled(withinMs, signal) {
      const debts = [...taken];
      const left = new Set(await debtsLeft(mysql, debts, withinMs, signal));
      for (const debt of debts) if (!left.has(debt)) taken.delete(debt);
      return left.size === 0;
    },
  };
}
