/** Segments with those that they refer to, read once for all partitions of a process: these learn of a segment together. */
import { gathered } from '../runtime/gathered.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { readFamily, type NamedDefinition } from '../storage/mysql/references.ts';

/** The segment, behind those that it refers to, all as they are when it is asked for. Empty: it has been deleted. */
export type ReadFamily = (account: number, segment: number) => Promise<NamedDefinition[]>;

/** Each is a transaction. */
const FAMILIES_AT_ONCE = 10;

export function createReadFamily(mysql: MySql): ReadFamily {
  const read = gathered<{ account: number; segment: number }, NamedDefinition[]>(
    { atOnce: 1, most: FAMILIES_AT_ONCE },
    async (asked) => {
      const different = new Map(asked.map(({ account, segment }) => [segment, account]));
      const families = new Map(
        await Promise.all(
          [...different].map(
            async ([segment, account]) => [segment, await readFamily(mysql, account, [segment])] as const,
          ),
        ),
      );
      return asked.map(({ segment }) => families.get(segment) ?? []);
    },
  );
  return async (account, segment) => (await read([{ account, segment }]))[0] ?? [];
}
