/** Compares the changes that were received with those that had to come. Pure. */

/** A change that had to come. Instants: `at…` are epoch milliseconds, the others are those of performance.now(). */
export interface ExpectedChange {
  /** The external id of the profile. */
  profile: string;
  /** The key of the segment. */
  segment: string;
  kind: 'ENTERED' | 'EXITED';
  cause: 'EVENT' | 'TIME';
  /** When time alone makes it true, exactly; null when the event's arrival does. */
  exactAt: number | null;
  /** The call that carried the event: when it began, and when the answer that accepts it was there. */
  sent: number;
  accepted: number;
  /** Whether it belongs to what is measured: not to the warm-up, nor to what follows the load. */
  measured: boolean;
}

export interface ReceivedChange {
  profile: string;
  segment: string;
  kind: string;
  cause: string;
  /** Epoch milliseconds, as the change says it. */
  at: number;
  received: number;
  receivedAt: number;
}

export interface Comparison {
  expected: number;
  arrived: number;
  /** Milliseconds from acceptance, and from before sending, to the change's arrival: changes that events bring. */
  fromAccepted: number[];
  fromSent: number[];
  /** |received - exact instant| of changes that time alone brings. */
  timeExits: number[];
  timeEntries: number[];
  /** What was wrong, worded; long lists are cut. */
  faults: string[];
}

const SHOWN = 5;

/** Changes of one profile and segment alternate, so that the first expected one can only be the first received one. */
export function compare(
  expected: readonly ExpectedChange[],
  received: readonly ReceivedChange[],
): Comparison {
  const queues = new Map<string, ReceivedChange[]>();
  for (const change of received) {
    const key = keyOf(change);
    queues.set(key, [...(queues.get(key) ?? []), change]);
  }
  const missing: string[] = [];
  const different: string[] = [];
  const result: Comparison = {
    expected: expected.length,
    arrived: 0,
    fromAccepted: [],
    fromSent: [],
    timeExits: [],
    timeEntries: [],
    faults: [],
  };
  for (const change of expected) {
    const found = queues.get(keyOf(change))?.shift();
    if (!found) {
      missing.push(describe(change));
      continue;
    }
    result.arrived += 1;
    const difference = differenceOf(change, found);
    if (difference) different.push(`${describe(change)}: ${difference}`);
    else if (change.measured) measure(result, change, found);
  }
  const surplus = [...queues.values()].flat().map(describe);
  result.faults = [
    ...listed('changes never arrived', missing),
    ...listed('changes are not as they must be', different),
    ...listed('changes came that nothing has brought', surplus),
  ];
  return result;
}

function measure(into: Comparison, change: ExpectedChange, found: ReceivedChange): void {
  if (change.exactAt === null) {
    into.fromAccepted.push(found.received - change.accepted);
    into.fromSent.push(found.received - change.sent);
  } else {
    const list = change.kind === 'EXITED' ? into.timeExits : into.timeEntries;
    list.push(Math.abs(found.receivedAt - change.exactAt));
  }
}

function differenceOf(change: ExpectedChange, found: ReceivedChange): string | null {
  if (found.kind !== change.kind) return `${found.kind} came instead`;
  if (found.cause !== change.cause) return `its cause is ${found.cause}`;
  if (change.exactAt !== null && found.at !== change.exactAt)
    return `at is ${found.at - change.exactAt} ms off the exact instant`;
  return null;
}

function keyOf({ profile, segment }: { profile: string; segment: string }): string {
  return `${segment} ${profile}`;
}

function describe(change: { kind: string; segment: string; profile: string; cause: string }): string {
  return `${change.kind} ${change.segment} by ${change.profile} (${change.cause})`;
}

function listed(what: string, items: string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > SHOWN ? `, and ${items.length - SHOWN} more` : '';
  return [`${items.length} ${what}: ${items.slice(0, SHOWN).join(', ')}${more}`];
}
