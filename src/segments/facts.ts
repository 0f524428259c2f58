import type { ProfileFacts } from './ast.ts';

/** What is known of a profile is what is given, and nothing else. */
export function profileFacts(known: Partial<ProfileFacts>): ProfileFacts {
  return {
    number: 0,
    attributes: new Map(),
    events: [],
    consents: new Map(),
    memberships: new Set(),
    predictions: new Map(),
    ...known,
  };
}
