/**
 * What an account should look like after everything it has accepted, in the order in which it was accepted: slow and
 * obvious, in memory, and written without the code that it is compared with.
 */
import type { ConsentInput, EventInput, ProfileInput } from '../../src/ingest/validate.ts';
import { profileFacts } from '../../src/segments/facts.ts';
import { flatten } from '../../src/segments/flatten.ts';
import { predictionPath } from '../../src/segments/paths.ts';
import { DIMENSIONS } from './predictions.ts';
import type { EventFacts, PredictionFacts, ProfileFacts } from '../../src/segments/ast.ts';

import { newestOf, type Told } from './consents.ts';

type Json = Record<string, unknown>;

/** Strongest first. */
export const IDENTIFIER_KINDS = ['externalId', 'email', 'phone', 'anonymousId'] as const;
export type IdentifierKind = (typeof IDENTIFIER_KINDS)[number];
const TEXT_FIELDS = ['firstName', 'lastName', 'timezone', 'locale'] as const;

export interface ModelProfile {
  /** externalId, email, phone and the text fields that are shown. */
  fields: Map<string, string>;
  location: Json;
  properties: Json;
  events: EventFacts[];
  /** All that was ever told. */
  consents: Told[];
  /** By path, what predictions have been, in order. */
  predictions: Map<string, PredictionFacts[]>;
}

export interface Model {
  events(inputs: readonly EventInput[], now: number): void;
  profiles(inputs: readonly ProfileInput[], now: number): void;
  consents(inputs: readonly ConsentInput[], now: number): void;
  /** Those who are there: nobody who was merged into somebody else. */
  living(): ModelProfile[];
  /** Whom an identifier leads to. */
  find(kind: IdentifierKind, value: string): ModelProfile | undefined;
  identifiers(): { kind: IdentifierKind; value: string; profile: ModelProfile }[];
  /** From now on `{ id }` of a write may name the profile by this. */
  learnId(id: string, profile: ModelProfile): void;
  ids(): string[];
  findId(id: string): ModelProfile | undefined;
  uniqueIds(): string[];
}

export function createModel(): Model {
  const owners = new Map<string, ModelProfile>();
  const ids = new Map<string, ModelProfile>();
  const everyone = new Set<ModelProfile>();
  const arrived = new Set<string>();

  function identify(given: EventInput['profile'], now: number): ModelProfile {
    const keys = IDENTIFIER_KINDS.flatMap((kind) => (given[kind] ? [`${kind}:${given[kind]}`] : []));
    const named = given.id ? ids.get(given.id) : undefined;
    const found = [
      ...new Set([named, ...keys.map((key) => owners.get(key))].filter((one) => one !== undefined)),
    ];
    const profile: ModelProfile = found[0] ?? {
      fields: new Map(),
      location: {},
      properties: {},
      events: [],
      consents: [],
      predictions: new Map(),
    };
    everyone.add(profile);
    for (const other of found.slice(1)) merge(other, profile);
    for (const key of keys) owners.set(key, profile);
    for (const kind of ['externalId', 'email', 'phone'] as const) {
      if (given[kind]) profile.fields.set(kind, given[kind]);
    }
    remember(profile, now);
    return profile;
  }

  function merge(source: ModelProfile, target: ModelProfile): void {
    target.fields = new Map([...source.fields, ...target.fields]);
    target.location = { ...source.location, ...target.location };
    target.properties = { ...source.properties, ...target.properties };
    target.events.push(...source.events);
    target.consents.push(...source.consents);
    everyone.delete(source);
    for (const [key, owner] of owners) if (owner === source) owners.set(key, target);
    for (const [id, owner] of ids) if (owner === source) ids.set(id, target);
  }

  /** A value is known from when it came; what the source of a merge has had before is forgotten. */
  function remember({ properties, predictions }: ModelProfile, now: number): void {
    const values = flatten({ properties });
    for (const path of DIMENSIONS.map(predictionPath)) {
      const value = values.get(path);
      const history = (predictions.get(path) ?? []).filter(({ time }) => time < now);
      predictions.set(path, [...history, { time: now, value: typeof value === 'number' ? value : null }]);
    }
  }

  return {
    events(inputs, now) {
      for (const input of inputs) {
        const profile = identify(input.profile, now);
        const uniqueId = input.uniqueId ?? '';
        if (arrived.has(uniqueId)) continue;
        arrived.add(uniqueId);
        profile.events.push({
          metric: input.metric,
          time: input.time ?? now,
          value: input.value ?? null,
          properties: flatten(input.properties ?? {}),
        });
      }
    },
    profiles(inputs, now) {
      for (const input of inputs) {
        const profile = identify(input.identifiers, now);
        for (const name of TEXT_FIELDS) {
          const value = input[name];
          if (value === null) profile.fields.delete(name);
          else if (value !== undefined) profile.fields.set(name, value);
        }
        assign(profile.location, input.location ?? {});
        assign(profile.properties, (input.properties ?? {}) as Json);
        for (const [name, values] of Object.entries((input.append ?? {}) as Json)) {
          const list = listOf(profile.properties[name]);
          for (const value of listOf(values)) if (!list.includes(value)) list.push(value);
          profile.properties[name] = list;
        }
        for (const [name, values] of Object.entries((input.remove ?? {}) as Json)) {
          const before = profile.properties[name];
          if (Array.isArray(before)) {
            profile.properties[name] = before.filter((value) => !listOf(values).includes(value));
          }
        }
        remember(profile, now);
      }
    },
    consents(inputs, now) {
      for (const { identifiers, channel, status, at, source } of inputs) {
        const time = Math.min(at ?? now, now);
        identify(identifiers, now).consents.push({ channel, status, time, source: source ?? null });
      }
    },
    living: () => [...everyone],
    find: (kind, value) => owners.get(`${kind}:${value}`),
    identifiers: () =>
      [...owners].map(([key, profile]) => {
        const [kind = '', ...value] = key.split(':');
        return { kind: kind as IdentifierKind, value: value.join(':'), profile };
      }),
    learnId: (id, profile) => void ids.set(id, profile),
    ids: () => [...ids.keys()],
    findId: (id) => ids.get(id),
    uniqueIds: () => [...arrived],
  };
}

/** `number` is the profile's within its account. */
export function factsAbout(
  { fields, location, properties, events, consents, predictions }: ModelProfile,
  number: number,
): ProfileFacts {
  const attributes = new Map([...fields, ...flatten({ location, properties })]);
  return profileFacts({ number, attributes, events, consents: newestOf(consents), predictions });
}

/** Null takes a value away. */
function assign(into: Json, from: Json): void {
  for (const [name, value] of Object.entries(from)) {
    if (value === null) delete into[name];
    else if (value !== undefined) into[name] = value;
  }
}

function listOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? [...(value as unknown[])] : [value];
}
