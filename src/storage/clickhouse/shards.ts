/**
 * Where things lie when ClickHouse is a cluster: everything of an evaluator partition is on one shard, so that whoever
 * works for the partition talks to that shard alone, as if it were all there is. With one server all of this is nothing.
 */
import type { ClickHouseClient } from '@clickhouse/client';
import { groupBy } from '../../runtime/group-by.ts';
import { CHUNK_BITS, EVALUATOR_PARTITIONS, evaluatorPartition } from '../topics.ts';

export interface ClickHouse {
  client: ClickHouseClient;
  database: string;
  /** Tables are those of all shards together, to be read only. Absent: one server, or one shard. */
  cluster?: Cluster;
  /** Of a shard: the database that has the tables of all shards. */
  whole?: string;
  close(): Promise<void>;
}

export interface Cluster {
  name: string;
  /** In the cluster's order. Each has the tables under the same names, with its own rows. */
  shards: readonly ClickHouse[];
}

/** The one server, or the shard, that has all there is of an evaluator partition. */
export function shardOf(clickhouse: ClickHouse, partition: number): ClickHouse {
  const { cluster } = clickhouse;
  return cluster ? inTurn(cluster.shards, partition) : clickhouse;
}

export function shardOfProfile(clickhouse: ClickHouse, account: number, profile: number): ClickHouse {
  return shardOf(clickhouse, evaluatorPartition(account, profile));
}

export function shardsOf(clickhouse: ClickHouse): readonly ClickHouse[] {
  return clickhouse.cluster?.shards ?? [clickhouse];
}

/** Lines of JSON, as tables take them, by the shard that they belong to. */
export function linesByShard(clickhouse: ClickHouse, lines: string[]): Map<ClickHouse, string[]> {
  if (!clickhouse.cluster) return new Map([[clickhouse, lines]]);
  return groupBy(lines, (line) => {
    const row = JSON.parse(line) as { account: number; profile: number; partition_no?: number };
    return shardOf(clickhouse, row.partition_no ?? evaluatorPartition(row.account, row.profile));
  });
}

/** The same as an expression over the columns of a table, for the server to find out whom it need not ask. */
export function shardingKey(columns: ReadonlySet<string>): string | null {
  if (columns.has('partition_no')) return 'partition_no';
  const chunk = columns.has('chunk') ? 'chunk' : `bitShiftRight(profile, ${CHUNK_BITS})`;
  if (!columns.has('account') || !(columns.has('chunk') || columns.has('profile'))) return null;
  const hash = 'reinterpretAsUInt32(reverse(left(SHA256(toString(account)), 4)))';
  return `(${hash} + ${chunk}) % ${EVALUATOR_PARTITIONS}`;
}

/** A table as all shards have it together; with one server the table. */
export function everywhere({ whole }: ClickHouse, table: string): string {
  return whole === undefined ? table : `${identifier(whole)}.${table}`;
}

/** A name as part of a statement. */
export function identifier(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}

function inTurn(shards: readonly ClickHouse[], partition: number): ClickHouse {
  const shard = shards[partition % shards.length];
  if (!shard) throw new Error('a cluster has no shards');
  return shard;
}
