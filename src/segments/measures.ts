/** What an event condition measures. Part of the reference evaluator: slow and obvious. */
import type {
  EventCriterion,
  EventFacts,
  Measure,
  NumberFilter,
  PropertyFilter,
  TimeWindow,
  Value,
} from './ast.ts';
import { dayOf } from './calendar.ts';
import { isWithin } from './dates.ts';
import { compares, numberHolds, timeHolds, valueHolds, type When } from './filters.ts';
import { elementText } from './flatten.ts';
import { LARGEST_SUMMAND, microUnits } from './numbers.ts';
import { EVENT_TIME, EVENT_VALUE } from './paths.ts';

/** A number; or exactly `micros` / 1e6 / `over`; or nothing, which no filter accepts. */
export type Measured =
  { kind: 'number'; value: number } | { kind: 'ratio'; micros: bigint; over: number } | { kind: 'none' };

/** What the criterion compares with its filter, over the events that count at the instant. */
export function measureOf(
  { metric, where, measure, within }: EventCriterion,
  events: readonly EventFacts[],
  when: When,
): Measured {
  return measured(
    measure,
    events.filter((event) => matches(event, { metric, where }, when) && happened(event, within, when)),
    when,
  );
}

/** Whether the event is of the metric, and every filter holds for it. */
export function matches(
  event: EventFacts,
  { metric, where }: { metric: string; where: readonly PropertyFilter[] },
  when: When,
): boolean {
  return (
    event.metric === metric &&
    where.every(({ path, filter }) =>
      path === EVENT_TIME
        ? timeHolds(filter, event.time, when)
        : valueHolds(filter, eventValue(event, path), when),
    )
  );
}

/** Whether the event's time has come and lies in the window. */
export function happened(event: EventFacts, within: TimeWindow | null, { at, timeZone }: When): boolean {
  return event.time <= at && (within === null || isWithin(within, event.time, at, timeZone));
}

function measured(measure: Measure, events: readonly EventFacts[], { timeZone }: When): Measured {
  if (measure.kind === 'count') return { kind: 'number', value: events.length };
  if (measure.kind === 'days') {
    return { kind: 'number', value: new Set(events.map(({ time }) => dayOf(time, timeZone))).size };
  }
  const values = events
    .map((event) => eventValue(event, measure.path))
    .filter((value) => value !== undefined);
  const numbers = values.filter((value) => typeof value === 'number');
  const summands = numbers.filter((number) => Math.abs(number) <= LARGEST_SUMMAND).map(microUnits);
  const micros = summands.reduce((sum, summand) => sum + summand, 0n);
  switch (measure.kind) {
    case 'sum':
      return { kind: 'ratio', micros, over: 1 };
    case 'average':
      return summands.length === 0 ? { kind: 'none' } : { kind: 'ratio', micros, over: summands.length };
    case 'min':
      return numbers.length === 0 ? { kind: 'none' } : { kind: 'number', value: Math.min(...numbers) };
    case 'max':
      return numbers.length === 0 ? { kind: 'none' } : { kind: 'number', value: Math.max(...numbers) };
    case 'distinct':
      return { kind: 'number', value: new Set(values.flatMap(identities)).size };
  }
}

/** A text, and an element of a list, by its text; "5" and 5 are two values. */
function identities(value: Value): string[] {
  if (typeof value === 'object') return value.map((element) => `text ${elementText(element)}`);
  return [typeof value === 'string' ? `text ${value}` : `${typeof value} ${value}`];
}

function eventValue(event: EventFacts, path: string): Value | undefined {
  return path === EVENT_VALUE ? (event.value ?? undefined) : event.properties.get(path);
}

export function measureHolds(is: NumberFilter, measured: Measured): boolean {
  switch (measured.kind) {
    case 'none':
      return false;
    case 'number':
      return numberHolds(is, measured.value);
    case 'ratio': {
      const bound = (value: number) => microUnits(value) * BigInt(measured.over);
      return is.op === 'between'
        ? bound(is.from) <= measured.micros && measured.micros <= bound(is.to)
        : compares(is.op, measured.micros, bound(is.value));
    }
  }
}
