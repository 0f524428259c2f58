/** Creating, editing and deleting segments: write it down, then tell every evaluator partition. */
import type { Clock } from '../runtime/clock.ts';
import type { Condition } from '../segments/ast.ts';
import { parseCondition, type ConditionError } from '../segments/parse.ts';
import { parseQuery, placed, type QueryError } from '../segments/query.ts';
import { toStored } from '../segments/stored.ts';
import type { Log } from '../storage/log/log.ts';
import type { MySql } from '../storage/mysql/connect.ts';
import { changeSegment, insertSegment, markDeleted } from '../storage/mysql/definitions.ts';
import { lockReferences, writeReferences } from '../storage/mysql/references.ts';
import { encodeChange, type ProfileChangeMessage } from '../storage/profile-changes.ts';
import { postalCodes } from '../storage/postal-codes.ts';
import { EVALUATOR_PARTITIONS, PROFILE_CHANGES } from '../storage/topics.ts';
import { directlyReferring, referenceErrors, targetsOf } from './references.ts';

export interface DefinitionDeps {
  mysql: MySql;
  log: Log;
  clock: Clock;
}

export interface DefinitionError {
  index: null;
  field: string[] | null;
  code: ConditionError['code'] | 'CONFLICT';
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
const DEPENDENTS_NAMED = 10;

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
  const { condition, definition } = checked;
  const targets = targetsOf(account, condition);
  const made = await deps.mysql.db.transaction(async (tx) => {
    // Nobody refers to a new segment yet: only those that it refers to must stay as they are.
    if (targets.size > 0) await lockReferences(tx, account);
    const errors = await referenceErrors(tx, account, null, condition);
    if (errors.length > 0) return { userErrors: checked.inInput(errors) };
    const segment = await insertSegment(tx, account, input.name.trim(), definition, deps.clock.now());
    if (targets.size > 0) await writeReferences(tx, account, segment, targets);
    return { segment };
  });
  if (made.segment === undefined) return { userErrors: made.userErrors };
  await announce(deps.log, { kind: 'definition', account, segment: made.segment, version: 1 });
  return { segment: made.segment };
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
  const defined = checked && 'definition' in checked ? checked : null;
  const change = {
    ...(input.name == null ? {} : { name: input.name.trim() }),
    ...(defined ? { definition: defined.definition } : {}),
  };
  const changed = await deps.mysql.db.transaction(async (tx) => {
    if (defined) await lockReferences(tx, account);
    const errors = defined ? await referenceErrors(tx, account, segment, defined.condition) : [];
    if (defined && errors.length > 0) return { userErrors: defined.inInput(errors) };
    const result = await changeSegment(tx, account, segment, change, deps.clock.now());
    if (!result) return { userErrors: [NOT_FOUND] };
    if (defined && result.isNew) {
      await writeReferences(tx, account, segment, targetsOf(account, defined.condition));
    }
    return result;
  });
  if ('userErrors' in changed) return changed;
  if (changed.isNew)
    await announce(deps.log, { kind: 'definition', account, segment, version: changed.version });
  return { segment };
}

/** Nobody is said to have left a segment that is no more. Refused as long as other segments refer to it. */
export async function deleteSegment(
  deps: DefinitionDeps,
  account: number,
  segment: number,
): Promise<{ deleted: true } | { userErrors: DefinitionError[] }> {
  const userErrors = await deps.mysql.db.transaction(async (tx) => {
    await lockReferences(tx, account);
    const dependents = await directlyReferring(tx, account, segment);
    if (dependents.length > 0) return [neededBy(dependents)];
    if (!(await markDeleted(tx, account, segment, deps.clock.now()))) return [NOT_FOUND];
    await writeReferences(tx, account, segment, []);
    return [];
  });
  if (userErrors.length > 0) return { userErrors };
  await announce(deps.log, { kind: 'deleted', account, segment });
  return { deleted: true };
}

function neededBy(dependents: readonly string[]): DefinitionError {
  const named = dependents.slice(0, DEPENDENTS_NAMED).join(', ');
  const more =
    dependents.length > DEPENDENTS_NAMED ? ` and ${dependents.length - DEPENDENTS_NAMED} more` : '';
  return {
    index: null,
    field: ['id'],
    code: 'CONFLICT',
    message: `other segments refer to it: ${named}${more}; change or delete them first`,
  };
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

interface Definition {
  condition: Condition;
  /** ConditionInput as JSON text. */
  definition: string;
  /** Mistakes in the condition as mistakes in what was sent. */
  inInput(errors: ConditionError[]): DefinitionError[];
}

/** Null when nothing is said of the condition. */
function checkDefinition({
  condition,
  query,
}: DefinitionInput): Definition | { userErrors: DefinitionError[] } | null {
  if (condition != null && query != null) {
    const message = 'condition and query are two ways to say the same; give one of them';
    return { userErrors: [{ index: null, field: ['input', 'query'], code: 'INVALID', message }] };
  }
  if (query != null) {
    const parsed = parseQuery(query, postalCodes);
    if (!parsed.ok) return { userErrors: parsed.errors.map(inQuery) };
    return defined(parsed.condition, (errors) => placed(query, errors).map(inQuery));
  }
  if (condition == null) return null;
  const parsed = parseCondition(condition, postalCodes);
  return parsed.ok
    ? defined(parsed.condition, (errors) => errors.map(inCondition))
    : { userErrors: parsed.errors.map(inCondition) };
}

function defined(condition: Condition, inInput: Definition['inInput']): Definition {
  return { condition, definition: toStored(condition), inInput };
}

function inQuery({ line, column, code, message }: QueryError): DefinitionError {
  return { index: null, field: ['input', 'query'], code, message, place: { line, column } };
}

function inCondition({ path, code, message }: ConditionError): DefinitionError {
  return { index: null, field: ['input', 'condition', ...path], code, message };
}
