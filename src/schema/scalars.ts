import { GraphQLError, Kind, type ValueNode } from 'graphql';
import { parseDuration } from '../segments/duration.ts';
import { parseInstant } from '../segments/instant.ts';
import { builder } from './builder.ts';

const MAX_TOKEN = 4_096;

/** In: a string, given on as RFC 3339 in UTC with milliseconds. Out: epoch milliseconds. */
builder.scalarType('DateTime', {
  description:
    'An instant as RFC 3339, such as "2026-03-01T09:30:00.250Z". Any offset is taken; answers are in UTC with milliseconds.',
  serialize: (ms) => new Date(ms).toISOString(),
  parseValue: (value) => {
    const text = string(value, 'DateTime');
    const ms = parseInstant(text);
    if (ms === null) {
      throw new GraphQLError(
        'DateTime must be an existing instant as RFC 3339 with an offset, such as "2026-03-01T09:30:00Z"',
      );
    }
    return new Date(ms).toISOString();
  },
});

builder.scalarType('Duration', {
  description:
    'A length of time as ISO 8601: "PT30S", "PT1H", "P7D", "P4W". A day has 24 hours; months and years are not taken, for they have no one length.',
  serialize: (text) => text,
  parseValue: (value) => {
    const text = string(value, 'Duration');
    const duration = parseDuration(text);
    if (!duration.ok) throw new GraphQLError(`Duration ${duration.problem}`);
    return text;
  },
});

builder.scalarType('JSON', {
  description: 'Schemaless data: an object of texts, numbers, booleans, lists and objects.',
  serialize: (value) => value,
  parseValue: (value) => value,
  parseLiteral: (node, variables) => literal(node, variables ?? {}),
});

builder.scalarType('Position', {
  description:
    "A place in the account's membership log. Opaque: keep it and send it back; only the server can compare two of them.",
  serialize: (text) => text,
  parseValue: (value) => token(value, 'Position'),
});

builder.scalarType('Receipt', {
  description:
    'Proof of an accepted write. Opaque: give it to `receipt` to wait until the write has taken effect.',
  serialize: (text) => text,
  parseValue: (value) => token(value, 'Receipt'),
});

function string(value: unknown, type: string): string {
  if (typeof value !== 'string') throw new GraphQLError(`${type} must be a string`);
  return value;
}

function token(value: unknown, type: string): string {
  const text = string(value, type);
  if (!/^[\w.~:=+/-]+$/.test(text) || text.length > MAX_TOKEN) {
    throw new GraphQLError(`${type} must be a value that this API gave out`);
  }
  return text;
}

function literal(node: ValueNode, variables: Record<string, unknown>): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.STRING:
    case Kind.BOOLEAN:
    case Kind.ENUM:
      return node.value;
    case Kind.LIST:
      return node.values.map((item) => literal(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(
        node.fields.map((field) => [field.name.value, literal(field.value, variables)]),
      );
    case Kind.VARIABLE:
      return variables[node.name.value] ?? null;
  }
}
