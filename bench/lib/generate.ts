/** What the generators of data share: ClickHouse makes the rows itself, the same at every run. */
import { statfsSync } from 'node:fs';
import pLimit from 'p-limit';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';

export const DAY_MS = 86_400_000;

/** For a statement that makes many rows. */
export const LONG = { timeoutSeconds: 600 };

/** From 0 to 1, different for each number and purpose. */
export const chance = (purpose: string, of = 'n') =>
  `(sipHash64(${of}, '${purpose}') / 18446744073709551616.)`;

export const numbers = 'SELECT number AS n FROM numbers({from:UInt64}, {count:UInt64})';

/** The earlier ones much more often than the later ones. */
export const skewed = (purpose: string, values: readonly string[]) =>
  `[${values.map((value) => `'${value}'`).join(', ')}][1 + toUInt32(floor(${values.length} * pow(${chance(purpose)}, 2)))]`;

/** `together`: so many inserts at once; of sorted rows each takes one thread. */
export async function inSlices(
  total: number,
  perSlice: number,
  insert: (from: number, count: number) => Promise<void>,
  together = 1,
): Promise<void> {
  const limit = pLimit(together);
  const slices = Array.from({ length: Math.ceil(total / perSlice) }, (_, i) => i * perSlice);
  await Promise.all(slices.map((from) => limit(() => insert(from, Math.min(perSlice, total - from)))));
}

/** Merges in the background would be measured too. */
export async function untilMerged(clickhouse: ClickHouse, withinMs = 300_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (let quiet = 0; quiet < 10 && performance.now() < deadline;) {
    const [row] = await query<{ merges: string }>(clickhouse, 'SELECT count() AS merges FROM system.merges');
    quiet = row?.merges === '0' ? quiet + 1 : 0;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

/** Throws when the disk of `folder` has less room than that. */
export function needRoom(folder: string, bytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const gb = (size: number) => (size / 1e9).toFixed(1);
  if (bavail * bsize < bytes) {
    throw new Error(
      `This needs about ${gb(bytes)} GB in ${folder}, where ${gb(bavail * bsize)} GB are free. ` +
        'Choose fewer --profiles and --events.',
    );
  }
}
