/** The demo's segments. Windows are of seconds, so that time alone moves people while one watches. */
import type { Client } from '../client.ts';

export interface DemoSegment {
  id: string;
  name: string;
}

const did = (metric: string, last: string, atLeast = 1) => ({
  event: { metric, is: { atLeast }, within: { last } },
});

const PREFIX = 'Demo: ';
const DEFINITIONS: [name: string, condition: unknown][] = [
  ['Browsing now', did('Viewed Product', 'PT15S')],
  ['Keen, no order', { all: [did('Viewed Product', 'PT30S', 3), { not: did('Placed Order', 'PT60S') }] }],
  [
    'Left the cart',
    {
      all: [
        { event: { metric: 'Added to Cart', within: { ago: { from: 'PT90S', to: 'PT20S' } } } },
        { not: did('Added to Cart', 'PT20S') },
        { not: did('Placed Order', 'PT90S') },
      ],
    },
  ],
  ['Ordered in 60 s', did('Placed Order', 'PT60S')],
  [
    'Spent 100 in 5 min',
    {
      event: {
        metric: 'Placed Order',
        measure: { sum: '$value' },
        is: { atLeast: 100 },
        within: { last: 'PT5M' },
      },
    },
  ],
  ['Opened, no click', { all: [did('Opened Email', 'PT45S'), { not: did('Clicked Email', 'PT45S') }] }],
  [
    'Paying, in the shop',
    {
      all: [
        { property: { path: 'properties.plan', filter: { text: { in: ['plus', 'pro'] } } } },
        did('Viewed Product', 'PT60S'),
      ],
    },
  ],
];

/** Makes the segments that are not there yet; those that are keep what their owner may have made of them. */
export async function ensureSegments(client: Client): Promise<DemoSegment[]> {
  const found = await client.request<{ segments: { nodes: DemoSegment[] } }>(
    `query ($search: String) { segments(first: 100, search: $search) { nodes { id name } } }`,
    { search: PREFIX },
  );
  const segments: DemoSegment[] = [];
  for (const [title, condition] of DEFINITIONS) {
    const name = PREFIX + title;
    const id =
      found.segments.nodes.find((segment) => segment.name === name)?.id ??
      (await create(client, name, condition));
    segments.push({ id, name: title });
  }
  return segments;
}

async function create(client: Client, name: string, condition: unknown): Promise<string> {
  const { segmentCreate } = await client.request<{
    segmentCreate: { segment: { id: string } | null; userErrors: { message: string }[] };
  }>(
    `mutation ($input: SegmentCreateInput!) {
      segmentCreate(input: $input) { segment { id } userErrors { message } }
    }`,
    { input: { name, condition } },
  );
  if (!segmentCreate.segment) {
    throw new Error(
      `The segment "${name}" was refused: ${segmentCreate.userErrors.map((e) => e.message).join('; ')}`,
    );
  }
  return segmentCreate.segment.id;
}
