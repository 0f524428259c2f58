/**
 * Conditions as they are kept: a ConditionInput, and beside it the centres of its postal codes. A segment's meaning must
 * not change with the tables of a newer version, nor do readers need them.
 */
import type { Condition, Leaf } from './ast.ts';
import { parseCondition } from './parse.ts';
import { toInput } from './print.ts';
import { isLeaf } from './tree.ts';

interface Centre {
  country: string;
  postalCode: string;
  latitude: number;
  longitude: number;
}

export function toStored(condition: Condition): string {
  const centres = new Map<string, Centre>();
  for (const leaf of leavesOf(condition)) {
    if (leaf.kind !== 'near' || leaf.postal === null) continue;
    const { postal, latitude, longitude } = leaf;
    centres.set(placeKey(postal.country, postal.postalCode), { ...postal, latitude, longitude });
  }
  return JSON.stringify({
    ...toInput(condition),
    ...(centres.size > 0 && { centres: [...centres.values()] }),
  });
}

/** Equals the condition of which `toStored` made the text. Throws on what a newer version of Tidemark has written. */
export function readStored(text: string): Condition {
  const { centres = [], ...input } = JSON.parse(text) as { centres?: Centre[] };
  const known = new Map(centres.map((centre) => [placeKey(centre.country, centre.postalCode), centre]));
  const parsed = parseCondition(input, {
    countries: centres.map(({ country }) => country),
    centreOf: (country, postalCode) => known.get(placeKey(country, postalCode)) ?? null,
  });
  if (!parsed.ok) throw new Error('a stored condition cannot be read by this version of Tidemark');
  return parsed.condition;
}

function placeKey(country: string, postalCode: string): string {
  return JSON.stringify([country, postalCode]);
}

function leavesOf(condition: Condition): Leaf[] {
  if (isLeaf(condition)) return [condition];
  return condition.kind === 'not' ? leavesOf(condition.child) : condition.children.flatMap(leavesOf);
}
