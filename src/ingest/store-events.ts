/** Which events are new, and what they come to: rows of ClickHouse, names, and news. */
import { flatten } from '../segments/flatten.ts';
import type { Queries } from '../storage/mysql/connect.ts';
import { claimEventIds, type Arrival } from '../storage/mysql/event-ids.ts';
import type { NameRegistry, SeenName } from '../storage/mysql/names.ts';
import type { EventRecord } from './records.ts';
import { dateLine, datesIn, eventKey, eventLine, futureEventLine, kindOf, uuidOf } from './rows.ts';
import { causeOf, mayTravel, note, type Debt, type Share } from './share.ts';

interface EventArrival extends Arrival {
  share: Share;
  event: EventRecord;
  key: Buffer;
  profile: number;
}

/** Returns the names of properties that it has met. */
export async function storeEvents(
  names: NameRegistry,
  db: Queries,
  shares: readonly Share[],
  debt: Debt,
): Promise<SeenName[]> {
  const arrivals = shares.flatMap((share) => arrivalsOf(share, debt));
  if (arrivals.length === 0) return [];
  const fresh = await claimEventIds(db, arrivals);
  debt.duplicates += arrivals.length - fresh.length;
  const seen: SeenName[] = [];
  const used = new Map<number, { names: Set<string>; at: number }>();
  const withEvents = new Map(arrivals.map(({ account }) => [account, new Set<number>()]));
  for (const { account, share, event, profile } of fresh) {
    const own = used.get(account) ?? { names: new Set(), at: share.now };
    used.set(account, own);
    own.names.add(event.metric);
    withEvents.get(account)?.add(profile);
  }
  const metrics = await names.metricIds(used);
  for (const { account, share, event, key, profile } of fresh) {
    const metric = metrics.get(account)?.get(event.metric);
    if (metric === undefined) throw new Error('a metric could not be registered');
    const properties = flatten(event.properties);
    for (const [path, value] of properties)
      seen.push({ account, metric, path, kind: kindOf(value), at: share.now });
    const id = uuidOf(key);
    const content = { value: event.value, properties: [...properties] };
    const dates = datesIn(properties);
    debt.events.push(eventLine(event, { event: id, metric, profile }, properties, dates));
    for (const [path, date] of dates) debt.dates.push(dateLine(account, metric, profile, path, date));
    if (event.time > event.arrivedAt) debt.futureEvents.push(futureEventLine(event, metric, profile));
    note(share, {
      profile,
      cause: causeOf(event),
      at: event.arrivedAt,
      metric: event.metric,
      event: { id, time: event.time, metric },
      ...(mayTravel(share, content) && { content }),
    });
  }
  for (const [account, profiles] of withEvents) debt.withEvents.push([account, [...profiles]]);
  return seen;
}

/** Of events that repeat within the share only the first, in their order. */
function arrivalsOf(share: Share, debt: Debt): EventArrival[] {
  const { account, records, resolution } = share;
  const arrivals = new Map<string, EventArrival>();
  records.forEach(({ record, stream, partition, offset }, i) => {
    if (record.kind !== 'event') return;
    const key = eventKey(record.uniqueId);
    const id = key.toString('hex');
    if (arrivals.has(id)) debt.duplicates += 1;
    else {
      const profile = resolution.profiles[i] ?? 0;
      arrivals.set(id, { account, id, stream, partition, offset, share, event: record, key, profile });
    }
  });
  return [...arrivals.values()];
}
