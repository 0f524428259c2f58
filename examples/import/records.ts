/**
 * CSV and NDJSON as rows, from chunks of text, holding no more than one chunk and one record.
 *
 * A row that cannot be read is named by its line and skipped; reading goes on with the next line, so that nothing
 * disappears without a word. (csv-parse recovers too, but drops the rows around a stray quote unnamed.)
 */

export type Row = Record<string, unknown>;
/** `line`: where the row begins, 1 is the file's first. `row` is what is known of it, its text at worst. */
export type ReadRow = { line: number; row: Row } | { line: number; row: string; reason: string };

/** The file as a whole cannot be read: no header, or not the format. */
export class UnreadableInput extends Error {}

/** Longest record, in characters: what is longer is taken for a quote that was never closed. */
const MAX_RECORD = 256 * 1024;

/**
 * RFC 4180 with the first line naming the columns. A quote inside an unquoted cell stands for itself. An empty cell is
 * an unset one and left out of the row; empty lines are passed over.
 */
export async function* csvRows(
  chunks: AsyncIterable<string>,
  delimiter: string,
): AsyncGenerator<ReadRow[], void, undefined> {
  let columns: string[] | null = null;
  for await (const records of csvRecords(chunks, delimiter)) {
    const rows: ReadRow[] = [];
    for (const { line, cells, text, reason } of records) {
      if (reason) {
        if (!columns) throw new UnreadableInput(`The header (line ${line}) cannot be read: ${reason}.`);
        rows.push({ line, row: text, reason });
      } else if (!columns) {
        columns = headerOf(cells, delimiter);
      } else if (cells.length !== columns.length) {
        rows.push({ line, row: text, reason: `has ${cells.length} cells, the header ${columns.length}` });
      } else {
        const row: Row = {};
        for (let i = 0; i < cells.length; i++) if (cells[i] !== '') row[columns[i]!] = cells[i];
        rows.push({ line, row });
      }
    }
    yield rows;
  }
  if (!columns)
    throw new UnreadableInput('The input is empty: a CSV file begins with a line naming its columns.');
}

/** One JSON object a line. */
export async function* ndjsonRows(chunks: AsyncIterable<string>): AsyncGenerator<ReadRow[], void, undefined> {
  let rest = '';
  let line = 0;
  const read = (texts: string[]): ReadRow[] => {
    const rows: ReadRow[] = [];
    for (const text of texts) {
      line++;
      if (text.trim() === '') continue;
      rows.push(ndjsonRow(line, text));
    }
    return rows;
  };
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    yield read(lines);
    mustEnd(rest, line + 1);
  }
  yield read([rest]);
}

/** Memory stays bounded on input that has no lines at all. */
function mustEnd(rest: string, line: number): void {
  if (rest.length > 16 * MAX_RECORD)
    throw new UnreadableInput(`Line ${line} does not end: is this the right format?`);
}

function ndjsonRow(line: number, text: string): ReadRow {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { line, row: text, reason: 'is not JSON' };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { line, row: text, reason: 'is not a JSON object' };
  }
  return { line, row: value as Row };
}

function headerOf(cells: string[], delimiter: string): string[] {
  const twice = cells.find((name, index) => cells.indexOf(name) !== index);
  if (twice !== undefined) throw new UnreadableInput(`The header names the column "${twice}" twice.`);
  if (cells.length === 1 && cells[0]!.includes('\0')) throw new UnreadableInput('The input is not text.');
  if (cells.length === 1 && /[;\t|]/.test(cells[0]!) && delimiter === ',') {
    throw new UnreadableInput('The header has no comma: set "delimiter" in the mapping.');
  }
  return cells;
}

interface CsvRecord {
  line: number;
  cells: string[];
  text: string;
  reason?: string;
}

async function* csvRecords(
  chunks: AsyncIterable<string>,
  delimiter: string,
): AsyncGenerator<CsvRecord[], void, undefined> {
  let rest = '';
  let line = 1;
  const take = (buffer: string, last: boolean): CsvRecord[] => {
    const records: CsvRecord[] = [];
    let from = 0;
    while (from < buffer.length) {
      const record = readRecord(buffer, from, delimiter, last);
      if (!record) break;
      if (record.text !== '') records.push({ line, ...record });
      from = record.next;
      line += record.lines;
    }
    rest = buffer.slice(from);
    mustEnd(rest, line);
    return records;
  };
  for await (const chunk of chunks) yield take(rest + chunk, false);
  yield take(rest, true);
}

type Taken = Omit<CsvRecord, 'line'> & { next: number; lines: number };

/** The record at `from`, or null where its end has not arrived yet. */
function readRecord(buffer: string, from: number, delimiter: string, last: boolean): Taken | null {
  const newline = buffer.indexOf('\n', from);
  if (newline < 0 && !last) return null;
  const lineEnd = newline < 0 ? buffer.length : newline;
  const text = withoutReturn(buffer, from, lineEnd);
  if (!text.includes('"')) return { cells: text.split(delimiter), text, next: lineEnd + 1, lines: 1 };

  const cells: string[] = [];
  let at = from;
  let lines = 1;
  for (;;) {
    if (buffer[at] !== '"') {
      const end = nextOf(buffer, delimiter, at, lineEndFrom(buffer, at));
      cells.push(buffer[end] === delimiter ? buffer.slice(at, end) : withoutReturn(buffer, at, end));
      if (buffer[end] !== delimiter) return finish(end);
      at = end + 1;
      continue;
    }
    const close = closingQuote(buffer, at + 1);
    if (close < 0) {
      // Not closed yet. At the end, or too far from its beginning, it never will be: give up this line alone.
      if (!last && buffer.length - from <= MAX_RECORD) return null;
      return { cells: [], text, next: lineEnd + 1, lines: 1, reason: 'opens a quote that is never closed' };
    }
    // Whether a quote is the last character or the first of a doubled one shows only with the next.
    if (close === buffer.length - 1 && !last) return null;
    const cell = buffer.slice(at + 1, close);
    for (let i = cell.indexOf('\n'); i >= 0; i = cell.indexOf('\n', i + 1)) lines++;
    cells.push(cell.includes('""') ? cell.replaceAll('""', '"') : cell);
    at = close + 1;
    if (buffer[at] === delimiter) {
      at++;
      continue;
    }
    const end = buffer[at] === '\r' ? at + 1 : at;
    if (end === buffer.length && !last) return null;
    if (end >= buffer.length || buffer[end] === '\n') return finish(end);
    return { cells: [], text, next: lineEnd + 1, lines: 1, reason: 'has text behind a closing quote' };
  }

  function finish(end: number): Taken | null {
    // A cell that ran to the end of the buffer may not be all there.
    if (end >= buffer.length && !last) return null;
    return { cells, text: withoutReturn(buffer, from, end), next: end + 1, lines };
  }
}

function lineEndFrom(buffer: string, at: number): number {
  const end = buffer.indexOf('\n', at);
  return end < 0 ? buffer.length : end;
}

function nextOf(buffer: string, delimiter: string, at: number, end: number): number {
  const found = buffer.indexOf(delimiter, at);
  return found < 0 || found > end ? end : found;
}

/** Where the quoted cell ends, doubled quotes being part of it; -1 where it does not. */
function closingQuote(buffer: string, at: number): number {
  for (let quote = buffer.indexOf('"', at); quote >= 0; quote = buffer.indexOf('"', quote + 2)) {
    if (buffer[quote + 1] !== '"') return quote;
  }
  return -1;
}

function withoutReturn(buffer: string, from: number, end: number): string {
  return buffer.slice(from, end > from && buffer[end - 1] === '\r' ? end - 1 : end);
}
