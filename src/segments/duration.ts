import { LIMITS } from './limits.ts';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const WEEK = 7 * DAY;

const FIXED =
  /^P(?:(\d{1,9})W)?(?:(\d{1,9})D)?(?:T(?=\d)(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,12})(?:[.,](\d{1,3}))?S)?)?$/;
/** The same with any number of digits. */
const ENDLESS = /^P(?:\d+W)?(?:\d+D)?(?:T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+(?:[.,]\d{1,3})?S)?)?$/;
const CALENDAR = /^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:\d+W)?(?:(\d{1,9})D)?(?:T.*)?$/;

const TOO_LONG = 'is too long; the longest is P3650D (ten years)';

export type DurationResult = { ok: true; ms: number } | { ok: false; problem: string };

/**
 * Reads an ISO 8601 duration of fixed length (weeks, days, hours, minutes, seconds with up to three decimals).
 * Months and years are refused, because their length depends on when one asks. The range is the caller's to check.
 */
export function parseDuration(text: string): DurationResult {
  const fixed = FIXED.exec(text);
  if (fixed && text !== 'P') {
    const amount = (group: number) => Number(fixed[group] ?? 0);
    const fraction = Number((fixed[6] ?? '').padEnd(3, '0'));
    const time = amount(3) * HOUR + amount(4) * MINUTE + amount(5) * SECOND + fraction;
    return { ok: true, ms: amount(1) * WEEK + amount(2) * DAY + time };
  }
  const calendar = CALENDAR.exec(text);
  if (calendar && (calendar[1] ?? calendar[2]) !== undefined) {
    const amount = (group: number) => Number(calendar[group] ?? 0);
    const days = amount(1) * 365 + amount(2) * 30 + amount(3);
    return { ok: false, problem: `has no fixed length; say P${days}D` };
  }
  if (ENDLESS.test(text) && text !== 'P') return { ok: false, problem: TOO_LONG };
  return { ok: false, problem: 'is not an ISO 8601 duration; say for example PT30S, PT1H, P7D or P4W' };
}

/** The one canonical ISO 8601 text of a duration: P30D, PT1H30M, P1DT0.5S; zero is PT0S. */
export function printDuration(ms: number): string {
  const { days, hours, minutes, seconds } = split(ms);
  const time =
    (hours ? `${hours}H` : '') + (minutes ? `${minutes}M` : '') + (seconds ? `${secondsText(seconds)}S` : '');
  if (!days && !time) return 'PT0S';
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : ''}`;
}

/** "30 days", "1 hour 30 minutes". */
export function durationWords(ms: number): string {
  const { days, hours, minutes, seconds } = split(ms);
  const parts = [
    [days, 'day'],
    [hours, 'hour'],
    [minutes, 'minute'],
  ] as const;
  const words = parts
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => `${amount} ${unit}${amount === 1 ? '' : 's'}`);
  if (seconds > 0 || words.length === 0) {
    words.push(`${secondsText(seconds)} second${seconds === SECOND ? '' : 's'}`);
  }
  return words.join(' ');
}

/** Days, hours and minutes as amounts; the rest in milliseconds. */
function split(ms: number): { days: number; hours: number; minutes: number; seconds: number } {
  return {
    days: Math.floor(ms / DAY),
    hours: Math.floor((ms % DAY) / HOUR),
    minutes: Math.floor((ms % HOUR) / MINUTE),
    seconds: ms % MINUTE,
  };
}

function secondsText(ms: number): string {
  const whole = Math.floor(ms / SECOND);
  const rest = ms % SECOND;
  return rest === 0 ? `${whole}` : `${whole}.${String(rest).padStart(3, '0').replace(/0+$/, '')}`;
}

/** What is wrong with the length of a window, or null. */
export function durationRangeProblem(ms: number): string | null {
  if (ms < LIMITS.shortestDurationMs) return 'is too short; the shortest is PT1S';
  if (ms > LIMITS.longestDurationMs) return TOO_LONG;
  return null;
}
