/** Reads the histories of profiles, for all partitions of a process together. */
import { gathered } from '../runtime/gathered.ts';
import { inPages } from '../runtime/in-pages.ts';
import type { ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { goneProfiles } from '../storage/mysql/profiles.ts';
import { readKnown, someLookAtProperties, type KnownFacts, type Wanted } from './read-known.ts';

/** What the stores say of profiles, in the order of those asked about. */
export type ReadHistories = (wanted: readonly Wanted[]) => Promise<(KnownFacts & { gone: boolean })[]>;

export interface Stores {
  clickhouse: ClickHouse;
  mysql: MySql;
}

/**
 * Profiles whose histories one statement reads. The more, the less each costs: people of the same granules of ClickHouse
 * are read together. Properties may be long, and the answer is held in memory.
 */
const HISTORIES_PER_QUERY = 1_000;
const WITH_PROPERTIES_PER_QUERY = 300;
const QUERIES_AT_ONCE = 2;
/**
 * For all partitions of a process: what they ask while a statement is under way goes together in the next one.
 * `eventsPerProfile`: whoever has more has `events` null.
 */
export function createHistories({ clickhouse, mysql }: Stores, eventsPerProfile: number): ReadHistories {
  return gathered(
    { atOnce: QUERIES_AT_ONCE, most: HISTORIES_PER_QUERY },
    async (wanted: readonly Wanted[]) => {
      const size = someLookAtProperties(wanted) ? WITH_PROPERTIES_PER_QUERY : HISTORIES_PER_QUERY;
      const reading = async () => {
        const read: KnownFacts[] = [];
        for (const page of inPages(wanted, size)) {
          read.push(...(await readKnown(clickhouse, page, eventsPerProfile)));
        }
        return read;
      };
      const [read, gone] = await Promise.all([reading(), goneProfiles(mysql.db, numbersOf(wanted))]);
      return read.map((facts, i) => {
        const { account = 0, profile = 0 } = wanted[i] ?? {};
        return { ...facts, gone: gone.get(account)?.has(profile) === true };
      });
    },
  );
}

/** The numbers of profiles by account. */
export function numbersOf(places: readonly { account: number; profile: number }[]): Map<number, Set<number>> {
  const numbers = new Map<number, Set<number>>();
  for (const { account, profile } of places) {
    const of = numbers.get(account) ?? new Set();
    numbers.set(account, of.add(profile));
  }
  return numbers;
}
