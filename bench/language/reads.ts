/** How much the last query of a ClickHouse client has read, by the summary that the server sends along. */
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';

export interface Reads {
  rows: number;
  bytes: number;
}

export function watchReads(clickhouse: ClickHouse): { clickhouse: ClickHouse; last(): Reads } {
  let last: Reads = { rows: 0, bytes: 0 };
  const { client } = clickhouse;
  const watched = new Proxy(client, {
    get(target, name) {
      if (name !== 'query') return Reflect.get(target, name) as unknown;
      return async (asked: Parameters<typeof client.query>[0]) => {
        // The summary comes before the answer: whole only if the answer waits for its own end.
        const clickhouse_settings = { ...asked.clickhouse_settings, wait_end_of_query: 1 as const };
        const result = await target.query({ ...asked, clickhouse_settings });
        const summary = JSON.parse(String(result.response_headers['x-clickhouse-summary'] ?? '{}')) as {
          read_rows?: string;
          read_bytes?: string;
        };
        last = { rows: Number(summary.read_rows ?? 0), bytes: Number(summary.read_bytes ?? 0) };
        return result;
      };
    },
  });
  return { clickhouse: { ...clickhouse, client: watched }, last: () => last };
}
