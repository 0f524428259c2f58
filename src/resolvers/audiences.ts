/** Audiences that nobody saved, and conditions in general. */
import { countAudience } from '../evaluation/audience.ts';
import { countNodes, type NodeCount } from '../evaluation/breakdown.ts';
import { mayHaveTurned, nextEventAhead } from '../evaluation/turned.ts';
import type { Condition } from '../segments/ast.ts';
import {
  describe,
  lint,
  parseSupported,
  parseSupportedQuery,
  toQuery,
  type ParseResult,
  type QueryResult,
  type Warning,
} from '../segments/index.ts';
import { postalCodes } from '../storage/postal-codes.ts';
import { MAX_AUDIENCES, TooManyAudiences } from '../streaming/audience-counts.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError, badInput } from './errors.ts';
import { subscription } from './subscriptions.ts';

export type { NodeCount } from '../evaluation/breakdown.ts';

export interface Audience {
  condition: Condition;
}

/** Throws BAD_USER_INPUT with everything that is wrong with the condition. */
export function audienceOf(where: unknown): Audience {
  return valid(parseSupported(where, postalCodes), 'condition');
}

interface AudienceArgs {
  where?: unknown;
  query?: string | null | undefined;
}

export function audience(_ctx: Context, { where, query }: AudienceArgs): Audience {
  if ((where == null) === (query == null)) throw badInput('Give exactly one of where and query.');
  return query == null ? audienceOf(where) : valid(parseSupportedQuery(query, postalCodes), 'query');
}

function valid(parsed: ParseResult | QueryResult, what: 'condition' | 'query'): Audience {
  if (parsed.ok) return { condition: parsed.condition };
  throw badInput(`The ${what} is not valid. ${parsed.errors[0]?.message ?? ''}`, {
    problems: parsed.errors.slice(0, 20),
  });
}

export function audienceCount(ctx: Context, { condition }: Audience): Promise<number> {
  return countAudience(ctx.deps, accountOf(ctx), condition);
}

const NOTHING_MORE = { profiles: [], segments: [], events: [] };

/** The size now, then whenever it is another. Throws BAD_USER_INPUT like `audience`. */
export function audienceCounts(ctx: Context, args: AudienceArgs): AsyncIterableIterator<number> {
  const { condition } = audience(ctx, args);
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

export function audienceText({ condition }: Audience): string {
  return describe(condition);
}

export function audienceQuery({ condition }: Audience): string {
  return toQuery(condition);
}

export function audienceWarnings({ condition }: Audience): Warning[] {
  return lint(condition);
}

export function audienceBreakdown(ctx: Context, { condition }: Audience): Promise<NodeCount> {
  return countNodes(ctx.deps, accountOf(ctx), condition);
}
