import type { Condition, ProfileFacts } from '../../src/segments/ast.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { flatten } from '../../src/segments/flatten.ts';
import { parseCondition, type PostalCodes } from '../../src/segments/parse.ts';
import { evaluate } from '../../src/segments/reference.ts';

export const NOW = Date.UTC(2026, 1, 10, 12);

/** The condition that the input says; throws the mistakes in it. */
export function parsed(input: unknown): Condition {
  const result = parseCondition(input);
  if (!result.ok) throw new Error(result.errors.map(({ message }) => message).join('\n'));
  return result.condition;
}

/** The mistakes in the input as "CODE path"; none when it is valid. */
export function mistakes(input: unknown): string[] {
  const result = parseCondition(input);
  return result.ok ? [] : result.errors.map(({ code, path }) => `${code} ${path.join('.')}`);
}

export function messageOf(input: unknown): string {
  const result = parseCondition(input);
  return result.ok ? '' : (result.errors[0]?.message ?? '');
}

/** A table of one postal code. */
export function postalCodesWith(only: {
  country: string;
  postalCode: string;
  latitude: number;
  longitude: number;
}): PostalCodes {
  const { latitude, longitude } = only;
  const isOnly = (country: string, code: string) => country === only.country && code === only.postalCode;
  return {
    countries: [only.country],
    centreOf: (country, code) => (isOnly(country, code) ? { latitude, longitude } : null),
  };
}

export interface SimpleEvent {
  metric?: string;
  time?: number;
  value?: number | null;
  properties?: unknown;
}

export function profile(attributes: unknown, events: readonly SimpleEvent[] = []): ProfileFacts {
  return profileFacts({
    attributes: flatten(attributes),
    events: events.map(({ metric = 'Placed Order', time = NOW, value = null, properties = {} }) => ({
      metric,
      time,
      value,
      properties: flatten(properties),
    })),
  });
}

/** Whether the condition is true for a profile with these events, at `at`. */
export function trueFor(input: unknown, facts: ProfileFacts, at = NOW, timeZone = 'UTC'): boolean {
  return evaluate(parsed(input), facts, at, { timeZone });
}

/** Whether the filter holds for the value, as a property of a profile. */
export function holds(filter: unknown, value: unknown, at = NOW, timeZone = 'UTC'): boolean {
  const facts = profile({ properties: { x: value } });
  return trueFor({ property: { path: 'properties.x', filter } }, facts, at, timeZone);
}

/** Whether "Placed Order" with these details is true for someone with these events. */
export function did(details: object, events: readonly SimpleEvent[], at = NOW, timeZone = 'UTC'): boolean {
  return trueFor({ event: { metric: 'Placed Order', ...details } }, profile({}, events), at, timeZone);
}
