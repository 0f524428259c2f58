/** When time alone can change what is true of someone. */
import type { DateFilter, EventFacts, Leaf, ProfileFacts, PropertyFilter, TimeWindow, Value } from './ast.ts';
import { anniversaryIn, civilDate, dayNumber, dayOf, monthOf, periodDays, startOfDay } from './calendar.ts';
import { parseDate } from './dates.ts';
import { EVENT_TIME, predictionPath } from './paths.ts';

/** Instants (epoch milliseconds) and yearly events, at each of which truth may change; between them it cannot. */
export interface TurningPoints {
  once: number[];
  yearly: Yearly[];
}

/** For a date that comes back each year, the days of a year on which its filter holds: from the first to the one behind. */
export type Yearly = (year: number) => [from: number, to: number];

export function turningPoints(leaf: Leaf, facts: ProfileFacts, timeZone: string): TurningPoints {
  switch (leaf.kind) {
    case 'event':
      return joined(
        eventsOf(leaf, facts).map((event) => eventPoints(event, leaf.within, leaf.where, timeZone)),
      );
    case 'sequence':
      return joined(
        leaf.steps.flatMap((step) =>
          eventsOf(step, facts).map((event) =>
            joined([
              eventPoints(event, leaf.within, step.where, timeZone),
              once(leaf.completeWithinMs === null ? [] : [event.time + leaf.completeWithinMs]),
            ]),
          ),
        ),
      );
    case 'property':
      return leaf.filter.kind === 'date'
        ? valuePoints(leaf.filter.date, facts.attributes.get(leaf.path), timeZone)
        : NONE;
    case 'consent': {
      const consent = facts.consents.get(leaf.channel);
      if (!consent || !leaf.since) return NONE;
      return once([consent.time, ...windowPoints(leaf.since, consent.time, timeZone)]);
    }
    case 'prediction': {
      const path = predictionPath(leaf.dimension);
      return joined([
        leaf.date ? valuePoints(leaf.date, facts.attributes.get(path), timeZone) : NONE,
        leaf.change ? changePoints(path, leaf.change.withinMs, facts) : NONE,
      ]);
    }
    case 'trend':
      return changePoints(leaf.path, leaf.withinMs, facts);
    case 'segment':
    case 'near':
    case 'region':
    case 'sample':
      return NONE;
  }
}

/** The instants of yearly events from the year before `from` to the one after `to`. */
export function yearlyPoints(daysIn: Yearly, from: number, to: number, timeZone: string): number[] {
  const yearOf = (at: number) => civilDate(dayOf(at, timeZone)).year;
  const points: number[] = [];
  for (let year = yearOf(from) - 1; year <= yearOf(to) + 1; year += 1) {
    points.push(...daysIn(year).map((day) => startOfDay(day, timeZone)));
  }
  return points;
}

const NONE: TurningPoints = { once: [], yearly: [] };

function once(instants: number[]): TurningPoints {
  return { once: instants, yearly: [] };
}

function yearly(daysIn: Yearly): TurningPoints {
  return { once: [], yearly: [daysIn] };
}

function joined(parts: readonly TurningPoints[]): TurningPoints {
  return { once: parts.flatMap((part) => part.once), yearly: parts.flatMap((part) => part.yearly) };
}

function eventsOf({ metric }: { metric: string }, facts: ProfileFacts): EventFacts[] {
  return facts.events.filter((event) => event.metric === metric);
}

function eventPoints(
  event: EventFacts,
  within: TimeWindow | null,
  where: readonly PropertyFilter[],
  timeZone: string,
): TurningPoints {
  return joined([
    once([event.time, ...(within ? windowPoints(within, event.time, timeZone) : [])]),
    ...where.map(({ path, filter }) => {
      if (filter.kind !== 'date') return NONE;
      if (path === EVENT_TIME) return datePoints(filter.date, event.time, timeZone);
      return valuePoints(filter.date, event.properties.get(path), timeZone);
    }),
  ]);
}

function valuePoints(filter: DateFilter, value: Value | undefined, timeZone: string): TurningPoints {
  const date = typeof value === 'string' ? parseDate(value, timeZone) : null;
  return date === null ? NONE : datePoints(filter, date, timeZone);
}

function datePoints(filter: DateFilter, date: number, timeZone: string): TurningPoints {
  switch (filter.op) {
    case 'within':
      return once(windowPoints(filter.window, date, timeZone));
    case 'next':
      return once([date - filter.ms, date]);
    case 'anniversary': {
      const civil = civilDate(dayOf(date, timeZone));
      return yearly((year) => {
        const day = anniversaryIn(year, civil);
        return [day - filter.to, day - filter.from + 1];
      });
    }
    case 'thisMonth': {
      const month = monthOf(date, timeZone);
      return yearly((year) => [dayNumber(year, month, 1), dayNumber(year, month + 1, 1)]);
    }
    case 'month':
      return NONE;
  }
}

/** A window holds for t from one instant to another: those two. */
function windowPoints(window: TimeWindow, t: number, timeZone: string): number[] {
  switch (window.kind) {
    case 'last':
      return [t, t + window.ms];
    case 'moreThanAgo':
      return [t + window.ms];
    case 'ago':
      return [t + window.toMs, t + window.fromMs];
    case 'dates':
      return [];
    case 'calendar': {
      // The day, week, month or year of t, and the one after it, in which it is the last one.
      const [from, to] = periodDays(THIS[window.period], dayOf(t, timeZone));
      const [, end] = periodDays(THIS[window.period], to);
      return [from, to, end].map((day) => startOfDay(day, timeZone));
    }
  }
}

const THIS = {
  TODAY: 'TODAY',
  YESTERDAY: 'TODAY',
  THIS_WEEK: 'THIS_WEEK',
  LAST_WEEK: 'THIS_WEEK',
  THIS_MONTH: 'THIS_MONTH',
  LAST_MONTH: 'THIS_MONTH',
  THIS_YEAR: 'THIS_YEAR',
  LAST_YEAR: 'THIS_YEAR',
} as const;

function changePoints(path: string, withinMs: number, facts: ProfileFacts): TurningPoints {
  return once((facts.predictions.get(path) ?? []).flatMap(({ time }) => [time, time + withinMs]));
}
