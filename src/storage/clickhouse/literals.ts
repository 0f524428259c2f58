/**
 * Parameters as part of the statement. ClickHouse takes no parameter longer than 128 KiB, and once parameters fill an
 * address, the statement itself counts as one: large ones must bring their values along.
 */
/** A scalar or a flat list of scalars. Instants travel as epoch milliseconds: the client cuts dates inside lists. */
export type Parameter = string | number | boolean | readonly (string | number)[];

/** Characters of values up to which they travel as parameters. */
const PARAMETER_CHARACTERS = 16_384;

export interface Statement {
  sql: string;
  parameters: Record<string, Parameter>;
}

/** The same statement, with its values written into it when they are too long to travel beside it. */
export function withLargeValuesInside(sql: string, parameters: Record<string, Parameter>): Statement {
  let size = 0;
  for (const [name, value] of Object.entries(parameters)) {
    size +=
      name.length +
      (Array.isArray(value) ? value.join().length + 4 * value.length : String(value).length) +
      10;
  }
  if (size <= PARAMETER_CHARACTERS) return { sql, parameters };
  const inside = sql.replace(/\{(\w+):([A-Za-z0-9()]+)\}/g, (_, name: string, type: string) => {
    const value = parameters[name];
    if (value === undefined) throw new Error(`no value for the parameter ${name}`);
    return literal(type, value);
  });
  return { sql: inside, parameters: {} };
}

function literal(type: string, value: Parameter): string {
  if (typeof value === 'object') {
    const items = value.map((item) => (typeof item === 'string' ? quoted(item) : numeric(item)));
    return `CAST([${items.join(',')}], '${type}')`;
  }
  if (type === 'String') return quoted(String(value));
  return `CAST(${quoted(String(value))}, '${type}')`;
}

function numeric(value: number): string {
  if (!Number.isFinite(value)) throw new RangeError('a parameter is not a finite number');
  return String(value);
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`;
}
