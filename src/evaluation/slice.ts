/** A stretch of time and what to look for in it. */
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

/** One statement of those that look for crossings. */
export interface Part {
  /** A SELECT of account, profile, edge (its place in `edges`) and instant (milliseconds). */
  select: (parameters: Parameters) => string;
  edges: readonly Edge[];
}
