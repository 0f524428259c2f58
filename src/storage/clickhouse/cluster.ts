/** A cluster of ClickHouse servers, each of which is connected to directly; and its tables of all shards together. */
import type { ClickHouseSettings } from '@clickhouse/client';
import { OperatorError } from '../../runtime/failure.ts';
import { EVALUATOR_PARTITIONS } from '../topics.ts';
import { command, connectClickHouse, query, type ClickHouse, type Cluster } from './connect.ts';
import { RESTORED } from './restore.ts';
import { identifier, shardingKey } from './shards.ts';

/** For statements over the tables of all shards. */
const ACROSS: ClickHouseSettings = {
  // Who asks about some profiles asks only where they lie.
  optimize_skip_unused_shards: 1,
  // Whatever belongs together lies together.
  distributed_product_mode: 'local',
  skip_unavailable_shards: 0,
};
/** Rows are inserted where they belong, not here: under their tokens, and acknowledged by who keeps them. */
const READ_ONLY: ClickHouseSettings = { readonly: '2' };

/**
 * Connects to the cluster that the server knows under this name: to the server itself for statements over all shards,
 * and to each shard, under the name that servers have for one another, with the same user.
 */
export async function connectCluster(url: string, name: string): Promise<ClickHouse> {
  const entrance = await connectClickHouse(url, { ...ACROSS, ...READ_ONLY });
  const shards: ClickHouse[] = [];
  const close = async () => {
    await Promise.all([entrance, ...shards].map((one) => one.close()));
  };
  try {
    const { database } = entrance;
    for (const { host, port } of await findShards(entrance, name, new URL(url).protocol)) {
      const address = new URL(url);
      address.hostname = host.includes(':') ? `[${host}]` : host;
      address.port = String(port);
      address.pathname = `/${encodeURIComponent(`${database}_shard`)}`;
      shards.push({ ...(await connectClickHouse(address.href, ACROSS)), whole: database });
    }
    return { ...entrance, cluster: { name, shards }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Address {
  host: string;
  /** Of HTTP. */
  port: number;
}

async function findShards(entrance: ClickHouse, name: string, protocol: string): Promise<Address[]> {
  const hosts = await query<{ shard: number; host: string; weight: number; replicas: string }>(
    entrance,
    `SELECT shard_num AS shard, any(host_name) AS host, any(shard_weight) AS weight, count() AS replicas
     FROM system.clusters
     WHERE cluster = {name:String}
     GROUP BY shard
     ORDER BY shard`,
    { name },
  );
  const fault = (what: string) => new OperatorError(`CLICKHOUSE_CLUSTER: the cluster ${name} ${what}`);
  if (hosts.length === 0) throw fault('is not known to the server of CLICKHOUSE_URL: see system.clusters.');
  if (hosts.some(({ replicas }) => replicas !== '1'))
    throw fault('has several replicas in a shard; tables are not replicated: it must have one in each.');
  if (hosts.some(({ weight }) => weight !== 1))
    throw fault('gives weights to shards; all must be 1, since Tidemark knows by number where rows lie.');
  if (hosts.length > EVALUATOR_PARTITIONS)
    throw fault(`has ${hosts.length} shards; of more than ${EVALUATOR_PARTITIONS} some would stay empty.`);
  const ports = await query<{ shard: number; port: number }>(
    entrance,
    `SELECT shardNum() AS shard, getServerPort({port:String}) AS port
     FROM clusterAllReplicas({name:String}, system.one)`,
    { name, port: protocol === 'https:' ? 'https_port' : 'http_port' },
  );
  const portOf = new Map(ports.map(({ shard, port }) => [shard, port]));
  return hosts.map(({ shard, host }) => {
    const port = portOf.get(shard);
    if (port === undefined) throw fault(`does not say where its shard ${shard} listens.`);
    return { host, port };
  });
}

/** Each server keeps which shard it is: with others in its place, rows would not be where they are looked for. */
export function shardMark(number: number, { shards }: Cluster): string {
  return `shard ${number + 1} of ${shards.length}`;
}

export function isShardMark(name: string): boolean {
  return /^shard \d+ of \d+$/.test(name);
}

/** On each server: for each table of its own, the table of all shards, with the same columns. */
export async function createWholeTables({ database, cluster }: ClickHouse): Promise<void> {
  for (const shard of cluster?.shards ?? []) {
    await command(shard, 'CREATE DATABASE IF NOT EXISTS {database:Identifier}', { database });
    const there = new Map((await readTables(shard, database)).map((table) => [table.name, table]));
    for (const { name, columns, engine } of await readTables(shard, shard.database)) {
      if (!engine.endsWith('MergeTree')) continue;
      const now = there.get(name);
      if (now && now.engine !== 'Distributed')
        throw new OperatorError(
          `CLICKHOUSE_CLUSTER: the database ${database} is that of a single server. ` +
            'A cluster begins empty: name another database in CLICKHOUSE_URL.',
        );
      if (now?.columns.join() === columns.join()) continue;
      const key = shardingKey(new Set(columns.map((column) => column.slice(0, column.indexOf(' ')))));
      const place = [cluster?.name ?? '', shard.database, name].map(identifier);
      await command(
        shard,
        `CREATE OR REPLACE TABLE ${identifier(database)}.${identifier(name)} AS ${identifier(name)}
         ENGINE = Distributed(${[...place, ...(key === null ? [] : [key])].join(', ')})`,
      );
    }
  }
}

/** `columns`: each a name and a type. */
async function readTables(
  server: ClickHouse,
  database: string,
): Promise<{ name: string; engine: string; columns: string[] }[]> {
  return query(
    server,
    `SELECT table AS name, any(engine) AS engine, groupArray(concat(column, ' ', type)) AS columns
     FROM (
       SELECT tables.name AS table, tables.engine AS engine, columns.name AS column, columns.type AS type
       FROM system.tables AS tables
       INNER JOIN system.columns AS columns
         ON columns.database = tables.database AND columns.table = tables.name
       WHERE tables.database = {database:String} AND NOT startsWith(tables.name, {passing:String})
       ORDER BY table, columns.position
     )
     GROUP BY table`,
    { database, passing: RESTORED },
  );
}
