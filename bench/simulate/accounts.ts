/** Accounts of very different sizes, and where they lie: on partitions of the evaluators and on shards. */
import { CHUNK_BITS } from '../../src/storage/topics.ts';
import { scramble } from './random.ts';

const CHUNK = 2 ** CHUNK_BITS;
/** So that the largest account is not a third of everything. */
const OFFSET = 2;

/** Shares of everything, the largest first; they add up to 1. */
export function accountShares(accounts: number, skew: number): Float64Array {
  const shares = Float64Array.from({ length: accounts }, (_, i) => 1 / (i + OFFSET + 1) ** skew);
  const total = shares.reduce((sum, share) => sum + share, 0);
  return shares.map((share) => share / total);
}

export interface Placement {
  /** Of all that comes in, how much belongs to the partition or shard. */
  shares: Float64Array;
  /** Accounts that have profiles there. */
  accounts: Uint32Array;
}

/**
 * As `chunkPartition` does it: an account begins at the hash of its id, and its chunks go on to the next places. The last
 * chunk is partly filled.
 */
export function place(shares: Float64Array, profiles: number, places: number, seed: number): Placement {
  const found: Placement = {
    shares: new Float64Array(places),
    accounts: new Uint32Array(places),
  };
  const add = (to: Float64Array | Uint32Array, at: number, more: number) => (to[at] = (to[at] ?? 0) + more);
  shares.forEach((share, account) => {
    const chunks = Math.max(1, (share * profiles) / CHUNK);
    const first = scramble(account + Math.imul(seed, 0x85ebca6b)) % places;
    // Whole rounds over all places; what is left begins at the first one.
    const rounds = Math.floor(chunks / places);
    const left = chunks - rounds * places;
    for (let i = 0; i < Math.min(places, Math.ceil(chunks)); i++) {
      const at = (first + i) % places;
      add(found.shares, at, (share * (rounds + Math.min(1, Math.max(0, left - i)))) / chunks);
      add(found.accounts, at, 1);
    }
  });
  return found;
}

/** The fullest place over the mean. */
export function imbalance(shares: Float64Array): number {
  return Math.max(...shares) * shares.length;
}
