/** A private Tidemark over engines that the benchmark itself reaches too: data goes in below, questions above. */
import type { ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { accounts } from '../../src/storage/mysql/schema.ts';
import type { MySql } from '../../src/storage/mysql/connect.ts';
import { createApi, type Api } from '../lib/api.ts';
import { withEngines } from '../lib/engines.ts';
import { startService, type Target } from '../lib/service.ts';

export interface Rig {
  target: Target;
  api: Api;
  mysql: MySql;
  clickhouse: ClickHouse;
  /** The account of the key. */
  account: number;
  /** Where ClickHouse keeps its files; null: that is not for the benchmark to say. */
  folder: string | null;
  /** The roots of the processes that work for it. */
  processes: readonly number[];
}

/** Runs `work` with engines and a Tidemark of its own, which end with it, data and all. */
export async function withRig<Result>(work: (rig: Rig) => Promise<Result>): Promise<Result> {
  return withEngines(async ({ folder, mysqlUrl, clickhouseUrl, mysql, clickhouse, later }) => {
    const env = { MYSQL_URL: mysqlUrl, CLICKHOUSE_URL: clickhouseUrl };
    const service = await startService({ folder, command: 'node', env });
    later(() => service.stop());
    return work({ ...(await rigOf(service, mysql, clickhouse)), folder, processes: [process.pid] });
  });
}

/** Over a Tidemark and engines that somebody else has started. */
export async function rigOf(target: Target, mysql: MySql, clickhouse: ClickHouse): Promise<Rig> {
  const [owner] = await mysql.db.select({ id: accounts.id }).from(accounts).limit(1);
  if (!owner) throw new Error('Tidemark has made no account');
  return {
    target,
    api: createApi(target),
    mysql,
    clickhouse,
    account: owner.id,
    folder: null,
    processes: [],
  };
}
