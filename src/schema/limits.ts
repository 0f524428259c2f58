/** Bounds on what one operation may ask for, the same on every transport. */
import {
  getOperationAST,
  Kind,
  parse,
  valueFromASTUntyped,
  type DocumentNode,
  type ParseOptions,
  type FieldNode,
  type FragmentDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import type { Plugin } from 'graphql-yoga';
import { requestError } from './client-errors.ts';

export const OPERATION_LIMITS = {
  /** Batches travel in variables. */
  tokens: 2_000,
  characters: 64 * 1024,
  depth: 12,
  aliases: 30,
  /** Objects that the page sizes of an operation allow it to fetch, multiplied along the nesting. */
  nodes: 20_000,
} as const;

/** Fields that read as much as so many objects of a page would cost, so that few of them fit into one operation. */
const COSTS: Readonly<Record<string, number>> = { history: 200, forecast: 1_000 };

export function useLimits(): Plugin {
  return {
    onParse({ params, setParseFn }) {
      const source = params.source as unknown;
      if (typeof source === 'string' && source.length > OPERATION_LIMITS.characters) {
        throw requestError(
          'DOCUMENT_TOO_LARGE',
          `A document may have at most ${OPERATION_LIMITS.characters} characters; send data in variables.`,
        );
      }
      setParseFn((text: string, options?: ParseOptions) =>
        parse(text, { ...options, maxTokens: OPERATION_LIMITS.tokens }),
      );
    },
    onExecute({ args, setResultAndStopExecution }) {
      const error = tooMuch(args);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
    onSubscribe({ args, setResultAndStopExecution }) {
      const error = tooMuch(args);
      if (error) setResultAndStopExecution({ errors: [error] });
    },
  };
}

interface Operation {
  document: DocumentNode;
  operationName?: string | null | undefined;
  variableValues?: Record<string, unknown> | null | undefined;
}

function tooMuch(operation: Operation) {
  const { depth, aliases, nodes } = measure(operation);
  if (depth > OPERATION_LIMITS.depth) {
    return requestError(
      'TOO_DEEP',
      `The selection is ${depth} fields deep; at most ${OPERATION_LIMITS.depth} are allowed.`,
    );
  }
  if (aliases > OPERATION_LIMITS.aliases) {
    return requestError(
      'TOO_MANY_ALIASES',
      `The operation has ${aliases} aliases; at most ${OPERATION_LIMITS.aliases} are allowed.`,
    );
  }
  if (nodes > OPERATION_LIMITS.nodes) {
    return requestError(
      'TOO_COSTLY',
      `The page sizes let the operation fetch up to ${nodes} objects; at most ${OPERATION_LIMITS.nodes} are allowed. Ask for smaller pages, or for less inside of them.`,
    );
  }
  return null;
}

interface Measure {
  depth: number;
  aliases: number;
  nodes: number;
}

const NOTHING: Measure = { depth: 0, aliases: 0, nodes: 0 };

/** Counts what the selected operation asks for. The document is valid: fragments exist and have no cycles. */
export function measure({ document, operationName, variableValues }: Operation): Measure {
  const operation = getOperationAST(document, operationName);
  if (!operation) return NOTHING;
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  }
  const measured = new Map<string, Measure>();
  const variables = { ...defaults(operation.variableDefinitions ?? []), ...variableValues };

  function ofSelections({ selections }: SelectionSetNode): Measure {
    return selections.map(ofSelection).reduce(
      (sum, part) => ({
        depth: Math.max(sum.depth, part.depth),
        aliases: sum.aliases + part.aliases,
        nodes: sum.nodes + part.nodes,
      }),
      NOTHING,
    );
  }

  function ofSelection(selection: SelectionSetNode['selections'][number]): Measure {
    if (selection.kind === Kind.INLINE_FRAGMENT) return ofSelections(selection.selectionSet);
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const name = selection.name.value;
      const known = measured.get(name);
      if (known) return known;
      const fragment = fragments.get(name);
      const found = fragment ? ofSelections(fragment.selectionSet) : NOTHING;
      measured.set(name, found);
      return found;
    }
    return ofField(selection);
  }

  function ofField(field: FieldNode): Measure {
    // Introspection has its own rule for depth (graphql-js), and touches no data.
    if (field.name.value.startsWith('__')) return { depth: 1, aliases: field.alias ? 1 : 0, nodes: 0 };
    const inside = field.selectionSet ? ofSelections(field.selectionSet) : NOTHING;
    const size = pageSize(field);
    return {
      depth: inside.depth + 1,
      aliases: inside.aliases + (field.alias ? 1 : 0),
      nodes: (COSTS[field.name.value] ?? 0) + (size === null ? inside.nodes : size * (1 + inside.nodes)),
    };
  }

  /** How many objects the field may answer, when it is a list with a given size. */
  function pageSize(field: FieldNode): number | null {
    const first = field.arguments?.find(({ name }) => name.value === 'first' || name.value === 'ids');
    const value = first && valueFromASTUntyped(first.value, variables);
    if (Array.isArray(value)) return value.length;
    return typeof value === 'number' ? Math.max(0, value) : null;
  }

  return ofSelections(operation.selectionSet);
}

function defaults(
  definitions: readonly {
    variable: { name: { value: string } };
    defaultValue?: Parameters<typeof valueFromASTUntyped>[0] | undefined;
  }[],
): Record<string, unknown> {
  return Object.fromEntries(
    definitions.flatMap(({ variable, defaultValue }) =>
      defaultValue ? [[variable.name.value, valueFromASTUntyped(defaultValue)]] : [],
    ),
  );
}
