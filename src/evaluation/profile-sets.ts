/**
 * Sets of profiles in this process's memory: a bit per profile, in the chunks in which ClickHouse keeps them. The sizes
 * of a tree over such sets are counted here, which takes far less time than sending them back.
 */
import type { Criterion, NormalCondition } from '../segments/ast.ts';
import { criterionKey } from '../segments/normalise.ts';
import { isLeaf } from '../segments/tree.ts';
import { CHUNK_BITS } from '../storage/topics.ts';

const WORDS = 2 ** CHUNK_BITS / 32;
export const BYTES_PER_CHUNK = WORDS * 4;

/** Bits by chunk; where there is none, nobody is in it. */
export type ProfileSet = Map<number, Uint32Array>;

export const EMPTY: ProfileSet = new Map();

/** Made of sets as conditions are of criteria. */
export type SetTree =
  | { kind: 'set'; set: ProfileSet }
  | { kind: 'all' | 'any'; children: SetTree[] }
  | { kind: 'not'; child: SetTree };

/** Conditions over these criteria, whose sets stand in the same order behind that of everybody. */
export function treeOver(
  criteria: readonly Criterion[],
  sets: readonly ProfileSet[],
): (condition: NormalCondition) => SetTree {
  const byKey = new Map(criteria.map((criterion, i) => [criterionKey(criterion), sets[i + 1]]));
  const treeOf = (node: NormalCondition): SetTree => {
    if (isLeaf(node)) return { kind: 'set', set: byKey.get(criterionKey(node)) ?? EMPTY };
    if (node.kind === 'not') return { kind: 'not', child: treeOf(node.child) };
    return { kind: node.kind, children: node.children.map(treeOf) };
  };
  return treeOf;
}

export function setMember(set: ProfileSet, profile: number, isMember: boolean): void {
  const chunk = Math.floor(profile / 2 ** CHUNK_BITS);
  const bits = set.get(chunk) ?? new Uint32Array(WORDS);
  const low = profile % 2 ** CHUNK_BITS;
  const [word, bit] = [low >>> 5, 1 << (low & 31)];
  bits[word] = isMember ? (bits[word] ?? 0) | bit : (bits[word] ?? 0) & ~bit;
  if (isMember) set.set(chunk, bits);
}

const FEW = 0;
const NO_RUNS = 12_346;
const RUNS = 12_347;
const MOST_IN_ARRAY = 4_096;

/**
 * The bits of a ClickHouse groupBitmap of numbers below 65,536, as it is written: few as numbers, more as a roaring
 * bitmap in its portable form, of one container. Throws for anything else.
 */
export function readBitmap(state: Buffer): Uint32Array {
  const bits = new Uint32Array(WORDS);
  const add = (low: number) => {
    bits[low >>> 5] = (bits[low >>> 5] ?? 0) | (1 << (low & 31));
  };
  const [size, start] = readVarUInt(state, 1);
  if (state[0] === FEW) {
    for (let i = 0; i < size; i++) add(state.readUInt32LE(start + i * 4));
    return bits;
  }
  const cookie = state.readUInt32LE(start);
  if (cookie === NO_RUNS) {
    const containers = state.readUInt32LE(start + 4);
    if (containers === 0) return bits;
    // The key and the size of the container, and where it begins.
    expectOneChunk(containers, state.readUInt16LE(start + 8));
    const count = state.readUInt16LE(start + 10) + 1;
    const content = start + 16;
    if (count <= MOST_IN_ARRAY) {
      for (let i = 0; i < count; i++) add(state.readUInt16LE(content + i * 2));
    } else new Uint8Array(bits.buffer).set(state.subarray(content, content + BYTES_PER_CHUNK));
    return bits;
  }
  // The number of containers above the cookie, then a bit for each that says whether it is of runs: only such have it.
  if ((cookie & 0xffff) !== RUNS) throw new Error('not a bitmap that ClickHouse writes');
  expectOneChunk((cookie >>> 16) + 1, state.readUInt16LE(start + 5));
  const runs = state.readUInt16LE(start + 9);
  for (let i = 0; i < runs; i++) {
    const first = state.readUInt16LE(start + 11 + i * 4);
    const further = state.readUInt16LE(start + 13 + i * 4);
    for (let low = first; low <= first + further; low++) add(low);
  }
  return bits;
}

function expectOneChunk(containers: number, key: number): void {
  if (containers !== 1 || key !== 0) throw new Error('a bitmap of more than one chunk');
}

function readVarUInt(from: Buffer, at: number): [value: number, next: number] {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = from.readUInt8(at++);
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return [value, at];
  }
}

/** For so long the process does nothing else, milliseconds. */
const AT_A_STRETCH_MS = 10;

/** The sizes of these parts of the tree, each without those who are not in `everybody`. */
export async function countParts(
  everybody: ProfileSet,
  tree: SetTree,
  parts: readonly SetTree[],
): Promise<number[]> {
  const sizes = new Map(parts.map((part) => [part, 0]));
  const membersIn = compile(tree, everybody, sizes);
  let begun = performance.now();
  for (const chunk of [...everybody.keys()]) {
    membersIn(chunk);
    if (performance.now() - begun < AT_A_STRETCH_MS) continue;
    await new Promise((resolve) => setImmediate(resolve));
    begun = performance.now();
  }
  return parts.map((part) => sizes.get(part) ?? 0);
}

type MembersIn = (chunk: number) => Uint32Array;
const NOBODY = new Uint32Array(WORDS);

/** What it returns is good until it is called again. Adds to `sizes` as it goes. */
function compile(tree: SetTree, everybody: ProfileSet, sizes: Map<SetTree, number>): MembersIn {
  const members = membersOf(tree, everybody, sizes);
  if (!sizes.has(tree)) return members;
  return (chunk) => {
    const bits = members(chunk);
    sizes.set(tree, (sizes.get(tree) ?? 0) + sizeOfBoth(bits, everybody.get(chunk) ?? NOBODY));
    return bits;
  };
}

function membersOf(tree: SetTree, everybody: ProfileSet, sizes: Map<SetTree, number>): MembersIn {
  if (tree.kind === 'set') return (chunk) => tree.set.get(chunk) ?? NOBODY;
  const bits = new Uint32Array(WORDS);
  if (tree.kind === 'not') {
    const child = compile(tree.child, everybody, sizes);
    return (chunk) => {
      bits.set(child(chunk));
      for (let i = 0; i < WORDS; i++) bits[i] = ~(bits[i] ?? 0);
      return bits;
    };
  }
  const children = tree.children.map((child) => compile(child, everybody, sizes));
  const isAll = tree.kind === 'all';
  return (chunk) => {
    bits.fill(isAll ? -1 : 0);
    for (const child of children) {
      const more = child(chunk);
      if (isAll) for (let i = 0; i < WORDS; i++) bits[i] = (bits[i] ?? 0) & (more[i] ?? 0);
      else for (let i = 0; i < WORDS; i++) bits[i] = (bits[i] ?? 0) | (more[i] ?? 0);
    }
    return bits;
  };
}

function sizeOfBoth(left: Uint32Array, right: Uint32Array): number {
  let size = 0;
  for (let i = 0; i < WORDS; i++) {
    let word = (left[i] ?? 0) & (right[i] ?? 0);
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    size += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return size;
}
