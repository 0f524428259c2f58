/** The public API as a benchmark calls it: every attempt counts, so nothing is tried twice. */

export interface Api {
  /** The `data` of the answer. Throws on HTTP and GraphQL errors. */
  request<Data>(query: string, variables?: Record<string, unknown>): Promise<Data>;
}

const TIMEOUT_MS = 30_000;

export function createApi(target: { url: string; apiKey: string }): Api {
  return {
    async request<Data>(query: string, variables: Record<string, unknown> = {}) {
      const response = await fetch(`${target.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${target.apiKey}` },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await response.text();
      const answer = parse(text);
      if (!response.ok || !answer?.data || answer.errors) {
        const reason = answer?.errors?.map(({ message }) => message).join('; ') ?? text.slice(0, 200);
        throw new Error(`${target.url} answered ${response.status}: ${reason}`);
      }
      return answer.data as Data;
    },
  };
}

interface Answer {
  data?: unknown;
  errors?: { message: string }[];
}

function parse(text: string): Answer | null {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    return null;
  }
}

export interface SegmentSpec {
  name: string;
  /** As ConditionInput. */
  condition: Record<string, unknown>;
}

const CREATE = `mutation Create($input: SegmentCreateInput!) {
  segmentCreate(input: $input) { segment { id } userErrors { message } }
}`;
const STATUS = `query Status($ids: [ID!]!) { nodes(ids: $ids) { ... on Segment { id status count } } }`;
const DELETE = `mutation Delete($id: ID!) { segmentDelete(id: $id) { deletedId } }`;
const RECEIPT = `query Wait($token: Receipt!) {
  receipt(token: $token, stage: EVALUATED, timeout: "PT10S") { reached }
}`;

/** Creates the segments and waits until all of them are LIVE. Ids in the order of the specs. */
export async function createSegments(api: Api, specs: readonly SegmentSpec[]): Promise<string[]> {
  const ids: string[] = [];
  for (const { name, condition } of specs) {
    const { segmentCreate } = await api.request<{
      segmentCreate: { segment: { id: string } | null; userErrors: { message: string }[] };
    }>(CREATE, { input: { name, condition } });
    if (!segmentCreate.segment)
      throw new Error(`${name}: ${segmentCreate.userErrors.map(({ message }) => message).join('; ')}`);
    ids.push(segmentCreate.segment.id);
  }
  const deadline = performance.now() + 60_000;
  for (;;) {
    const { nodes } = await api.request<{ nodes: { status: string }[] }>(STATUS, { ids });
    if (nodes.every(({ status }) => status === 'LIVE')) return ids;
    if (performance.now() > deadline) throw new Error('the segments did not become LIVE within 60 s');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Members of each segment. */
export async function countMembers(api: Api, ids: readonly string[]): Promise<number[]> {
  const { nodes } = await api.request<{ nodes: { count: number }[] }>(STATUS, { ids });
  return nodes.map(({ count }) => count);
}

export async function deleteSegments(api: Api, ids: readonly string[]): Promise<void> {
  for (const id of ids) await api.request(DELETE, { id });
}

/** Until the write behind the receipt is evaluated. */
export async function waitUntilEvaluated(api: Api, token: string): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (performance.now() < deadline) {
    const { receipt } = await api.request<{ receipt: { reached: boolean } }>(RECEIPT, { token });
    if (receipt.reached) return;
  }
  throw new Error('what was sent was not evaluated within 120 s');
}
