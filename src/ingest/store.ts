/**
 * Records into MySQL, in one transaction: who they are about, which events are new, what the profiles look like
 * afterwards, how far their partitions have been taken, and exactly which rows ClickHouse is owed. A crash leaves all of
 * it or nothing, so that a replay neither repeats anything nor cuts it anew. However many accounts they are of, the
 * statements are the same few.
 */
import { groupBy } from '../runtime/group-by.ts';
import type { Queries } from '../storage/mysql/connect.ts';
import type { NameRegistry } from '../storage/mysql/names.ts';
import { evaluatorPartition } from '../storage/topics.ts';
import { resolve, type Reserve } from './resolve.ts';
import type { Debt, Placed, Share } from './share.ts';
import { storeEvents } from './store-events.ts';
import { storeProfiles } from './store-profiles.ts';

export interface StoreDeps {
  names: NameRegistry;
  reserve: Reserve;
}

/** The effects of records, in their order, inside the caller's transaction. Throws Contention. */
export async function storeRecords(deps: StoreDeps, db: Queries, records: readonly Placed[]): Promise<Debt> {
  const debt: Debt = {
    events: [],
    futureEvents: [],
    dates: [],
    traits: [],
    predictions: [],
    profiles: [],
    messages: [],
    withEvents: [],
    duplicates: 0,
  };
  const shares = await resolve(deps.reserve, db, records);
  const ofProfiles = await storeProfiles(db, shares, debt);
  const ofEvents = await storeEvents(deps.names, db, shares, debt);
  await deps.names.registerProperties([...ofProfiles, ...ofEvents]);
  for (const share of shares) debt.messages.push(...messagesOf(share));
  return debt;
}

function messagesOf({ account, records, resolution, news }: Share): Debt['messages'] {
  const byPartition = groupBy([...news.values()].flat(), (change) =>
    evaluatorPartition(account, change.profile),
  );
  const messages: Debt['messages'] = [...byPartition].map(([partition, changes]) => ({
    partition,
    message: { kind: 'profiles', account, changes },
  }));
  const at = records[0]?.record.arrivedAt ?? 0;
  for (const { source, target } of resolution.merges) {
    messages.push({
      partition: evaluatorPartition(account, target),
      message: { kind: 'merge', account, source, target, at },
    });
  }
  return messages;
}
