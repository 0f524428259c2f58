/** A stretch of time and what to look for in it. */
import { chunkPartition, CHUNK_BITS, evaluatorPartition, EVALUATOR_PARTITIONS } from '../storage/topics.ts';
import type { Parameters } from './parameters.ts';
import type { Edge } from './registry.ts';

export interface Slice {
  account: number;
  /** Metric ids by name. */
  metrics: ReadonlyMap<string, number>;
  /** The account's, as the IANA names it. */
  timeZone: string;
  edges: readonly Edge[];
  /** after < instant <= through, epoch milliseconds. */
  after: number;
  through: number;
}

/** Of everybody, those who are looked for. */
export interface Share {
  isMine: (one: { account: number; profile: number }) => boolean;
  /** The same as a condition of `account`, of those named, and `profile`. */
  select: (accounts: readonly number[], parameters: Parameters) => string;
}

export const EVERYBODY: Share = { isMine: () => true, select: () => 'true' };

export function shareOf(partition: number): Share {
  return {
    isMine: ({ account, profile }) => evaluatorPartition(account, profile) === partition,
    select(accounts, parameters) {
      const firsts = accounts.map((account) => chunkPartition(account, 0));
      const first = `transform(account, ${parameters.add('Array(UInt32)', accounts)},
        ${parameters.add('Array(UInt32)', firsts)}, toUInt32(0))`;
      return `(${first} + bitShiftRight(profile, ${CHUNK_BITS})) % ${EVALUATOR_PARTITIONS} = ${partition}`;
    },
  };
}

/** One statement of those that look for crossings. */
export interface Part {
  /** A SELECT of account, profile, edge (its place in `edges`) and instant (milliseconds). */
  select: (parameters: Parameters) => string;
  edges: readonly Edge[];
}
