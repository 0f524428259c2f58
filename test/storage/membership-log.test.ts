import { expect, test } from 'vitest';
import { decodeEntries, encodeEntries, type LogEntry } from '../../src/storage/clickhouse/membership-log.ts';

const entries: LogEntry[] = [
  {
    ...{ account: 7, partition: 3, sequence: 41, segment: 12, version: 2, profile: 65_540 },
    ...{ kind: 'ENTERED', cause: 'EVENT', at: 1_795_963_907_380, evaluatedAt: 1_795_963_907_391 },
    event: { id: '0190c7a5-0000-7000-8000-000000000001', time: 1_795_963_900_000, metric: 5 },
  },
  {
    ...{ account: 7, partition: 3, sequence: 42, segment: 12, version: 2, profile: 0 },
    ...{ kind: 'POPULATED', cause: 'DEFINITION', at: 0, evaluatedAt: 1_795_963_907_391, event: null },
  },
];

test('entries come back as they went', () => {
  expect(decodeEntries(encodeEntries(entries))).toEqual(entries);
});

test('entries that an older version has written are understood', () => {
  expect(decodeEntries(Buffer.from(JSON.stringify(entries)))).toEqual(entries);
});
