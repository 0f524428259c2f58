/** Rows that a server has lost although it knows the token of their insert. */
import { command, type ClickHouse, type Parameter } from '../../src/storage/clickhouse/connect.ts';

/** They go and no more: what the server knows of tokens stays. */
export function loseRows(
  clickhouse: ClickHouse,
  table: string,
  where: string,
  parameters: Record<string, Parameter> = {},
): Promise<void> {
  return command(clickhouse, `ALTER TABLE ${table} DELETE WHERE ${where}`, parameters, {
    settings: { mutations_sync: 1 },
  });
}
