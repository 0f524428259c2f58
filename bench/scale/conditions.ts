/** Conditions of the benchmarks at scale, each also as the plain SQL of those who satisfy it. */
import { query } from '../../src/storage/clickhouse/connect.ts';
import { DAY_MS } from '../lib/generate.ts';
import type { ScaleAccount } from './data.ts';
import type { Rig } from './rig.ts';

/** A condition, and a SELECT of `profile` that says the same, without regard to who is there at all. */
export interface Asked {
  /** As ConditionInput. */
  condition: Record<string, unknown>;
  sql: string;
  /** Reads what `sql` cannot do without, and does nothing with it. */
  scan: string;
}

interface EventSpec {
  days?: number;
  atLeast?: number;
  none?: true;
  sum?: number;
  category?: string;
}

type Owner = Pick<ScaleAccount, 'account' | 'metrics' | 'now'>;

export function event({ account, metrics, now }: Owner, metric: string, spec: EventSpec = {}): Asked {
  const { days, atLeast = 1, none = false, sum, category } = spec;
  const rows = [
    `account = ${account} AND metric = ${metrics.get(metric) ?? 0}`,
    // The same members at any instant of the benchmark: see QUIET_MS.
    ...(days === undefined ? [] : [`time > fromUnixTimestamp64Milli(${now - days * DAY_MS}, 'UTC')`]),
  ].join(' AND ');
  const having = sum === undefined ? `count() >= ${atLeast}` : `sum(value) >= ${sum}`;
  const matches = category === undefined ? rows : `${rows} AND texts['category'] = '${category}'`;
  const some =
    atLeast === 1 && sum === undefined
      ? `SELECT profile FROM events WHERE ${matches}`
      : `SELECT profile FROM events WHERE ${matches} GROUP BY profile HAVING ${having}`;
  const columns = [
    'profile',
    ...(days === undefined ? [] : ['time']),
    ...(sum === undefined ? [] : ['value']),
    ...(category === undefined ? [] : ['texts']),
  ];
  return {
    condition: {
      event: {
        metric,
        ...(days === undefined ? {} : { within: { last: `P${days}D` } }),
        ...(none ? { is: { equals: 0 } } : {}),
        ...(atLeast > 1 ? { is: { atLeast } } : {}),
        ...(sum === undefined ? {} : { measure: { sum: '$value' }, is: { atLeast: sum } }),
        ...(category === undefined
          ? {}
          : { where: [{ path: 'category', filter: { text: { equals: category } } }] }),
      },
    },
    sql: none ? `SELECT profile FROM profiles WHERE account = ${account} AND profile NOT IN (${some})` : some,
    scan: `SELECT count() FROM events WHERE ${rows} AND NOT ignore(${columns.join(', ')})`,
  };
}

export function trait(
  { account }: Owner,
  path: string,
  filter: 'text' | 'number',
  value: string | number,
): Asked {
  const rows = `account = ${account} AND attribute = '${path}'`;
  const test = filter === 'text' ? `text = '${value}'` : `number >= ${value}`;
  return {
    condition: {
      property: {
        path,
        filter: filter === 'text' ? { text: { equals: value } } : { number: { atLeast: value } },
      },
    },
    sql: `SELECT profile FROM traits WHERE ${rows} AND kind = '${filter}' AND ${test}`,
    scan: `SELECT count() FROM traits WHERE ${rows} AND NOT ignore(profile, revision, kind, ${filter})`,
  };
}

export function consent({ account }: Owner, status: string): Asked {
  const rows = `account = ${account} AND attribute = '$consent.EMAIL'`;
  return {
    condition: { consent: { channel: 'EMAIL', status: [status] } },
    sql: `SELECT profile FROM traits WHERE ${rows} AND text = '${status}'`,
    scan: `SELECT count() FROM traits WHERE ${rows} AND NOT ignore(profile, revision, text)`,
  };
}

export function all(...parts: Asked[]): Asked {
  return {
    condition: { all: parts.map(({ condition }) => condition) },
    sql: parts.map(({ sql }) => `(${sql})`).join(' INTERSECT '),
    scan: scansOf(parts),
  };
}

export function any(...parts: Asked[]): Asked {
  return {
    condition: { any: parts.map(({ condition }) => condition) },
    sql: parts.map(({ sql }) => `(${sql})`).join(' UNION DISTINCT '),
    scan: scansOf(parts),
  };
}

const scansOf = (parts: Asked[]) => [...new Set(parts.map(({ scan }) => scan))].join(' UNION ALL ');

/** Members, counted without any of Tidemark's own code. */
export async function plainCount(rig: Rig, { sql }: Asked): Promise<number> {
  const [row] = await query<{ size: string }>(
    rig.clickhouse,
    `SELECT groupBitmap(profile) AS size FROM (${sql})
     WHERE profile NOT IN (SELECT profile FROM profiles WHERE account = ${rig.account} AND NOT alive)`,
    {},
    { timeoutSeconds: 600 },
  );
  return Number(row?.size ?? 0);
}
