/**
 * The mapping file: what of a row becomes which event or profile field. docs/import.md is its manual; this schema is
 * what the manual describes.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const name = z.string().min(1);
/** Text in which {field} stands for a field's value and {$line} for the row's line number. */
const template = z.string().min(1);

const fieldSchema = z.union([
  z.strictObject({
    column: name,
    type: z.enum(['text', 'number', 'boolean', 'time', 'json']).default('text'),
    required: z.boolean().default(false),
    trim: z.boolean().default(false),
    trimSuffix: name.optional(),
    epoch: z.enum(['seconds', 'milliseconds']).optional(),
  }),
  z.strictObject({ product: z.array(name).min(2).max(4) }),
  z.strictObject({ literal: z.union([z.string(), z.number(), z.boolean()]) }),
]);

const conditionSchema = z
  .strictObject({
    field: name,
    equals: z.string().optional(),
    notEquals: z.string().optional(),
    startsWith: name.optional(),
    notStartsWith: name.optional(),
    exists: z.boolean().optional(),
  })
  .refine((condition) => Object.keys(condition).length === 2, 'needs exactly one test beside "field"');

const whenSchema = z.union([conditionSchema, z.array(conditionSchema).min(1)]);

const aggregateSchema = z.union([
  name,
  z.strictObject({ sum: name }),
  z.strictObject({ min: name }),
  z.strictObject({ max: name }),
  z.strictObject({ count: z.literal(true) }),
]);

const identifiersSchema = z
  .strictObject({
    externalId: name.optional(),
    email: name.optional(),
    phone: name.optional(),
    anonymousId: name.optional(),
  })
  .refine((identifiers) => Object.keys(identifiers).length > 0, 'needs at least one identifier');

const eventSchema = z.strictObject({
  metric: template,
  when: whenSchema.optional(),
  groupBy: z.array(name).min(1).optional(),
  uniqueId: template,
  profile: identifiersSchema,
  time: aggregateSchema,
  value: aggregateSchema.optional(),
  currency: name.optional(),
  properties: z.union([name, z.record(name, aggregateSchema)]).optional(),
});

const PROFILE_PATHS =
  'firstName, lastName, timezone, locale, location.city, location.region, location.country, ' +
  'location.postalCode, location.latitude, location.longitude, properties.NAME';
const isProfilePath = (path: string) =>
  /^properties\.[^.]+$/.test(path) || PROFILE_PATHS.split(', ').slice(0, -1).includes(path);

const profileSchema = z.strictObject({
  when: whenSchema.optional(),
  identifiers: identifiersSchema,
  once: z.boolean().default(false),
  set: z.record(name, name),
});

const mappingSchema = z
  .strictObject({
    description: z.string().optional(),
    format: z.enum(['csv', 'ndjson']),
    delimiter: z.string().length(1).default(','),
    fields: z.record(name, fieldSchema),
    skip: z.array(z.strictObject({ when: whenSchema, reason: name })).default([]),
    events: z.array(eventSchema).default([]),
    profiles: z.array(profileSchema).default([]),
  })
  .refine(
    (mapping) => mapping.events.length + mapping.profiles.length > 0,
    'needs at least one entry in "events" or "profiles"',
  );

export type Mapping = z.infer<typeof mappingSchema>;
export type MappingField = z.infer<typeof fieldSchema>;
export type When = z.infer<typeof whenSchema>;
export type RowCondition = z.infer<typeof conditionSchema>;
export type Aggregate = z.infer<typeof aggregateSchema>;
export type EventMapping = z.infer<typeof eventSchema>;
export type ProfileMapping = z.infer<typeof profileSchema>;

/** What is wrong with a mapping, every mistake on its own line. */
export class MappingError extends Error {}

/** A mapping by its file's path, or by the name of one in `mappings/`. */
export async function loadMapping(nameOrPath: string): Promise<Mapping> {
  const shipped = !/[/\\]|\.json$/.test(nameOrPath);
  const path = shipped
    ? fileURLToPath(new URL(`./mappings/${encodeURIComponent(nameOrPath)}.json`, import.meta.url))
    : nameOrPath;
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    throw new MappingError(
      shipped
        ? `There is no mapping named "${nameOrPath}" in examples/import/mappings. For your own, give the path of its .json file.`
        : `The mapping ${nameOrPath} cannot be read.`,
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new MappingError(
      `The mapping ${nameOrPath} is not JSON: ${error instanceof Error ? error.message : ''}`,
    );
  }
  return parseMapping(json);
}

export function parseMapping(json: unknown): Mapping {
  const parsed = mappingSchema.safeParse(json);
  if (!parsed.success) {
    const lines = parsed.error.issues.map(
      (issue) => `  ${issue.path.join('.') || 'mapping'}: ${issue.message}`,
    );
    throw new MappingError(`The mapping has mistakes:\n${lines.join('\n')}`);
  }
  const mistakes = wrongReferences(parsed.data);
  if (mistakes.length > 0) throw new MappingError(`The mapping has mistakes:\n  ${mistakes.join('\n  ')}`);
  return parsed.data;
}

/** The conditions of a `when`, all of which must hold. */
export function conditionsOf(when: When | undefined): RowCondition[] {
  return when === undefined ? [] : Array.isArray(when) ? when : [when];
}

/** The field names in a template's braces. */
export function templateFields(text: string): string[] {
  return [...text.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1]!);
}

/** The field an aggregate reads; none for a count. */
export function aggregateField(aggregate: Aggregate): string | null {
  if (typeof aggregate === 'string') return aggregate;
  if ('sum' in aggregate) return aggregate.sum;
  if ('min' in aggregate) return aggregate.min;
  return 'max' in aggregate ? aggregate.max : null;
}

function wrongReferences({ fields, skip, events, profiles }: Mapping): string[] {
  const mistakes: string[] = [];
  const known = Object.keys(fields);
  const isNumber = (field: MappingField | undefined) =>
    field !== undefined && ('product' in field || ('type' in field && field.type === 'number'));
  const isTime = (field: MappingField | undefined) =>
    field !== undefined && 'type' in field && field.type === 'time';
  const check = (at: string, ...used: string[]) => {
    for (const field of used) {
      if (!known.includes(field))
        mistakes.push(`${at}: there is no field "${field}" (there are: ${known.join(', ')})`);
    }
  };

  for (const [field, spec] of Object.entries(fields)) {
    if (!('product' in spec)) continue;
    for (const factor of spec.product) {
      const of = fields[factor];
      check(`fields.${field}`, factor);
      if (of && !('type' in of && of.type === 'number'))
        mistakes.push(`fields.${field}: "${factor}" is not a number column`);
    }
  }
  skip.forEach((entry, i) =>
    check(`skip.${i}`, ...conditionsOf(entry.when).map((condition) => condition.field)),
  );
  events.forEach((event, i) => {
    const at = `events.${i}`;
    const inProperties = typeof event.properties === 'object' ? Object.values(event.properties) : [];
    const aggregates = [event.time, ...(event.value === undefined ? [] : [event.value]), ...inProperties];
    check(at, ...conditionsOf(event.when).map((condition) => condition.field));
    check(
      at,
      ...identifierFields(event.profile),
      ...(event.groupBy ?? []),
      ...(event.currency ? [event.currency] : []),
    );
    check(
      at,
      ...templateFields(event.metric),
      ...templateFields(event.uniqueId).filter((field) => field !== '$line'),
    );
    if (typeof event.properties === 'string') check(at, event.properties);
    for (const aggregate of aggregates) {
      const field = aggregateField(aggregate);
      if (field !== null) check(at, field);
      if (typeof aggregate === 'string') continue;
      if (!event.groupBy) mistakes.push(`${at}: ${JSON.stringify(aggregate)} needs "groupBy"`);
      const ordered = !('sum' in aggregate) && field !== null && isTime(fields[field]);
      if (field !== null && !ordered && !isNumber(fields[field]))
        mistakes.push(`${at}: "${field}" is not a number`);
    }
    const time = aggregateField(event.time);
    const timeField = time === null ? undefined : fields[time];
    if (!isTime(timeField)) mistakes.push(`${at}: "time" must be a field of type time`);
    if (!/\{[^{}]+\}/.test(event.uniqueId))
      mistakes.push(`${at}: "uniqueId" must contain a field, such as {$line}`);
    const { groupBy } = event;
    if (groupBy && !templateFields(event.uniqueId).every((field) => groupBy.includes(field))) {
      mistakes.push(`${at}: "uniqueId" of a group must be made of the fields in "groupBy"`);
    }
  });
  profiles.forEach((profile, i) => {
    for (const path of Object.keys(profile.set)) {
      if (!isProfilePath(path)) mistakes.push(`profiles.${i}.set: "${path}" is not one of ${PROFILE_PATHS}`);
    }
    check(`profiles.${i}`, ...conditionsOf(profile.when).map((condition) => condition.field));
    check(`profiles.${i}`, ...identifierFields(profile.identifiers), ...Object.values(profile.set));
  });
  return mistakes;
}

function identifierFields(identifiers: EventMapping['profile']): string[] {
  return Object.values(identifiers).filter((field) => field !== undefined);
}
