import { pino } from 'pino';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type Logger = pino.Logger;

const SECRET_FIELDS = [
  'authorization',
  'password',
  'secret',
  'token',
  'apiKey',
  'bootstrapApiKey',
  'cookie',
  'url',
];
const REDACTED = SECRET_FIELDS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** JSON lines, or short readable lines where a person is looking (a terminal). Errors go under the key `err`. */
export function createLogger(
  level: LogLevel,
  out: { write(text: string): unknown; isTTY?: boolean } = process.stdout,
): Logger {
  const options: pino.LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '[redacted]' },
    serializers: { err: describeError },
  };
  const write = out.isTTY ? (line: string) => out.write(readable(line)) : (line: string) => out.write(line);
  return pino(options, { write });
}

export interface ErrorDescription {
  type: string;
  code?: string | number;
  message: string;
  stack?: string;
  cause?: ErrorDescription;
}

/**
 * What may be logged of an error. Drivers hang statements and row values on their errors (`sql`, `params`, "Duplicate
 * entry 'ada@example.com'"), so only known fields pass and known values are cut out of the message.
 */
export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error)) return { type: typeof error, message: 'not an Error' };
  const code = (error as { code?: unknown }).code;
  const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    message: withoutValues(error.message),
    ...(frames?.length ? { stack: frames.join('\n') } : {}),
    ...(error.cause instanceof Error ? { cause: describeError(error.cause) } : {}),
  };
}

function withoutValues(message: string): string {
  return message
    .replace(/\nparams: [\s\S]*$/, '')
    .replace(/(Duplicate entry|Incorrect \w+ value:|Data truncated[^']*) '[\s\S]*' for /g, "$1 '…' for ")
    .replace(/:\/\/[^\s/@]+@/g, '://[redacted]@');
}

/** `12:34:56.789 INFO  ready port=4000`; a line that is not one of ours passes unchanged. */
function readable(line: string): string {
  try {
    const { time, level, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
    const fields = Object.entries(rest).map(
      ([k, v]) => `${k}=${typeof v === 'string' ? v : JSON.stringify(v)}`,
    );
    const head = [String(time).slice(11, 23), String(level).toUpperCase().padEnd(5), msg, ...fields].join(
      ' ',
    );
    if (err === undefined) return `${head}\n`;
    const { type, message, stack } = err as ErrorDescription;
    return `${head}\n  ${type}: ${message}\n${stack ? `${stack}\n` : ''}`;
  } catch {
    return line;
  }
}
