/**
 * A stable share of profiles. A profile is in it if mix(number XOR seed) < limit, where the seed comes from the salt
 * alone and mix is the finaliser of MurmurHash3. ClickHouse computes mix(x) as intHash64(x XOR MIX_KEY), as tried.
 */
import { createHash } from 'node:crypto';

/** What ClickHouse's intHash64 combines its argument with before it mixes. */
export const MIX_KEY = 0x4cf2d2baae6da887n;
const ALL = 2n ** 64n;

/** 64 bits of SHA-256 over the salt. */
export function sampleSeed(salt: string): bigint {
  return createHash('sha256').update(salt, 'utf8').digest().readBigUInt64BE(0);
}

/** From 0 for no percent to 2^64 for a hundred, in steps of a millionth of a percent. */
export function sampleLimit(percent: number): bigint {
  return (ALL * BigInt(Math.round(percent * 1e6))) / 100_000_000n;
}

export function isInSample(profile: number, salt: string, percent: number): boolean {
  return mix(BigInt(profile) ^ sampleSeed(salt)) < sampleLimit(percent);
}

function mix(bits: bigint): bigint {
  const wrap = (product: bigint) => BigInt.asUintN(64, product);
  let x = bits ^ (bits >> 33n);
  x = wrap(x * 0xff51afd7ed558ccdn);
  x ^= x >> 33n;
  x = wrap(x * 0xc4ceb9fe1a85ec53n);
  return x ^ (x >> 33n);
}
