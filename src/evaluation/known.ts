/** What is known of one profile: what was read of it, kept true by the news. */
import type { Criterion, Value } from '../segments/ast.ts';
import type { ProfileChange } from '../storage/profile-changes.ts';
import { propertiesOf, sizeOf, type KnownFacts, type Parts } from './read-known.ts';
import { looksAtEvents, looksAtTraits, type Uses } from './uses.ts';

export interface Known extends KnownFacts {
  uses: Uses;
  gone: boolean;
  /** What is known of it: only what criteria have asked about was read. */
  parts: Parts;
  /** The first instant that its events can be evaluated at: what no window reaches from there was not read. */
  from: number;
  /** As it was when it was kept. */
  weight: number;
}

export const EVERYTHING: Parts = { events: true, traits: true };

/** What deciding the criteria looks at. */
export function partsFor(criteria: readonly Criterion[]): Parts {
  return { events: criteria.some(looksAtEvents), traits: criteria.some(looksAtTraits) };
}

export function both(one: Parts, other: Parts | undefined): Parts {
  return {
    events: one.events || other?.events === true,
    traits: one.traits || other?.traits === true,
  };
}

/** False: the change says too little, or too much has changed. */
export function learn(known: Known, change: ProfileChange, mostEvents: number): boolean {
  const { uses, parts } = known;
  if (change.gone) known.gone = true;
  const { values = [], revision } = change;
  const told = new Set(values.map(([path]) => path));
  const isUsed = (path: string) => parts.traits && uses.attributes.has(path);
  if (change.attributes?.some((path) => isUsed(path) && !told.has(path))) return false;
  for (const [path, value] of values) {
    if (!isUsed(path) || revision === undefined) continue;
    if (revision < (known.revisions.get(path) ?? 0)) continue;
    known.revisions.set(path, revision);
    if (value === null) known.attributes.delete(path);
    else known.attributes.set(path, value as Value);
  }
  const { metric, event, content } = change;
  const paths = metric === undefined ? undefined : uses.metrics.get(metric);
  if (!parts.events || metric === undefined || !event || !paths || known.events === null) return true;
  if (!content) return false;
  // Their order does not matter, and the same may be told twice.
  if (known.events.some(({ id }) => id === event.id)) return true;
  known.events.push({
    id: event.id,
    metric,
    time: event.time,
    value: content.value,
    properties: propertiesOf(content.properties.filter(([path]) => paths.has(path)) as [string, Value][]),
  });
  if (known.events.length > mostEvents) known.events = null;
  return true;
}

export function weightOf({ events, attributes, consents }: KnownFacts): number {
  let characters = 0;
  for (const { properties } of events ?? [])
    for (const value of properties.values()) characters += sizeOf(value);
  for (const value of attributes.values()) characters += sizeOf(value);
  return 1 + (events?.length ?? 0) + attributes.size + consents.size + Math.floor(characters / 200);
}
