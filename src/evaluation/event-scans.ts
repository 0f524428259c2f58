/**
 * Scans of events for one criterion over all profiles, and in which order they read: that of profiles, the projection's,
 * which is that of time, or some months in the one and some days in the other (docs/decisions/0011).
 */
import { dayOf } from '../segments/calendar.ts';
import type { EventCriterion, SequenceCriterion } from '../segments/ast.ts';
import {
  selectByAggregates,
  selectByCount,
  selectByDays,
  selectByFewAggregates,
  selectByFewDays,
  selectByHashes,
} from './blocks.ts';
import { compileEvents, moment } from './compile.ts';
import { dayNumber, enoughFor, hashedIdentities, leastCount } from './measures.ts';
import type { Parameters } from './parameters.ts';
import { timesOf } from './rules.ts';

interface ScanScope {
  at: number;
  timeZone: string;
}

/**
 * Windows of so many days read their rows in the order of profiles. The projection by time has fewer rows for any window,
 * but in the order of time: what is added up for the next one lies anywhere in memory, and of long windows that costs
 * several times what is saved. Shorter windows must fit a mask of days (`selectByFewDays`).
 */
const FAR_DAYS = 14;
/**
 * True, of a column that the projection does not have and that takes nothing to read: ClickHouse would else take the
 * projection whenever it has fewer granules, if by a handful.
 */
export const BY_PROFILE = 'NOT ignore(copied)';

/** Of longer windows the events of a profile may be any number, and so may the bytes that are kept of them. */
const MOST_DAYS_COUNTED = 100;

/** Of so few days of a month the projection is read in less time than the month in the order of profiles. */
const FEW_DAYS_MS = 7 * 86_400_000;

export function isFar(criterion: EventCriterion | SequenceCriterion, scope: ScanScope): boolean {
  return daysOf(criterion, scope) >= FAR_DAYS;
}

function isCollected(criterion: EventCriterion, scope: ScanScope): boolean {
  return leastCount(criterion) !== null && daysOf(criterion, scope) <= MOST_DAYS_COUNTED;
}

/** On how many days of the calendar there can be an event that counts. */
function daysOf({ within }: EventCriterion | SequenceCriterion, { at, timeZone }: ScanScope): number {
  const { after, through } = timesOf(within, { at, timeZone });
  return after === null ? Infinity : dayOf(through, timeZone) - dayOf(after, timeZone) + 1;
}

/**
 * Whether the criterion is read month by month: a count of any events, of which nothing is looked at but whose they are
 * and when they were, over more than one month, and over few days of the first. What is added up otherwise than by
 * `selectByCount` takes so long that it makes no difference.
 */
export function isMonthly(criterion: EventCriterion, scope: ScanScope): boolean {
  const { measure, where, within } = criterion;
  if (measure.kind !== 'count' || where.length > 0 || !isFar(criterion, scope)) return false;
  const least = leastCount(criterion) ?? Infinity;
  if (least > 1 && !isCollected(criterion, scope)) return false;
  const times = timesOf(within, scope);
  const { first, last } = monthsOf(times);
  if (first === null || times.after === null) return true;
  return first < last && startOfMonth(first + 1) - times.after <= FEW_DAYS_MS;
}

/** In months since 0000; first: null, since ever. */
interface Months {
  first: number | null;
  last: number;
}

/** Before it there is no event. */
const EARLIEST = Date.UTC(1900, 0);

/** `events` is partitioned by the months of UTC. */
function monthsOf({ after, through }: { after: number | null; through: number }): Months {
  const monthOf = (ms: number) => {
    const date = new Date(Math.max(ms, EARLIEST));
    return 12 * date.getUTCFullYear() + date.getUTCMonth();
  };
  return {
    first: after === null || after < EARLIEST ? null : monthOf(after + 1),
    last: monthOf(through),
  };
}

const startOfMonth = (month: number) => Date.UTC(Math.floor(month / 12), month % 12);
const partitionOf = (month: number) => String(100 * Math.floor(month / 12) + (month % 12) + 1);

/**
 * A SELECT of `profile` for each row of events `where` it holds with `after < time <= through`, which lies in different
 * months. Of those between the first and the last no time is looked at. Each row belongs to one of the parts by what it
 * says itself: they do not see the same state of the table.
 */
function selectMonthly(
  where: string,
  times: { after: number | null; through: number },
  parameters: Parameters,
): string {
  const { first, last } = monthsOf(times);
  const rows = (...conditions: string[]) =>
    `SELECT profile FROM events WHERE ${[where, ...conditions].join(' AND ')}`;
  const inPartition = (comparison: string, month: number) =>
    `_partition_id ${comparison} ${parameters.add('String', partitionOf(month))}`;
  const parts = [
    rows(
      `time >= ${moment(startOfMonth(last), parameters)}`,
      `time <= ${moment(times.through, parameters)}`,
      BY_PROFILE,
    ),
  ];
  if (first === null || last - first > 1) {
    const since = first === null ? [] : [inPartition('>', first)];
    parts.push(rows(...since, inPartition('<', last), BY_PROFILE));
  }
  if (first !== null && times.after !== null) {
    parts.push(
      rows(
        `time > ${moment(times.after, parameters)}`,
        `time < ${moment(startOfMonth(first + 1), parameters)}`,
      ),
    );
  }
  return parts.join(' UNION ALL ');
}

/** A SELECT of `profile`, of those who satisfy the criterion. `place`: which rows are the account's. */
export function scanEvents(
  criterion: EventCriterion,
  metric: number,
  scope: ScanScope & { isMonthly: boolean },
  place: string,
  parameters: Parameters,
): string {
  const { match, measure, existence } = compileEvents(criterion, metric, scope, parameters);
  const isLong = isFar(criterion, scope);
  const rowsThat = (condition: string | null) =>
    `FROM events WHERE ${[place, match, condition, isLong ? BY_PROFILE : null].filter((sql) => sql !== null).join(' AND ')}`;
  const counted = scope.isMonthly
    ? `FROM (${selectMonthly(`${place} AND metric = ${parameters.add('UInt32', metric)}`, timesOf(criterion.within, scope), parameters)})`
    : rowsThat(null);
  if (existence !== null) return `SELECT profile ${existence === 'true' ? counted : rowsThat(existence)}`;
  const least = leastCount(criterion);
  if (least !== null && isCollected(criterion, scope))
    return selectByCount(parameters.add('Float64', least), counted);
  if (criterion.measure.kind === 'days') {
    const day = dayNumber(scope.timeZone, parameters);
    return isLong
      ? selectByDays(day, enoughFor(criterion.is), measure.truth, rowsThat(null))
      : selectByFewDays(day, measure.truth, rowsThat(null));
  }
  if (criterion.measure.kind === 'distinct') {
    const scans = hashedIdentities(criterion.measure.path, parameters).map(
      ({ isSet, hash }) => `SELECT profile, ${hash} AS hash ${rowsThat(isSet)}`,
    );
    return selectByHashes('hash', measure.truth, `FROM (${scans.join(' UNION ALL ')})`);
  }
  const select = isLong ? selectByAggregates : selectByFewAggregates;
  return select(measure.aggregates, measure.truth, rowsThat(measure.counted));
}
