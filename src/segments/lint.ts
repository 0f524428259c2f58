/** What looks like a mistake in a condition that is valid. */
import type { Condition, Leaf, PropertyFilter, TextFilter, ValueFilter } from './ast.ts';
import { canonicalJson } from './canonical.ts';
import { constantOf } from './contradictions.ts';
import { hashOf, normalise } from './normalise.ts';
import { normaliseProperty } from './normalise-filters.ts';
import { isLeaf } from './tree.ts';

export interface Warning {
  code: 'CONTRADICTORY' | 'ALWAYS_TRUE' | 'DUPLICATE' | 'COSTLY';
  /** Of the part, from the condition's root: ["all", "1", "event"]. Empty: the whole condition. */
  path: string[];
  /** What is the matter and what to do. */
  message: string;
}

type Path = readonly string[];

/** From so many `equals` of one property on, `in` is recommended. */
const MANY_EQUALS = 3;

/**
 * Warnings about a condition: parts that are true for nobody or for everybody, that say the same twice, or that say
 * dearly what can be had cheaply. A constant part inside of a constant part is reported, not what is around it; but if
 * the whole condition is constant, that is always reported.
 */
export function lint(condition: Condition): Warning[] {
  const { warnings } = lintNode(condition, []);
  const whole = constantWarning(condition, []);
  return whole && !warnings.some(({ path, code }) => path.length === 0 && code === whole.code)
    ? [whole, ...warnings]
    : warnings;
}

function lintNode(condition: Condition, path: Path): { warnings: Warning[]; hasConstant: boolean } {
  const below = childrenOf(condition).map(([child, step]) => lintNode(child, [...path, ...step]));
  const inner = below.flatMap(({ warnings }) => warnings);
  const constantBelow = below.some(({ hasConstant }) => hasConstant);
  const own = constantBelow ? null : constantWarning(condition, path);
  return {
    warnings: [...(own ? [own] : []), ...partWarnings(condition, path), ...inner],
    hasConstant: constantBelow || own !== null,
  };
}

function childrenOf(condition: Condition): [child: Condition, step: string[]][] {
  if (isLeaf(condition)) return [];
  switch (condition.kind) {
    case 'all':
    case 'any':
      return condition.children.map((child, i) => [child, [condition.kind, `${i}`]]);
    case 'not':
      return [[condition.child, ['not']]];
  }
}

function constantWarning(condition: Condition, path: Path): Warning | null {
  switch (constantOf(normalise(condition))) {
    case false:
      return {
        code: 'CONTRADICTORY',
        path: [...path],
        message: 'is true for nobody, at no time: its parts exclude one another, or no value can satisfy it',
      };
    case true:
      return {
        code: 'ALWAYS_TRUE',
        path: [...path],
        message: 'is true for everybody, at all times; leave it out',
      };
    case null:
      return null;
  }
}

function partWarnings(condition: Condition, path: Path): Warning[] {
  if (isLeaf(condition)) return leafWarnings(condition, path);
  switch (condition.kind) {
    case 'all':
    case 'any':
      return [
        ...duplicates(condition.children, hashOf, [...path, condition.kind]),
        ...(condition.kind === 'any' ? manyEquals(condition.children, path) : []),
      ];
    case 'not':
      return [];
  }
}

function leafWarnings(leaf: Leaf, path: Path): Warning[] {
  switch (leaf.kind) {
    case 'event':
      return whereWarnings(leaf.where, [...path, 'event', 'where']);
    case 'sequence':
      return leaf.steps.flatMap(({ where }, i) =>
        whereWarnings(where, [...path, 'sequence', 'steps', `${i}`, 'where']),
      );
    case 'property':
      return regexWarnings(leaf.filter, [...path, 'property', 'filter']);
    case 'consent':
      return leaf.source ? textWarnings(leaf.source, [...path, 'consent', 'source']) : [];
    case 'segment':
    case 'near':
    case 'region':
    case 'prediction':
    case 'trend':
    case 'sample':
      return [];
  }
}

function whereWarnings(where: readonly PropertyFilter[], path: Path): Warning[] {
  return [
    ...duplicates(where, (filter) => canonicalJson(normaliseProperty(filter)), path),
    ...where.flatMap(({ filter }, i) => regexWarnings(filter, [...path, `${i}`, 'filter'])),
  ];
}

function duplicates<T>(parts: readonly T[], keyOf: (part: T) => string, path: Path): Warning[] {
  const seen = new Map<string, number>();
  return parts.flatMap((part, i) => {
    const first = seen.get(keyOf(part));
    if (first === undefined) {
      seen.set(keyOf(part), i);
      return [];
    }
    const message = `says the same as ${[...path, `${first}`].join('.')}; leave one of them out`;
    return [{ code: 'DUPLICATE' as const, path: [...path, `${i}`], message }];
  });
}

function manyEquals(children: readonly Condition[], path: Path): Warning[] {
  const counts = new Map<string, number>();
  for (const child of children) {
    if (child.kind !== 'property' || child.filter.kind !== 'text' || child.filter.text.op !== 'equals')
      continue;
    counts.set(child.path, (counts.get(child.path) ?? 0) + 1);
  }
  return [...counts]
    .filter(([, count]) => count >= MANY_EQUALS)
    .map(([name, count]) => ({
      code: 'COSTLY',
      path: [...path, 'any'],
      message: `compares ${name} ${count} times; one filter "in" with all the values is faster`,
    }));
}

function regexWarnings(filter: ValueFilter, path: Path): Warning[] {
  if (filter.kind === 'text') return textWarnings(filter.text, [...path, 'text']);
  return filter.kind === 'list' && 'text' in filter.list
    ? textWarnings(filter.list.text, [...path, 'list', filter.list.op])
    : [];
}

const PLAIN_REGEX = /^(\^?)([\p{L}\p{N} _@,;:<>=!"'#%&/~-]*)(\$?)$/u;

/** A regular expression without anything that is special in it. */
function textWarnings(filter: TextFilter, path: Path): Warning[] {
  if (filter.op !== 'matches' && filter.op !== 'notMatches') return [];
  const plain = PLAIN_REGEX.exec(filter.value);
  if (!plain) return [];
  const [, start, text, end] = plain;
  const said = start ? (end ? 'equals' : 'startsWith') : end ? 'endsWith' : 'contains';
  const op = filter.op === 'matches' ? said : `not${said.charAt(0).toUpperCase()}${said.slice(1)}`;
  const message = `is a regular expression for what ${op}: ${JSON.stringify(text)} says; that is faster`;
  return [{ code: 'COSTLY', path: [...path, filter.op], message }];
}
