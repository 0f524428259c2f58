/** Relay connections: pages of at most 100, opaque cursors. */
import { badInput } from './errors.ts';

export interface PageArgs {
  first: number;
  after?: string | null | undefined;
}

export interface Connection<Edge> {
  edges: Edge[];
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  totalCount: () => Promise<number>;
}

const MAX_PAGE = 100;

/**
 * One page of a list. `load` gets the cursor's parts (null: from the beginning) and how many items to bring, one more
 * than the page has; `place` says which parts make up an item's cursor. The kind keeps cursors of different lists apart.
 */
export async function paginate<Item, Edge>(
  kind: string,
  args: PageArgs,
  list: {
    /** How many numbers or words a cursor consists of. */
    parts: readonly RegExp[];
    load: (after: string[] | null, limit: number) => Promise<Item[]>;
    place: (item: Item) => (string | number)[];
    /** Null drops the item: what it stood for has gone in the meantime. */
    edge: (item: Item, cursor: string) => Promise<Edge | null> | Edge;
    totalCount: () => Promise<number>;
  },
): Promise<Connection<Edge>> {
  const { first } = args;
  if (first < 1 || first > MAX_PAGE) {
    throw badInput(`first must be from 1 to ${MAX_PAGE}, not ${first}; page through longer lists with after`);
  }
  const after = args.after == null ? null : decodeCursor(kind, args.after, list.parts);
  const items = await list.load(after, first + 1);
  const edges = await Promise.all(
    items.slice(0, first).map((item) => list.edge(item, encodeCursor(kind, list.place(item)))),
  );
  return {
    edges: edges.filter((edge) => edge !== null),
    hasNextPage: items.length > first,
    hasPreviousPage: after !== null,
    totalCount: list.totalCount,
  };
}

/** The cursor of a list in the order of a number. */
export const NUMBER = [/^\d{1,10}$/] as const;

/** The one part of a cursor made with NUMBER. */
export function numberOf(after: string[] | null): number | null {
  return after === null ? null : Number(after[0]);
}

function encodeCursor(kind: string, place: (string | number)[]): string {
  return Buffer.from([kind, ...place].join(' '), 'utf8').toString('base64url');
}

function decodeCursor(kind: string, cursor: string, parts: readonly RegExp[]): string[] {
  const [sameKind, ...place] = Buffer.from(cursor, 'base64url').toString('utf8').split(' ');
  const fits =
    sameKind === kind &&
    place.length === parts.length &&
    parts.every((part, i) => part.test(place[i] as string));
  if (!fits)
    throw badInput(
      'after is not a cursor of this list; take it from pageInfo.endCursor or an edge of the same field',
    );
  return place;
}
