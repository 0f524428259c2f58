/**
 * News may be ahead of ClickHouse. Whoever reads there in the course of an evaluation waits first for the rows of all the
 * news that have been taken: what is read then lacks nothing that has been evaluated already.
 */
import { debtsSettled } from '../storage/announced.ts';
import type { MySql } from '../storage/mysql/connect.ts';

export interface Debts {
  /** News of this debt have been taken. */
  note(debt: string): void;
  /** Whether ClickHouse has, within the time, what was noted. */
  settled(withinMs: number): Promise<boolean>;
}

export function createDebts(mysql: MySql): Debts {
  const taken = new Set<string>();
  return {
    note: (debt) => taken.add(debt),
    async settled(withinMs) {
      const debts = [...taken];
      if (!(await debtsSettled(mysql, debts, withinMs))) return false;
      for (const debt of debts) taken.delete(debt);
      return true;
    },
  };
}
