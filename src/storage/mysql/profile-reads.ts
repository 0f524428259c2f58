/** Reading profiles. Whoever was merged is answered with the profile they went into. */
import { and, asc, eq, gt, inArray, isNull } from 'drizzle-orm';
import type { Queries } from './connect.ts';
import { findIdentifiers } from './identifiers.ts';
import { readMerged, type ProfileRow } from './profiles.ts';
import { identifiers, profiles } from './schema.ts';

export type { ProfileRow } from './profiles.ts';

const ANONYMOUS_ID = 4;

/** By the numbers asked for; those that do not exist are absent. */
export async function readProfiles(
  db: Queries,
  account: number,
  numbers: readonly number[],
): Promise<Map<number, ProfileRow>> {
  const found = await rowsOf(db, account, [...numbers]);
  const merged = [...found.values()].filter((row) => row.mergedInto !== null).map((row) => row.number);
  if (merged.length === 0) return found;
  const targets = await readMerged(db, account, merged);
  const survivors = await rowsOf(db, account, [...new Set(targets.values())]);
  for (const [number, target] of targets) {
    const row = survivors.get(target);
    if (row) found.set(number, row);
  }
  return found;
}

async function rowsOf(db: Queries, account: number, numbers: number[]): Promise<Map<number, ProfileRow>> {
  if (numbers.length === 0) return new Map();
  const rows = await db
    .select()
    .from(profiles)
    .where(and(eq(profiles.account, account), inArray(profiles.number, numbers)));
  return new Map(rows.map((row) => [row.number, row]));
}

/** The number of the profile that has this identifier (kinds as in `identifiers`), or null. */
export async function findProfile(
  db: Queries,
  account: number,
  kind: number,
  value: string,
): Promise<number | null> {
  const rows = await findIdentifiers(db, [{ account, kind, value }]);
  return rows[0]?.profile ?? null;
}

/** Living profiles in the order of their numbers. */
export function listProfiles(
  db: Queries,
  account: number,
  after: number | null,
  limit: number,
): Promise<ProfileRow[]> {
  return db
    .select()
    .from(profiles)
    .where(
      and(
        eq(profiles.account, account),
        isNull(profiles.mergedInto),
        after === null ? undefined : gt(profiles.number, after),
      ),
    )
    .orderBy(asc(profiles.number))
    .limit(limit);
}

/** The anonymous ids of each profile; profiles without any are absent. */
export async function readAnonymousIds(
  db: Queries,
  account: number,
  numbers: readonly number[],
): Promise<Map<number, string[]>> {
  const rows = await db
    .select({ profile: identifiers.profile, value: identifiers.value })
    .from(identifiers)
    .where(
      and(
        eq(identifiers.account, account),
        inArray(identifiers.profile, [...numbers]),
        eq(identifiers.kind, ANONYMOUS_ID),
      ),
    )
    .orderBy(asc(identifiers.value));
  const found = new Map<number, string[]>();
  for (const { profile, value } of rows) found.set(profile, [...(found.get(profile) ?? []), value]);
  return found;
}
