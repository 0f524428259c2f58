/** Why someone is in a segment or an audience, or not. */
import { explainProfile, type Explanation } from '../evaluation/explanation.ts';
import { attributesOf } from '../ingest/apply.ts';
import { consentsOf } from '../ingest/consents.ts';
import type { Condition } from '../segments/ast.ts';
import { accountOf, type Context } from './context.ts';
import { ApiError } from './errors.ts';
import { withTexts } from './texts.ts';
import { selectProfile, type ProfileSelector } from './profiles.ts';

export type { Explanation, ExplanationNode } from '../evaluation/explanation.ts';

export async function explainFor(
  ctx: Context,
  condition: Condition,
  by: ProfileSelector,
): Promise<Explanation> {
  const selected = await selectProfile(ctx, by);
  const row = selected === null ? null : await ctx.loaders.profile.load(selected);
  if (row === null) throw new ApiError('NOT_FOUND', 'there is no such profile to explain anything for');
  await ctx.loaders.stored();
  const explanation = await explainProfile(ctx.deps, accountOf(ctx), condition, {
    number: row.number,
    attributes: attributesOf(row),
    consents: consentsOf(row),
  });
  return { ...explanation, root: await withTexts(ctx, condition, explanation.root) };
}
