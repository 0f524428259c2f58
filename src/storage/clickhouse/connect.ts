/** The one place where a ClickHouse client is made, queried and written through. */
import {
  ClickHouseLogLevel,
  createClient,
  ClickHouseError,
  type ClickHouseSettings,
} from '@clickhouse/client';
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { until } from '../../runtime/until.ts';
import { withLargeValuesInside, type Parameter } from './literals.ts';
import { linesByShard, shardsOf, type ClickHouse } from './shards.ts';

/** Settings that matter are pinned here: their defaults moved between 26.1 and 26.7. */
const SETTINGS = {
  async_insert: 0,
  // Compiling a statement costs seconds, and ours differ from one to the next.
  compile_expressions: 0,
  compile_aggregate_expressions: 0,
  compile_sort_description: 0,
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_denormals: 0,
  date_time_output_format: 'iso',
  date_time_input_format: 'best_effort',
  join_use_nulls: 0,
  transform_null_in: 0,
  // `chunk-bitmaps.ts`: what is no bitmap must not be read as one.
  short_circuit_function_evaluation: 'enable',
  max_partitions_per_insert_block: '0',
  deduplicate_blocks_in_dependent_materialized_views: 1,
  input_format_json_read_numbers_as_strings: 0,
  // The limits of a condition are ours; a statement that has passed them must not fail for its size.
  max_query_size: '268435456',
  max_ast_elements: '20000000',
  max_expanded_ast_elements: '20000000',
} as const;

export type { Parameter } from './literals.ts';
export type { ClickHouse, Cluster } from './shards.ts';

export interface QueryOptions {
  /** Server-side bound of the work, in seconds. */
  timeoutSeconds?: number;
  signal?: AbortSignal;
  settings?: Record<string, string | number>;
  /** By which system.processes knows it. */
  queryId?: string;
}

/** `http://user:password@host:8123/database`. The database is created when it is missing. */
export async function connectClickHouse(url: string, settings: ClickHouseSettings = {}): Promise<ClickHouse> {
  const parsed = new URL(url);
  const database = decodeURIComponent(parsed.pathname.slice(1)) || 'tidemark';
  const server = {
    url: `${parsed.protocol}//${parsed.host}`,
    username: decodeURIComponent(parsed.username) || 'default',
    password: decodeURIComponent(parsed.password),
    application: 'tidemark',
    // Its errors reach us as exceptions; its own log lines could carry row data.
    log: { level: ClickHouseLogLevel.OFF },
    // Longer than the longest a statement may run, which the server itself ends.
    request_timeout: 660_000,
    max_open_connections: 32,
    // Idle sockets are dropped before the server's own 10 s: a request on a dying socket would fail.
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
  };
  const bootstrap = createClient(server);
  try {
    await bootstrap.command({
      query: 'CREATE DATABASE IF NOT EXISTS {name:Identifier}',
      query_params: { name: database },
    });
  } finally {
    await bootstrap.close();
  }
  const client = createClient({ ...server, database, clickhouse_settings: { ...SETTINGS, ...settings } });
  return { client, database, close: () => client.close() };
}

/** Rows of a SELECT as objects. Bounded by the query itself: ask for pages, not for everything. */
export async function query<Row>(
  clickhouse: ClickHouse,
  sql: string,
  parameters: Record<string, Parameter> = {},
  options: QueryOptions = {},
): Promise<Row[]> {
  const statement = withLargeValuesInside(sql, parameters);
  const result = await clickhouse.client.query({
    query: statement.sql,
    query_params: statement.parameters,
    format: 'JSONEachRow',
    clickhouse_settings: { max_execution_time: options.timeoutSeconds ?? 60, ...options.settings },
    ...(options.signal ? { abort_signal: options.signal } : {}),
  });
  return result.json<Row>();
}

/**
 * The same on each shard by itself, and the rows of all: for statements of which each row is about one chunk or one
 * profile, or adds up. With one server the same as `query`.
 */
export async function queryEach<Row>(
  clickhouse: ClickHouse,
  sql: string,
  parameters: Record<string, Parameter> = {},
  options: QueryOptions = {},
): Promise<Row[]> {
  const found = await Promise.all(
    shardsOf(clickhouse).map((shard) => query<Row>(shard, sql, parameters, options)),
  );
  return found.flat();
}

/** A statement without a result: DDL, INSERT … SELECT. Resolves when the server has done it. */
export async function command(
  clickhouse: ClickHouse,
  sql: string,
  parameters: Record<string, Parameter> = {},
  options: QueryOptions = {},
): Promise<void> {
  const statement = withLargeValuesInside(sql, parameters);
  await clickhouse.client.command({
    query: statement.sql,
    query_params: statement.parameters,
    clickhouse_settings: {
      max_execution_time: options.timeoutSeconds ?? 60,
      wait_end_of_query: 1,
      ...options.settings,
    },
    ...(options.queryId ? { query_id: options.queryId } : {}),
    ...(options.signal ? { abort_signal: options.signal } : {}),
  });
}

/**
 * Resolves when no statement runs any more whose `queryId` begins so: one outlives the process that sent it. Rejects if
 * that takes longer.
 */
export async function untilEnded(clickhouse: ClickHouse, prefix: string, withinMs: number): Promise<void> {
  const haveEnded = async () => {
    const [row] = await query<{ running: string }>(
      clickhouse,
      `SELECT count() AS running
       FROM system.processes
       WHERE startsWith(query_id, {prefix:String}) AND current_database = currentDatabase()`,
      { prefix },
    );
    return row?.running === '0';
  };
  if (!(await until(haveEnded, { withinMs }))) throw new Error(`the statements ${prefix}… do not end`);
}

/** Of an INSERT … SELECT of one block that takes effect once, however often it is sent. */
export function onceUnder(token: string): Pick<QueryOptions, 'settings' | 'queryId'> {
  return {
    settings: { insert_deduplication_token: token, deduplicate_insert_select: 'enable_even_for_bad_queries' },
    queryId: nameUnder(token),
  };
}

/** ClickHouse refuses two statements of one name at once. */
function nameUnder(token: string): string {
  return `${token}/${randomUUID()}`;
}

const INSERTS_END_WITHIN_MS = 60_000;

/**
 * Resolves when no insert under the token runs any more. For whoever has repeated one, and looks at what is there: the
 * repeat is passed over as soon as the first one has noted the token, which is before its rows are in place.
 * `clickhouse`: one server, or one shard.
 */
export function insertsEnded(clickhouse: ClickHouse, token: string): Promise<void> {
  return untilEnded(clickhouse, `${token}/`, INSERTS_END_WITHIN_MS);
}

/** What rows are inserted into as lines. */
export type InsertTable =
  | 'events'
  | 'events_by_profile'
  | 'future_events'
  | 'dates'
  | 'traits'
  | 'predictions'
  | 'profiles'
  | 'membership_log'
  | 'membership_latest';

/**
 * Inserts rows that are already written as JSON, one per line. The token makes it happen once however often it is
 * sent: same token, same rows, also in every table that a view feeds.
 */
export async function insertLines(
  clickhouse: ClickHouse,
  table: InsertTable | `restored__${string}`,
  lines: string[],
  token: string,
): Promise<void> {
  if (lines.length === 0) return;
  if (clickhouse.cluster) {
    const parts = [...linesByShard(clickhouse, lines)];
    await Promise.all(parts.map(([shard, part]) => insertLines(shard, table, part, token)));
    return;
  }
  const result = await clickhouse.client.exec({
    query: `INSERT INTO ${table} FORMAT JSONEachRow`,
    values: Readable.from([lines.join('\n')], { objectMode: false }),
    query_id: nameUnder(token),
    clickhouse_settings: {
      insert_deduplication_token: token,
      // One block: a token covers a block, and a block is written whole or not at all.
      max_insert_block_size: String(Math.max(1_048_576, lines.length)),
      min_insert_block_size_rows: '1048576',
      max_execution_time: 120,
      wait_end_of_query: 1,
    },
  });
  for await (const _ of result.stream);
}

/** Errors of the data itself come back the same however often they are tried. */
export function isDataError(error: unknown): boolean {
  // 6 CANNOT_PARSE_TEXT, 26 CANNOT_PARSE_QUOTED_STRING, 27 CANNOT_PARSE_INPUT, 41 CANNOT_PARSE_DATETIME,
  // 53 TYPE_MISMATCH, 117 INCORRECT_DATA, 321 VALUE_IS_OUT_OF_RANGE
  return error instanceof ClickHouseError && ['6', '26', '27', '41', '53', '117', '321'].includes(error.code);
}
