/** Anything by its global id. Ids that are malformed, unknown or another account's are all answered with null. */
import { decodeId, decodeNumber } from '../runtime/global-ids.ts';
import { readKey } from '../storage/mysql/keys.ts';
import { account } from './accounts.ts';
import { accountOf, requireScope, type Context } from './context.ts';
import { badInput } from './errors.ts';
import { eventByKey } from './events.ts';
import { livingSegment } from './segments.ts';

const MAX_IDS = 100;

/** The object behind the id, and the name of its type. */
export async function node(ctx: Context, { id }: { id: string }): Promise<{ __typename: string } | null> {
  const decoded = decodeId(id);
  if (decoded === null || decoded.account !== accountOf(ctx)) return null;
  const row = await read(ctx, decoded.type, id, decoded.key);
  return row === null ? null : { ...row, __typename: decoded.type };
}

export async function nodes(
  ctx: Context,
  { ids }: { ids: readonly string[] },
): Promise<({ __typename: string } | null)[]> {
  if (ids.length > MAX_IDS) throw badInput(`at most ${MAX_IDS} ids at once, these are ${ids.length}`);
  return Promise.all(ids.map((id) => node(ctx, { id })));
}

async function read(
  ctx: Context,
  type: NonNullable<ReturnType<typeof decodeId>>['type'],
  id: string,
  key: string,
): Promise<object | null> {
  if (type === 'Event') return eventByKey(ctx, key);
  const number = decodeNumber(id, type, accountOf(ctx));
  if (number === null) return null;
  switch (type) {
    case 'Account':
      return number === accountOf(ctx) ? account(ctx) : null;
    case 'ApiKey':
      requireScope(ctx, ['ADMIN']);
      return readKey(ctx.deps.mysql.db, accountOf(ctx), number);
    case 'Metric':
      return ctx.loaders.metric.load(number);
    case 'Profile':
      return ctx.loaders.profile.load(number);
    case 'Segment':
      return livingSegment(ctx, number);
  }
}
