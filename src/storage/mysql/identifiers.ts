/** Whose identifiers are. Multi-row statements are sorted by primary key: unsorted ones deadlock. */
import { sql } from 'drizzle-orm';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Queries } from './connect.ts';
import { compareBytes, insertsOf, pagesOf, valuesOf } from './pages.ts';
import type { identifiers } from './schema.ts';
import { wanted } from './wanted.ts';

export type IdentifierRow = typeof identifiers.$inferSelect;

/** The owners of identifiers, of any accounts. Those that nobody has are absent. */
export async function findIdentifiers(
  db: Queries,
  keys: readonly Omit<IdentifierRow, 'profile'>[],
): Promise<IdentifierRow[]> {
  const found: IdentifierRow[] = [];
  for (const page of pagesOf(keys)) {
    const [rows] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN identifiers.account, identifiers.kind, identifiers.value, identifiers.profile
      FROM ${wanted({ account: 'number', kind: 'number', value: 'text' }, page)}
      JOIN identifiers
        ON identifiers.account = wanted.account
        AND identifiers.kind = wanted.kind
        AND identifiers.value = wanted.value`)) as unknown as [(IdentifierRow & RowDataPacket)[]];
    for (const row of rows) found.push(row);
  }
  return found;
}

/** Claims identifiers that nobody had; returns how many were free. Fewer than given: somebody was faster. */
export async function claimIdentifiers(db: Queries, wanting: readonly IdentifierRow[]): Promise<number> {
  const sorted = [...wanting].sort(
    (a, b) => a.account - b.account || a.kind - b.kind || compareBytes(a.value, b.value),
  );
  let claimed = 0;
  for (const page of insertsOf(sorted)) {
    const rows = page.map(({ account, kind, value, profile }) => [account, kind, value, profile]);
    const [result] = (await db.execute(sql`
      INSERT IGNORE INTO identifiers (account, kind, value, profile)
      VALUES ${valuesOf(rows)}`)) as unknown as [ResultSetHeader];
    claimed += result.affectedRows;
  }
  return claimed;
}

export interface Merge {
  account: number;
  source: number;
  target: number;
}

/**
 * Everything that pointed at the merged profiles points at those they went into. No source is given twice, and none is
 * a target as well.
 */
export async function repointIdentifiers(db: Queries, merges: readonly Merge[]): Promise<void> {
  const sorted = [...merges].sort((a, b) => a.account - b.account || a.source - b.source);
  for (const page of pagesOf(sorted)) {
    await db.execute(sql`
      UPDATE ${wanted({ account: 'number', source: 'number', target: 'number' }, page)}
      STRAIGHT_JOIN identifiers
        ON identifiers.account = wanted.account
        AND identifiers.profile = wanted.source
      SET identifiers.profile = wanted.target`);
  }
}
