import assert from 'node:assert/strict';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { selectBitmaps, selectWords } from '../../src/evaluation/chunk-bitmaps.ts';
import {
  countParts,
  readBitmap,
  setMember,
  type ProfileSet,
  type SetTree,
} from '../../src/evaluation/profile-sets.ts';
import { openClickHouse } from '../../src/service.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { useEngines } from '../support/engines.ts';
import { seededRandom } from './random.ts';

const engines = useEngines();
let clickhouse: ClickHouse;
beforeAll(async () => {
  clickhouse = await openClickHouse(engines.clickhouseUrl(), engines.urls().cluster);
});
afterAll(() => clickhouse.close());

const membersOf = (bits: Uint32Array) => {
  const found: number[] = [];
  for (let low = 0; low < 65_536; low++) if ((bits[low >>> 5] ?? 0) & (1 << (low & 31))) found.push(low);
  return found;
};

/** Nobody, few, an array, bits, runs of several lengths, both ends, everybody. */
const SHAPES: Record<string, string> = {
  nobody: 'number >= 65536',
  one: 'number = 65535',
  'as many as are written as numbers': 'number < 32',
  'one more': 'number % 2000 = 0',
  'an array': 'number % 97 = 3',
  'the largest array': 'number % 16 = 0',
  'the smallest of bits': 'number % 16 = 0 OR number = 5',
  bits: 'intHash64(number) % 3 = 0',
  'a run': 'number BETWEEN 100 AND 9000',
  'many runs': 'number % 1000 < 700',
  everybody: 'true',
};

test.each(Object.entries(SHAPES))('a bitmap of ClickHouse is read as it is: %s', async (_, filter) => {
  const [row] = await query<{ state: string; lows: number[] }>(
    clickhouse,
    `SELECT base64Encode(CAST(members, 'String')) AS state, bitmapToArray(members) AS lows
     FROM (SELECT groupBitmapState(toUInt32(number)) AS members FROM numbers(65536) WHERE ${filter})`,
  );
  const state = Buffer.from(row?.state ?? '', 'base64');
  expect(membersOf(readBitmap(state))).toEqual(row?.lows);
});

test('bitmaps of words are those that the aggregate for bitmaps makes, chunk by chunk', async () => {
  const shapes = Object.values(SHAPES);
  const profiles = shapes
    .map(
      (filter, chunk) =>
        `SELECT toUInt32(number + ${chunk} * 65536) AS profile FROM numbers(65536) WHERE ${filter}`,
    )
    .join(' UNION ALL ');
  // Most of them more than once.
  const rows = `SELECT profile FROM (${profiles}) ARRAY JOIN range(1 + intHash64(profile) % 3) AS repetition`;
  const compared = await query<{ chunk: number; size: number; is_same: boolean }>(
    clickhouse,
    `SELECT chunk, bitmapCardinality(made) AS size, CAST(made, 'String') = CAST(aggregated, 'String') AS is_same
     FROM (SELECT chunk, members AS made FROM (${selectBitmaps([selectWords(1, rows)])})) AS words
     INNER JOIN (
       SELECT toUInt16(intDiv(profile, 65536)) AS chunk, groupBitmapState(toUInt32(profile % 65536)) AS aggregated
       FROM (${rows})
       GROUP BY chunk
     ) AS aggregate USING (chunk)
     ORDER BY chunk`,
  );
  // Nobody is in the first.
  expect(compared.map(({ chunk }) => chunk)).toEqual(shapes.map((_, chunk) => chunk).slice(1));
  expect(compared.filter(({ is_same }) => !is_same)).toEqual([]);
  expect(compared.filter(({ size }) => size > 4_096).length).toBeGreaterThan(3);
});

test('what is no bitmap of one chunk is refused', async () => {
  const [row] = await query<{ state: string }>(
    clickhouse,
    `SELECT base64Encode(CAST(groupBitmapState(toUInt32(number * 1000)), 'String')) AS state FROM numbers(100)`,
  );
  expect(() => readBitmap(Buffer.from(row?.state ?? '', 'base64'))).toThrow('more than one chunk');
  expect(() => readBitmap(Buffer.from('0108ffffffff00000000', 'hex'))).toThrow('not a bitmap');
});

test.each([1, 2, 3, 4, 5, 6])(
  'sizes of random trees are those of sets of numbers (seed %i)',
  async (seed) => {
    const random = seededRandom(seed);
    const universe = Array.from({ length: 400 }, () => random.between(0, 200_000));
    const leaves = Array.from({ length: 4 }, () => {
      const members = new Set(universe.filter(() => random.chance(0.5)));
      const set: ProfileSet = new Map();
      for (const profile of universe) setMember(set, profile, true);
      for (const profile of universe) setMember(set, profile, members.has(profile));
      return { members, set };
    });
    const [everybody, ...others] = leaves;
    assert(everybody);
    interface Part {
      tree: SetTree;
      has: (profile: number) => boolean;
    }
    const parts: Part[] = [];
    const make = (depth: number): Part => {
      const part = depth === 0 ? leaf() : random.pick([leaf, not, all, any])(depth - 1);
      parts.push(part);
      return part;
    };
    const some = (depth: number) => Array.from({ length: random.between(0, 3) }, () => make(depth));
    const leaf = (): Part => {
      const { set, members } = random.pick(others);
      return { tree: { kind: 'set', set }, has: (profile) => members.has(profile) };
    };
    const not = (depth: number): Part => {
      const child = make(depth);
      return { tree: { kind: 'not', child: child.tree }, has: (profile) => !child.has(profile) };
    };
    const all = (depth: number): Part => {
      const children = some(depth);
      const tree: SetTree = { kind: 'all', children: children.map((child) => child.tree) };
      return { tree, has: (profile) => children.every((child) => child.has(profile)) };
    };
    const any = (depth: number): Part => {
      const children = some(depth);
      const tree: SetTree = { kind: 'any', children: children.map((child) => child.tree) };
      return { tree, has: (profile) => children.some((child) => child.has(profile)) };
    };
    for (let i = 0; i < 50; i++) {
      parts.length = 0;
      const { tree } = make(4);
      const sizes = await countParts(
        everybody.set,
        tree,
        parts.map((part) => part.tree),
      );
      const wanted = parts.map(({ has }) => [...everybody.members].filter((profile) => has(profile)).length);
      expect(sizes).toEqual(wanted);
    }
  },
);
