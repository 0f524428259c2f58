/** The bytes of a file or of standard input as chunks of text; gzip is recognised by its first two bytes. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { UnreadableInput } from './records.ts';

export interface Input {
  chunks: AsyncIterable<string>;
  /** Bytes read so far, as they lie in the file. */
  bytesRead: () => number;
  /** Null for standard input, whose end is not known beforehand. */
  totalBytes: number | null;
}

/** `path` "-" is standard input. */
export async function openInput(path: string): Promise<Input> {
  const totalBytes = path === '-' ? null : (await stat(path)).size;
  const source: AsyncIterable<Buffer> =
    path === '-' ? process.stdin : createReadStream(path, { highWaterMark: 1 << 18 });
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      bytes += chunk.length;
      yield chunk;
    }
  }
  return { chunks: decoded(uncompressed(counted())), bytesRead: () => bytes, totalBytes };
}

/** The text of the chunks. Bytes that are no UTF-8 become U+FFFD, which the mapping rejects row by row. */
async function* decoded(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  for await (const chunk of chunks) yield decoder.decode(chunk, { stream: true });
  yield decoder.decode();
}

async function* uncompressed(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let ended = false;
  while (head.length < 2 && !ended) {
    const next = await iterator.next();
    if (next.done) ended = true;
    else head = Buffer.concat([head, next.value]);
  }
  const whole = (async function* () {
    yield head;
    if (!ended) yield* { [Symbol.asyncIterator]: () => iterator };
  })();
  if (head[0] === 0x1f && head[1] === 0x8b) yield* gunzipped(whole);
  else yield* whole;
}

async function* gunzipped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ chunkSize: 1 << 18 });
  const fed = (async () => {
    for await (const chunk of chunks) {
      if (!gunzip.write(chunk)) await new Promise<void>((resolve) => gunzip.once('drain', resolve));
    }
    gunzip.end();
  })();
  fed.catch((error: unknown) => gunzip.destroy(error instanceof Error ? error : new Error(String(error))));
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnreadableInput(`The input is damaged or not complete (gzip: ${reason}).`);
  }
}
