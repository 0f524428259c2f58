/**
 * Entries and exits are announced before ClickHouse has them. Whoever reads memberships, or their log, there waits for
 * what somebody may have been told of: so nobody hears of an entry and then does not find it.
 */
import type { Clock } from '../runtime/clock.ts';
import type { MySql } from './mysql/connect.ts';
import { placesAhead } from './mysql/membership-ahead.ts';

const POLL_MS = 4;
const PATIENCE_MS = 15_000;

/**
 * Resolves when ClickHouse has every entry and exit of the account that was announced before the call; usually at once,
 * or within some 30 ms. Throws after 15 s, or when the signal aborts.
 */
export async function membershipsWritten(
  { mysql, clock }: { mysql: MySql; clock: Clock },
  account: number,
  signal?: AbortSignal,
): Promise<void> {
  const asked = await placesAhead(mysql, account);
  const deadline = clock.now() + PATIENCE_MS;
  for (let ahead = asked; isMissing(asked, ahead); ahead = await placesAhead(mysql, account)) {
    if (clock.now() >= deadline) throw new Error('entries of the membership log do not reach ClickHouse');
    await clock.sleep(POLL_MS, signal);
    signal?.throwIfAborted();
  }
}

type Places = Awaited<ReturnType<typeof placesAhead>>;

/** Rows go in their order. */
function isMissing(asked: Places, ahead: Places): boolean {
  return [...asked].some(([partition, { last }]) => (ahead.get(partition)?.first ?? Infinity) <= last);
}
