import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CONDITIONS, DRAFT } from '../../bench/language/conditions.ts';
import { makeAccount, NOW, type BenchAccount } from '../../bench/language/data.ts';
import { measureConditions, measureDraft, withSets } from '../../bench/language/language.ts';
import { countAudience, type AudienceDeps } from '../../src/evaluation/audience.ts';
import { metrics } from '../../src/runtime/metrics.ts';
import type { Leaf } from '../../src/segments/ast.ts';
import { criteriaOf, parseCondition } from '../../src/segments/index.ts';
import { openClickHouse, openMySql } from '../../src/service.ts';
import { useEngines } from '../support/engines.ts';

const SIZE = { profiles: 2_000, events: 20_000 };

const leaves = CONDITIONS.flatMap(({ condition }) => {
  const parsed = parseCondition(typeof condition === 'function' ? condition('a segment') : condition);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
  return criteriaOf(parsed.condition);
});

describe('the language benchmark', () => {
  const engines = useEngines();
  let deps: AudienceDeps;
  let owner: BenchAccount;
  beforeAll(async () => {
    const [mysql, clickhouse] = await Promise.all([
      openMySql(engines.mysqlUrl()),
      openClickHouse(engines.clickhouseUrl()),
    ]);
    deps = { mysql, clickhouse, clock: { now: () => NOW, sleep: () => Promise.resolve() } };
    owner = await makeAccount(deps, SIZE);
    return async () => {
      await Promise.all([mysql.close(), clickhouse.close()]);
    };
  });

  beforeEach(() => void vi.spyOn(console, 'log').mockReturnValue());
  afterEach(() => void vi.restoreAllMocks());

  test('counts every condition, each with members and with others, and scans no more rows than the count', async () => {
    const { conditions, faults } = await measureConditions(deps, owner, SIZE, 1);
    expect(faults).toEqual([]);
    expect(conditions.map(({ name }) => name)).toEqual(CONDITIONS.map(({ name }) => name));
    for (const one of conditions) {
      expect(one.ratio).toBeGreaterThan(0);
      expect(one.reads.scan.rows).toBeGreaterThan(0);
    }
  });

  test('makes the same account again', async () => {
    const again = await makeAccount(deps, SIZE);
    for (const condition of DRAFT) {
      const parsed = parseCondition(condition);
      if (!parsed.ok) throw new Error(JSON.stringify(parsed.errors));
      const count = (account: number) => countAudience(deps, account, parsed.condition);
      expect(await count(again.account)).toBe(await count(owner.account));
    }
  });

  test('measures a draft with one condition more', async () => {
    const { close, ...draftDeps } = await withSets(deps);
    const before = await setsRead();
    const measured = await measureDraft(draftDeps, owner, 2);
    await close();
    expect(measured).toMatchObject({ conditions: DRAFT.length, isRight: true });
    // All of the draft twice, with everybody; then each time the one condition that is new.
    expect((await setsRead()) - before).toBe(2 * (DRAFT.length + 1) + 2 + 2);
  });
});

async function setsRead(): Promise<number> {
  const { values } = await metrics.criterionSets.get();
  return values.find(({ labels }) => labels.outcome === 'read')?.value ?? 0;
}

describe('the conditions of the language benchmark', () => {
  const kindsOf = (pick: (leaf: Leaf) => (string | undefined)[]) => [
    ...new Set(leaves.flatMap(pick).filter((kind) => kind !== undefined)),
  ];

  test('are of every kind', () => {
    expect(kindsOf(({ kind }) => [kind])).toEqual(
      expect.arrayContaining([
        'event',
        'sequence',
        'property',
        'consent',
        'segment',
        'near',
        'region',
        'prediction',
        'sample',
      ]),
    );
  });

  test('have every measure', () => {
    expect(kindsOf((leaf) => (leaf.kind === 'event' ? [leaf.measure.kind] : []))).toEqual(
      expect.arrayContaining(['count', 'sum', 'average', 'min', 'max', 'distinct', 'days']),
    );
  });

  test('ask what a prediction is, and how it has changed', () => {
    const asked = kindsOf((leaf) =>
      leaf.kind === 'prediction'
        ? [
            ...(leaf.number ? ['number'] : []),
            ...(leaf.date ? ['date'] : []),
            ...(leaf.change ? ['change'] : []),
          ]
        : [],
    );
    expect(asked.sort()).toEqual(['change', 'date', 'number']);
  });

  test('have every window', () => {
    expect(kindsOf((leaf) => (leaf.kind === 'event' ? [leaf.within?.kind] : []))).toEqual(
      expect.arrayContaining(['last', 'moreThanAgo', 'ago', 'dates', 'calendar']),
    );
  });

  test('have every kind of filter, of events and of profiles', () => {
    const kinds = ['text', 'number', 'boolean', 'date', 'list', 'exists'];
    const ofEvents = kindsOf((leaf) =>
      leaf.kind === 'event' ? leaf.where.map(({ filter }) => filter.kind) : [],
    );
    expect(ofEvents).toEqual(expect.arrayContaining(kinds));
    const ofProfiles = kindsOf((leaf) => (leaf.kind === 'property' ? [leaf.filter.kind] : []));
    expect(ofProfiles).toEqual(expect.arrayContaining(kinds));
  });
});
