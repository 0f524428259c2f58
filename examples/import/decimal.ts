/**
 * Exact decimal arithmetic for money: 3 × 0.1 is 0.3, and a sum does not depend on the order of its lines. A decimal
 * is an integer and the number of digits behind its point.
 */
export interface Decimal {
  digits: bigint;
  scale: number;
}

const PATTERN = /^([+-]?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?[0-2]?\d))?$/;
const POWERS = Array.from({ length: 40 }, (_, power) => 10n ** BigInt(power));

/**
 * The decimal that a text writes ("-1.50", "2e3"), or null where it writes none. Without blanks or separators. At most
 * 40 characters and an exponent below 30, so that no product in a mapping leaves the range of a JavaScript number.
 */
export function parseDecimal(text: string): Decimal | null {
  const match = text.length <= 40 ? PATTERN.exec(text) : null;
  if (!match) return null;
  const [, sign, whole, fraction = '', exponent] = match;
  const digits = BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`);
  const scale = fraction.length - Number(exponent ?? 0);
  return scale >= 0 ? { digits, scale } : { digits: digits * power(-scale), scale: 0 };
}

export function multiply(a: Decimal, b: Decimal): Decimal {
  return { digits: a.digits * b.digits, scale: a.scale + b.scale };
}

export function add(a: Decimal, b: Decimal): Decimal {
  if (a.scale === b.scale) return { digits: a.digits + b.digits, scale: a.scale };
  const scale = Math.max(a.scale, b.scale);
  return { digits: a.digits * power(scale - a.scale) + b.digits * power(scale - b.scale), scale };
}

export function isLess(a: Decimal, b: Decimal): boolean {
  return a.digits * power(b.scale) < b.digits * power(a.scale);
}

/** The nearest JavaScript number: rounded once, here, and nowhere before. */
export function toNumber(decimal: Decimal): number {
  return Number(`${decimal.digits}e-${decimal.scale}`);
}

function power(exponent: number): bigint {
  return POWERS[exponent] ?? 10n ** BigInt(exponent);
}
