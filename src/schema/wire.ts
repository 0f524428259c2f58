/** What is looked at before anything is parsed: sizes, encoding and nesting of what comes over the wire. */
import type { IncomingMessage } from 'node:http';

export const LIMITS = {
  /** Bytes of one HTTP body or WebSocket message. 1,000 events of usual size take a tenth of it. */
  bodyBytes: 4 * 1024 * 1024,
  /** Levels of lists and objects in JSON: parsers and coercion recurse. */
  jsonDepth: 100,
} as const;

export class WireError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Too large a body is read to its end, so that the client gets to hear of it, but not beyond this. */
const DRAINED_BYTES = 64 * 1024 * 1024;

/** The body as text. Throws WireError 413 or 400. */
export async function readBody(request: IncomingMessage): Promise<string> {
  const tooLarge = new WireError(
    413,
    `The body is larger than ${LIMITS.bodyBytes} bytes. Send the items in several calls.`,
  );
  if (Number(request.headers['content-length'] ?? 0) > DRAINED_BYTES) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= LIMITS.bodyBytes) chunks.push(chunk);
    else if (size > DRAINED_BYTES) throw tooLarge;
  }
  if (size > LIMITS.bodyBytes) throw tooLarge;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks, size));
  } catch {
    throw new WireError(400, 'The body is not valid UTF-8.');
  }
  checkJsonText(text);
  return text;
}

/** Throws WireError for NUL characters and for nesting beyond the limit. */
export function checkJsonText(text: string): void {
  if (text.includes('\0')) throw new WireError(400, 'NUL characters are not allowed.');
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inString) {
      if (code === BACKSLASH) i++;
      else if (code === QUOTE) inString = false;
    } else if (code === QUOTE) inString = true;
    else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      if (++depth > LIMITS.jsonDepth) {
        throw new WireError(400, `The JSON is nested more than ${LIMITS.jsonDepth} levels deep.`);
      }
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) depth--;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
