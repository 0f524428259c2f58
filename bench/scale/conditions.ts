/** Conditions of the benchmarks at scale, each also as the plain SQL of those who satisfy it. */
import { query } from '../../src/storage/clickhouse/connect.ts';
import { DAY_MS } from '../lib/generate.ts';
import type { ScaleAccount } from './data.ts';
import type { Rig } from './rig.ts';

/** A condition, and plain SQL that says the same, without regard to who is there at all. */
export interface Asked {
  /** As ConditionInput. */
  condition: Record<string, unknown>;
  /** A SELECT of `profile`. */
  sql: string;
  /** The same as one bitmap: tens of millions of numbers take no more memory than that. */
  set: string;
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
    set: none
      ? `bitmapAndnot(${setOf(`SELECT profile FROM profiles WHERE account = ${account}`)}, ${setOf(some)})`
      : setOf(some),
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
    ...selected(`SELECT profile FROM traits WHERE ${rows} AND kind = '${filter}' AND ${test}`),
    scan: `SELECT count() FROM traits WHERE ${rows} AND NOT ignore(profile, revision, kind, ${filter})`,
  };
}

export function consent({ account }: Owner, status: string): Asked {
  const rows = `account = ${account} AND attribute = '$consent.EMAIL'`;
  return {
    condition: { consent: { channel: 'EMAIL', status: [status] } },
    ...selected(`SELECT profile FROM traits WHERE ${rows} AND text = '${status}'`),
    scan: `SELECT count() FROM traits WHERE ${rows} AND NOT ignore(profile, revision, text)`,
  };
}

export function all(...parts: Asked[]): Asked {
  return {
    condition: { all: parts.map(({ condition }) => condition) },
    sql: parts.map(({ sql }) => `(${sql})`).join(' INTERSECT '),
    set: parts.map(({ set }) => set).reduce((sets, set) => `bitmapAnd(${sets}, ${set})`),
    scan: scansOf(parts),
  };
}

export function any(...parts: Asked[]): Asked {
  return {
    condition: { any: parts.map(({ condition }) => condition) },
    sql: parts.map(({ sql }) => `(${sql})`).join(' UNION DISTINCT '),
    set: parts.map(({ set }) => set).reduce((sets, set) => `bitmapOr(${sets}, ${set})`),
    scan: scansOf(parts),
  };
}

const scansOf = (parts: Asked[]) => [...new Set(parts.map(({ scan }) => scan))].join(' UNION ALL ');

const setOf = (sql: string) => `(SELECT groupBitmapState(profile) FROM (${sql}))`;
const selected = (sql: string) => ({ sql, set: setOf(sql) });

/** Members, counted without any of Tidemark's own code. */
export async function plainCount(rig: Rig, { set }: Asked): Promise<number> {
  const gone = setOf(`SELECT profile FROM profiles WHERE account = ${rig.account} AND NOT alive`);
  const [row] = await query<{ size: string }>(
    rig.clickhouse,
    `SELECT bitmapCardinality(bitmapAndnot(${set}, ${gone})) AS size`,
    {},
    { timeoutSeconds: 600, settings: { max_bytes_before_external_group_by: String(2 * 2 ** 30) } },
  );
  return Number(row?.size ?? 0);
}
