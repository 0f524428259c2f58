/**
 * The Online Retail file, imported whole through the public API, against plain SQL over the same file.
 *
 * The file is not part of the project: it is looked for at ONLINE_RETAIL_FILE, else beside the checkout; where it is
 * absent these tests are skipped, and say so.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { clickhouseQuery } from '../support/engines.ts';
import { runImport, useFolder, useServer, type Finished } from './support.ts';

const FILE = process.env.ONLINE_RETAIL_FILE || path.resolve('../shared/datasets/online-retail.csv.gz');
const present = existsSync(FILE);
if (!present)
  console.warn(`SKIPPED: ${FILE} is absent. Set ONLINE_RETAIL_FILE to the Online Retail CSV (gzip).`);

/** The file as it is, with its line order. */
const LINES = `CREATE TABLE lines (
  n UInt64, InvoiceNo String, StockCode String, Description String, Quantity Int64, InvoiceDate DateTime('UTC'),
  UnitPrice Decimal(18, 3), CustomerID String, Country String
) ENGINE = MergeTree ORDER BY n`;
const LOAD = `INSERT INTO lines
  SELECT rowNumberInAllBlocks(), InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice,
    replaceRegexpOne(CustomerID, '\\\\.0$', ''), Country
  FROM input('InvoiceNo String, StockCode String, Description String, Quantity Int64, InvoiceDate DateTime(''UTC''),
    UnitPrice Decimal(18, 3), CustomerID String, Country String')
  SETTINGS input_format_parallel_parsing = 0, max_insert_threads = 1, max_threads = 1
  FORMAT CSVWithNames`;
/** What the definitions below are about, said in SQL. */
const VIEWS = [
  `CREATE VIEW bought AS SELECT * FROM lines WHERE CustomerID != '' AND NOT startsWith(InvoiceNo, 'C')`,
  `CREATE VIEW returned AS SELECT * FROM lines WHERE CustomerID != '' AND startsWith(InvoiceNo, 'C')`,
  `CREATE VIEW orders AS SELECT InvoiceNo, any(CustomerID) AS CustomerID, min(InvoiceDate) AS time,
     sum(Quantity * UnitPrice) AS value, count() AS lines FROM bought GROUP BY InvoiceNo`,
  `CREATE VIEW cancellations AS SELECT InvoiceNo, any(CustomerID) AS CustomerID, min(InvoiceDate) AS time,
     sum(Quantity * UnitPrice) AS value, count() AS lines FROM returned GROUP BY InvoiceNo`,
  `CREATE VIEW customers AS SELECT CustomerID, argMax(Country, n) AS Country FROM lines
     WHERE CustomerID != '' GROUP BY CustomerID`,
];

const dates = (from: string, to: string) => ({ dates: { from: `${from}T00:00:00Z`, to: `${to}T00:00:00Z` } });
const during = (from: string, to: string, time = 'time') =>
  `${time} >= toDateTime('${from} 00:00:00', 'UTC') AND ${time} < toDateTime('${to} 00:00:00', 'UTC')`;
const text = (at: string, filter: object) => ({ path: at, filter: { text: filter } });
const number = (at: string, filter: object) => ({ path: at, filter: { number: filter } });

interface Definition {
  name: string;
  condition: unknown;
  /** SELECTs the CustomerIDs. */
  sql: string;
}

const DEFINITIONS: Definition[] = [
  {
    name: 'ordered in the first quarter of 2011',
    condition: { event: { metric: 'Placed Order', within: dates('2011-01-01', '2011-04-01') } },
    sql: `SELECT DISTINCT CustomerID FROM orders WHERE ${during('2011-01-01', '2011-04-01')}`,
  },
  {
    name: 'five orders or more in November 2011',
    condition: {
      event: { metric: 'Placed Order', is: { atLeast: 5 }, within: dates('2011-11-01', '2011-12-01') },
    },
    sql: `SELECT CustomerID FROM orders WHERE ${during('2011-11-01', '2011-12-01')}
          GROUP BY CustomerID HAVING count() >= 5`,
  },
  {
    name: 'spent 1,000 or more in the first half of 2011',
    condition: {
      event: {
        metric: 'Placed Order',
        measure: { sum: '$value' },
        is: { atLeast: 1000 },
        within: dates('2011-01-01', '2011-07-01'),
      },
    },
    sql: `SELECT CustomerID FROM orders WHERE ${during('2011-01-01', '2011-07-01')}
          GROUP BY CustomerID HAVING sum(value) >= 1000`,
  },
  {
    name: 'exactly one order, ever',
    condition: { event: { metric: 'Placed Order', is: { equals: 1 } } },
    sql: `SELECT CustomerID FROM orders GROUP BY CustomerID HAVING count() = 1`,
  },
  {
    name: 'ordered before July 2011, and not from then on',
    condition: {
      all: [
        { event: { metric: 'Placed Order', within: dates('2010-01-01', '2011-07-01') } },
        { not: { event: { metric: 'Placed Order', within: { dates: { from: '2011-07-01T00:00:00Z' } } } } },
      ],
    },
    sql: `SELECT CustomerID FROM orders GROUP BY CustomerID
          HAVING max(time) < toDateTime('2011-07-01 00:00:00', 'UTC')`,
  },
  {
    name: 'two cancelled orders or more in 2011',
    condition: {
      event: { metric: 'Cancelled Order', is: { atLeast: 2 }, within: dates('2011-01-01', '2012-01-01') },
    },
    sql: `SELECT CustomerID FROM cancellations WHERE ${during('2011-01-01', '2012-01-01')}
          GROUP BY CustomerID HAVING count() >= 2`,
  },
  {
    name: 'at least three lines with a HEART in December 2010',
    condition: {
      event: {
        metric: 'Ordered Product',
        where: [text('description', { contains: 'HEART' })],
        is: { atLeast: 3 },
        within: dates('2010-12-01', '2011-01-01'),
      },
    },
    sql: `SELECT CustomerID FROM bought WHERE position(Description, 'HEART') > 0
            AND ${during('2010-12-01', '2011-01-01', 'InvoiceDate')}
          GROUP BY CustomerID HAVING count() >= 3`,
  },
  {
    name: 'a line of 100 pieces or more in the summer of 2011',
    condition: {
      event: {
        metric: 'Ordered Product',
        where: [number('quantity', { atLeast: 100 })],
        within: dates('2011-06-01', '2011-09-01'),
      },
    },
    sql: `SELECT DISTINCT CustomerID FROM bought
          WHERE Quantity >= 100 AND ${during('2011-06-01', '2011-09-01', 'InvoiceDate')}`,
  },
  {
    name: 'between 20 and 200 pieces of 85123A in 2011',
    condition: {
      event: {
        metric: 'Ordered Product',
        where: [text('stockCode', { equals: '85123A' })],
        measure: { sum: 'quantity' },
        is: { between: { from: 20, to: 200 } },
        within: dates('2011-01-01', '2012-01-01'),
      },
    },
    sql: `SELECT CustomerID FROM bought WHERE StockCode = '85123A'
            AND ${during('2011-01-01', '2012-01-01', 'InvoiceDate')}
          GROUP BY CustomerID HAVING sum(Quantity) BETWEEN 20 AND 200`,
  },
  {
    name: 'from Germany or France, ordered in September 2011',
    condition: {
      all: [
        { property: text('location.country', { in: ['Germany', 'France'] }) },
        { event: { metric: 'Placed Order', within: dates('2011-09-01', '2011-10-01') } },
      ],
    },
    sql: `SELECT DISTINCT CustomerID FROM orders WHERE ${during('2011-09-01', '2011-10-01')}
            AND CustomerID IN (SELECT CustomerID FROM customers WHERE Country IN ('Germany', 'France'))`,
  },
  {
    name: 'outside of the United Kingdom, spent more than 5,000',
    condition: {
      all: [
        { property: text('location.country', { notEquals: 'United Kingdom' }) },
        { event: { metric: 'Placed Order', measure: { sum: '$value' }, is: { moreThan: 5000 } } },
      ],
    },
    sql: `SELECT CustomerID FROM orders
          WHERE CustomerID IN (SELECT CustomerID FROM customers WHERE Country != 'United Kingdom')
          GROUP BY CustomerID HAVING sum(value) > 5000`,
  },
  {
    name: 'cancelled in January 2011, or ordered something above 100',
    condition: {
      any: [
        { event: { metric: 'Cancelled Order', within: dates('2011-01-01', '2011-02-01') } },
        {
          event: {
            metric: 'Ordered Product',
            where: [number('unitPrice', { moreThan: 100 })],
            within: dates('2010-12-01', '2011-12-31'),
          },
        },
      ],
    },
    sql: `SELECT CustomerID FROM cancellations WHERE ${during('2011-01-01', '2011-02-01')}
          UNION DISTINCT SELECT CustomerID FROM bought WHERE UnitPrice > 100`,
  },
  {
    name: 'known by country, but without any order',
    condition: {
      all: [
        { property: { path: 'location.country', filter: { exists: true } } },
        { event: { metric: 'Placed Order', is: { equals: 0 } } },
      ],
    },
    sql: `SELECT CustomerID FROM customers WHERE CustomerID NOT IN (SELECT CustomerID FROM orders)`,
  },
  {
    name: 'money back: cancellations of more than 100 in 2011',
    condition: {
      event: {
        metric: 'Cancelled Order',
        measure: { sum: '$value' },
        is: { lessThan: -100 },
        within: dates('2011-01-01', '2012-01-01'),
      },
    },
    sql: `SELECT CustomerID FROM cancellations WHERE ${during('2011-01-01', '2012-01-01')}
          GROUP BY CustomerID HAVING sum(value) < -100`,
  },
  {
    name: 'got something for nothing in 2011',
    condition: {
      event: {
        metric: 'Ordered Product',
        where: [number('unitPrice', { equals: 0 })],
        within: dates('2011-01-01', '2012-01-01'),
      },
    },
    sql: `SELECT DISTINCT CustomerID FROM bought
          WHERE UnitPrice = 0 AND ${during('2011-01-01', '2012-01-01', 'InvoiceDate')}`,
  },
  {
    name: 'an order of 100 lines or more, by 2011-06, and a returned piece with "SET" in its name, or neither',
    condition: {
      any: [
        {
          all: [
            {
              event: {
                metric: 'Placed Order',
                where: [number('lines', { atLeast: 100 })],
                within: { dates: { to: '2011-06-01T00:00:00Z' } },
              },
            },
            {
              event: {
                metric: 'Cancelled Product',
                where: [text('description', { startsWith: 'SET ' }), number('quantity', { atMost: -1 })],
              },
            },
          ],
        },
        {
          not: {
            any: [
              { event: { metric: 'Placed Order', where: [number('lines', { atLeast: 100 })] } },
              {
                event: { metric: 'Cancelled Product', where: [text('description', { startsWith: 'SET ' })] },
              },
            ],
          },
        },
      ],
    },
    sql: `SELECT CustomerID FROM customers
          WHERE (CustomerID IN (SELECT CustomerID FROM orders
                                WHERE lines >= 100 AND time < toDateTime('2011-06-01 00:00:00', 'UTC'))
                 AND CustomerID IN (SELECT CustomerID FROM returned
                                    WHERE startsWith(Description, 'SET ') AND Quantity <= -1))
             OR (CustomerID NOT IN (SELECT CustomerID FROM orders WHERE lines >= 100)
                 AND CustomerID NOT IN (SELECT CustomerID FROM returned WHERE startsWith(Description, 'SET ')))`,
  },
];

describe.skipIf(!present)(`the Online Retail file${present ? '' : ' (absent)'}`, () => {
  const server = useServer();
  const folder = useFolder();
  /** Segments that were there when the events came, and segments that came after them. */
  const before = new Map<string, string>();
  const after = new Map<string, string>();
  let imported: Finished;
  let oracleUrl = '';

  const oracle = (query: string) => clickhouseQuery(oracleUrl, query);

  async function createSegments(into: Map<string, string>, when: string): Promise<void> {
    for (const { name, condition } of DEFINITIONS) {
      const { segmentCreate } = await server().client.request<{
        segmentCreate: { segment: { id: string } | null; userErrors: { message: string }[] };
      }>(
        `mutation ($input: SegmentCreateInput!) {
          segmentCreate(input: $input) { segment { id } userErrors { message } }
        }`,
        { input: { name: `${name} (${when})`, condition } },
      );
      expect(segmentCreate.userErrors).toEqual([]);
      into.set(name, segmentCreate.segment!.id);
    }
  }

  /** The externalIds of the members, once the segment is computed. */
  async function members(id: string): Promise<string[]> {
    type Page = {
      segment: {
        status: string;
        count: number;
        members: {
          nodes: { externalId: string }[];
          pageInfo: { endCursor: string | null; hasNextPage: boolean };
        };
      };
    };
    const found: string[] = [];
    for (let cursor: string | null = null; ;) {
      const { segment }: Page = await server().client.request<Page>(
        `query ($id: ID!, $after: String) { segment(id: $id) {
          status count members(first: 100, after: $after) { nodes { externalId } pageInfo { endCursor hasNextPage } }
        } }`,
        { id, after: cursor },
      );
      if (segment.status === 'COMPUTING') {
        await new Promise((resolve) => setTimeout(resolve, 100));
        continue;
      }
      found.push(...segment.members.nodes.map(({ externalId }) => externalId));
      cursor = segment.members.pageInfo.endCursor;
      if (segment.members.pageInfo.hasNextPage) continue;
      expect(segment.count).toBe(found.length);
      return found.sort();
    }
  }

  beforeAll(async () => {
    oracleUrl = server().clickhouseUrl;
    const { origin, username, password, pathname } = new URL(oracleUrl);
    await oracle(LINES);
    const loaded = await fetch(`${origin}/?database=${pathname.slice(1)}&query=${encodeURIComponent(LOAD)}`, {
      method: 'POST',
      headers: {
        'X-ClickHouse-User': username,
        'X-ClickHouse-Key': decodeURIComponent(password),
        'content-encoding': 'gzip',
      },
      body: readFileSync(FILE),
    });
    expect(await loaded.text()).toBe('');
    for (const view of VIEWS) await oracle(view);

    await createSegments(before, 'before');
    const rejects = path.join(folder(), 'rejects');
    const state = path.join(folder(), 'state');
    imported = await runImport(server(), [
      '--mapping',
      'online-retail',
      '--rejects',
      rejects,
      '--state',
      state,
      FILE,
    ]);
    console.log(imported.stdout);
    await createSegments(after, 'after');
  }, 600_000);

  test('is imported whole: every line and invoice with a customer, nothing rejected', async () => {
    expect([imported.code, imported.stderr]).toEqual([0, expect.not.stringContaining('trying again')]);
    const count = async (query: string) => Number(await oracle(query));
    const shown = (label: string) =>
      Number(new RegExp(`^${label} +([\\d,]+)`, 'm').exec(imported.stdout)?.[1]?.replaceAll(',', ''));
    expect(shown('rows read')).toBe(await count('SELECT count() FROM lines'));
    expect(shown('not imported: without a customer')).toBe(
      await count(`SELECT count() FROM lines WHERE CustomerID = ''`),
    );
    const { metrics, account } = await server().client.request<{
      metrics: { nodes: { name: string; eventCount: number }[] };
      account: { profileCount: number };
    }>('{ metrics(first: 100) { nodes { name eventCount } } account { profileCount } }');
    expect(Object.fromEntries(metrics.nodes.map(({ name, eventCount }) => [name, eventCount]))).toEqual({
      'Ordered Product': await count('SELECT count() FROM bought'),
      'Cancelled Product': await count('SELECT count() FROM returned'),
      'Placed Order': await count('SELECT count() FROM orders'),
      'Cancelled Order': await count('SELECT count() FROM cancellations'),
    });
    expect(account.profileCount).toBe(await count('SELECT count() FROM customers'));
  });

  test.each(DEFINITIONS)('$name', async ({ name, sql, condition }) => {
    const expected = (await oracle(`SELECT DISTINCT CustomerID FROM (${sql}) ORDER BY CustomerID`))
      .split('\n')
      .sort();
    // A definition that holds for nobody, or for everybody, would show nothing.
    expect(expected.length).toBeGreaterThan(1);
    expect(expected.length).toBeLessThan(4_300);
    expect(await members(before.get(name)!)).toEqual(expected);
    expect(await members(after.get(name)!)).toEqual(expected);
    const { audience } = await server().client.request<{ audience: { count: number } }>(
      'query ($where: ConditionInput!) { audience(where: $where) { count } }',
      { where: condition },
    );
    expect(audience.count).toBe(expected.length);
  });
});
