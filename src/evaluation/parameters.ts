/** Collects query parameters: values never become part of the SQL text. */
import type { Parameter } from '../storage/clickhouse/connect.ts';

export interface Parameters {
  /** Takes a value and returns its placeholder, `{p0:UInt32}`. Equal values share one. */
  add(type: string, value: Parameter): string;
  readonly values: Record<string, Parameter>;
}

export function createParameters(): Parameters {
  const values: Record<string, Parameter> = {};
  const names = new Map<string, string>();
  return {
    values,
    add(type, value) {
      const key = `${type} ${JSON.stringify(value)}`;
      let name = names.get(key);
      if (name === undefined) {
        name = `p${names.size}`;
        names.set(key, name);
        values[name] = value;
      }
      return `{${name}:${type}}`;
    },
  };
}
