/**
 * News travel before ClickHouse has what they tell of: news of events and profiles to the evaluators, entries and exits
 * to whoever subscribed. Whoever reads ClickHouse first waits for what somebody may have been told of: so nobody hears of
 * an entry and then does not find it.
 */
import { until } from '../runtime/until.ts';
import type { MySql } from './mysql/connect.ts';
import { placesAhead } from './mysql/membership-ahead.ts';
import { allDebts, debtsAhead, unpaidOf } from './mysql/positions.ts';

/** Usually it is some 30 ms. Longer than a take-over by another process. */
const PATIENCE_MS = 30_000;

/** More has been announced than ClickHouse will take now. */
export class NotStored extends Error {
  readonly code = 'NOT_STORED';

  constructor() {
    super('ClickHouse does not receive what has been announced');
  }
}

/** Resolves when ClickHouse has all that anyone can have been told of the account. Throws NotStored. */
export async function announcedStored(mysql: MySql, account: number, signal?: AbortSignal): Promise<void> {
  await Promise.all([dataStored(mysql, account, signal), membershipsStored(mysql, account, signal)]);
}

/**
 * Resolves when ClickHouse has the events and profiles that have been announced, of the account or, with null, of all.
 * Throws NotStored.
 */
export async function dataStored(mysql: MySql, account: number | null, signal?: AbortSignal): Promise<void> {
  const debts = await debtsAhead(mysql, account);
  if ((await debtsLeft(mysql, debts, PATIENCE_MS, signal)).length > 0) throw new NotStored();
}

/** Resolves when ClickHouse has the entries and exits of the account that have been announced. Throws NotStored. */
export async function membershipsStored(mysql: MySql, account: number, signal?: AbortSignal): Promise<void> {
  const asked = await placesAhead(mysql, account);
  if (asked.size === 0) return;
  const areStored = async () => {
    const ahead = await placesAhead(mysql, account);
    // They arrive in their order.
    return [...asked].every(([partition, { last }]) => (ahead.get(partition)?.first ?? Infinity) > last);
  };
  if (!(await until(areStored, { withinMs: PATIENCE_MS, signal }))) throw new NotStored();
}

/** Resolves when all that ClickHouse has now of events and profiles has been announced. Throws NotStored. */
export async function dataAnnounced(mysql: MySql, signal?: AbortSignal): Promise<void> {
  const debts = await allDebts(mysql);
  if ((await debtsLeft(mysql, debts, PATIENCE_MS, signal)).length > 0) throw new NotStored();
}

/** Waits until ClickHouse has the rows of these debts of ingest; returns those of which it has not after `withinMs`. */
export async function debtsLeft(
  mysql: MySql,
  debts: readonly string[],
  withinMs: number,
  signal?: AbortSignal,
): Promise<readonly string[]> {
  let left = debts;
  const areStored = async () => {
    left = await unpaidOf(mysql, left);
    return left.length === 0;
  };
  await until(areStored, { withinMs, signal });
  return left;
}
