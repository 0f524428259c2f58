/** Property names that mean something to JavaScript are names like any other. */
import { expect, it } from 'vitest';
import { newProfile, withWrite } from '../../src/ingest/apply.ts';
import type { EventRecord, ProfileRecord } from '../../src/ingest/records.ts';
import { eventLine } from '../../src/ingest/rows.ts';
import { validateProfile } from '../../src/ingest/validate.ts';
import { flatten } from '../../src/segments/flatten.ts';

const write = (text: string): ProfileRecord => {
  const result = validateProfile(
    1,
    { identifiers: { externalId: 'a' }, ...(JSON.parse(text) as object) },
    0,
    1,
  );
  if ('errors' in result) throw new Error(JSON.stringify(result.errors));
  return result.record;
};

it('keeps profile properties named like parts of the prototype', () => {
  const first = withWrite(newProfile(1, 1, 1), write('{"properties":{"__proto__":"v","toString":3}}'));
  expect(first.properties).toBe('{"__proto__":"v","toString":3}');
  const second = withWrite(first, write('{"append":{"__proto__":"w","constructor":["q"],"valueOf":1}}'));
  expect(second.properties).toBe('{"__proto__":["v","w"],"toString":3,"constructor":["q"],"valueOf":[1]}');
});

it('gives ClickHouse event properties named like parts of the prototype', () => {
  const properties = JSON.parse('{"__proto__":"v","constructor":{"__proto__":[1]}}') as Record<
    string,
    unknown
  >;
  const event = { account: 1, time: 0, arrivedAt: 0, uniqueId: 'u', currency: null, value: null, properties };
  const line = eventLine(
    event as unknown as EventRecord,
    { event: 'e', metric: 1, profile: 1 },
    flatten(properties),
  );
  expect(line).toContain('"texts":{"__proto__":"v"}');
  expect(line).toContain('"lists":{"constructor.__proto__":["1"]}');
});
