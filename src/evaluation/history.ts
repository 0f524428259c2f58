/**
 * The size of a segment over time, from the membership log. An entry or exit counts from the instant at which it was
 * evaluated, as it did for whoever asked for the size then: what has been told of the past does not change afterwards.
 */
import { query, type ClickHouse } from '../storage/clickhouse/connect.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { readPopulatedAt } from '../storage/mysql/definitions.ts';
import { moment } from './compile.ts';
import { createParameters } from './parameters.ts';
import { sizesAfter } from './past-members.ts';

export interface SizePoint {
  /** Epoch milliseconds. */
  at: number;
  count: number;
  /** Since the point before, up to and including this one. */
  entered: number;
  exited: number;
}

/** All in milliseconds; from < to. */
export interface Span {
  from: number;
  to: number;
  every: number;
}

/**
 * A point at `from`, at every step behind it, and at `to`. Of each point but the first the count is the one before
 * + entered - exited; a population counts as entered. Before the segment was populated the count is 0.
 */
export async function sizeHistory(
  deps: { clickhouse: ClickHouse; mysql: MySql },
  account: number,
  segment: number,
  span: Span,
): Promise<SizePoint[]> {
  const { from, to, every } = span;
  const populatedAt = await readPopulatedAt(deps.mysql.db, segment);
  const sizes = await sizesAfter(deps.clickhouse, account, segment, from);
  const moves = await movesByStep(deps.clickhouse, account, segment, span);
  let count = 0;
  for (const [partition, at] of populatedAt) {
    const size = sizes.get(partition) ?? 0;
    if (at <= from) count += size;
    else if (at <= to && size > 0) {
      const step = Math.floor((at - from - 1) / every);
      const { entered, exited } = moves.get(step) ?? NONE;
      moves.set(step, { entered: entered + size, exited });
    }
  }
  const points: SizePoint[] = [{ at: from, count, ...NONE }];
  for (let step = 0; from + step * every < to; step++) {
    const { entered, exited } = moves.get(step) ?? NONE;
    count += entered - exited;
    points.push({ at: Math.min(from + (step + 1) * every, to), count, entered, exited });
  }
  return points;
}

interface Moves {
  entered: number;
  exited: number;
}

const NONE: Moves = { entered: 0, exited: 0 };

/** Step k is from + k * every < t <= from + (k + 1) * every. Steps in which nothing happened are absent. */
async function movesByStep(
  clickhouse: ClickHouse,
  account: number,
  segment: number,
  { from, to, every }: Span,
): Promise<Map<number, Moves>> {
  const parameters = createParameters();
  const behind = `toUnixTimestamp64Milli(evaluated_at) - ${parameters.add('Int64', from)} - 1`;
  const rows = await query<{ step: string; entered: string; exited: string }>(
    clickhouse,
    `SELECT
       intDiv(${behind}, ${parameters.add('Int64', every)}) AS step,
       countIf(kind = 'ENTERED') AS entered,
       countIf(kind = 'EXITED') AS exited
     FROM membership_log
     WHERE account = ${parameters.add('UInt32', account)} AND segment = ${parameters.add('UInt32', segment)}
       AND evaluated_at > ${moment(from, parameters)} AND evaluated_at <= ${moment(to, parameters)}
     GROUP BY step`,
    parameters.values,
  );
  return new Map(
    rows.map(({ step, entered, exited }) => [
      Number(step),
      { entered: Number(entered), exited: Number(exited) },
    ]),
  );
}
