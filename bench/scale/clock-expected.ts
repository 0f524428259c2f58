/**
 * What passing time must bring, by the reference evaluator of the segment language: for whoever has an event or a date at
 * an edge, whether each segment holds at the beginning and after each instant at which that can have changed.
 */
import { evaluate, parseCondition, profileFacts, type Condition } from '../../src/segments/index.ts';
import { query, type ClickHouse } from '../../src/storage/clickhouse/connect.ts';
import { DAY_MS, LONG } from '../lib/generate.ts';
import { DATE_PATH, type ClockAccount, type ClockSegment } from './clock-data.ts';

export interface Flip {
  kind: 'ENTERED' | 'EXITED';
  /** Epoch milliseconds. */
  at: number;
}

/** By segment and profile, in the order of time. */
export type Flips = Map<string, Flip[]>;

export const keyOf = (segment: string, profile: number) => `${segment} ${profile}`;

/** From the instant of the members, exclusive, to `end`. */
export async function expectedFlips(
  clickhouse: ClickHouse,
  owner: ClockAccount,
  end: number,
): Promise<Flips> {
  const flips: Flips = new Map();
  const byMetric = new Map<string | null, ClockSegment[]>();
  for (const segment of owner.segments) {
    const list = byMetric.get(segment.metric) ?? [];
    byMetric.set(segment.metric, list);
    list.push(segment);
  }
  for (const [metric, segments] of byMetric) await addFlips(flips, clickhouse, owner, metric, segments, end);
  return flips;
}

interface History {
  profile: number;
  /** Epoch milliseconds: of the events of the metric, or the date. */
  times: string[];
}

async function addFlips(
  flips: Flips,
  clickhouse: ClickHouse,
  { account, now, midnight, metrics }: ClockAccount,
  metric: string | null,
  segments: readonly ClockSegment[],
  end: number,
): Promise<void> {
  const ages = [
    ...new Set([...(metric === null ? [] : [0]), ...segments.flatMap((segment) => segment.ages)]),
  ];
  const stretches = ages.map((age) => [now - age, end - age] as const);
  const isDaily = segments.some((segment) => segment.isDaily) && midnight <= end;
  if (isDaily) stretches.push([midnight - 2 * DAY_MS - 1, midnight - 1]);
  const time = metric === null ? 'date' : 'toUnixTimestamp64Milli(time)';
  const rows =
    metric === null
      ? `FROM traits WHERE account = ${account} AND attribute = '${DATE_PATH}'`
      : `FROM events WHERE account = ${account} AND metric = ${metrics.get(metric) ?? 0}`;
  const near = stretches.map(([after, through]) => `t > ${after} AND t <= ${through}`).join(' OR ');
  const histories = await query<History>(
    clickhouse,
    `SELECT profile, groupArray(toString(${time})) AS times
     ${rows} AND profile IN (SELECT profile FROM (SELECT profile, ${time} AS t ${rows}) WHERE ${near})
     GROUP BY profile`,
    {},
    LONG,
  );
  const conditions = segments.map(({ condition }) => parsed(condition));
  const edges = segments.flatMap((segment, i) => segment.ages.map((age) => ({ age, segment: i })));
  for (const { profile, times: texts } of histories) {
    const times = texts.map(Number);
    const facts = profileFacts(
      metric === null
        ? { number: profile, attributes: new Map(times.map((at) => [DATE_PATH, new Date(at).toISOString()])) }
        : {
            number: profile,
            events: times.map((at) => ({ metric, time: at, value: null, properties: new Map() })),
          },
    );
    const instants = new Map<number, Set<number>>();
    const note = (segment: number, at: number) => {
      if (at <= now || at > end) return;
      instants.set(segment, (instants.get(segment) ?? new Set()).add(at));
    };
    for (const at of times) {
      for (const { age, segment } of edges) note(segment, at + age);
      if (metric !== null && at > now) for (const i of segments.keys()) note(i, at);
    }
    if (isDaily) segments.forEach((segment, i) => segment.isDaily && note(i, midnight));
    for (const [i, possible] of instants) {
      const [segment, condition] = [segments[i], conditions[i]];
      if (!segment || !condition) continue;
      const found: Flip[] = [];
      let held = evaluate(condition, facts, now);
      for (const at of [...possible].sort((a, b) => a - b)) {
        const holds = evaluate(condition, facts, at);
        if (holds !== held) found.push({ kind: holds ? 'ENTERED' : 'EXITED', at });
        held = holds;
      }
      if (found.length > 0) flips.set(keyOf(segment.id, profile), found);
    }
  }
}

function parsed(input: Record<string, unknown>): Condition {
  const result = parseCondition(input);
  if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join('; '));
  return result.condition;
}
