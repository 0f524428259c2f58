import { gzipSync } from 'node:zlib';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openInput } from '../../examples/import/input.ts';
import { csvRows, ndjsonRows, type ReadRow } from '../../examples/import/records.ts';
import { useFolder } from './support.ts';

async function* inChunks(text: string, size: number): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

async function all(rows: AsyncIterable<ReadRow[]>): Promise<ReadRow[]> {
  const read: ReadRow[] = [];
  for await (const chunk of rows) read.push(...chunk);
  return read;
}

const csv = (text: string, size = 7) => all(csvRows(inChunks(text, size), ','));

describe('CSV', () => {
  test('agrees with csv-parse on any well-formed text, however it is cut into chunks', async () => {
    const cell = fc.string({
      unit: fc.constantFrom('a', 'é', '😀', ' ', ',', '"', '\n', '\r\n'),
      maxLength: 6,
    });
    const quoted = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.constant('x'), cell, cell), { minLength: 1, maxLength: 6 }),
        fc.constantFrom('\n', '\r\n'),
        fc.integer({ min: 1, max: 30 }),
        fc.boolean(),
        async (rows, newline, size, ended) => {
          const text = [['k', 'l', 'm'], ...rows].map((row) => row.map(quoted).join(',')).join(newline);
          const whole = ended ? text + newline : text;
          const expected = parse<Record<string, string>>(whole, { columns: true });
          const withoutEmpty = expected.map((row) =>
            Object.fromEntries(Object.entries(row).filter(([, value]) => value !== '')),
          );
          expect((await csv(whole, size)).map(({ row }) => row)).toEqual(withoutEmpty);
        },
      ),
      { numRuns: 500 },
    );
  });

  test('rows carry the line on which they begin', async () => {
    const read = await csv('a,b\n1,"two\nlines"\n\n2,x\n');
    expect(read).toEqual([
      { line: 2, row: { a: '1', b: 'two\nlines' } },
      { line: 5, row: { a: '2', b: 'x' } },
    ]);
  });

  test('a damaged row is named and the rows around it are all there', async () => {
    const read = await csv('a,b\n1,x\n2,"y"z\n3,5" nail\n4\n5,"never closed\n6,x\n7,y\n');
    expect(read).toEqual([
      { line: 2, row: { a: '1', b: 'x' } },
      { line: 3, row: '2,"y"z', reason: 'has text behind a closing quote' },
      { line: 4, row: { a: '3', b: '5" nail' } },
      { line: 5, row: '4', reason: 'has 1 cells, the header 2' },
      { line: 6, row: '5,"never closed', reason: 'opens a quote that is never closed' },
      { line: 7, row: { a: '6', b: 'x' } },
      { line: 8, row: { a: '7', b: 'y' } },
    ]);
  });

  test('another delimiter, a byte order mark away, and a header that does not fit', async () => {
    expect(await all(csvRows(inChunks('a;b\n1;2', 3), ';'))).toEqual([{ line: 2, row: { a: '1', b: '2' } }]);
    await expect(csv('a;b\n1;2')).rejects.toThrow('set "delimiter"');
    await expect(csv('a,a\n1,2')).rejects.toThrow('names the column "a" twice');
    await expect(csv('')).rejects.toThrow('empty');
  });

  test('text without line ends does not fill the memory', async () => {
    async function* endless(): AsyncGenerator<string> {
      for (;;) yield 'x'.repeat(1 << 20);
    }
    await expect(all(csvRows(endless(), ','))).rejects.toThrow('Line 1 does not end');
    await expect(all(ndjsonRows(endless()))).rejects.toThrow('Line 1 does not end');
  });
});

test('NDJSON: objects are rows, everything else is named', async () => {
  const read = await all(ndjsonRows(inChunks('{"a":1}\r\n\n[1]\n{"a":\n"x"\n{"b":{"c":null}}', 4)));
  expect(read).toEqual([
    { line: 1, row: { a: 1 } },
    { line: 3, row: '[1]', reason: 'is not a JSON object' },
    { line: 4, row: '{"a":', reason: 'is not JSON' },
    { line: 5, row: '"x"', reason: 'is not a JSON object' },
    { line: 6, row: { b: { c: null } } },
  ]);
});

describe('input', () => {
  const folder = useFolder();
  const read = async (bytes: Buffer) => {
    const file = path.join(folder(), 'input');
    writeFileSync(file, bytes);
    const input = await openInput(file);
    let text = '';
    for await (const chunk of input.chunks) text += chunk;
    return { text, bytes: input.bytesRead(), total: input.totalBytes };
  };
  const text = 'naïve 😀 '.repeat(100_000);

  test('plain and gzip, by content and not by name; several gzip members; no byte order mark', async () => {
    const plain = Buffer.from(`\uFEFF${text}`);
    expect(await read(plain)).toEqual({ text, bytes: plain.length, total: plain.length });
    const zipped = gzipSync(plain);
    expect(await read(zipped)).toEqual({ text, bytes: zipped.length, total: zipped.length });
    const members = Buffer.concat([gzipSync('a,b\n'), gzipSync('1,2\n')]);
    expect((await read(members)).text).toBe('a,b\n1,2\n');
    expect((await read(Buffer.from('x'))).text).toBe('x');
    expect((await read(Buffer.alloc(0))).text).toBe('');
  });

  test('gzip that ends early is an error, not a short file', async () => {
    const zipped = gzipSync(Buffer.from(Array.from({ length: 50_000 }, Math.random).join()));
    await expect(read(zipped.subarray(0, zipped.length / 2))).rejects.toThrow('damaged or not complete');
  });
});
