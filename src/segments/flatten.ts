import type { Value } from './ast.ts';
import { canonicalJson } from './canonical.ts';

/**
 * The set values of a JSON object by dotted path, as conditions name them. Null is unset and left out, as is a number
 * that is not finite; an object is no value itself, only what it contains; a list is one value. Anything but an object
 * has no values. The nesting must be bounded by the caller.
 *
 * Two values can claim one path, as in {"a.b": 1, "a": {"b": 2}}. The more deeply nested one wins (2); at equal depth,
 * the one whose first keys are shorter. The order of keys never matters, because not every store keeps it.
 */
export function flatten(properties: unknown): Map<string, Value> {
  const values = new Map<string, Value>();
  const owners = new Map<string, readonly string[]>();
  const visit = (object: object, above: readonly string[]): void => {
    for (const [key, item] of Object.entries(object)) {
      const keys = [...above, key];
      if (isObject(item)) {
        visit(item, keys);
        continue;
      }
      const value = valueOf(item);
      const path = keys.join('.');
      const owner = owners.get(path);
      if (value === undefined || (owner && !outranks(keys, owner))) continue;
      owners.set(path, keys);
      values.set(path, value);
    }
  };
  if (isObject(properties)) visit(properties, []);
  return values;
}

/** Inside a list, nulls are left out and an object is its JSON text with sorted keys. */
function valueOf(item: unknown): Value | undefined {
  if (Array.isArray(item)) {
    return item
      .map((element) => (isObject(element) ? canonicalJson(element) : valueOf(element)))
      .filter((element) => element !== undefined);
  }
  if (typeof item === 'number') return Number.isFinite(item) ? item + 0 : undefined;
  return typeof item === 'string' || typeof item === 'boolean' ? item : undefined;
}

/** An element of a list as list filters compare it: a text as it is, anything else as JSON: 3, true, ["a"]. */
export function elementText(element: Value): string {
  return typeof element === 'string' ? element : JSON.stringify(element);
}

function outranks(keys: readonly string[], owner: readonly string[]): boolean {
  if (keys.length !== owner.length) return keys.length > owner.length;
  const differing = keys.findIndex((key, level) => key.length !== owner[level]?.length);
  return (keys[differing]?.length ?? 0) < (owner[differing]?.length ?? 0);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
