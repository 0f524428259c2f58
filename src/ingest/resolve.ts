/** Who the records of a group are about, account by account: with new profiles numbered and new identifiers claimed. */
import { groupBy } from '../runtime/group-by.ts';
import type { Queries } from '../storage/mysql/connect.ts';
import { claimIdentifiers, findIdentifiers } from '../storage/mysql/identifiers.ts';
import { readMergedOf } from '../storage/mysql/profiles.ts';
import { keysOf, keyText, resolveIdentities, type Resolution } from './identify.ts';
import { Contention, type Placed, type Share } from './share.ts';

/** Reserves that many profile numbers of each account and returns the first of each. */
export type Reserve = (counts: ReadonlyMap<number, number>) => Promise<Map<number, number>>;

/** In the order of the accounts' numbers. Throws Contention. */
export async function resolve(reserve: Reserve, db: Queries, records: readonly Placed[]): Promise<Share[]> {
  const byAccount = [...groupBy(records, ({ record }) => record.account)].sort(([a], [b]) => a - b);
  const asked = byAccount.map(([account, own]) => {
    const writes = own.map(({ record }) => record.identifiers);
    const keys = new Map(writes.flatMap(keysOf).map((key) => [keyText(key), { account, ...key }]));
    const named = new Set(writes.flatMap((identifiers) => identifiers.number ?? []));
    return { account, own, writes, keys, named };
  });
  const owned = await findIdentifiers(
    db,
    asked.flatMap(({ keys }) => [...keys.values()]),
  );
  const ownedBy = groupBy(owned, ({ account }) => account);
  const merged = await readMergedOf(db, new Map(asked.map(({ account, named }) => [account, named])));

  const shares = asked.map(({ account, own, writes, named }): Share => {
    const known = new Map(
      (ownedBy.get(account) ?? []).map((row) => [`${row.kind}:${row.value}`, row.profile]),
    );
    const standing = new Map(
      [...named].map((number) => [number, merged.get(account)?.get(number) ?? number]),
    );
    return {
      account,
      records: own,
      now: own.reduce((latest, { record }) => Math.max(latest, record.arrivedAt), -Infinity),
      resolution: resolveIdentities(writes, known, standing),
      news: new Map(),
    };
  });
  await numberNew(reserve, shares);
  const claimed = shares.flatMap(({ account, resolution }) =>
    resolution.claimed.map(({ kind, value, profile }) => ({ account, kind, value, profile })),
  );
  if ((await claimIdentifiers(db, claimed)) < claimed.length)
    throw new Contention('an identifier was claimed meanwhile');
  return shares;
}

async function numberNew(reserve: Reserve, shares: readonly Share[]): Promise<void> {
  const creating = shares.filter(({ resolution }) => resolution.created > 0);
  if (creating.length === 0) return;
  const firsts = await reserve(
    new Map(creating.map(({ account, resolution }) => [account, resolution.created])),
  );
  for (const share of creating) {
    const first = firsts.get(share.account);
    if (first === undefined) throw new Error(`no numbers were reserved for account ${share.account}`);
    share.resolution = numbered(share.resolution, first);
  }
}

function numbered(resolution: Resolution, first: number): Resolution {
  const { profiles, turns, created, claimed, merges } = resolution;
  const number = (profile: number) => (profile < 0 ? first - profile - 1 : profile);
  return {
    profiles: profiles.map(number),
    turns: turns.map(({ profile, sources }) => ({ profile: number(profile), sources: sources.map(number) })),
    created,
    claimed: claimed.map((key) => ({ ...key, profile: number(key.profile) })),
    merges: merges
      // A profile that begins and ends in this very group has never been anywhere else.
      .filter(({ source }) => source >= 0)
      .map(({ source, target }) => ({ source, target: number(target) })),
  };
}
