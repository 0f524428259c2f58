/**
 * Records into MySQL, in one transaction: who they are about, which events are new, what the profiles look like
 * afterwards, how far their partitions have been taken, and exactly which rows ClickHouse is owed. A crash leaves all of
 * it or nothing, so that a replay neither repeats anything nor cuts it anew.
 */
import { groupBy } from '../runtime/group-by.ts';
import type { Value } from '../segments/ast.ts';
import { flatten } from '../segments/flatten.ts';
import { consentAttribute } from '../segments/paths.ts';
import type { Queries } from '../storage/mysql/connect.ts';
import { claimEventIds } from '../storage/mysql/event-ids.ts';
import type { NameRegistry, SeenName } from '../storage/mysql/names.ts';
import {
  claimIdentifiers,
  findIdentifiers,
  lockProfiles,
  readHeads,
  readMerged,
  repointIdentifiers,
  writeProfiles,
  type ProfileRow,
} from '../storage/mysql/profiles.ts';
import { evaluatorPartition } from '../storage/topics.ts';
import type { ChangeCause, ProfileChange, ProfileChangeMessage } from '../storage/profile-changes.ts';
import {
  attributesOf,
  changedAttributes,
  newProfile,
  showsIdentifiers,
  withMerged,
  withRecord,
} from './apply.ts';
import { changedConsents } from './consents.ts';
import { createHistories } from './histories.ts';
import { keysOf, keyText, resolveIdentities, type Resolution } from './identify.ts';
import type { EventRecord, IngestRecord } from './records.ts';
import {
  consentLine,
  dateLine,
  dateOf,
  datesIn,
  eventKey,
  eventLine,
  futureEventLine,
  kindOf,
  predictionLine,
  profileLine,
  traitLine,
  uuidOf,
} from './rows.ts';

const CONTENT_CHARACTERS = 2_000;
/** Records of an account in one batch: of more, evaluators ask ClickHouse anyway. */
const TOLD_RECORDS = 1_000;

/** What a batch owes after its transaction. Written down inside of it. */
export interface Debt {
  events: string[];
  futureEvents: string[];
  dates: string[];
  traits: string[];
  predictions: string[];
  profiles: string[];
  messages: { partition: number; message: ProfileChangeMessage }[];
  /** Profiles that got events, per account: whoever was merged meanwhile has to bring them along. */
  withEvents: [account: number, profiles: number[]][];
  duplicates: number;
}

export interface StoreDeps {
  names: NameRegistry;
  /** Reserves that many profile numbers of an account and returns the first. */
  reserve(account: number, count: number): Promise<number>;
}

export interface Placed {
  record: IngestRecord;
  /** Where it lies in the log. */
  stream: number;
  partition: number;
  offset: number;
}

/** Somebody else wrote what this transaction was about to write: roll back and run the batch again. */
export class Contention extends Error {}

/** The effects of records, in their order, inside the caller's transaction. Throws Contention. */
export async function storeRecords(deps: StoreDeps, db: Queries, records: Placed[]): Promise<Debt> {
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
  const byAccount = groupBy(records, ({ record }) => record.account);
  // In the order of their numbers, so that two transactions never wait for one another crosswise.
  for (const account of [...byAccount.keys()].sort((a, b) => a - b)) {
    await storeAccount(deps, db, account, byAccount.get(account) ?? [], debt);
  }
  return debt;
}

async function storeAccount(
  deps: StoreDeps,
  db: Queries,
  account: number,
  records: Placed[],
  debt: Debt,
): Promise<void> {
  const resolution = await resolve(deps, db, account, records);
  const changes = new Map<number, ProfileChange[]>();
  const note = (change: ProfileChange) => {
    const list = changes.get(change.profile);
    if (list) list.push(change);
    else changes.set(change.profile, [change]);
  };
  await storeProfiles(deps, db, account, records, resolution, debt, note);
  await storeEvents(deps, db, account, records, resolution, debt, note);
  const byPartition = groupBy([...changes.values()].flat(), (change) =>
    evaluatorPartition(account, change.profile),
  );
  for (const [partition, list] of byPartition) {
    debt.messages.push({ partition, message: { kind: 'profiles', account, changes: list } });
  }
  for (const { source, target } of resolution.merges) {
    const at = records[0]?.record.arrivedAt ?? 0;
    debt.messages.push({
      partition: evaluatorPartition(account, target),
      message: { kind: 'merge', account, source, target, at },
    });
  }
}

/** Identities of the records, with new profiles numbered and new identifiers claimed. */
async function resolve(
  deps: StoreDeps,
  db: Queries,
  account: number,
  records: Placed[],
): Promise<Resolution> {
  const writes = records.map(({ record }) => record.identifiers);
  const keys = new Map(writes.flatMap(keysOf).map((key) => [keyText(key), key]));
  const owned = await findIdentifiers(db, account, [...keys.values()]);
  const known = new Map(owned.map((row) => [`${row.kind}:${row.value}`, row.profile]));
  const named = writes.flatMap((identifiers) => identifiers.number ?? []);
  const merged = await readMerged(db, account, named);
  const standing = new Map(named.map((number) => [number, merged.get(number) ?? number]));

  const resolution = resolveIdentities(writes, known, standing);
  if (resolution.created > 0) {
    const first = await deps.reserve(account, resolution.created);
    const numbered = (profile: number) => (profile < 0 ? first - profile - 1 : profile);
    resolution.profiles = resolution.profiles.map(numbered);
    resolution.turns = resolution.turns.map(({ profile, sources }) => ({
      profile: numbered(profile),
      sources: sources.map(numbered),
    }));
    resolution.claimed = resolution.claimed.map((key) => ({ ...key, profile: numbered(key.profile) }));
    resolution.merges = resolution.merges
      // A profile that begins and ends in this very batch has never been anywhere else.
      .filter(({ source }) => source >= 0)
      .map(({ source, target }) => ({ source, target: numbered(target) }));
  }
  if (resolution.claimed.length > 0) {
    const rows = resolution.claimed.map(({ kind, value, profile }) => ({ account, kind, value, profile }));
    if ((await claimIdentifiers(db, rows)) < rows.length)
      throw new Contention('an identifier was claimed meanwhile');
  }
  return resolution;
}

async function storeProfiles(
  deps: StoreDeps,
  db: Queries,
  account: number,
  records: Placed[],
  resolution: Resolution,
  debt: Debt,
  note: (change: ProfileChange) => void,
): Promise<void> {
  const touched = await touchedProfiles(db, account, records, resolution);
  if (touched.size === 0) return;
  const before = await lockProfiles(db, account, [...touched]);
  const now = Math.max(...records.map(({ record }) => record.arrivedAt));
  const rows = new Map<number, ProfileRow>();
  for (const number of touched) {
    const row = before.get(number);
    if (row?.mergedInto != null) throw new Contention('a profile was merged meanwhile');
    rows.set(number, row ?? newProfile(account, number, now));
  }
  const rowOf = (number: number): ProfileRow => {
    const row = rows.get(number);
    if (!row) throw new Error(`profile ${number} was not locked`);
    return row;
  };
  // New profiles that do not outlive the batch.
  const passing = new Set(
    resolution.turns
      .filter(({ profile }, i) => profile !== resolution.profiles[i] && !touched.has(profile))
      .map(({ profile }) => profile),
  );
  for (const number of passing) rows.set(number, newProfile(account, number, now));
  const histories = createHistories(before);
  // In the order of the records, so that it makes no difference where a batch was cut.
  records.forEach(({ record }, i) => {
    const { profile, sources } = resolution.turns[i] ?? { profile: 0, sources: [] };
    const earlier = rows.get(profile);
    if (!earlier) return;
    for (const source of sources) {
      rows.set(profile, withMerged(rowOf(profile), rowOf(source), now));
      rows.set(source, {
        ...rowOf(source),
        mergedInto: resolution.profiles[i] ?? profile,
        updatedAt: now,
      });
    }
    const later = withRecord(rowOf(profile), record);
    rows.set(profile, later);
    histories.note(earlier, later, record.arrivedAt);
  });
  for (const number of passing) rows.delete(number);
  for (const { source, target } of resolution.merges) {
    await repointIdentifiers(db, account, source, target);
  }

  const seen: SeenName[] = [];
  const causes = new Map<number, ChangeCause>();
  records.forEach(({ record }, i) => {
    const number = resolution.profiles[i] ?? 0;
    // What a consent changes is noted by itself, below.
    if (record.kind !== 'consent' || !causes.has(number)) causes.set(number, causeOf(record));
  });
  const consenting = new Set(
    records.flatMap(({ record }, i) => (record.kind === 'consent' ? [resolution.profiles[i]] : [])),
  );
  const written: ProfileRow[] = [];
  for (const [number, row] of rows) {
    const old = before.get(number);
    const next = { ...row, revision: (old?.revision ?? 0) + 1 };
    written.push(next);
    const alive = next.mergedInto === null;
    if (!old || !alive) debt.profiles.push(profileLine(account, number, next.revision, alive));
    const changed = alive
      ? changedAttributes(old ? attributesOf(old) : new Map<string, Value>(), attributesOf(next))
      : [];
    const points = alive ? histories.of(number) : [];
    for (const point of points) {
      debt.predictions.push(predictionLine(account, number, next.revision, point));
    }
    for (const { path, value } of changed) {
      const date = dateOf(value);
      debt.traits.push(traitLine(account, number, next.revision, path, value, date));
      if (date) debt.dates.push(dateLine(account, 0, number, path, date));
      if (value !== null && path.startsWith('properties.')) {
        seen.push({ account, metric: 0, path: path.slice('properties.'.length), kind: kindOf(value) });
      }
    }
    const consents = alive ? changedConsents(old?.consents ?? '{}', next.consents) : [];
    for (const [channel, consent] of consents) {
      debt.traits.push(consentLine(account, number, next.revision, channel, consent));
      const date = { kind: 'instant', number: consent.time } as const;
      debt.dates.push(dateLine(account, 0, number, consentAttribute(channel), date));
    }
    const values = changed.map(({ path, value }): [string, Value | null] => [path, value]);
    if (!alive) note({ profile: number, cause: 'MERGE', at: now, gone: true });
    else if (!old) {
      const isTold = consents.length === 0 && mayTravel(values, records);
      note({
        profile: number,
        cause: causes.get(number) ?? 'PROFILE',
        at: now,
        whole: true,
        ...(isTold && { created: true, values, revision: next.revision }),
      });
    } else {
      if (changed.length > 0 || points.length > 0) {
        // A prediction that went up and down again has changed all the same.
        const attributes = [...new Set([...changed, ...points].map(({ path }) => path))];
        note({
          profile: number,
          cause: causes.get(number) ?? 'MERGE',
          // Evaluated no earlier than its points.
          at: points.reduce((latest, { time }) => Math.max(latest, time), now),
          attributes,
          ...(mayTravel(values, records) && { values, revision: next.revision }),
        });
      }
      if (consents.length > 0) {
        const attributes = consents.map(([channel]) => consentAttribute(channel));
        note({ profile: number, cause: consenting.has(number) ? 'CONSENT' : 'MERGE', at: now, attributes });
      }
    }
  }
  await writeProfiles(db, written);
  await deps.names.registerProperties(seen, now);
}

/** The profiles whose rows this batch changes: new, merged, written to, or shown under another identifier. */
async function touchedProfiles(
  db: Queries,
  account: number,
  records: Placed[],
  resolution: Resolution,
): Promise<Set<number>> {
  const touched = new Set(resolution.merges.flatMap(({ source, target }) => [source, target]));
  const merelyNamed: number[] = [];
  records.forEach(({ record }, i) => {
    const number = resolution.profiles[i] ?? 0;
    if (record.kind !== 'event') touched.add(number);
    else merelyNamed.push(number);
  });
  const heads = await readHeads(
    db,
    account,
    [...new Set(merelyNamed)].filter((number) => !touched.has(number)),
  );
  records.forEach(({ record }, i) => {
    const number = resolution.profiles[i] ?? 0;
    if (touched.has(number)) return;
    const head = heads.get(number);
    if (head?.mergedInto != null) throw new Contention('a profile was merged meanwhile');
    if (!head || !showsIdentifiers(head, record.identifiers)) touched.add(number);
  });
  return touched;
}

async function storeEvents(
  deps: StoreDeps,
  db: Queries,
  account: number,
  records: Placed[],
  resolution: Resolution,
  debt: Debt,
  note: (change: ProfileChange) => void,
): Promise<void> {
  const arrivals = new Map<string, { event: EventRecord; key: Buffer; from: Placed; profile: number }>();
  records.forEach((from, i) => {
    const { record } = from;
    if (record.kind !== 'event') return;
    const key = eventKey(record.uniqueId);
    const hex = key.toString('hex');
    if (arrivals.has(hex)) debt.duplicates += 1;
    else arrivals.set(hex, { event: record, key, from, profile: resolution.profiles[i] ?? 0 });
  });
  if (arrivals.size === 0) return;
  const first = await claimEventIds(
    db,
    account,
    [...arrivals].map(
      ([
        id,
        {
          from: { stream, partition, offset },
        },
      ]) => ({ id, stream, partition, offset }),
    ),
  );
  debt.duplicates += arrivals.size - first.size;
  const fresh = [...arrivals].filter(([hex]) => first.has(hex)).map(([, arrival]) => arrival);
  const now = Math.max(...records.map(({ record }) => record.arrivedAt));
  const metrics = await deps.names.metricIds(account, new Set(fresh.map(({ event }) => event.metric)), now);
  const seen: SeenName[] = [];
  for (const { event, key, profile } of fresh) {
    const metric = metrics.get(event.metric);
    if (metric === undefined) throw new Error('a metric could not be registered');
    const properties = flatten(event.properties);
    for (const [path, value] of properties) seen.push({ account, metric, path, kind: kindOf(value) });
    const id = uuidOf(key);
    const content = { value: event.value, properties: [...properties] };
    const dates = datesIn(properties);
    debt.events.push(eventLine(event, { event: id, metric, profile }, properties, dates));
    for (const [path, date] of dates) debt.dates.push(dateLine(account, metric, profile, path, date));
    if (event.time > event.arrivedAt) debt.futureEvents.push(futureEventLine(event, metric, profile));
    note({
      profile,
      cause: causeOf(event),
      at: event.arrivedAt,
      metric: event.metric,
      event: { id, time: event.time, metric },
      ...(mayTravel(content, records) && { content }),
    });
  }
  await deps.names.registerProperties(seen, now);
  debt.withEvents.push([account, [...new Set(fresh.map(({ profile }) => profile))]]);
}

/** Whether it may travel with the news: what is long, or one of very many, is read where it is needed. */
function mayTravel(content: unknown, records: readonly Placed[]): boolean {
  return records.length <= TOLD_RECORDS && JSON.stringify(content).length <= CONTENT_CHARACTERS;
}

function causeOf(record: IngestRecord): ChangeCause {
  if (record.kind !== 'event') return record.kind === 'profile' ? 'PROFILE' : 'CONSENT';
  return record.backfill ? 'BACKFILL' : 'EVENT';
}
