import { expect, it } from 'vitest';
import { gathered } from '../../src/runtime/gathered.ts';

/** Readings that end when they are told to. */
function held() {
  const readings: { keys: readonly number[]; end: () => void; fail: (error: Error) => void }[] = [];
  const read = (keys: readonly number[]) =>
    new Promise<string[]>((resolve, reject) => {
      readings.push({ keys, end: () => resolve(keys.map((key) => `value ${key}`)), fail: reject });
    });
  return { readings, read };
}

const keysOf = (readings: { keys: readonly number[] }[]) => readings.map(({ keys }) => keys);
const settled = () => new Promise((resolve) => setImmediate(resolve));

it('those who ask at the same time are read together, and so are those who ask meanwhile', async () => {
  const { readings, read } = held();
  const load = gathered({ atOnce: 1, most: 10 }, read);
  const together = [load([0]), Promise.resolve().then(() => load([1]))];
  await settled();
  expect(keysOf(readings)).toEqual([[0, 1]]);
  const answers = [...together, load([2, 3]), load([4])];
  await settled();
  expect(keysOf(readings)).toEqual([[0, 1]]);
  readings[0]?.end();
  expect(await answers[0]).toEqual(['value 0']);
  expect(await answers[1]).toEqual(['value 1']);
  await settled();
  expect(keysOf(readings)).toEqual([
    [0, 1],
    [2, 3, 4],
  ]);
  readings[1]?.end();
  expect(await answers[2]).toEqual(['value 2', 'value 3']);
  expect(await answers[3]).toEqual(['value 4']);
});

it('a reading has a bound: who asks for more is answered by several, each value in its place', async () => {
  const { readings, read } = held();
  const load = gathered({ atOnce: 2, most: 2 }, read);
  const answer = load([1, 2, 3, 4, 5]);
  await settled();
  expect(keysOf(readings)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  readings[1]?.end();
  await settled();
  expect(keysOf(readings)).toEqual([[1, 2], [3, 4], [5]]);
  readings[2]?.end();
  readings[0]?.end();
  expect(await answer).toEqual([1, 2, 3, 4, 5].map((key) => `value ${key}`));
});

it('whoever has asked for a part of a reading that fails is told, and the next ones go on', async () => {
  const { readings, read } = held();
  const load = gathered({ atOnce: 1, most: 2 }, read);
  const first = load([1]);
  await settled();
  const [second, third] = [load([2, 3]), load([4])];
  readings[0]?.end();
  await first;
  await settled();
  readings[1]?.fail(new Error('away'));
  await expect(second).rejects.toThrow('away');
  await settled();
  readings[2]?.end();
  expect(await third).toEqual(['value 4']);
});

it('who asks for nothing gets nothing, and nothing is read', async () => {
  const { readings, read } = held();
  expect(await gathered({ atOnce: 1, most: 2 }, read)([])).toEqual([]);
  expect(readings).toEqual([]);
});
