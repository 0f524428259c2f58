/** Many rows as few statements, in the order in which they are locked. */
import { sql, type SQL } from 'drizzle-orm';
import { inPages } from '../../runtime/in-pages.ts';

/** With more in one parameter, it could exceed what a server takes in a packet. */
const ROWS_PER_PARAMETER = 5_000;
const ROWS_PER_INSERT = 1_000;

/** As many as travel in one JSON parameter. */
export function pagesOf<Row>(rows: readonly Row[]): Generator<Row[]> {
  return inPages(rows, ROWS_PER_PARAMETER);
}

/** As many as travel as parameters of their own. */
export function insertsOf<Row>(rows: readonly Row[]): Generator<Row[]> {
  return inPages(rows, ROWS_PER_INSERT);
}

/**
 * What stands behind VALUES, as one parameter that the driver writes out: building a statement with a parameter for each
 * value takes several times as long.
 */
export function valuesOf(rows: readonly (readonly (string | number | null)[])[]): SQL {
  return sql`${sql.param(rows)}`;
}

/** The order of utf8mb4_bin, which is the order of the index. */
export function compareBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
