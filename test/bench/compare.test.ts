import { describe, expect, test } from 'vitest';
import { compare, type ExpectedChange, type ReceivedChange } from '../../bench/latency/compare.ts';

const entry: ExpectedChange = {
  profile: 'ann',
  segment: 'search',
  kind: 'ENTERED',
  cause: 'EVENT',
  exactAt: null,
  sent: 1_000,
  accepted: 1_010,
  measured: true,
};
const exit: ExpectedChange = { ...entry, kind: 'EXITED', cause: 'TIME', exactAt: 7_000_000 };
const entryCame: ReceivedChange = {
  profile: 'ann',
  segment: 'search',
  kind: 'ENTERED',
  cause: 'EVENT',
  at: 5,
  received: 1_050,
  receivedAt: 6_993_050,
};
const exitCame: ReceivedChange = {
  ...entryCame,
  kind: 'EXITED',
  cause: 'TIME',
  at: 7_000_000,
  received: 8_000,
  receivedAt: 7_000_120,
};

describe('expected and received changes', () => {
  test('are matched, and measured from acceptance, from sending, and from the exact instant', () => {
    expect(compare([entry, exit], [entryCame, exitCame])).toEqual({
      expected: 2,
      arrived: 2,
      fromAccepted: [40],
      fromSent: [50],
      timeExits: [120],
      timeEntries: [],
      faults: [],
    });
  });

  test('an exit that comes too early counts like one that comes too late', () => {
    const early = { ...exitCame, receivedAt: 6_999_900 };
    expect(compare([entry, exit], [entryCame, early]).timeExits).toEqual([100]);
  });

  test('what is not to be measured must still arrive', () => {
    const warmUp = { ...entry, measured: false };
    expect(compare([warmUp], [entryCame])).toMatchObject({ arrived: 1, fromAccepted: [], faults: [] });
    expect(compare([warmUp], []).faults).toEqual([expect.stringMatching(/^1 changes never arrived/)]);
  });

  test.each<[string, ReceivedChange[], RegExp]>([
    ['a missing change', [entryCame], /1 changes never arrived: EXITED search by ann/],
    ['a surplus change', [entryCame, exitCame, entryCame], /1 changes came that nothing has brought/],
    ['a stranger', [entryCame, exitCame, { ...entryCame, profile: 'bob' }], /nothing has brought: .*bob/],
    ['an instant one millisecond off', [entryCame, { ...exitCame, at: 7_000_001 }], /at is 1 ms off/],
    ['another cause', [entryCame, { ...exitCame, cause: 'EVENT' }], /its cause is EVENT/],
  ])('%s is a fault', (_what, received, fault) => {
    const { faults } = compare([entry, exit], received);
    expect(faults).toEqual([expect.stringMatching(fault)]);
  });

  test('the order of one profile and segment is part of it', () => {
    expect(compare([entry, exit], [exitCame, entryCame]).faults).toEqual([
      expect.stringMatching(/EXITED came instead/),
    ]);
  });

  test('what is wrong is not measured', () => {
    const { fromAccepted, timeExits } = compare([entry, exit], [entryCame, { ...exitCame, at: 1 }]);
    expect(fromAccepted).toEqual([40]);
    expect(timeExits).toEqual([]);
  });
});
