import { readFileSync } from 'node:fs';
import {
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedScalarType,
  printSchema,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../../src/schema/index.ts';

const types = Object.values(schema.getTypeMap()).filter(
  (type) => !type.name.startsWith('__') && !isSpecifiedScalarType(type),
);

describe('the schema', () => {
  it('describes everything', () => {
    const silent: string[] = [];
    const check = (path: string, description: string | null | undefined) => {
      if (!description?.trim()) silent.push(path);
    };
    for (const type of types) {
      check(type.name, type.description);
      if (isEnumType(type))
        for (const value of type.getValues()) check(`${type.name}.${value.name}`, value.description);
      if (isInputObjectType(type))
        for (const field of Object.values(type.getFields()))
          check(`${type.name}.${field.name}`, field.description);
      if (isObjectType(type) || isInterfaceType(type)) {
        for (const field of Object.values(type.getFields())) {
          check(`${type.name}.${field.name}`, field.description);
          for (const arg of field.args) check(`${type.name}.${field.name}(${arg.name})`, arg.description);
        }
      }
    }
    expect(silent).toEqual([]);
  });

  it('is printed in schema.graphql', () => {
    expect(readFileSync('schema.graphql', 'utf8')).toContain(printSchema(schema));
  });

  it('pages every connection with first and after', () => {
    for (const type of types.filter(isObjectType)) {
      for (const field of Object.values(type.getFields())) {
        if (!/Connection!$/.test(field.type.toString())) continue;
        const args = Object.fromEntries(field.args.map((arg) => [arg.name, arg.type.toString()]));
        expect([type.name, field.name, args['first'], args['after']]).toEqual([
          type.name,
          field.name,
          'Int!',
          'String',
        ]);
      }
    }
  });
});
