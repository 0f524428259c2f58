/** The page at `/`: GraphiQL from the package, without anything from elsewhere, with operations to begin with. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const HEADERS = JSON.stringify({ Authorization: 'Bearer ' }, null, 2);

const EXAMPLES: { query: string; variables?: object }[] = [
  {
    query: `# Welcome to Tidemark.
#
# 1. Put your API key behind "Bearer" in "Headers" below. It was printed when Tidemark started for the first time.
# 2. Run these operations one after the other; each tab is a step.
#
# Who am I, and what is there?

query Account {
  account {
    name
    profileCount
    eventCount
  }
  metrics(first: 20) {
    nodes { name eventCount lastSeenAt properties { path kinds } }
  }
  segments(first: 20) {
    nodes { id name status count text }
  }
}
`,
  },
  {
    query: `# A segment: who ordered for more than 100 in the last 30 days.
# From now on it is kept true, whatever happens and while time passes.

mutation CreateSegment($input: SegmentCreateInput!) {
  segmentCreate(input: $input) {
    segment { id name status text }
    userErrors { field code message }
  }
}
`,
    variables: {
      input: {
        name: 'Good customers',
        condition: {
          event: {
            metric: 'Placed Order',
            measure: { sum: '$value' },
            is: { moreThan: 100 },
            within: { last: 'P30D' },
          },
        },
      },
    },
  },
  {
    query: `# Entries and exits as they happen. Leave this running, and send an event from the next tab.

subscription Changes {
  membershipChanges {
    kind
    cause
    at
    segment { name count }
    profile { email }
    position
  }
}
`,
  },
  {
    query: `# Send an event. The same uniqueId, sent twice, is one event.

mutation Ingest($events: [EventInput!]!) {
  eventsIngest(events: $events) {
    accepted
    receipt
    userErrors { index field code message }
  }
}
`,
    variables: {
      events: [
        {
          uniqueId: 'order-1001',
          metric: 'Placed Order',
          profile: { email: 'ada@example.com' },
          value: 129.5,
          currency: 'EUR',
          properties: { items: 3, categories: ['books', 'music'] },
        },
      ],
    },
  },
  {
    query: `# The same changes for those who would rather poll: send position back as $after.

query Poll($after: Position) {
  membershipLog(first: 50, after: $after) {
    changes { id kind cause at segment { name } profileId }
    position
    hasMore
  }
}
`,
  },
  {
    query: `# An audience that nobody saved: how many browsed within the last week, but did not order?

query Audience {
  audience(
    where: {
      all: [
        { event: { metric: "Viewed Product", within: { last: "P7D" } } }
        { not: { event: { metric: "Placed Order", within: { last: "P7D" } } } }
      ]
    }
  ) {
    text
    count
    members(first: 10) { nodes { id email lastEventAt } }
  }
}
`,
  },
  {
    query: `# The size of that audience while you edit it: now, then whenever it has changed.

subscription Size($query: String) {
  audienceCount(query: $query)
}
`,
    variables: {
      query: 'did "Viewed Product" in the last 7 days and not did "Placed Order" in the last 7 days',
    },
  },
  {
    query: `# Everything that comes in, as it is stored. Leave this running, and send events.

subscription Feed {
  eventFeed {
    time
    metric { name }
    value
    properties
    profile { id email }
  }
}
`,
  },
  {
    query: `# A condition can be typed. The breakdown has the size of each of its parts; explain says why someone is in, or not.

query Typed($query: String, $profile: ProfileSelector!) {
  audience(query: $query) {
    count
    warnings { code message path }
    breakdown { text count children { text count } }
    explain(profile: $profile) {
      member
      root { satisfied children { text satisfied found missing flipsAt } }
    }
  }
}
`,
    variables: {
      query: 'did "Placed Order" at least twice in the last 30 days\n  and email ends with "@example.com"',
      profile: { email: 'ada@example.com' },
    },
  },
];

let page: Promise<Buffer> | null = null;

/** The page as gzip. It has nine megabytes, so that it is made only when somebody asks for it. */
export function graphiqlPage(): Promise<Buffer> {
  page ??= render();
  page.catch(() => (page = null));
  return page;
}

async function render(): Promise<Buffer> {
  const { renderGraphiQL } = await import('@graphql-yoga/render-graphiql');
  const html = renderGraphiQL({
    title: 'Tidemark',
    endpoint: '/graphql',
    // Server-sent events carry the headers of the editor; a browser's WebSocket cannot.
    subscriptionsProtocol: 'SSE',
    headers: HEADERS,
    defaultHeaders: HEADERS,
    isHeadersEditorEnabled: true,
    defaultEditorToolsVisibility: 'headers',
    // A key in the storage of the browser would outlive the visit.
    shouldPersistHeaders: false,
    defaultTabs: EXAMPLES.map(({ query, variables }) => ({
      query,
      headers: HEADERS,
      variables: variables === undefined ? null : JSON.stringify(variables, null, 2),
    })),
    schemaDescription: true,
  });
  return promisify(gzip)(html, { level: 6 });
}
