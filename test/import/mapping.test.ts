import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { add, isLess, multiply, parseDecimal, toNumber } from '../../examples/import/decimal.ts';
import { parseTime } from '../../examples/import/fields.ts';
import { createMapper, type Item } from '../../examples/import/mapper.ts';
import { loadMapping, parseMapping } from '../../examples/import/mapping.ts';
import { csvRows, type Row } from '../../examples/import/records.ts';

/** All that a mapping makes of rows: the items as the API gets them, and what is left out, by line. */
function mapped(mapping: unknown, rows: Row[], backfill = false) {
  const mapper = createMapper(parseMapping(mapping), { backfill });
  const items: Item[] = [];
  const out: [line: number, reason: string][] = [];
  rows.forEach((row, i) => {
    const result = mapper.row(i + 2, row);
    if ('items' in result) items.push(...result.items);
    else out.push([i + 2, 'skipped' in result ? `skipped: ${result.skipped}` : result.rejected]);
  });
  items.push(...mapper.end());
  return { items: items.map(({ json }) => JSON.parse(json) as Record<string, unknown>), out };
}

describe('online-retail', () => {
  const line = (over: Row = {}): Row => ({
    InvoiceNo: '536365',
    StockCode: '85123A',
    Description: 'WHITE LIGHT HOLDER',
    Quantity: '6',
    InvoiceDate: '2010-12-01 08:26:00',
    UnitPrice: '2.55',
    CustomerID: '17850.0',
    Country: 'United Kingdom',
    ...over,
  });
  const map = async (...rows: Row[]) => mapped(await loadMapping('online-retail'), rows, true);

  test('a line, its invoice and its customer', async () => {
    expect((await map(line())).items).toEqual([
      {
        uniqueId: 'online-retail:line:536365:2',
        metric: 'Ordered Product',
        profile: { externalId: '17850' },
        time: '2010-12-01T08:26:00.000Z',
        value: 15.3,
        properties: {
          invoiceNo: '536365',
          stockCode: '85123A',
          description: 'WHITE LIGHT HOLDER',
          quantity: 6,
          unitPrice: 2.55,
        },
        backfill: true,
      },
      {
        uniqueId: 'online-retail:order:536365',
        metric: 'Placed Order',
        profile: { externalId: '17850' },
        time: '2010-12-01T08:26:00.000Z',
        value: 15.3,
        properties: { invoiceNo: '536365', lines: 1 },
        backfill: true,
      },
      { identifiers: { externalId: '17850' }, location: { country: 'United Kingdom' } },
    ]);
  });

  test('an invoice is one order, though its lines lie apart; money is exact; time is the earliest', async () => {
    const { items } = await map(
      line({ Quantity: '1', UnitPrice: '0.1', InvoiceDate: '2010-12-01 08:27:00' }),
      line({ InvoiceNo: '536366', CustomerID: '13047.0' }),
      line({ Quantity: '1', UnitPrice: '0.2' }),
    );
    const order = items.find((item) => item.uniqueId === 'online-retail:order:536365');
    expect(order).toMatchObject({ value: 0.3, time: '2010-12-01T08:26:00.000Z', properties: { lines: 2 } });
    expect(items.filter((item) => item.metric === 'Placed Order')).toHaveLength(2);
  });

  test('equal lines are events of their own; a number with C is a cancellation, with its signs', async () => {
    const { items } = await map(
      line(),
      line(),
      line({ InvoiceNo: 'C536379', Quantity: '-1', UnitPrice: '27.5' }),
    );
    expect(items.map((item) => [item.metric, item.value, item.uniqueId])).toEqual([
      ['Ordered Product', 15.3, 'online-retail:line:536365:2'],
      ['Ordered Product', 15.3, 'online-retail:line:536365:3'],
      ['Cancelled Product', -27.5, 'online-retail:line:C536379:4'],
      ['Placed Order', 30.6, 'online-retail:order:536365'],
      ['Cancelled Order', -27.5, 'online-retail:order:C536379'],
      [undefined, undefined, undefined],
    ]);
  });

  test('a customer in two countries keeps the last of the file', async () => {
    const { items } = await map(line({ Country: 'Cyprus' }), line({ Country: 'Austria' }));
    expect(items.filter((item) => item.identifiers)).toEqual([
      { identifiers: { externalId: '17850' }, location: { country: 'Austria' } },
    ]);
  });

  test('lines without a customer are left out by rule, others for their mistakes, and neither half', async () => {
    const { items, out } = await map(
      line({ CustomerID: undefined, Quantity: 'many' }),
      line({ Quantity: '1.2.3' }),
      line({ InvoiceDate: '2010-02-30 08:26:00' }),
      line({ StockCode: undefined }),
      line({ Description: 'broken \uFFFD' }),
      line({ CustomerID: '12345.0', InvoiceNo: '1' }),
      line({ CustomerID: '12346.0', InvoiceNo: '1' }),
    );
    expect(out).toEqual([
      [2, 'skipped: without a customer'],
      [3, 'Quantity is not a number'],
      [4, 'InvoiceDate is not a time'],
      [5, 'StockCode is empty'],
      [6, 'Description holds bytes that are not UTF-8'],
      [8, 'is in the group of line 7, but of another profile'],
    ]);
    expect(items.map((item) => item.metric)).toEqual(['Ordered Product', 'Placed Order', undefined]);
  });
});

test('the example in docs/import.md does what the page says', async () => {
  const page = readFileSync('docs/import.md', 'utf8');
  const block = (language: string) => new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 's').exec(page)![1]!;
  const mapping = JSON.parse(block('json')) as { delimiter: string };
  async function* text() {
    yield block('csv');
  }
  const rows: Row[] = [];
  for await (const chunk of csvRows(text(), mapping.delimiter))
    rows.push(...chunk.map(({ row }) => row as Row));
  const { items, out } = mapped(mapping, rows);
  expect(out).toEqual([]);
  expect(items.map((item) => [item.metric, item.uniqueId, item.value])).toEqual([
    ['Ordered Product', 'shop:line:1001:2', 59.9],
    ['Ordered Product', 'shop:line:1001:3', 13.5],
    ['Placed Order', 'shop:order:1001', 73.4],
    [undefined, undefined, undefined],
  ]);
  expect(items[3]).toEqual({
    identifiers: { externalId: 'c7', email: 'ann@example.com' },
    properties: { lastOrder: 'R-88' },
  });
});

describe('the language', () => {
  const fields = {
    id: { column: 'id', required: true },
    at: { column: 'meta.at', type: 'time' },
    n: { column: 'n', type: 'number' },
    yes: { column: 'yes', type: 'boolean' },
    all: { column: 'all', type: 'json' },
    text: { column: 'text', trim: true, trimSuffix: '.0' },
    shop: { literal: 'Leeds' },
  };
  const event = {
    metric: 'Did {text}',
    uniqueId: 'x:{id}',
    profile: { externalId: 'id', email: 'text' },
    time: 'at',
  };

  test('nested columns, booleans, JSON, literals, tidied text, templates', () => {
    const properties = { yes: 'yes', all: 'all', shop: 'shop', n: 'n' };
    const row = {
      id: 7,
      meta: { at: '2020-01-01T02:00:00.5+02:00' },
      yes: 'TRUE',
      all: { a: [1] },
      text: ' it.0 ',
    };
    const { items } = mapped({ format: 'ndjson', fields, events: [{ ...event, properties }] }, [row]);
    expect(items).toEqual([
      {
        metric: 'Did it',
        uniqueId: 'x:7',
        profile: { externalId: '7', email: 'it' },
        time: '2020-01-01T00:00:00.500Z',
        properties: { yes: true, all: { a: [1] }, shop: 'Leeds' },
      },
    ]);
  });

  test('conditions, alone and together', () => {
    const when = (condition: unknown) =>
      mapped({ format: 'csv', fields, events: [{ ...event, when: condition }] }, [
        { id: 'a', 'meta.at': '2020-01-01', text: 'abc', n: '5' },
        { id: 'b', 'meta.at': '2020-01-01', text: 'xyz' },
      ]).items.map((item) => item.uniqueId);
    expect(when({ field: 'text', startsWith: 'ab' })).toEqual(['x:a']);
    expect(when({ field: 'text', notStartsWith: 'ab' })).toEqual(['x:b']);
    expect(when({ field: 'text', equals: 'xyz' })).toEqual(['x:b']);
    expect(when({ field: 'n', equals: '5' })).toEqual(['x:a']);
    expect(when({ field: 'text', notEquals: 'xyz' })).toEqual(['x:a']);
    expect(when({ field: 'n', exists: true })).toEqual(['x:a']);
    expect(when({ field: 'n', exists: false })).toEqual(['x:b']);
    expect(
      when([
        { field: 'n', exists: true },
        { field: 'text', equals: 'xyz' },
      ]),
    ).toEqual([]);
  });

  test('sums, extremes, counts and first values over a group; what is unset adds nothing', () => {
    const grouped = {
      metric: 'Visit',
      groupBy: ['id'],
      uniqueId: 'v:{id}',
      profile: { externalId: 'id' },
      time: { max: 'at' },
      value: { sum: 'n' },
      properties: {
        low: { min: 'n' },
        high: { max: 'n' },
        rows: { count: true },
        first: 'text',
        none: 'yes',
      },
    };
    const at = (day: number) => ({ 'meta.at': `2020-01-0${day}` });
    const { items } = mapped({ format: 'csv', fields, events: [grouped] }, [
      { id: 'a', ...at(2), n: '2.5' },
      { id: 'a', ...at(3), text: 'late', yes: 'true' },
      { id: 'a', ...at(1), n: '-1e1' },
    ]);
    expect(items).toEqual([
      {
        metric: 'Visit',
        uniqueId: 'v:a',
        profile: { externalId: 'a' },
        time: '2020-01-03T00:00:00.000Z',
        value: -7.5,
        properties: { low: -10, high: 2.5, rows: 3 },
      },
    ]);
  });

  test('profiles row by row, or once with the last values', () => {
    const set = { firstName: 'text', 'location.city': 'shop', 'properties.n': 'n' };
    const rows = [
      { id: 'a', text: 'Ann', n: '1' },
      { id: 'a', n: '2' },
    ];
    const upsert = (once: boolean) =>
      mapped({ format: 'csv', fields, profiles: [{ identifiers: { externalId: 'id' }, once, set }] }, rows)
        .items;
    const identifiers = { externalId: 'a' };
    const location = { city: 'Leeds' };
    expect(upsert(false)).toEqual([
      { identifiers, firstName: 'Ann', location, properties: { n: 1 } },
      { identifiers, location, properties: { n: 2 } },
    ]);
    expect(upsert(true)).toEqual([{ identifiers, firstName: 'Ann', location, properties: { n: 2 } }]);
  });

  test('rows that cannot become an event say why', () => {
    const needsValue = { format: 'csv', fields, events: [event] };
    expect(
      mapped(needsValue, [
        { id: 'a', 'meta.at': '2020-01-01' },
        { id: 'a', text: 'x' },
      ]).out,
    ).toEqual([
      [2, 'metric "Did {text}" names a field that is empty'],
      [3, 'has no time'],
    ]);
  });

  test('mistakes in a mapping are all named', () => {
    expect(() => parseMapping({ format: 'csv', fields, events: [{ ...event, valeu: 'n' }] })).toThrow(
      'valeu',
    );
    expect(() => parseMapping({ format: 'csv', fields })).toThrow('at least one entry');
    const wrong = {
      format: 'csv',
      fields: { ...fields, total: { product: ['n', 'text'] } },
      skip: [{ when: { field: 'nobody', exists: true }, reason: 'x' }],
      events: [{ ...event, time: 'n', uniqueId: 'constant', value: { sum: 'text' } }],
      profiles: [{ identifiers: { email: 'mail' }, set: { firstName: 'text' } }],
    };
    let message = '';
    try {
      parseMapping(wrong);
    } catch (error) {
      message = (error as Error).message;
    }
    for (const part of [
      'fields.total: "text" is not a number column',
      'skip.0: there is no field "nobody"',
      'events.0: {"sum":"text"} needs "groupBy"',
      'events.0: "text" is not a number',
      'events.0: "time" must be a field of type time',
      'events.0: "uniqueId" must contain a field',
      'profiles.0: there is no field "mail"',
    ]) {
      expect(message).toContain(part);
    }
    expect(() =>
      parseMapping({
        format: 'csv',
        fields,
        profiles: [{ identifiers: { email: 'text' }, set: { age: 'n' } }],
      }),
    ).toThrow('"age" is not one of firstName');
    const group = { ...event, groupBy: ['id'], uniqueId: 'x:{$line}' };
    expect(() => parseMapping({ format: 'csv', fields, events: [group] })).toThrow('fields in "groupBy"');
  });
});

test('times: with and without a zone, fractions, epochs, and none that do not exist', () => {
  expect(parseTime('2010-12-01 08:26:00')).toBe(Date.UTC(2010, 11, 1, 8, 26));
  expect(parseTime('2010-12-01T08:26:00.1234567+05:30')).toBe(Date.UTC(2010, 11, 1, 2, 56, 0, 123));
  expect(parseTime('2012-02-29')).toBe(Date.UTC(2012, 1, 29));
  expect(parseTime('0050-01-01')).toBe(Date.parse('0050-01-01T00:00:00Z'));
  for (const wrong of ['2011-02-29', '2010-12-01 24:00:00', '2010-13-01', '01/12/2010', 'soon', '']) {
    expect(parseTime(wrong), wrong).toBeNull();
  }
  expect(parseTime('1291191960', 'seconds')).toBe(Date.UTC(2010, 11, 1, 8, 26));
  expect(parseTime('1291191960123', 'milliseconds')).toBe(1291191960123);
  expect(parseTime('2010-12-01', 'seconds')).toBeNull();
});

test('decimals are exact, whatever the order, and end in the nearest number', () => {
  expect(toNumber(multiply(parseDecimal('3')!, parseDecimal('0.1')!))).toBe(0.3);
  expect(toNumber(parseDecimal('-1.50e2')!)).toBe(-150);
  expect(isLess(parseDecimal('-0.5')!, parseDecimal('0.25')!)).toBe(true);
  for (const wrong of ['', '1,5', ' 1', '0x10', 'NaN', '1e300', '.5', '9'.repeat(41)]) {
    expect(parseDecimal(wrong), wrong).toBeNull();
  }
  const cents = fc.integer({ min: -1e9, max: 1e9 });
  fc.assert(
    fc.property(fc.array(cents, { minLength: 1 }), (amounts) => {
      const text = (n: number) =>
        `${n < 0 ? '-' : ''}${Math.floor(Math.abs(n) / 100)}.${String(Math.abs(n) % 100).padStart(2, '0')}`;
      const sum = amounts.map((n) => parseDecimal(text(n))!).reduce(add);
      expect(toNumber(sum)).toBe(Number(text(amounts.reduce((a, b) => a + b, 0))));
    }),
  );
});
