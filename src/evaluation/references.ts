/** Conditions on the membership of other segments: which segments they name, what that means, what may be said. */
import { decodeNumber, encodeId } from '../runtime/global-ids.ts';
import type { Condition, NormalCondition } from '../segments/ast.ts';
import { expand, referencesIn, type ConditionOf } from '../segments/expand.ts';
import { LIMITS } from '../segments/limits.ts';
import type { ConditionError } from '../segments/parse.ts';
import { readStored } from '../segments/stored.ts';
import { findCycle } from '../segments/touch.ts';
import type { MySql, Queries } from '../storage/mysql/connect.ts';
import type { StoredDefinition } from '../storage/mysql/definitions.ts';
import {
  readDefinitions,
  readFamily,
  readReferences,
  referring,
  withReferred,
  type NamedDefinition,
  type References,
} from '../storage/mysql/references.ts';

/** The number of a segment by its id; null for ids of other accounts, of other things, and written in another way. */
export function segmentNumber(account: number, id: string): number | null {
  const number = decodeNumber(id, 'Segment', account);
  return number !== null && encodeId('Segment', account, number) === id ? number : null;
}

/** The numbers of the segments that a condition names, each once. Ids that name nothing are left out. */
export function targetsOf(account: number, condition: Condition): Set<number> {
  const numbers = referencesIn(condition).map(({ id }) => segmentNumber(account, id));
  return new Set(numbers.filter((number) => number !== null));
}

/** Throws when the stored text is not a valid condition, which then was written by a newer version of Tidemark. */
export function conditionIn(stored: StoredDefinition): Condition {
  try {
    return readStored(stored.definition);
  } catch (cause) {
    const { segment, version } = stored;
    throw new Error(`segment ${segment} v${version} cannot be read by this version`, { cause });
  }
}

/** The conditions of these segments by their ids. */
export function lookUp(
  account: number,
  conditions: { get(segment: number): Condition | undefined },
): ConditionOf {
  return (id) => conditions.get(segmentNumber(account, id) ?? -1) ?? null;
}

/** The present conditions of all segments that the condition names, and of those that they name. */
export async function readMeanings(
  mysql: Pick<MySql, 'db'>,
  account: number,
  condition: Condition,
): Promise<ConditionOf> {
  const family = await readFamily(mysql, account, [...targetsOf(account, condition)]);
  return lookUp(account, new Map(family.map((stored) => [stored.segment, conditionIn(stored)])));
}

/** What the condition means by the present conditions of the segments that it names. */
export async function meaningOf(
  mysql: Pick<MySql, 'db'>,
  account: number,
  condition: Condition,
): Promise<NormalCondition> {
  return inFull(condition, await readMeanings(mysql, account, condition));
}

/** Throws when the condition is too large for it; what is accepted is not. */
export function inFull(condition: Condition, conditionOf: ConditionOf): NormalCondition {
  const expansion = expand(condition, conditionOf);
  if (!expansion.ok) throw new Error(`a condition ${expansion.problem}`);
  return expansion.condition;
}

/**
 * What is wrong with the segments that a condition names, if it becomes that of `segment` (null: of a new one, or of
 * none). The transaction holds the lock of the account's references, unless nothing is to be stored.
 */
export async function referenceErrors(
  db: Queries,
  account: number,
  segment: number | null,
  condition: Condition,
): Promise<ConditionError[]> {
  const targets = targetsOf(account, condition);
  if (segment === null && referencesIn(condition).length === 0) return [];
  const references: References = new Map(await readReferences(db, account));
  const dependents = segment === null ? [] : referring(references, segment);
  const after = segment === null ? references : new Map([...references, [segment, targets]]);
  const concerned = withReferred(after, [...targets, ...dependents]);
  const definitions = await readDefinitions(
    db,
    account,
    segment === null ? concerned : [...concerned, segment],
  );
  const conditions = new Map<number, Condition>();
  for (const [id, stored] of definitions)
    conditions.set(id, id === segment ? condition : conditionIn(stored));

  const unknown = referencesIn(condition).filter(
    ({ id }) => !definitions.has(segmentNumber(account, id) ?? -1),
  );
  if (unknown.length > 0) {
    return unknown
      .slice(0, LIMITS.errors)
      .map(({ id, path }) =>
        mistake(
          path,
          'NOT_FOUND',
          `no segment has the id ${JSON.stringify(id.slice(0, 60))}; take it from segments`,
        ),
      );
  }
  const circle = circleOf(account, conditions, segment);
  if (circle) {
    const [, next] = circle;
    const path = referencesIn(condition).find(({ id }) => id === next)?.path ?? [];
    const names = circle.map((id) => nameOf(definitions, segmentNumber(account, id)));
    return [mistake(path, 'CYCLE', `a segment cannot depend on itself: ${names.join(' refers to ')}`)];
  }
  const conditionOf = lookUp(account, conditions);
  const own = expand(condition, conditionOf);
  if (!own.ok) return [mistake([], 'TOO_LARGE', `${own.problem}; make one of them simpler`)];
  for (const dependent of dependents) {
    const known = conditions.get(dependent);
    const expansion = known && expand(known, conditionOf);
    if (!expansion || expansion.ok) continue;
    const name = nameOf(definitions, dependent);
    return [mistake([], 'TOO_LARGE', `${name}, which refers to this segment, then ${expansion.problem}`)];
  }
  return [];
}

/** A circle through the segment, as ids from itself back to itself. */
function circleOf(
  account: number,
  conditions: ReadonlyMap<number, Condition>,
  segment: number | null,
): string[] | null {
  if (segment === null) return null;
  const idOf = (number: number) => encodeId('Segment', account, number);
  const own = conditions.get(segment);
  // It comes first, and there has been no circle without it: so one that is found begins with it.
  const inOrder = new Map(own ? [[segment, own], ...conditions] : conditions);
  return findCycle(new Map([...inOrder].map(([number, condition]) => [idOf(number), condition])));
}

function nameOf(definitions: ReadonlyMap<number, NamedDefinition>, segment: number | null): string {
  const found = definitions.get(segment ?? -1);
  return found
    ? `${JSON.stringify(found.name)} (${encodeId('Segment', found.account, found.segment)})`
    : 'this segment';
}

function mistake(path: readonly string[], code: ConditionError['code'], text: string): ConditionError {
  return { path: [...path], code, message: `${path.join('.') || 'condition'}: ${text}` };
}

/** The living segments that refer to the segment themselves, by name. */
export async function directlyReferring(db: Queries, account: number, segment: number): Promise<string[]> {
  const references = await readReferences(db, account);
  const ids = [...references].flatMap(([id, targets]) => (targets.has(segment) ? [id] : []));
  const definitions = await readDefinitions(db, account, ids);
  return [...definitions.keys()].map((id) => nameOf(definitions, id));
}
