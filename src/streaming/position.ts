/** A place in an account's membership log: the last sequence seen in each partition. Opaque to clients. */

/** The text is not a position of this account. */
export class InvalidPosition extends Error {}

export type Sequences = ReadonlyMap<number, number>;

export function encodePosition(account: number, sequences: Sequences): string {
  const pairs = [...sequences].sort(([a], [b]) => a - b);
  return Buffer.from(JSON.stringify([account, ...pairs]), 'utf8').toString('base64url');
}

export function decodePosition(account: number, position: string): Map<number, number> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(position, 'base64url').toString('utf8'));
  } catch {
    throw new InvalidPosition('not a position');
  }
  if (!Array.isArray(parsed) || parsed[0] !== account)
    throw new InvalidPosition('not a position of this account');
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
  const sequences = new Map<number, number>();
  for (const pair of parsed.slice(1) as unknown[]) {
    if (
      !Array.isArray(pair) ||
      pair.length !== 2 ||
      !isCount(pair[0]) ||
      !isCount(pair[1]) ||
      pair[0] > 65_535
    ) {
      throw new InvalidPosition('not a position');
    }
    sequences.set(pair[0], pair[1]);
  }
  return sequences;
}
