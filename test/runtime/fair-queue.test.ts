import { expect, it } from 'vitest';
import { createFairQueue } from '../../src/runtime/fair-queue.ts';

function gates() {
  const begun: string[] = [];
  const open = new Map<string, () => void>();
  const work = (name: string) => () =>
    new Promise<string>((resolve) => {
      begun.push(name);
      open.set(name, () => resolve(name));
    });
  const end = async (name: string) => {
    open.get(name)?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { begun, work, end };
}

it('gives owners their turns, however much one of them has waiting', async () => {
  const queue = createFairQueue<number>({ atOnce: 1 });
  const { begun, work, end } = gates();
  const all = ['a1', 'a2', 'a3'].map((name) => queue.run(1, work(name)));
  all.push(queue.run(2, work('b1')));
  for (const name of ['a1', 'a2', 'b1', 'a3']) await end(name);
  expect(begun).toEqual(['a1', 'a2', 'b1', 'a3']);
  expect(await Promise.all(all)).toEqual(['a1', 'a2', 'a3', 'b1']);
});

it('runs no more at once than it is told, and goes on after what fails', async () => {
  const queue = createFairQueue<string>({ atOnce: 2 });
  const { begun, work, end } = gates();
  const failing = queue.run('x', () => Promise.reject(new Error('no')));
  const others = ['y', 'z', 'w'].map((name) => queue.run(name, work(name)));
  await expect(failing).rejects.toThrow('no');
  expect(begun).toEqual(['y', 'z']);
  await end('y');
  expect(begun).toEqual(['y', 'z', 'w']);
  await end('z');
  await end('w');
  expect(await Promise.all(others)).toEqual(['y', 'z', 'w']);
});
