/** The statements that compute first members are known to ClickHouse by a name, which tells how far they are. */
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { shardsOf } from '../storage/clickhouse/shards.ts';

interface Named {
  account: number;
  segment: number;
}

export function populationQuery(clickhouse: ClickHouse, named: Named, run: string): string {
  return `${prefixOf(clickhouse, named)}${run}`;
}

/** Of the rows that are to be read, the part that has been, from 0 to 1; null: none is being computed. */
export async function readProgress(clickhouse: ClickHouse, named: Named): Promise<number | null> {
  const rows = await Promise.all(
    shardsOf(clickhouse).map((shard) =>
      query<{ read: string; total: string }>(
        shard,
        `SELECT sum(read_rows) AS read, sum(greatest(total_rows_approx, read_rows)) AS total
         FROM system.processes
         WHERE startsWith(query_id, {prefix:String})`,
        { prefix: prefixOf(shard, named) },
      ),
    ),
  );
  const sumOf = (column: 'read' | 'total') => rows.flat().reduce((sum, row) => sum + Number(row[column]), 0);
  return sumOf('total') === 0 ? null : sumOf('read') / sumOf('total');
}

/** Several installations may share a server. */
function prefixOf({ database }: ClickHouse, { account, segment }: Named): string {
  return `population-${database}-${account}-${segment}-`;
}
