/** Which arrival of an event was the first. */
import { sql } from 'drizzle-orm';
import type { ResultSetHeader, RowDataPacket } from 'mysql2/promise';
import type { Queries } from './connect.ts';

export interface Arrival {
  /** 32 hexadecimal digits. */
  id: string;
  /** Where its record lies in the log. */
  stream: number;
  partition: number;
  offset: number;
}

const ROWS_PER_STATEMENT = 5_000;

/**
 * Writes down arrivals of one account and returns the ids that had not arrived before.
 * `arrivals` must not repeat an id. The rows travel as one JSON parameter: thousands of single ones cost more than the
 * work itself.
 */
export async function claimEventIds(db: Queries, account: number, arrivals: Arrival[]): Promise<Set<string>> {
  const first = new Set<string>();
  for (let start = 0; start < arrivals.length; start += ROWS_PER_STATEMENT) {
    const page = arrivals.slice(start, start + ROWS_PER_STATEMENT);
    const rows = sql`JSON_TABLE(
      ${JSON.stringify(page.map(({ id, stream, partition, offset }) => [id, stream, partition, offset]))},
      '$[*]' COLUMNS (
        id CHAR(32) PATH '$[0]',
        stream TINYINT UNSIGNED PATH '$[1]',
        partition_no SMALLINT UNSIGNED PATH '$[2]',
        record_offset BIGINT UNSIGNED PATH '$[3]'
      )
    ) AS arrivals`;
    // In the order of the primary key: two writers then wait for one another, but never crosswise.
    const [result] = (await db.execute(sql`
      INSERT IGNORE INTO event_ids (account, id, stream, partition_no, record_offset)
      SELECT ${account}, UNHEX(id), stream, partition_no, record_offset
      FROM ${rows}
      ORDER BY id`)) as unknown as [ResultSetHeader];
    if (result.affectedRows === page.length) {
      for (const { id } of page) first.add(id);
      continue;
    }
    const [mine] = (await db.execute(sql`
      SELECT STRAIGHT_JOIN LOWER(HEX(event_ids.id)) AS id
      FROM ${rows}
      JOIN event_ids ON event_ids.account = ${account} AND event_ids.id = UNHEX(arrivals.id)
      WHERE event_ids.stream = arrivals.stream
        AND event_ids.partition_no = arrivals.partition_no
        AND event_ids.record_offset = arrivals.record_offset`)) as unknown as [RowDataPacket[]];
    for (const row of mine) first.add(String(row['id']));
  }
  return first;
}
