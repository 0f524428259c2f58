/** A stretch of time and what to look for in it. */
import type { TimeSource } from '../segments/edges.ts';
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
  /** A SELECT of account, profile, source (a number), offset and instant, both in milliseconds. */
  select: (parameters: Parameters) => string;
  sourceOf(number: number): TimeSource;
}

/** Where the sources of a part are numbered by their edges. */
export function sourceIn(edges: readonly Edge[]): Part['sourceOf'] {
  return (number) => {
    const edge = edges[number];
    if (!edge) throw new Error('there is no such edge');
    return edge.source;
  };
}
