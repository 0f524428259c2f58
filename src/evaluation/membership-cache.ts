/**
 * Stored memberships as the writer of a partition knows them: a bit per profile of a chunk, read once and then kept
 * true by what is written. Only the one writer may have such a cache, and must drop it when a write has failed.
 */
import { gathered } from '../runtime/gathered.ts';
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS, chunkOf, EVALUATOR_PARTITIONS } from '../storage/topics.ts';

export interface MembershipCache {
  /** Reads what is not known yet of these profiles and segments. Afterwards `has` may be asked about all of them. */
  load(wanted: Iterable<{ account: number; segment: number; profile: number }>): Promise<void>;
  has(segment: number, profile: number): boolean;
  /** An entry or exit has been written. */
  set(segment: number, profile: number, isMember: boolean): void;
  /** The segment's members have changed in ClickHouse itself, or the segment is no more. */
  forget(segment: number): void;
}

/** A chunk of a segment's members. */
export interface MembersPlace {
  account: number;
  segment: number;
  chunk: number;
}

/** The low bits of the members' numbers, in the order of the places asked about. */
export type ReadMembers = (places: readonly MembersPlace[]) => Promise<number[][]>;

const CHUNK_SIZE = 2 ** CHUNK_BITS;
/** In all the partitions that one process can own. What was used longest ago goes first. */
const BYTES_KEPT = 2 ** 28 / EVALUATOR_PARTITIONS;
/** Of a chunk beside its bits. */
const BYTES_BESIDE = 200;
/** A chunk of a small account begins with so many bytes, and grows. */
const FEWEST_BYTES = 16;
const PLACES_PER_QUERY = 500;
const QUERIES_AT_ONCE = 2;

/** For all partitions of a process: what they ask while a statement is under way goes together in the next one. */
export function createReadMembers(clickhouse: ClickHouse): ReadMembers {
  return gathered(
    { atOnce: QUERIES_AT_ONCE, most: PLACES_PER_QUERY },
    async (places: readonly MembersPlace[]) => {
      const rows = await query<MembersPlace & { lows: number[] }>(
        clickhouse,
        `SELECT account, segment, chunk, bitmapToArray(groupBitmapXorMergeState(members)) AS lows
       FROM memberships
       WHERE (account, segment, chunk)
         IN arrayZip({accounts:Array(UInt32)}, {segments:Array(UInt32)}, {chunks:Array(UInt16)})
       GROUP BY account, segment, chunk`,
        {
          accounts: places.map(({ account }) => account),
          segments: places.map(({ segment }) => segment),
          chunks: places.map(({ chunk }) => chunk),
        },
      );
      const found = new Map(rows.map(({ segment, chunk, lows }) => [keyOf(segment, chunk), lows]));
      return places.map(({ segment, chunk }) => found.get(keyOf(segment, chunk)) ?? []);
    },
  );
}

/** `written` resolves when ClickHouse has all that was `set`. */
export function createMembershipCache(read: ReadMembers, written: () => Promise<void>): MembershipCache {
  // A Map keeps the order of insertion: the first key is the one that was used longest ago.
  const chunks = new Map<string, Uint8Array>();
  const bySegment = new Map<number, Set<string>>();
  let bytes = 0;

  const remove = (key: string) => {
    bytes -= sizeOf(chunks.get(key));
    chunks.delete(key);
    const segment = Number(key.slice(0, key.indexOf(':')));
    bySegment.get(segment)?.delete(key);
    if (bySegment.get(segment)?.size === 0) bySegment.delete(segment);
  };
  const keep = (segment: number, key: string, bits: Uint8Array) => {
    bytes += sizeOf(bits) - sizeOf(chunks.get(key));
    chunks.delete(key);
    chunks.set(key, bits);
    const keys = bySegment.get(segment) ?? new Set();
    bySegment.set(segment, keys.add(key));
  };

  return {
    async load(wanted) {
      const places = new Map<string, MembersPlace>();
      for (const { account, segment, profile } of wanted) {
        const chunk = chunkOf(profile);
        const key = keyOf(segment, chunk);
        if (!places.has(key)) places.set(key, { account, segment, chunk });
      }
      const missing: MembersPlace[] = [];
      for (const [key, place] of places) {
        const bits = chunks.get(key);
        if (bits) keep(place.segment, key, bits);
        else missing.push(place);
      }
      if (missing.length > 0) {
        await written();
        const found = await read(missing);
        missing.forEach(({ segment, chunk }, i) => {
          keep(segment, keyOf(segment, chunk), bitsOf(found[i] ?? []));
        });
      }
      for (const key of chunks.keys()) {
        if (bytes <= BYTES_KEPT || places.has(key)) break;
        remove(key);
      }
    },
    has(segment, profile) {
      const bits = chunks.get(keyOf(segment, chunkOf(profile)));
      if (!bits) throw new Error('memberships were not loaded');
      const low = profile % CHUNK_SIZE;
      return ((bits[low >> 3] ?? 0) & (1 << (low & 7))) !== 0;
    },
    set(segment, profile, isMember) {
      const key = keyOf(segment, chunkOf(profile));
      const bits = chunks.get(key);
      if (!bits) return;
      const low = profile % CHUNK_SIZE;
      const long = longEnough(bits, low);
      if (long !== bits) keep(segment, key, long);
      setBit(long, low, isMember);
    },
    forget(segment) {
      for (const key of [...(bySegment.get(segment) ?? [])]) remove(key);
    },
  };
}

const keyOf = (segment: number, chunk: number) => `${segment}:${chunk}`;

function sizeOf(bits: Uint8Array | undefined): number {
  return bits ? bits.length + BYTES_BESIDE : 0;
}

function bitsOf(lows: readonly number[]): Uint8Array {
  const largest = lows.reduce((one, other) => Math.max(one, other), 0);
  const bits = longEnough(new Uint8Array(FEWEST_BYTES), largest);
  for (const low of lows) setBit(bits, low, true);
  return bits;
}

/** The same, or a longer copy: half of what is allotted may be empty. */
function longEnough(bits: Uint8Array, low: number): Uint8Array {
  if (low >> 3 < bits.length) return bits;
  const longer = new Uint8Array(2 ** Math.ceil(Math.log2((low >> 3) + 1)));
  longer.set(bits);
  return longer;
}

function setBit(bits: Uint8Array, low: number, value: boolean): void {
  const mask = 1 << (low & 7);
  bits[low >> 3] = value ? (bits[low >> 3] ?? 0) | mask : (bits[low >> 3] ?? 0) & ~mask;
}
