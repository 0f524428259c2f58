/** Which consent of a channel counts: the newest by its own time, whatever the order of arrival. Pure. */
import type { Channel, ConsentFacts, ConsentStatus } from '../segments/ast.ts';

type Stored = Partial<Record<Channel, ConsentFacts>>;

/** Of two of the same instant the more cautious one counts, so that the order of arrival does not matter either. */
const CAUTION: readonly ConsentStatus[] = ['SUBSCRIBED', 'NEVER_SUBSCRIBED', 'UNSUBSCRIBED'];

/** The newest consent of each channel, of a profile's row. */
export function consentsOf(row: { consents: string }): Map<Channel, ConsentFacts> {
  return new Map(Object.entries(JSON.parse(row.consents) as Stored) as [Channel, ConsentFacts][]);
}

/** The column `consents` of one profile, from those of the two it was or from what it is told. */
export function withConsents(stored: string, more: ReadonlyMap<Channel, ConsentFacts>): string {
  const consents = consentsOf({ consents: stored });
  for (const [channel, consent] of more) {
    const known = consents.get(channel);
    if (!known || isNewer(consent, known)) consents.set(channel, consent);
  }
  return JSON.stringify(Object.fromEntries(consents));
}

function isNewer(a: ConsentFacts, b: ConsentFacts): boolean {
  if (a.time !== b.time) return a.time > b.time;
  const caution = CAUTION.indexOf(a.status) - CAUTION.indexOf(b.status);
  return caution === 0 ? (a.source ?? '') > (b.source ?? '') : caution > 0;
}

export function changedConsents(before: string, after: string): [Channel, ConsentFacts][] {
  const old = consentsOf({ consents: before });
  return [...consentsOf({ consents: after })].filter(
    ([channel, consent]) => JSON.stringify(consent) !== JSON.stringify(old.get(channel)),
  );
}
