/** Which arrival of an event was the first. */
import { sql } from 'drizzle-orm';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Queries } from './connect.ts';
import { pagesOf } from './pages.ts';

export interface Arrival {
  account: number;
  /** 32 hexadecimal digits. */
  id: string;
  /** Where its record lies in the log. */
  stream: number;
  partition: number;
  offset: number;
}

/**
 * Writes down arrivals and returns those whose ids had not arrived before in their accounts. `arrivals` must not repeat
 * an id of an account. The rows travel as one JSON parameter: thousands of single ones cost more than the work itself.
 */
export async function claimEventIds<One extends Arrival>(
  db: Queries,
  arrivals: readonly One[],
): Promise<One[]> {
  const first: One[] = [];
  for (const page of pagesOf(arrivals)) {
    const values = page.map(({ account, id, stream, partition, offset }) => [
      account,
      id,
      stream,
      partition,
      offset,
    ]);
    const rows = sql`JSON_TABLE(
      ${JSON.stringify(values)},
      '$[*]' COLUMNS (
        position FOR ORDINALITY,
        account INT UNSIGNED PATH '$[0]',
        id CHAR(32) PATH '$[1]',
        stream TINYINT UNSIGNED PATH '$[2]',
        partition_no SMALLINT UNSIGNED PATH '$[3]',
        record_offset BIGINT UNSIGNED PATH '$[4]'
      )
    ) AS arrivals`;
    // In the order of the primary key: two writers then wait for one another, but never crosswise.
    const [result] = (await db.execute(sql`
      INSERT IGNORE INTO event_ids (account, id, stream, partition_no, record_offset)
      SELECT account, UNHEX(id), stream, partition_no, record_offset
      FROM ${rows}
      ORDER BY account, id`)) as unknown as [ResultSetHeader];
    if (result.affectedRows === page.length) {
      first.push(...page);
      continue;
    }
    const [mine] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN arrivals.position
      FROM ${rows}
      JOIN event_ids ON event_ids.account = arrivals.account AND event_ids.id = UNHEX(arrivals.id)
      WHERE event_ids.stream = arrivals.stream
        AND event_ids.partition_no = arrivals.partition_no
        AND event_ids.record_offset = arrivals.record_offset`)) as unknown as [RowDataPacket[]];
    const positions = new Set(mine.map((row) => Number(row['position'])));
    first.push(...page.filter((_, i) => positions.has(i + 1)));
  }
  return first;
}
