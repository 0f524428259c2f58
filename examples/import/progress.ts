/** How far the import is, on stderr: one line that renews itself, or on no terminal a line every few seconds. */

export interface Progress {
  rows: number;
  items: number;
  bytesRead: number;
  totalBytes: number | null;
  /** Items that an earlier run had sent; they cost no time. */
  skippedItems: number;
}

export interface ProgressView {
  stop: () => void;
  /** A remark between two updates. */
  note: (text: string) => void;
}

export function showProgress(
  read: () => Progress,
  output: NodeJS.WriteStream = process.stderr,
): ProgressView {
  const started = performance.now();
  const live = output.isTTY === true;
  const clear = live ? '\r\x1b[K' : '';
  let shown = false;
  const show = () => {
    const line = progressLine(read(), (performance.now() - started) / 1000);
    const columns = output.columns || 80;
    output.write(live ? clear + line.slice(0, columns - 1) : `${line}\n`);
    shown = true;
  };
  const timer = setInterval(show, live ? 200 : 5_000);
  timer.unref();
  return {
    stop() {
      clearInterval(timer);
      if (shown && live) output.write(clear);
    },
    note(text) {
      output.write(`${clear}${text}\n`);
    },
  };
}

export function progressLine(progress: Progress, seconds: number): string {
  const { rows, items, bytesRead, totalBytes, skippedItems } = progress;
  const rate = seconds > 0 ? (items - skippedItems) / seconds : 0;
  const parts = [`${count(rows)} rows`, `${count(items)} sent`, `${count(Math.round(rate))}/s`];
  if (totalBytes === null) return parts.join('  ');
  const share = totalBytes === 0 ? 1 : Math.min(1, bytesRead / totalBytes);
  // Before the first hundredth the guess would be noise.
  const left =
    share >= 1 ? 'last requests' : share > 0.01 ? `${duration((seconds / share) * (1 - share))} left` : '';
  return [`${Math.floor(share * 100)} %`.padStart(5), ...parts, left].join('  ').trimEnd();
}

export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes > 0 ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export function count(value: number): string {
  return value.toLocaleString('en-US');
}
