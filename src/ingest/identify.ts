/**
 * Who a write is about. Deterministic: two identifiers in one write say that they are one person, always and for
 * ever. The profile of the strongest identifier (id, externalId, email, phone, anonymousId) stays, the others go into it.
 *
 * Pure: works on what was read from MySQL and says what has to be written.
 */
import type { Identifiers } from './records.ts';

/** Kinds as they are stored, strongest first; a profile's own number is stronger than all of them. */
export const KINDS = { externalId: 1, email: 2, phone: 3, anonymousId: 4 } as const;
export type Kind = (typeof KINDS)[keyof typeof KINDS];

export interface IdentifierKey {
  kind: Kind;
  value: string;
}

export interface Resolution {
  /** Per write, the profile it is about in the end. Negative numbers stand for new profiles: -1, -2, … */
  profiles: number[];
  /** Per write, the profile it was about when its turn came, and those that went into that one because of it. */
  turns: { profile: number; sources: number[] }[];
  /** How many new profiles there are. */
  created: number;
  /** Identifiers seen for the first time. */
  claimed: (IdentifierKey & { profile: number })[];
  /** Which profile went into which; a target is never a source as well. */
  merges: { source: number; target: number }[];
}

export function keysOf(identifiers: Identifiers): IdentifierKey[] {
  return (Object.keys(KINDS) as (keyof typeof KINDS)[]).flatMap((name) => {
    const value = identifiers[name];
    return value === undefined ? [] : [{ kind: KINDS[name], value }];
  });
}

export function keyText(key: IdentifierKey): string {
  return `${key.kind}:${key.value}`;
}

/**
 * `known` maps the text of a key to its profile; `standing` maps a profile number that writes name directly to the
 * profile it has been merged into by now (itself, if it has not).
 */
export function resolveIdentities(
  writes: readonly Identifiers[],
  known: ReadonlyMap<string, number>,
  standing: ReadonlyMap<number, number>,
): Resolution {
  const owner = new Map(known);
  const mergedInto = new Map<number, number>();
  const claimed: Resolution['claimed'] = [];
  const merges: Resolution['merges'] = [];
  let created = 0;

  const current = (profile: number): number => {
    let at = profile;
    for (let next = mergedInto.get(at); next !== undefined; next = mergedInto.get(at)) at = next;
    return at;
  };

  const turns = writes.map((identifiers) => {
    const keys = keysOf(identifiers);
    const named = identifiers.number === undefined ? undefined : standing.get(identifiers.number);
    const found = [named, ...keys.map((key) => owner.get(keyText(key)))]
      .filter((profile) => profile !== undefined)
      .map(current);
    const target = found[0] ?? -++created;
    const sources = [...new Set(found)].filter((source) => source !== target);
    for (const source of sources) {
      mergedInto.set(source, target);
      merges.push({ source, target });
    }
    for (const key of keys) {
      if (owner.has(keyText(key))) continue;
      owner.set(keyText(key), target);
      claimed.push({ ...key, profile: target });
    }
    return { profile: target, sources };
  });

  return {
    profiles: turns.map(({ profile }) => current(profile)),
    turns,
    created,
    claimed: claimed.map((key) => ({ ...key, profile: current(key.profile) })),
    merges: merges.map(({ source, target }) => ({ source, target: current(target) })),
  };
}
