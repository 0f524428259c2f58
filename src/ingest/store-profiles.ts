/** What the profiles look like after the records of a group, and what that comes to: rows of ClickHouse and news. */
import type { Value } from '../segments/ast.ts';
import { consentAttribute } from '../segments/paths.ts';
import type { Queries } from '../storage/mysql/connect.ts';
import { repointIdentifiers } from '../storage/mysql/identifiers.ts';
import type { SeenName } from '../storage/mysql/names.ts';
import { lockProfiles, readHeads, writeProfiles, type ProfileRow } from '../storage/mysql/profiles.ts';
import type { ChangeCause } from '../storage/profile-changes.ts';
import {
  attributesOf,
  changedAttributes,
  newProfile,
  showsIdentifiers,
  withMerged,
  withRecord,
} from './apply.ts';
import { changedConsents } from './consents.ts';
import { createHistories, type Histories, type PredictionPoint } from './histories.ts';
import { consentLine, dateLine, dateOf, kindOf, predictionLine, profileLine, traitLine } from './rows.ts';
import { causeOf, Contention, mayTravel, note, type Debt, type Share } from './share.ts';

/** Returns the names of properties that it has met. Throws Contention. */
export async function storeProfiles(db: Queries, shares: readonly Share[], debt: Debt): Promise<SeenName[]> {
  const touched = await touchedProfiles(db, shares);
  const locked = await lockProfiles(db, touched);
  const written: ProfileRow[] = [];
  const seen: SeenName[] = [];
  for (const share of shares) {
    const numbers = touched.get(share.account) ?? new Set();
    if (numbers.size === 0) continue;
    const before = locked.get(share.account) ?? new Map<number, ProfileRow>();
    const { rows, histories } = applyRecords(share, numbers, before);
    const causes = causesOf(share);
    for (const [number, row] of rows) {
      const old = before.get(number);
      const next = { ...row, revision: (old?.revision ?? 0) + 1 };
      written.push(next);
      if (next.mergedInto !== null) {
        debt.profiles.push(profileLine(share.account, number, next.revision, false));
        note(share, { profile: number, cause: 'MERGE', at: share.now, gone: true });
      } else {
        seen.push(...owe(share, old, next, histories.of(number), causes, debt));
      }
    }
  }
  const merges = shares.flatMap(({ account, resolution }) =>
    resolution.merges.map(({ source, target }) => ({ account, source, target })),
  );
  await repointIdentifiers(db, merges);
  await writeProfiles(db, written);
  return seen;
}

/** By account, the profiles whose rows change: new, merged, written to, or shown under another identifier. */
async function touchedProfiles(db: Queries, shares: readonly Share[]): Promise<Map<number, Set<number>>> {
  const touched = new Map<number, Set<number>>();
  const merelyNamed = new Map<number, Set<number>>();
  for (const { account, records, resolution } of shares) {
    const numbers = new Set(resolution.merges.flatMap(({ source, target }) => [source, target]));
    const others = new Set<number>();
    records.forEach(({ record }, i) => {
      const number = resolution.profiles[i] ?? 0;
      if (record.kind !== 'event') numbers.add(number);
      else others.add(number);
    });
    for (const number of numbers) others.delete(number);
    touched.set(account, numbers);
    merelyNamed.set(account, others);
  }
  const heads = await readHeads(db, merelyNamed);
  for (const { account, records, resolution } of shares) {
    const numbers = touched.get(account);
    records.forEach(({ record }, i) => {
      const number = resolution.profiles[i] ?? 0;
      if (numbers?.has(number)) return;
      const head = heads.get(account)?.get(number);
      if (head?.mergedInto != null) throw new Contention('a profile was merged meanwhile');
      if (!head || !showsIdentifiers(head, record.identifiers)) numbers?.add(number);
    });
  }
  return touched;
}

/** The rows of the touched profiles after the records, and what their predictions have been on the way. */
function applyRecords(
  { account, records, resolution, now }: Share,
  touched: ReadonlySet<number>,
  before: ReadonlyMap<number, ProfileRow>,
): { rows: Map<number, ProfileRow>; histories: Histories } {
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
  // New profiles that do not outlive the group.
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
  return { rows, histories };
}

interface Causes {
  of(profile: number): ChangeCause | undefined;
  /** Whether a record gave or withdrew a consent of theirs. */
  isConsenting(profile: number): boolean;
}

function causesOf({ records, resolution }: Share): Causes {
  const causes = new Map<number, ChangeCause>();
  const consenting = new Set<number>();
  records.forEach(({ record }, i) => {
    const number = resolution.profiles[i] ?? 0;
    if (record.kind === 'consent') consenting.add(number);
    // What a consent changes is noted by itself.
    if (record.kind !== 'consent' || !causes.has(number)) causes.set(number, causeOf(record));
  });
  return { of: (profile) => causes.get(profile), isConsenting: (profile) => consenting.has(profile) };
}

/** Of a profile that lives: lines and news of how it has changed. Returns the names of its properties. */
function owe(
  share: Share,
  old: ProfileRow | undefined,
  next: ProfileRow,
  points: readonly PredictionPoint[],
  causes: Causes,
  debt: Debt,
): SeenName[] {
  const { account, now } = share;
  const { number, revision } = next;
  const seen: SeenName[] = [];
  if (!old) debt.profiles.push(profileLine(account, number, revision, true));
  for (const point of points) debt.predictions.push(predictionLine(account, number, revision, point));
  const changed = changedAttributes(old ? attributesOf(old) : new Map<string, Value>(), attributesOf(next));
  for (const { path, value } of changed) {
    const date = dateOf(value);
    debt.traits.push(traitLine(account, number, revision, path, value, date));
    if (date) debt.dates.push(dateLine(account, 0, number, path, date));
    if (value !== null && path.startsWith('properties.')) {
      const name = path.slice('properties.'.length);
      seen.push({ account, metric: 0, path: name, kind: kindOf(value), at: now });
    }
  }
  const consents = changedConsents(old?.consents ?? '{}', next.consents);
  for (const [channel, consent] of consents) {
    debt.traits.push(consentLine(account, number, revision, channel, consent));
    const date = { kind: 'instant', number: consent.time } as const;
    debt.dates.push(dateLine(account, 0, number, consentAttribute(channel), date));
  }
  const values = changed.map(({ path, value }): [string, Value | null] => [path, value]);
  if (!old) {
    const isTold = consents.length === 0 && mayTravel(share, values);
    note(share, {
      profile: number,
      cause: causes.of(number) ?? 'PROFILE',
      at: now,
      whole: true,
      ...(isTold && { created: true, values, revision }),
    });
    return seen;
  }
  if (changed.length > 0 || points.length > 0) {
    // A prediction that went up and down again has changed all the same.
    const attributes = [...new Set([...changed, ...points].map(({ path }) => path))];
    note(share, {
      profile: number,
      cause: causes.of(number) ?? 'MERGE',
      // Evaluated no earlier than its points.
      at: points.reduce((latest, { time }) => Math.max(latest, time), now),
      attributes,
      ...(mayTravel(share, values) && { values, revision }),
    });
  }
  if (consents.length > 0) {
    const attributes = consents.map(([channel]) => consentAttribute(channel));
    const cause = causes.isConsenting(number) ? 'CONSENT' : 'MERGE';
    note(share, { profile: number, cause, at: now, attributes });
  }
  return seen;
}
