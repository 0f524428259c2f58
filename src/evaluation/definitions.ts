/** Creating, editing and deleting segments: write it down, then tell every evaluator partition. */
import type { Clock } from '../runtime/clock.ts';
import { toStored } from '../segments/stored.ts';
import { parseSupported, parseSupportedQuery } from '../segments/unsupported.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { changeSegment, insertSegment, markDeleted } from '../storage/mysql/definitions.ts';
import { encodeChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { postalCodes } from '../storage/postal-codes.ts';
import { EVALUATOR_PARTITIONS, PROFILE_CHANGES } from '../storage/topics.ts';

export interface DefinitionDeps {
  mysql: MySql;
  log: Log;
  clock: Clock;
}

export interface DefinitionError {
  index: null;
  field: string[] | null;
  code: 'REQUIRED' | 'INVALID' | 'TOO_LONG' | 'TOO_LARGE' | 'TOO_MANY' | 'UNSUPPORTED' | 'NOT_FOUND';
  message: string;
  /** Of a mistake in a query, both from 1 on. */
  place?: { line: number; column: number };
}

/** Who is to be in a segment, not yet checked: a ConditionInput, or the same typed. Null is as good as absent. */
export interface DefinitionInput {
  condition?: unknown;
  query?: string | null | undefined;
}

const NAME_LENGTH = 255;

/** The segment is COMPUTING until every partition has populated it. */
export async function createSegment(
  deps: DefinitionDeps,
  account: number,
  input: DefinitionInput & { name: string },
): Promise<{ segment: number } | { userErrors: DefinitionError[] }> {
  const checked = checkDefinition(input) ?? { userErrors: [NOTHING_SAID] };
  if ('userErrors' in checked) return { userErrors: [...nameErrors(input.name), ...checked.userErrors] };
  const userErrors = nameErrors(input.name);
  if (userErrors.length > 0) return { userErrors };
  const segment = await insertSegment(
    deps.mysql,
    account,
    input.name.trim(),
    checked.definition,
    deps.clock.now(),
  );
  await announce(deps.log, { kind: 'definition', account, segment, version: 1 });
  return { segment };
}

/** A changed condition makes a new version, whose first differences are entries and exits like any other. */
export async function updateSegment(
  deps: DefinitionDeps,
  account: number,
  segment: number,
  input: DefinitionInput & { name?: string | null | undefined },
): Promise<{ segment: number } | { userErrors: DefinitionError[] }> {
  const checked = checkDefinition(input);
  const userErrors = [
    ...(input.name == null ? [] : nameErrors(input.name)),
    ...(checked && 'userErrors' in checked ? checked.userErrors : []),
  ];
  if (userErrors.length > 0) return { userErrors };
  const change = {
    ...(input.name == null ? {} : { name: input.name.trim() }),
    ...(checked && 'definition' in checked ? { definition: checked.definition } : {}),
  };
  const changed = await changeSegment(deps.mysql, account, segment, change, deps.clock.now());
  if (!changed) return { userErrors: [NOT_FOUND] };
  if (changed.isNew)
    await announce(deps.log, { kind: 'definition', account, segment, version: changed.version });
  return { segment };
}

/** Nobody is said to have left a segment that is no more. */
export async function deleteSegment(
  deps: DefinitionDeps,
  account: number,
  segment: number,
): Promise<{ deleted: true } | { userErrors: DefinitionError[] }> {
  if (!(await markDeleted(deps.mysql, account, segment, deps.clock.now())))
    return { userErrors: [NOT_FOUND] };
  await announce(deps.log, { kind: 'deleted', account, segment });
  return { deleted: true };
}

const NOT_FOUND: DefinitionError = {
  index: null,
  field: ['id'],
  code: 'NOT_FOUND',
  message: 'no segment has this id; take it from `segments`',
};

/** A failed announcement delays, no more: every partition looks for what it has missed. */
async function announce(log: Log, message: ProfileChangeMessage): Promise<void> {
  const value = encodeChange(message);
  await log.append(
    PROFILE_CHANGES,
    Array.from({ length: EVALUATOR_PARTITIONS }, (_, partition) => ({
      partition,
      key: String(message.account),
      value,
    })),
  );
}

function nameErrors(name: string): DefinitionError[] {
  const error = (code: DefinitionError['code'], message: string): DefinitionError[] => [
    { index: null, field: ['input', 'name'], code, message },
  ];
  if (name.trim().length === 0) return error('REQUIRED', 'name must not be empty');
  if (name.length > NAME_LENGTH) return error('TOO_LONG', `name may have at most ${NAME_LENGTH} characters`);
  if (!name.isWellFormed() || name.includes('\0')) {
    return error('INVALID', 'name must be valid Unicode without NUL characters');
  }
  return [];
}

const NOTHING_SAID: DefinitionError = {
  index: null,
  field: ['input'],
  code: 'REQUIRED',
  message: 'say who is to be in it: condition or query',
};

/** Null when nothing is said of the condition. */
function checkDefinition({
  condition,
  query,
}: DefinitionInput): { definition: string } | { userErrors: DefinitionError[] } | null {
  if (condition != null && query != null) {
    const message = 'condition and query are two ways to say the same; give one of them';
    return { userErrors: [{ index: null, field: ['input', 'query'], code: 'INVALID', message }] };
  }
  if (query != null) {
    const parsed = parseSupportedQuery(query, postalCodes);
    if (parsed.ok) return { definition: toStored(parsed.condition) };
    const userErrors = parsed.errors.map(({ line, column, code, message }): DefinitionError => ({
      index: null,
      field: ['input', 'query'],
      code,
      message,
      place: { line, column },
    }));
    return { userErrors };
  }
  if (condition == null) return null;
  const parsed = parseSupported(condition, postalCodes);
  if (parsed.ok) return { definition: toStored(parsed.condition) };
  const userErrors = parsed.errors.map(({ path, code, message }): DefinitionError => ({
    index: null,
    field: ['input', 'condition', ...path],
    code,
    message,
  }));
  return { userErrors };
}
