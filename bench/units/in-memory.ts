/** What an evaluator does and keeps without asking any store, in this process. */
import { runInNewContext } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { inForceTogether } from '../../src/evaluation/dependents.ts';
import { createRegistry } from '../../src/evaluation/registry.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { evaluate } from '../../src/segments/reference.ts';
import { round } from '../lib/stats.ts';
import { SEGMENTS } from '../latency/segments.ts';

const SEGMENTS_PER_ACCOUNT = 20;
const ACCOUNTS = 500;

/** Bytes of the heap for each segment in force in one partition, and the time to bring it there from its definition. */
export function segmentInForce(): { bytes: number; micros: number } {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const heap = () => {
    collect();
    collect();
    return process.memoryUsage().heapUsed;
  };
  const before = heap();
  const begun = performance.now();
  const registry = createRegistry();
  for (let account = 1; account <= ACCOUNTS; account++) {
    const stored = SEGMENTS.slice(0, SEGMENTS_PER_ACCOUNT).map(({ condition }, i) => ({
      account,
      segment: account * SEGMENTS_PER_ACCOUNT + i,
      version: 1,
      definition: JSON.stringify(condition),
    }));
    for (const segment of inForceTogether(stored, new Map())) registry.put(segment);
  }
  const micros = (performance.now() - begun) * 1000;
  const bytes = heap() - before;
  // It must live until here.
  if (!registry.account(1)) throw new Error('the registry is empty');
  const each = (total: number) => Math.round(total / (ACCOUNTS * SEGMENTS_PER_ACCOUNT));
  return { bytes: each(bytes), micros: each(micros) };
}

/** The truth of one of the segments for somebody with forty events. */
export function criterionMicros(): number {
  const now = Date.UTC(2026, 4, 13, 12);
  const metrics = ['Viewed Product', 'Opened Email', 'Active on Site', 'Placed Order'];
  const facts = profileFacts({
    attributes: new Map([['properties.plan', 'gold']]),
    events: Array.from({ length: 40 }, (_, i) => ({
      metric: metrics[i % 4] ?? '',
      time: now - i * 86_400_000,
      value: i,
      properties: new Map<string, string | number>([
        ['category', 'shoes'],
        ['price', i * 10],
      ]),
    })),
  });
  const segments = inForceTogether(
    SEGMENTS.map(({ condition }, i) => ({
      account: 1,
      segment: i,
      version: 1,
      definition: JSON.stringify(condition),
    })),
    new Map(),
  );
  const all = () => {
    for (const { condition } of segments) evaluate(condition, facts, now);
  };
  for (let i = 0; i < 2_000; i++) all();
  const begun = performance.now();
  const rounds = 5_000;
  for (let i = 0; i < rounds; i++) all();
  return round(((performance.now() - begun) * 1000) / (rounds * segments.length), 2);
}
