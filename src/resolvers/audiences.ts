/** Audiences that nobody saved, and conditions in general. */
import { countAudience } from '../evaluation/audience.ts';
import { countNodes, type NodeCount } from '../evaluation/breakdown.ts';
import { referenceErrors } from '../evaluation/references.ts';
import { mayHaveTurned, nextEventAhead } from '../evaluation/turned.ts';
import type { Condition } from '../segments/ast.ts';
import {
  lint,
  parseCondition,
  parseQuery,
  placed,
  toQuery,
  type ConditionError,
  type QueryError,
  type Warning,
} from '../segments/index.ts';
import { postalCodes } from '../storage/postal-codes.ts';
import { MAX_AUDIENCES, TooManyAudiences } from '../streaming/audience-counts.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';
import { subscription } from './subscriptions.ts';
import { textOf, withTexts } from './texts.ts';

export type { NodeCount } from '../evaluation/breakdown.ts';

export interface Audience {
  condition: Condition;
}

/** Throws BAD_USER_INPUT with everything that is wrong with the condition. */
export async function audienceOf(ctx: Context, where: unknown): Promise<Audience> {
  const parsed = parseCondition(where, postalCodes);
  if (!parsed.ok) throw notValid('condition', parsed.errors);
  const errors = await errorsOf(ctx, parsed.condition);
  if (errors.length > 0) throw notValid('condition', errors);
  return { condition: parsed.condition };
}

async function typedAudience(ctx: Context, query: string): Promise<Audience> {
  const parsed = parseQuery(query, postalCodes);
  if (!parsed.ok) throw notValid('query', parsed.errors);
  const errors = await errorsOf(ctx, parsed.condition);
  if (errors.length > 0) throw notValid('query', placed(query, errors));
  return { condition: parsed.condition };
}

function errorsOf(ctx: Context, condition: Condition): Promise<ConditionError[]> {
  return referenceErrors(ctx.deps.mysql.db, accountOf(ctx), null, condition);
}

interface AudienceArgs {
  where?: unknown;
  query?: string | null | undefined;
}

export async function audience(ctx: Context, { where, query }: AudienceArgs): Promise<Audience> {
  if ((where == null) === (query == null)) throw badInput('Give exactly one of where and query.');
  return query == null ? audienceOf(ctx, where) : typedAudience(ctx, query);
}

function notValid(what: 'condition' | 'query', errors: readonly (ConditionError | QueryError)[]): Error {
  return badInput(`The ${what} is not valid. ${errors[0]?.message ?? ''}`, {
    problems: errors.slice(0, 20),
  });
}

export async function audienceCount(ctx: Context, { condition }: Audience): Promise<number> {
  await ctx.loaders.stored();
  return countAudience(ctx.deps, accountOf(ctx), condition);
}

const NOTHING_MORE = { profiles: [], segments: [], events: [] };

/** The size now, then whenever it is another. Throws BAD_USER_INPUT like `audience`. */
export async function audienceCounts(
  ctx: Context,
  args: AudienceArgs,
): Promise<AsyncIterableIterator<number>> {
  const { condition } = await audience(ctx, args);
  const account = accountOf(ctx);
  const { deps } = ctx;
  const source = {
    condition,
    count: () => countAudience(deps, account, condition),
    mayHaveTurned: (after: number, through: number) =>
      mayHaveTurned(deps, account, condition, after, through),
    nextEventAhead: (after: number) => nextEventAhead(deps, account, condition, after),
  };
  return subscription(
    ctx,
    (signal) => deps.live.audiences.follow(account, source, signal),
    () => NOTHING_MORE,
    explained,
  );
}

function explained(error: unknown): unknown {
  if (!(error instanceof TooManyAudiences)) return error;
  return new ApiError(
    'TOO_MANY',
    `the account follows ${MAX_AUDIENCES} different audiences already; end some, or ask audience now and then`,
  );
}

export function audienceText(ctx: Context, { condition }: Audience): Promise<string> {
  return textOf(ctx, condition);
}

export function audienceQuery({ condition }: Audience): string {
  return toQuery(condition);
}

export function audienceWarnings({ condition }: Audience): Warning[] {
  return lint(condition);
}

export async function audienceBreakdown(ctx: Context, { condition }: Audience): Promise<NodeCount> {
  await ctx.loaders.stored();
  return withTexts(ctx, condition, await countNodes(ctx.deps, accountOf(ctx), condition));
}
