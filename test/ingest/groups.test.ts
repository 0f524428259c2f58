import { describe, expect, it } from 'vitest';
import { inGroups } from '../../src/ingest/groups.ts';

/** Groups as they were begun; each is stored and paid when the test says so. */
function workshop(linger = () => Promise.resolve()) {
  const groups: { batches: number[]; store: () => void; pay: () => void; fail: () => void }[] = [];
  const take = inGroups<number>({ fullAt: 10, sizeOf: (batch) => batch, linger }, (batches, stored) => {
    return new Promise<void>((resolve, reject) => {
      groups.push({ batches, store: stored, pay: resolve, fail: () => reject(new Error('on purpose')) });
    });
  });
  return { groups, take, begun: () => groups.map(({ batches }) => batches) };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('groups of batches', () => {
  it('what comes at the same moment becomes one group', async () => {
    const { groups, take, begun } = workshop();
    const all = [take(1), take(2), take(3)];
    expect(begun()).toEqual([]);
    await settle();
    expect(begun()).toEqual([[1, 2, 3]]);
    groups[0]?.pay();
    await Promise.all(all);
  });

  it('a group that is full begins at once', async () => {
    const { groups, take, begun } = workshop();
    const all = [take(4), take(5), take(6)];
    expect(begun()).toEqual([[4, 5]]);
    groups[0]?.pay();
    await settle();
    groups[1]?.pay();
    await Promise.all(all);
    expect(begun()).toEqual([[4, 5], [6]]);
  });

  it('what waits while a group is worked off becomes one group', async () => {
    const { groups, take, begun } = workshop();
    const all = [take(1)];
    await settle();
    all.push(take(2), take(3));
    expect(begun()).toEqual([[1]]);
    groups[0]?.store();
    expect(begun()).toEqual([[1]]);
    groups[0]?.pay();
    await settle();
    expect(begun()).toEqual([[1], [2, 3]]);
    groups[1]?.pay();
    await Promise.all(all);
  });

  it('a full group is stored while the one before is paid, and no third', async () => {
    const { groups, take, begun } = workshop();
    const all = [take(5), take(6), take(7), take(8)];
    await settle();
    groups[0]?.store();
    expect(begun()).toEqual([[5], [6]]);
    groups[1]?.store();
    expect(begun()).toEqual([[5], [6]]);
    groups[0]?.pay();
    await settle();
    expect(begun()).toEqual([[5], [6], [7]]);
    groups[1]?.pay();
    groups[2]?.pay();
    await settle();
    groups[3]?.pay();
    await Promise.all(all);
    expect(begun()).toEqual([[5], [6], [7], [8]]);
  });

  it('after a small group it waits a moment for those who come again at once, but not when it is full', async () => {
    const ends: (() => void)[] = [];
    const { groups, take, begun } = workshop(() => new Promise((resolve) => ends.push(resolve)));
    const all = [take(1)];
    await settle();
    all.push(take(2));
    groups[0]?.pay();
    await settle();
    all.push(take(3));
    expect(begun()).toEqual([[1]]);
    ends[0]?.();
    await settle();
    expect(begun()).toEqual([[1], [2, 3]]);
    groups[1]?.pay();
    await settle();
    all.push(take(4), take(7));
    expect(begun()).toEqual([[1], [2, 3], [4]]);
    groups[2]?.pay();
    ends[1]?.();
    await settle();
    ends[2]?.();
    await settle();
    groups[3]?.pay();
    await Promise.all(all);
    expect(begun()).toEqual([[1], [2, 3], [4], [7]]);
  });

  it('a batch larger than a group goes alone', async () => {
    const { groups, take, begun } = workshop();
    const all = [take(1), take(30), take(1)];
    await settle();
    groups[0]?.pay();
    await settle();
    expect(begun()).toEqual([[1], [30]]);
    groups[1]?.pay();
    await settle();
    groups[2]?.pay();
    await Promise.all(all);
  });

  it('a group that fails tells each of its batches, and the next one begins', async () => {
    const { groups, take, begun } = workshop();
    const first = take(1);
    await settle();
    const others = Promise.allSettled([take(2), take(3)]);
    groups[0]?.pay();
    await first;
    await settle();
    groups[1]?.fail();
    expect((await others).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const last = take(4);
    await settle();
    expect(begun()).toEqual([[1], [2, 3], [4]]);
    groups[2]?.pay();
    await last;
  });
});
