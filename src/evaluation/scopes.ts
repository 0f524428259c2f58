/**
 * What the accounts of a partition are evaluated with: ids of metrics and time zones, which stay what they are once they
 * are there, and so are read once, for many accounts at a time.
 */
import { metricsOf } from '../segments/touch.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { readAccountStates } from '../storage/mysql/accounts.ts';
import { readMetricIdsOf } from '../storage/mysql/metric-reads.ts';
import type { ChangedScope } from './changed-profiles.ts';
import type { SegmentInForce } from './registry.ts';

export interface Scopes {
  /** Reads what the segments look at; metrics that have had no event are asked for again each time. */
  load(segments: Iterable<SegmentInForce>): Promise<void>;
  /** With what has been read. Segments of the account have been loaded before. */
  of(account: number): ChangedScope;
}

export function createScopes(mysql: MySql): Scopes {
  const scopes = new Map<number, ChangedScope & { metrics: Map<string, number> }>();
  return {
    async load(segments) {
      const missing = new Map<number, Set<string>>();
      const accounts = new Set<number>();
      for (const { account, criteria } of segments) {
        const known = scopes.get(account);
        if (!known) accounts.add(account);
        const names = missing.get(account) ?? new Set();
        missing.set(account, names);
        for (const criterion of criteria) {
          for (const name of metricsOf(criterion)) if (!known?.metrics.has(name)) names.add(name);
        }
      }
      const [states, ids] = await Promise.all([
        readAccountStates(mysql.db, [...accounts]),
        readMetricIdsOf(
          mysql.db,
          [...missing].flatMap(([account, names]) => [...names].map((name) => ({ account, name }))),
        ),
      ]);
      for (const account of accounts) {
        const state = states.get(account);
        if (!state) throw new Error(`account ${account} does not exist`);
        scopes.set(account, { account, metrics: new Map(), timeZone: state.timezone });
      }
      for (const { account, name, id } of ids) scopes.get(account)?.metrics.set(name, id);
    },
    of(account) {
      const scope = scopes.get(account);
      if (!scope) throw new Error(`account ${account} has not been loaded`);
      return scope;
    },
  };
}
