/** `--dry-run`: the import without a server, to look at a mapping's result. */
import { batchesOf, newCounts } from './batches.ts';
import { readRows } from './import.ts';
import { openInput } from './input.ts';
import { createMapper } from './mapper.ts';
import type { Mapping } from './mapping.ts';
import { count } from './progress.ts';

/** Items shown of each metric, and rejected rows shown. */
const SHOWN = 2;
const SHOWN_REJECTS = 5;

/** The exit code: 1 where rows are rejected. */
export async function printDryRun(path: string, mapping: Mapping, backfill: boolean): Promise<number> {
  const counts = newCounts();
  const shown = new Map<string, number>();
  let shownRejects = 0;
  const input = await openInput(path);
  for await (const batch of batchesOf(
    readRows(input, mapping),
    createMapper(mapping, { backfill }),
    counts,
  )) {
    for (const item of batch.items) {
      const before = shown.get(item.label) ?? 0;
      if (before >= SHOWN) continue;
      shown.set(item.label, before + 1);
      console.log(item.json);
    }
    for (const reject of batch.rejects) {
      if (shownRejects++ < SHOWN_REJECTS) console.error(`line ${reject.line}: ${reject.reason}`);
    }
  }
  console.log(`\n${count(counts.rows)} rows`);
  for (const [label, n] of counts.items) console.log(`${count(n).padStart(9)}  ${label}`);
  for (const [reason, n] of counts.skipped) console.log(`${count(n).padStart(9)}  not imported: ${reason}`);
  console.log(`${count(counts.rejected).padStart(9)}  rejected`);
  return counts.rejected > 0 ? 1 : 0;
}
