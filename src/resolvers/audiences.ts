/** Audiences that nobody saved, and conditions in general. */
import { countAudience } from '../evaluation/audience.ts';
import type { Condition } from '../segments/ast.ts';
import { describe, parseSupported } from '../segments/index.ts';
import { accountOf, type Context } from './context.ts';
import { badInput } from './errors.ts';

export interface Audience {
  condition: Condition;
}

/** Throws BAD_USER_INPUT with everything that is wrong with the condition. */
export function audienceOf(where: unknown): Audience {
  const parsed = parseSupported(where);
  if (!parsed.ok) {
    const first = parsed.errors[0];
    throw badInput(`The condition is not valid. ${first?.message ?? ''}`, {
      problems: parsed.errors.slice(0, 20),
    });
  }
  return { condition: parsed.condition };
}

export function audience(_ctx: Context, { where }: { where: unknown }): Audience {
  return audienceOf(where);
}

export function audienceCount(ctx: Context, { condition }: Audience): Promise<number> {
  return countAudience(ctx.deps, accountOf(ctx), condition);
}

export function audienceText({ condition }: Audience): string {
  return describe(condition);
}
