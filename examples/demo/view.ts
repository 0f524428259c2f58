/** The terminal view: 80 × 24, ANSI only. Without a terminal: plain lines. */
import type { Change } from './feed.ts';
import type { DemoSegment } from './segments.ts';

export interface Totals {
  people: number;
  sent: number;
  refused: number;
  /** Events a second, lately. */
  rate: number;
  connected: boolean;
  seconds: number;
}

export interface View {
  count: (segment: string, count: number) => void;
  change: (change: Change, receivedAt: number) => void;
  /** Redraws; called a few times a second. */
  draw: (totals: Totals) => void;
  stop: () => void;
}

const BARS = '▁▂▃▄▅▆▇█';
const HISTORY = 24;
/** One bar of the sparkline. */
const SAMPLE_MS = 2_000;
const LINES_EVERY_MS = 2_000;

const paint = (code: number, text: string) => `\x1b[${code}m${text}\x1b[0m`;
const dim = (text: string) => paint(2, text);

export function createView(segments: DemoSegment[], output: NodeJS.WriteStream, now: () => number): View {
  return output.isTTY ? liveView(segments, output, now) : plainView(segments, output, now);
}

function liveView(segments: DemoSegment[], output: NodeJS.WriteStream, now: () => number): View {
  const counts = new Map<string, number>();
  const history = new Map<string, number[]>(segments.map(({ id }) => [id, []]));
  const names = new Map(segments.map(({ id, name }) => [id, name]));
  const recent: string[] = [];
  let sampledAt = 0;
  // The alternate screen: what was on the terminal before comes back at the end. Lines do not wrap.
  output.write('\x1b[?1049h\x1b[?25l\x1b[?7l');

  function sample(): void {
    if (now() - sampledAt < SAMPLE_MS) return;
    sampledAt = now();
    for (const [id, past] of history) {
      past.push(counts.get(id) ?? 0);
      if (past.length > HISTORY) past.shift();
    }
  }

  function segmentLine({ id, name }: DemoSegment): string {
    const past = history.get(id)!;
    const count = counts.get(id);
    const delta = (count ?? 0) - (past.at(-6) ?? past[0] ?? count ?? 0);
    const moved = delta === 0 ? ' '.repeat(7) : `${delta > 0 ? '▲' : '▼'}${Math.abs(delta)}`.padEnd(7);
    const colour = delta > 0 ? 32 : 31;
    const number = count === undefined ? '…' : count.toLocaleString('en-US');
    return ` ${name.padEnd(22)}${number.padStart(8)}  ${paint(colour, moved)} ${paint(36, sparkline(past))}`;
  }

  return {
    count: (segment, count) => counts.set(segment, count),
    change(change, receivedAt) {
      const entered = change.kind === 'ENTERED';
      const { who, segment, cause, latency } = describe(change, names, receivedAt);
      const text = `${who.padEnd(24)} ${segment.padEnd(20)} ${cause.padEnd(10)} ${latency.padStart(7)}`;
      recent.unshift(` ${dim(clock(receivedAt))} ${entered ? paint(32, '→') : paint(31, '←')} ${text}`);
      recent.length = Math.min(recent.length, 60);
    },
    draw(totals) {
      sample();
      const height = output.rows || 24;
      const remarks = [
        ...(totals.connected ? [] : ['connecting…']),
        ...(totals.refused > 0 ? [`${totals.refused} events refused`] : []),
      ];
      const lines = [
        `${paint(1, ' Tidemark demo')}  ${headline(totals)}`,
        paint(33, ` ${remarks.join(', ')}`),
        dim(
          ` ${'segment'.padEnd(22)}${'members'.padStart(8)}  ${'10 s'.padEnd(7)} last ${(HISTORY * SAMPLE_MS) / 1000} s`,
        ),
        ...segments.map(segmentLine),
        '',
        dim(`${' entries → and exits ← as they are pushed'.padEnd(75)}after`),
      ];
      lines.push(...recent.slice(0, Math.max(0, height - lines.length - 1)), dim(' Ctrl-C ends'));
      output.write(
        `\x1b[H${lines
          .slice(0, height)
          .map((line) => `${line}\x1b[K`)
          .join('\n')}\x1b[J`,
      );
    },
    stop: () => void output.write('\x1b[?7h\x1b[?25h\x1b[?1049l'),
  };
}

function plainView(segments: DemoSegment[], output: NodeJS.WriteStream, now: () => number): View {
  const counts = new Map<string, number>();
  const names = new Map(segments.map(({ id, name }) => [id, name]));
  let printedAt = 0;
  return {
    count: (segment, count) => counts.set(segment, count),
    change(change, receivedAt) {
      const { who, segment, cause, latency } = describe(change, names, receivedAt);
      output.write(
        `${clock(receivedAt)} ${change.kind.padEnd(7)} ${segment}: ${who}, ${cause}, after ${latency}\n`,
      );
    },
    draw(totals) {
      if (now() - printedAt < LINES_EVERY_MS) return;
      printedAt = now();
      const sizes = segments.map(({ id, name }) => `${name} ${counts.get(id) ?? '…'}`).join(' | ');
      output.write(`${headline(totals)}${totals.connected ? '' : ' (connecting)'} | ${sizes}\n`);
    },
    stop: () => {},
  };
}

function describe(change: Change, names: Map<string, string>, receivedAt: number) {
  const { profile } = change;
  const initial = profile?.lastName ? ` ${profile.lastName[0]}.` : '';
  const who = profile
    ? `${profile.firstName ?? ''}${initial} ${profile.externalId ?? ''}`.trim()
    : change.profileId;
  return {
    who: who.slice(0, 24),
    segment: (names.get(change.segment.id) ?? '?').slice(0, 20),
    cause: change.cause.toLowerCase(),
    latency: since(receivedAt - Date.parse(change.at)),
  };
}

/** What was missed while disconnected arrives late, and says so. */
function since(ms: number): string {
  return ms < 10_000 ? `${Math.max(0, Math.round(ms))} ms` : `${Math.round(ms / 1000)} s`;
}

function headline({ people, sent, rate, seconds }: Totals): string {
  const time = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;
  const parts = [
    `${people.toLocaleString('en-US')} people`,
    `${rate.toFixed(0)} events/s`,
    `${sent.toLocaleString('en-US')} sent`,
    time,
  ];
  return parts.join(' · ');
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 23);
}

export function sparkline(values: number[]): string {
  const low = Math.min(...values);
  const span = Math.max(...values) - low;
  const bar = (value: number) =>
    BARS[span === 0 ? 0 : Math.round(((value - low) / span) * (BARS.length - 1))]!;
  return values.map(bar).join('');
}
