/**
 * What the language has and evaluation does not compute yet. The API refuses it here and nowhere else: a kind is taken
 * into service by deleting its line.
 */
import type { Condition } from './ast.ts';
import { parseCondition, type ParseResult, type PostalCodes } from './parse.ts';
import { readQuery, type QueryResult } from './query.ts';
import type { ConditionError, Path } from './read.ts';

/** Like parseCondition, without what is not computed yet. */
export function parseSupported(input: unknown, postalCodes: PostalCodes): ParseResult {
  const parsed = parseCondition(input, postalCodes);
  if (!parsed.ok) return parsed;
  const errors = unsupportedIn(parsed.condition);
  return errors.length > 0 ? { ok: false, errors } : parsed;
}

/** Like parseQuery, without what is not computed yet. */
export function parseSupportedQuery(query: string, postalCodes: PostalCodes): QueryResult {
  return readQuery(query, (input) => parseSupported(input, postalCodes));
}

/** An error with code UNSUPPORTED for each part that cannot be computed yet; none when all can. */
export function unsupportedIn(condition: Condition, path: Path = []): ConditionError[] {
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.children.flatMap((child, i) =>
        unsupportedIn(child, [...path, condition.kind, `${i}`]),
      );
    case 'not':
      return unsupportedIn(condition.child, [...path, 'not']);
    case 'sequence':
      return [refusal([...path, 'sequence'], 'combine event conditions with all')];
    case 'event':
    case 'property':
    case 'consent':
    case 'segment':
    case 'near':
    case 'region':
    case 'prediction':
    case 'trend':
    case 'sample':
      return [];
  }
}

function refusal(path: string[], remedy: string): ConditionError {
  return { path, code: 'UNSUPPORTED', message: `${path.join('.')}: is not supported yet; ${remedy}` };
}
