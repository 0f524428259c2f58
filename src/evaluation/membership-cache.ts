/**
 * Stored memberships as the writer of a partition knows them: a bit per profile of a chunk, read once and then kept
 * true by what is written. Only the one writer may have such a cache, and must drop it when a write has failed.
 */
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import { CHUNK_BITS, chunkOf } from '../storage/topics.ts';

export interface MembershipCache {
  /** Reads what is not known yet of these segments and profiles. Afterwards `has` may be asked about all of them. */
  load(account: number, segments: readonly number[], profiles: readonly number[]): Promise<void>;
  has(segment: number, profile: number): boolean;
  /** An entry or exit has been written. */
  set(segment: number, profile: number, isMember: boolean): void;
  /** The segment's members have changed in ClickHouse itself, or the segment is no more. */
  forget(segment: number): void;
}

const CHUNK_SIZE = 2 ** CHUNK_BITS;
const CHUNK_BYTES = CHUNK_SIZE / 8;
/** 8 KB each: at most 128 MB. What was used longest ago goes first. */
const CHUNKS_KEPT = 16_384;
const SEGMENTS_PER_QUERY = 500;

/** `written` resolves when ClickHouse has all that was `set`. */
export function createMembershipCache(clickhouse: ClickHouse, written: () => Promise<void>): MembershipCache {
  // A Map keeps the order of insertion: the first key is the one that was used longest ago.
  const chunks = new Map<string, Uint8Array>();
  const bySegment = new Map<number, Set<string>>();
  const keyOf = (segment: number, chunk: number) => `${segment}:${chunk}`;

  const remove = (key: string) => {
    chunks.delete(key);
    const segment = Number(key.slice(0, key.indexOf(':')));
    bySegment.get(segment)?.delete(key);
    if (bySegment.get(segment)?.size === 0) bySegment.delete(segment);
  };
  const keep = (segment: number, chunk: number, bits: Uint8Array) => {
    const key = keyOf(segment, chunk);
    chunks.set(key, bits);
    const keys = bySegment.get(segment) ?? new Set();
    bySegment.set(segment, keys.add(key));
  };

  async function read(account: number, segments: number[], wanted: ReadonlySet<number>): Promise<void> {
    await written();
    const rows = await query<{ segment: number; chunk: number; lows: number[] }>(
      clickhouse,
      `SELECT segment, chunk, bitmapToArray(groupBitmapXorMergeState(members)) AS lows
       FROM memberships
       WHERE account = {account:UInt32} AND segment IN {segments:Array(UInt32)} AND chunk IN {chunks:Array(UInt16)}
       GROUP BY segment, chunk`,
      { account, segments, chunks: [...wanted] },
    );
    for (const segment of segments)
      for (const chunk of wanted) keep(segment, chunk, new Uint8Array(CHUNK_BYTES));
    for (const { segment, chunk, lows } of rows) {
      const bits = chunks.get(keyOf(segment, chunk));
      if (bits) for (const low of lows) setBit(bits, low, true);
    }
  }

  return {
    async load(account, segments, profiles) {
      const wanted = new Set(profiles.map(chunkOf));
      const missing: number[] = [];
      for (const segment of segments) {
        const keys = [...wanted].map((chunk) => keyOf(segment, chunk));
        if (keys.some((key) => !chunks.has(key))) missing.push(segment);
        for (const key of keys) {
          const bits = chunks.get(key);
          if (!bits) continue;
          chunks.delete(key);
          chunks.set(key, bits);
        }
      }
      for (let start = 0; start < missing.length; start += SEGMENTS_PER_QUERY) {
        await read(account, missing.slice(start, start + SEGMENTS_PER_QUERY), wanted);
      }
      const needed = segments.length * wanted.size;
      for (const key of chunks.keys()) {
        if (chunks.size <= Math.max(CHUNKS_KEPT, needed)) break;
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
      const bits = chunks.get(keyOf(segment, chunkOf(profile)));
      if (bits) setBit(bits, profile % CHUNK_SIZE, isMember);
    },
    forget(segment) {
      for (const key of [...(bySegment.get(segment) ?? [])]) remove(key);
    },
  };
}

function setBit(bits: Uint8Array, low: number, value: boolean): void {
  const mask = 1 << (low & 7);
  bits[low >> 3] = value ? (bits[low >> 3] ?? 0) | mask : (bits[low >> 3] ?? 0) & ~mask;
}
